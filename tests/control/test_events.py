"""Events are followed over the socket: those missed, then each as it happens, until an end."""

import json
import socket
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from unittest.mock import ANY

import numpy as np
import pytest
from knocking import LOOSE, ask, send_raw

from facegate.control import following, streams
from facegate.control.limits import Limits
from facegate.control.peers import Peer, Rule
from facegate.control.route import Call
from facegate.control.schemas import After
from facegate.journal import Event, Journal

ASKED = b"GET /v1/events%b HTTP/1.1\r\n\r\n"
QUIET = {"seq": None, "start": ANY}


@pytest.fixture
def journal(feed):
    return Journal(feed)


class Follower:
    """One who follows, and has read the head and the first line."""

    def __init__(self, peer, file):
        self.peer, self.file = peer, file
        self.head = b"".join(iter(self.file.readline, b"\r\n"))
        assert self.next() == QUIET

    def next(self):
        line = self.file.readline()
        return json.loads(line) if line else None


@contextmanager
def following_events(client, query=b""):
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(10)
        peer.connect(str(client.path))
        peer.sendall(ASKED % query)
        with peer.makefile("rb") as file:
            yield Follower(peer, file)


def wait_for(condition, seconds=10):
    end_s = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end_s, "waited in vain"
        time.sleep(0.01)


def open_connections(servers):
    return sum(servers[-1]._server.turnstile._open.values())


def test_an_event_is_told_as_it_happens(client, journal):
    before = datetime.now().astimezone()
    with following_events(client) as follower:
        assert b"200 OK" in follower.head
        assert b"application/x-ndjson" in follower.head
        facts = {"person": 3, "distance": float("nan"), "share": np.float32(0.5), "of": np.int64(2)}
        journal.emit("door_forced_open", "open", reason="forced", **facts)
        told = follower.next()
        assert before <= datetime.fromisoformat(told["at"]) < before + timedelta(seconds=10)
        assert datetime.fromisoformat(told.pop("at")).utcoffset() == before.utcoffset()
        assert told == {
            "seq": 1,
            "event": "door_forced_open",
            "severity": 1,
            "message": "open",
            "facts": {"reason": "forced", "person": 3, "distance": None, "share": 0.5, "of": 2},
        }
        journal.emit("door_closed", "closed")
        assert follower.next()["seq"] == 2


def test_what_was_missed_comes_first(client, journal):
    for number in range(5):
        journal.emit("granted", "x", number=number)
    with following_events(client, b"?after=3") as follower:
        assert [follower.next()["seq"] for _ in range(2)] == [4, 5]
        journal.emit("granted", "x")
        assert follower.next()["seq"] == 6
    with following_events(client) as follower:
        journal.emit("granted", "x")
        assert follower.next()["seq"] == 7
    for earlier in (b"?after=1000", b"?after=3&start=another"):
        with following_events(client, earlier) as follower:
            assert follower.next()["seq"] == 1


def test_people_are_called_as_in_the_journal(client, feed):
    for names, said in ((True, "Ann: come in"), (False, "person 7: come in")):
        with following_events(client) as follower:
            journal = Journal(feed, names=names)
            journal.emit("granted", "Ann: come in", called=["Ann"], person=7)
            assert follower.next()["message"] == said


def test_a_quiet_stream_says_that_it_is_there(client, monkeypatch, feed):
    monkeypatch.setattr(following, "QUIET_S", 0.2)
    monkeypatch.setattr(following, "LOOK_S", 0.05)
    began_s = time.monotonic()
    with following_events(client) as follower:
        assert [follower.next() for _ in range(3)] == [QUIET] * 3
    assert 0.5 < time.monotonic() - began_s < 5


def test_whoever_hangs_up_is_forgotten_without_an_event(client, servers, monkeypatch):
    with following_events(client):
        assert open_connections(servers) == 1
    began_s = time.monotonic()
    wait_for(lambda: open_connections(servers) == 0)
    assert time.monotonic() - began_s < 5 < following.QUIET_S


def test_one_who_sends_no_more_still_listens(client, journal):
    with following_events(client) as follower:
        follower.peer.shutdown(socket.SHUT_WR)
        time.sleep(following.LOOK_S * 1.2)
        journal.emit("granted", "x")
        assert follower.next()["seq"] == 1


def test_at_the_daemons_end_all_is_told_and_the_stream_ends(client, servers, journal):
    with following_events(client) as follower:
        journal.emit("stopped", "x")
        began_s = time.monotonic()
        servers[-1].close()
        assert time.monotonic() - began_s < streams.PATIENCE_S
        assert follower.next()["event"] == "stopped"
        assert follower.next() == QUIET
        assert follower.next() is None


def followed(feed, rule=Rule.OWNER):
    """Give the lines that come where the daemon ends at once."""
    sent = []
    last = following.follow(
        None,
        Call(
            peer=Peer(0, rule),
            named={},
            query=After(after=0),
            body=None,
            send=sent.append,
            go_on=lambda: False,
            feed=feed,
        ),
    )
    return [*sent, last]


def test_what_happened_just_before_the_end_is_told(feed, journal):
    journal.emit("stopped", "x")
    assert [line.seq for line in followed(feed)] == [None, 1, None]


def test_how_alike_a_face_was_is_for_root(feed, journal):
    journal.emit("unknown", "x", distance=0.8123, confidence=0.1, track=4)
    for rule, told in ((Rule.OWNER, {"distance", "confidence", "track"}), (Rule.MEMBER, {"track"})):
        assert set(followed(feed, rule)[1].facts) == told


def test_one_who_reads_nothing_keeps_neither_journal_nor_end_waiting(client, servers, journal):
    with following_events(client, b"?after=0"):
        began_s = time.monotonic()
        for _ in range(600):
            journal.emit("unknown", "x" * 10_000)
        assert time.monotonic() - began_s < 2
        assert open_connections(servers) == 1
        servers[-1].close()
        assert time.monotonic() - began_s < 5
        wait_for(lambda: open_connections(servers) == 0, 1)


def test_one_who_reads_nothing_is_let_go(serve, servers, journal):
    client = serve(replace(LOOSE, answer_s=2.0))
    with following_events(client):
        began_s = time.monotonic()
        for _ in range(300):
            journal.emit("unknown", "x" * 10_000)
        wait_for(lambda: open_connections(servers) == 0)
        assert time.monotonic() - began_s < 3.5  # nor is it told so: a line was sent by halves


def test_a_stream_is_a_connection(serve):
    client = serve(Limits(connections_each=2))
    with following_events(client), following_events(client):
        assert b"too many connections" in send_raw(client, b"", end=False)
    wait_for(lambda: ask(client, "GET", "/v1/status").status == 200)


def test_streams_leave_connections_for_what_is_urgent(serve):
    client = serve(Limits(streams_each=2, connections_each=4))
    with following_events(client), following_events(client):
        refused = ask(client, "GET", "/v1/events")
        assert (refused.status, "too many streams" in refused.text) == (503, True)
        assert ask(client, "POST", "/v1/door/lockdown", {"on": True}).status == 200

    def again():
        with following_events(client):
            return True

    wait_for(lambda: ask(client, "GET", "/v1/status").status == 200)
    time.sleep(following.LOOK_S * 1.5)
    assert again()


def test_following_is_not_recorded(client, reports):
    with following_events(client):
        pass
    assert reports == []


def test_every_kind_of_fact_is_told(client, feed):
    with following_events(client) as follower:
        facts = {"a": True, "b": "Ü\n", "c": 2**60, "d": float("-inf"), "e": np.int64(2), "f": 3.0}
        feed(Event("granted", "x", facts))
        wanted = {"a": True, "b": "Ü\n", "c": 2**60, "d": None, "e": 2, "f": 3.0}
        assert repr(follower.next()["facts"]) == repr(wanted)  # a number is of its own kind, too
