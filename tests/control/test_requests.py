"""What the server makes of requests: right, wrong, too large, too slow, too many."""

import json
import socket
import threading
import time

import numpy as np
import pytest
from knocking import LOOSE, ask, received, send_raw, unit

from facegate.control.limits import Limits, Turnstile
from facegate.control.reading import RequestReader
from facegate.control.route import Refusal
from facegate.errors import DaemonError

VECTOR = unit(np.ones(128)).tolist()
NEW = {"name": "Ben", "vectors": [VECTOR], "model_id": "m1"}


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "told"),
    [
        ("GET", "/v1/none", None, 404, "no such path"),
        ("GET", "/v1/status?x=1", None, 400, "query"),
        ("GET", "/v1/events?after=x", None, 400, "1 mistake(s) in the query: after: "),
        ("GET", "/v1/events?after=-1", None, 400, "after: "),
        ("GET", "/v1/events?after=", None, 400, "after: "),
        ("GET", "/v1/events?after=" + "9" * 5000, None, 400, "after: "),
        ("GET", "/v1/events?before=1", None, 400, "before: unknown key; known here: after"),
        ("GET", "/v1/events?after=1&after=2", None, 400, "twice"),
        ("GET", "/v1/events?after", None, 400, "the query"),
        ("GET", "/v1/events?after=1", {}, 400, "takes no body"),
        ("GET", "/v1/status", {}, 400, "takes no body"),
        ("GET", "/v1/people/%ff", None, 405, "only DELETE, PATCH"),
        ("DELETE", "/v1/people/%ff", None, 400, "not UTF-8"),
        ("PUT", "/v1/status", None, 405, "only GET"),
        ("BREW", "/v1/status", None, 405, "only GET"),
        ("DELETE", "/v1/status", None, 405, "not offered"),
        ("POST", "/v1/people", "not json", 400, "invalid JSON"),
        ("POST", "/v1/people", "[" * 200_000, 400, "JSON"),
        ("POST", "/v1/people", '{"name": "\\ud800"}', 400, "JSON"),
        ("POST", "/v1/people", b'{"name": "\xff"}', 400, "JSON"),
        ("POST", "/v1/people", [1], 400, "object"),
        ("POST", "/v1/people", {**NEW, "nmae": "Ben"}, 400, "nmae: unknown key; known here: "),
        ("POST", "/v1/people", {**NEW, "vectors": ["x"]}, 400, "vectors.0: "),
        ("POST", "/v1/people", {**NEW, "vectors": []}, 400, "vectors: "),
        ("POST", "/v1/people", {**NEW, "vectors": [VECTOR] * 51}, 400, "at most 50"),
        ("POST", "/v1/people", {**NEW, "vectors": [[1, 2]]}, 400, "length 1, not 2.236"),
        ("POST", "/v1/people", {**NEW, "vectors": [[1.0] * 128]}, 400, "length 1, not 11.31"),
        ("POST", "/v1/people", {**NEW, "vectors": [[1e308] * 128]}, 400, "length 1, not inf"),
        ("POST", "/v1/people", '{"vectors": [[NaN]]}', 400, "finite"),
        ("POST", "/v1/people", {**NEW, "name": 5}, 400, "name: "),
        ("POST", "/v1/people", {**NEW, "name": "x" * 65}, 400, "at most 64"),
        ("PATCH", "/v1/people/Ann", {"name": "x" * 65}, 400, "at most 64"),
        ("POST", "/v1/people", {**NEW, "allow_duplicate": "yes"}, 400, "allow_duplicate: "),
        ("POST", "/v1/door/lockdown", {"on": "yes"}, 400, "on: "),
        ("POST", "/v1/door/lockdown", {"on": 1}, 400, "on: "),
        ("POST", "/v1/door/lockdown", {"on": None}, 400, "on: "),
        ("POST", "/v1/door/lockdown", "", 400, "on: field required"),
        ("DELETE", "/v1/people/", None, 404, "nobody"),
        ("POST", "/v1/door/unlock", {"now": True}, 400, "known here: for_s"),
        ("POST", "/v1/door/unlock", {"for_s": 0}, 400, "for_s: "),
        ("POST", "/v1/door/unlock", {"for_s": 43201}, 400, "less than or equal to 43200"),
        ("POST", "/v1/door/unlock", {"for_s": "1"}, 400, "for_s: "),
        ("POST", "/v1/door/lock", {"now": True}, 400, "known here: none"),
        ("PUT", "/v1/people/Ann/role", {"role": "king"}, 400, "role: "),
        ("POST", "/v1/door/pin", {"pin": 4829}, 400, "pin: "),
        ("PATCH", "/v1/people/Zoe", {"name": "Y"}, 404, "nobody of this name"),
        ("DELETE", "/v1/people/Ann", None, 503, "disk is full"),
    ],
)
def test_wrong_requests_are_told(client, gate, method, path, body, status, told):
    reply = ask(client, method, path, body)
    assert (reply.status, told in reply.json["error"]) == (status, True), reply.text
    assert "Traceback" not in reply.text
    assert gate.added == []
    assert not hasattr(gate, "locked_down")
    assert not hasattr(gate, "unlocked")


def test_all_mistakes_are_told_at_once_with_their_paths(client):
    reply = ask(client, "POST", "/v1/people", {"vectors": [VECTOR, [0.5]], "model_id": 7, "x": 1})
    assert {m["path"] for m in reply.json["mistakes"]} == {"name", "vectors.1", "model_id", "x"}
    assert reply.json["error"].startswith("4 mistake(s)")


def test_a_flood_of_mistakes_is_cut_short(client):
    reply = ask(client, "POST", "/v1/people", {str(n): n for n in range(1000)})
    assert len(reply.json["mistakes"]) == 20
    assert "and 983 more" in reply.json["error"]


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_a_body_of_another_kind_is_refused(client, gate, kind):
    headers = {} if kind is None else {"Content-Type": kind}
    reply = ask(client, "POST", "/v1/door/lockdown", {"on": True}, headers)
    assert reply.status == 415
    assert not hasattr(gate, "locked_down")


def test_a_route_that_takes_nothing_takes_no_body_or_an_empty_object(client, gate):
    assert ask(client, "POST", "/v1/door/unlock", None, {}).json == {
        "door": "unlocked",
        "kept_unlocked_s": None,
        "lockdown": False,
    }
    assert ask(client, "POST", "/v1/door/unlock", {}).status == 200


def test_a_refused_method_says_which_are_offered(client):
    reply = ask(client, "GET", "/v1/people/Ann")
    assert reply.headers["Allow"] == "DELETE, PATCH"
    assert ask(client, "HEAD", "/v1/status").text == ""


HEAD = b"POST /v1/door/unlock HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\r\n", 400),
        (b"GET /v1/status\r\n\r\n", 400),
        (b"GET /v1/status HTTP/2.0\r\n\r\n", 400),
        (b"get /v1/status HTTP/1.1\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01", 400),
        (HEAD, 400),  # the blank line never came
        (HEAD[:20], 400),
        (HEAD + b"Content-Length: 2\r\n\r\n", 400),
        (HEAD + b"Content-Length: 2\r\n\r\n{", 400),
        (HEAD + b"Content-Length: -1\r\n\r\n", 400),
        (HEAD + b"Content-Length: +2\r\n\r\n{}", 400),
        (HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ", 400),
        (HEAD + "Content-Length: ²\r\n\r\n{}".encode("latin-1"), 400),
        (HEAD + b"Content-Length: 262145\r\n\r\n", 413),
        (HEAD + b"Content-Length: 9" + b"9" * 5000 + b"\r\n\r\n", 413),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 411),
        (b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\n\r\n", 431),
        (HEAD + b"X: " + b"x" * 20_000 + b"\r\n\r\n", 431),
        (HEAD + b"X: 1\r\n" * 150 + b"\r\n", 431),
    ],
)
def test_bytes_that_are_no_whole_request_do_nothing(client, gate, sent, status):
    got = send_raw(client, sent)
    assert got.startswith(b"HTTP/1.1 %d " % status), got
    assert "error" in json.loads(got.partition(b"\r\n\r\n")[2])
    assert not hasattr(gate, "unlocked")
    assert client.status()["door"] == "locked"


def test_who_hangs_up_at_once_gets_nothing(client):
    assert send_raw(client, b"") == b""


def test_a_large_body_is_refused_before_it_is_read(client):
    head = (
        b"POST /v1/people HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 900000\r\n"
    )
    assert send_raw(client, head + b"\r\n" + b"x" * 900_000).startswith(b"HTTP/1.1 413 ")


def test_expect_100_is_answered_only_for_what_may_come(client):
    ask_first = (
        b"Content-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n"
    )
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(str(client.path))
        peer.sendall(HEAD + ask_first % 2)
        assert peer.recv(1024) == b"HTTP/1.1 100 Continue\r\n\r\n"
        peer.sendall(b"{}")
        assert received(peer).startswith(b"HTTP/1.1 200 ")
    assert send_raw(client, HEAD + ask_first % 999_999).startswith(b"HTTP/1.1 413 ")


def test_a_request_that_drips_is_ended_in_time(serve):
    client = serve(Limits(request_s=0.3))
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(10)
        peer.connect(str(client.path))
        stopping = threading.Event()

        def drip():
            while not stopping.wait(0.05):
                try:
                    peer.sendall(b"x")
                except OSError:
                    return

        dripping = threading.Thread(target=drip)
        dripping.start()
        try:
            assert received(peer).startswith(b"HTTP/1.1 408 ")
        finally:
            stopping.set()
            dripping.join()


def test_the_time_is_for_all_reads_together():
    ours, theirs = socket.socketpair()
    now_s = [0.0]
    with ours, theirs:
        reader = RequestReader(ours, Limits(request_s=10), lambda: now_s[0])
        theirs.sendall(b"GET / HT")
        assert reader.readinto(bytearray(8)) == 8
        now_s[0] = 10.0
        theirs.sendall(b"TP/1.1\r\n\r\n")
        with pytest.raises(Refusal) as refused:
            reader.head()
        assert refused.value.status == 408


def test_connections_at_once_are_bounded(serve):
    client = serve(Limits(connections_each=3))
    idle = [socket.socket(socket.AF_UNIX) for _ in range(3)]
    try:
        for peer in idle:
            peer.connect(str(client.path))
        reply = send_raw(client, b"", end=False)
        assert reply.startswith(b"HTTP/1.1 503 ")
        assert b"too many connections" in reply
        with pytest.raises(DaemonError, match="too many connections"):
            client.status()
    finally:
        for peer in idle:
            peer.close()
    end_s = time.monotonic() + 10
    while ask(client, "GET", "/v1/status").status != 200:
        assert time.monotonic() < end_s
        time.sleep(0.01)


def test_requests_a_second_are_bounded(serve):
    client = serve(Limits(requests_per_s=0.01, burst=3))
    replies = [ask(client, "GET", "/v1/status") for _ in range(5)]
    assert [r.status for r in replies] == [200, 200, 200, 429, 429]
    assert 99 <= int(replies[-1].headers["Retry-After"]) <= 100


def test_whoever_asks_too_often_need_not_wait_for_less_than_a_second(serve):
    client = serve(Limits(requests_per_s=20, burst=1))
    replies = [ask(client, "GET", "/v1/status") for _ in range(9)]
    assert {r.headers["Retry-After"] for r in replies if r.status == 429} == {"1"}


def test_a_bucket_refills_with_time_and_is_each_users_own():
    now_s = [0.0]
    turnstile = Turnstile(Limits(requests_per_s=2, burst=2), lambda: now_s[0])
    assert [turnstile.request(1) for _ in range(4)] == [0, 0, 0.5, 0.5]
    assert turnstile.request(2) == 0
    now_s[0] = 0.25
    assert turnstile.request(1) == 0.25
    now_s[0] = 0.5
    assert [turnstile.request(1) for _ in range(2)] == [0, 0.5]
    now_s[0] = 1000.0
    assert [turnstile.request(1) for _ in range(3)] == [0, 0, 0.5]


def test_what_is_recorded_has_a_bucket_of_its_own():
    now_s = [0.0]
    limits = Limits(changes_per_s=0.5, changes_burst=3, changes_kept=1)
    turnstile = Turnstile(limits, lambda: now_s[0])
    assert [turnstile.change(1) for _ in range(3)] == [0, 0, 2]
    assert turnstile.request(1) == 0
    now_s[0] = 2.0
    assert [turnstile.change(1) for _ in range(2)] == [0, 2]
    assert [turnstile.change(1, urgent=True) for _ in range(2)] == [0, 2]
    assert turnstile.change(1) == 4


def test_users_cannot_take_all_connections():
    turnstile = Turnstile(Limits(connections=3, connections_each=2))
    assert [turnstile.enter(1) for _ in range(3)] == [True, True, False]
    assert turnstile.enter(2)
    assert not turnstile.enter(3)
    assert [turnstile.enter(0, owner=True) for _ in range(3)] == [True, True, False]
    turnstile.leave(1)
    assert turnstile.enter(3)


def test_a_peer_that_does_not_read_is_let_go(serve, gate):
    client = serve(Limits(answer_s=0.2))
    gate.rows = {n: gate.rows["Ann"] for n in range(20_000)}
    with socket.socket(socket.AF_UNIX) as lazy:
        lazy.connect(str(client.path))
        lazy.sendall(b"GET /v1/people HTTP/1.1\r\n\r\n")
        assert client.status()["door"] == "locked"
        end_s = time.monotonic() + 10
        while any(t.name.endswith("(process_request_thread)") for t in threading.enumerate()):
            assert time.monotonic() < end_s
            time.sleep(0.02)


def test_an_enrolment_nobody_listens_to_is_told_so(serve, gate):
    client = serve(LOOSE)
    ended = threading.Event()

    def enrol(name, allow_duplicate, progress, *_):
        try:
            for n in range(100_000):
                progress(n, "look at the camera")
        finally:
            ended.set()

    gate.enrol = enrol
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(str(client.path))
        body = b'{"name": "Cleo"}'
        peer.sendall(
            b"POST /v1/enrolments HTTP/1.1\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n" % len(body) + body
        )
        peer.recv(100)
    assert ended.wait(20)
    assert client.status()["door"] == "locked"


def test_a_defect_is_told_without_its_details_and_the_server_goes_on(client, gate, reports):
    gate.broken = True
    reply = ask(client, "GET", "/v1/status")
    assert (reply.status, "defect" in reply.json["error"]) == (500, True)
    ((name, message, _),) = reports
    assert (name, message) == ("command_failed", "GET /v1/status: RuntimeError")
    gate.broken = False
    assert client.status()["door"] == "locked"


def test_commands_are_reported_with_who_gave_them_and_no_name(client, reports):
    client.status()
    client.rename("Ann", "Anna")
    client.unlock()
    assert [(n, f["command"], f["status"]) for n, _, f in reports] == [
        ("commanded", "PATCH /v1/people/{name}", 200),
        ("commanded", "POST /v1/door/unlock", 200),
    ]
    assert all(f["by"].startswith("uid ") for _, _, f in reports)
    assert "Ann" not in json.dumps(reports)
