import http.client
import json
import os
import socket
import stat
from dataclasses import dataclass

import numpy as np
import pytest

from facegate.control.client import ControlClient
from facegate.control.routes import routes
from facegate.control.server import MAX_BODY_BYTES, ControlServer
from facegate.errors import DaemonError, InputError, StoreError
from facegate.types import Identity


@dataclass(frozen=True)
class Row:
    person_id: int
    name: str
    role: str = "member"
    templates: int = 1
    created_at_wall: float = 1.0


class Gate:
    """What the socket reaches, with people in a plain dict."""

    def __init__(self):
        self.rows = {"Ann": Row(1, "Ann")}
        self.added = []

    def status(self):
        return {"door": "locked"}

    def people(self):
        return list(self.rows.values())

    def add(self, name, vectors, model_id, allow_duplicate=False):
        self.added.append((name, vectors, model_id, allow_duplicate))
        return Row(2, name, templates=len(vectors))

    def enrol(self, name, allow_duplicate, progress):
        progress(0, "look at the camera")
        progress(1, "turn a little")
        if name == "Nobody":
            raise InputError("Nobody: only 1 good looks")
        return Row(3, name)

    def identify(self, vectors, model_id):
        return [Identity("Ann", 0.5, 0.8, 0.9) for _ in vectors]

    def rename(self, old, new):
        if old not in self.rows:
            raise InputError(f"{old}: nobody of this name is enrolled")
        return Row(1, new)

    def set_role(self, name, role):
        return Row(1, name, role)

    def unlock(self):
        self.unlocked = True

    def enter_pin(self, pin):
        if pin != "4829":
            raise InputError("wrong PIN; show your face again")

    def set_pin(self, pin):
        self.new_pin = pin

    def lockdown(self, on):
        self.locked_down = on

    def remove(self, name):
        raise StoreError("the disk is full")


@pytest.fixture
def gate():
    return Gate()


@pytest.fixture
def client(gate, tmp_path):
    path = tmp_path / "control.sock"
    with ControlServer(path, routes(gate)):
        yield ControlClient(path)


def raw(client, method, path, body=None, headers=None):
    connection = http.client.HTTPConnection("localhost", timeout=5)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(str(client.path))
    connection.request(method, path, body, headers or {})
    response = connection.getresponse()
    answer = response.status, response.read().decode()
    connection.close()
    return answer


def test_questions_are_answered(client):
    assert client.running()
    assert client.status() == {"door": "locked"}
    assert [p.name for p in client.people()] == ["Ann"]


def test_embeddings_arrive_as_sent(client, gate):
    vector = np.arange(128, dtype=np.float32) / 7
    assert client.add("Ben Ö", [vector], "m1", True).templates == 1
    name, vectors, model_id, duplicate = gate.added[0]
    assert (name, model_id, duplicate) == ("Ben Ö", "m1", True)
    assert np.array_equal(vectors[0], vector)


def test_embeddings_are_identified(client):
    vectors = [np.zeros(128, np.float32)] * 2
    assert client.identify(vectors, "m1") == [Identity("Ann", 0.5, 0.8, 0.9)] * 2


def test_names_with_odd_characters_survive_the_path(client, gate):
    gate.rows["A/B ?ö"] = Row(9, "A/B ?ö")
    assert client.rename("A/B ?ö", "C").name == "C"


def test_errors_come_back_as_they_were_raised(client):
    with pytest.raises(InputError, match="nobody of this name"):
        client.rename("Zoe", "Y")
    with pytest.raises(StoreError, match="disk is full"):
        client.remove("Ann")


def test_enrolment_guides_while_it_goes_on(client):
    told = []
    person = client.enrol("Cleo", False, 5, lambda n, text: told.append((n, text)))
    assert person.name == "Cleo"
    assert told == [(0, "look at the camera"), (1, "turn a little")]


def test_an_enrolment_that_fails_raises(client):
    with pytest.raises(InputError, match="only 1 good"):
        client.enrol("Nobody", False, 5, lambda *_: None)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "told"),
    [
        ("GET", "/v1/none", None, 404, "no such path"),
        ("PUT", "/v1/status", None, 405, ""),
        ("HEAD", "/v1/status", None, 501, ""),
        ("DELETE", "/v1/status", None, 405, "not offered"),
        ("POST", "/v1/people", "not json", 400, "not JSON"),
        ("POST", "/v1/people", "[1]", 400, "JSON object"),
        ("POST", "/v1/people", "{}", 400, "vectors: must be given as list"),
        ("POST", "/v1/people", '{"vectors": ["x"]}', 400, "lists of numbers"),
        ("POST", "/v1/identities", '{"vectors": [[1, 2]], "model_id": "m"}', 400, "128 finite"),
        ("POST", "/v1/people", '{"vectors": [], "name": 5}', 400, "name: must be given as str"),
    ],
)
def test_wrong_requests_are_told(client, method, path, body, status, told):
    answer = raw(client, method, path, body)
    assert answer[0] == status
    assert told in answer[1]
    assert "Traceback" not in answer[1]


def test_a_huge_body_is_refused_unread(client):
    length = {"Content-Length": str(MAX_BODY_BYTES + 1)}
    status, answer = raw(client, "POST", "/v1/people", None, length)
    assert status == 400
    assert "at most" in answer


def test_the_socket_is_closed_to_others(client):
    assert stat.S_IMODE(client.path.stat().st_mode) == 0o660


def test_a_second_daemon_is_refused(client):
    with pytest.raises(DaemonError, match="another facegate runs"):
        ControlServer(client.path, [])
    assert client.running()


def test_a_dead_daemons_socket_is_replaced(tmp_path, gate):
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert not ControlClient(path).running()
    with ControlServer(path, routes(gate)):
        assert ControlClient(path).status() == {"door": "locked"}
    assert not path.exists()


def test_no_daemon_is_told(tmp_path):
    client = ControlClient(tmp_path / "none.sock")
    assert not client.running()
    with pytest.raises(DaemonError, match="no daemon answers"):
        client.status()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")
def test_a_stranger_gets_nothing(gate, tmp_path):
    path = tmp_path / "control.sock"
    with ControlServer(path, routes(gate)):
        os.chmod(path, 0o666)
        for folder in (tmp_path, *tmp_path.parents):
            if folder.stat().st_uid == 0 and "pytest" in str(folder):
                os.chmod(folder, 0o755)
        child = os.fork()
        if child == 0:
            os.setgid(65534)
            os.setgroups([])
            os.setuid(65534)
            try:
                with socket.socket(socket.AF_UNIX) as probe:
                    probe.connect(str(path))
                    probe.sendall(b"GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n")
                    got = probe.recv(1024)
            except (ConnectionError, BrokenPipeError):
                got = b""
            os._exit(1 if b"locked" in got else 0)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0


def test_the_door_is_commanded_and_roles_are_given(client, gate):
    client.unlock()
    assert gate.unlocked
    for on in (True, False):
        client.lockdown(on)
        assert gate.locked_down is on
    assert client.set_role("Ann", "admin").role == "admin"


def test_a_pin_is_set_and_entered(client, gate):
    client.set_pin("4829")
    assert gate.new_pin == "4829"
    client.enter_pin("4829")
    with pytest.raises(InputError, match="wrong PIN"):
        client.enter_pin("1111")
    assert raw(client, "POST", "/v1/door/pin", json.dumps({"pin": 4829}))[0] == 400


@pytest.mark.parametrize("on", ["yes", 1, None])
def test_a_lockdown_is_true_or_false(client, gate, on):
    status, answer = raw(client, "POST", "/v1/door/lockdown", json.dumps({"on": on}))
    assert status == 400
    assert "on" in answer
    assert not hasattr(gate, "locked_down")
