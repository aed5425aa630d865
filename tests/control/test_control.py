import json
import socket
import stat
import threading
from dataclasses import replace

import numpy as np
import pytest
from knocking import LOOSE, Gate, person, unit

from facegate.config import parse_config
from facegate.control.client import ControlClient
from facegate.control.server import ControlServer
from facegate.doctor.gate import store as doctor_store
from facegate.errors import DaemonError, FacegateError, InputError, StoreError
from facegate.types import Identity


def test_questions_are_answered(client):
    assert client.running()
    assert client.status()["door"] == "locked"
    assert [p.name for p in client.people()] == ["Ann", "Root"]


def test_embeddings_arrive_as_sent(client, gate):
    vector = unit(np.arange(128, dtype=np.float32))
    assert client.add("Ben Ö", [vector], "m1", True).templates == 1
    name, vectors, model_id, duplicate, _ = gate.added[0]
    assert (name, model_id, duplicate) == ("Ben Ö", "m1", True)
    assert np.array_equal(vectors[0], vector)


def test_commands_that_take_a_name_take_a_number_while_the_daemon_runs(facegate, client, tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text(f"state: {{socket: {client.path}}}\n", encoding="utf-8")
    for words, said in (
        (("show", "7"), "    7  Root  "),
        (("rename", "7", "Rita"), "Root is now Rita."),
        (("role", "7", "member"), "Root is now member."),
        (("group", "7", "staff"), "Root is now in staff."),
        (("until", "7", "now"), "Root: blocked."),
        (("until", "7"), "Root: let in without end."),
        (("note", "7", "badge 12"), "    1  Root  "),
        (("remove", "7", "--yes"), "Root is removed.\n"),
    ):
        done = facegate("people", *words, "--config", config)
        assert done.code == 0, done.err
        assert done.out.startswith(said)
    assert [p.name for p in client.people()] == ["Ann"]
    assert "7: nobody" in facegate("people", "remove", "7", "--yes", "--config", config).complaint


def test_a_command_that_failed_is_reported_as_such(client, reports):
    with pytest.raises(FacegateError, match="disk is full"):
        client.remove("Ann")
    assert [(name, fields["status"]) for name, _, fields in reports] == [("commanded", 503)]


def test_embeddings_are_identified(client):
    vectors = [unit(np.ones(128, np.float32))] * 2
    between = Identity(None, 0.5, 0.8, 0.9, ("Ann", "Root"))
    assert client.identify(vectors, "m1") == [Identity("Ann", 0.5, 0.8, 0.9), between]


def test_likenesses_arrive_as_sent(client, gate):
    assert client.likenesses() == gate.likenesses()


def test_doctor_asks_the_running_gate_who_is_too_near(client, tmp_path):
    settings = parse_config({"state": {"folder": str(tmp_path)}}, "test")
    found = doctor_store(settings, client)
    assert found.state == "warning"
    assert found.found == "held by the daemon, 2 people; too near to each other: Ann and Root"


def test_names_with_odd_characters_survive_the_path(client, gate):
    gate.rows["A/B ?ö"] = person(9, "A/B ?ö")
    assert client.rename("A/B ?ö", "C").name == "C"


def test_what_is_no_utf_8_is_told_before_it_is_sent(client):
    typed = b"A\xff".decode(errors="surrogateescape")
    for call in (lambda: client.rename(typed, "C"), lambda: client.set_note("Ann", typed)):
        with pytest.raises(InputError, match="type it again"):
            call()


def test_names_are_sent_as_they_are_kept(client, gate):
    decomposed = " " + "u\u0308" * 40
    client.add(decomposed, [unit(np.ones(128, np.float32))], "m1", True)
    assert gate.added[0][0] == "ü" * 40
    assert client.rename("Ann", decomposed).name == "ü" * 40
    assert client.enrol(decomposed, False, 5, lambda *_: None).name == "ü" * 40
    with pytest.raises(InputError, match="at most 64"):
        client.rename("Ann", "x" * 65)


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


def test_the_socket_is_closed_to_others(client):
    assert stat.S_IMODE(client.path.stat().st_mode) == 0o660


def test_a_second_daemon_is_refused(client):
    with pytest.raises(DaemonError, match="another facegate runs"):
        ControlServer(client.path, Gate())
    assert client.running()


def test_a_dead_daemons_socket_is_replaced(tmp_path, gate):
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert not ControlClient(path).running()
    with ControlServer(path, gate):
        assert ControlClient(path).status()["door"] == "locked"
    assert not path.exists()


def test_whoever_asks_too_often_waits_a_moment(serve):
    client = serve(replace(LOOSE, burst=2, requests_per_s=2.0))
    for _ in range(4):
        assert client.people()


def test_no_daemon_is_told(tmp_path):
    client = ControlClient(tmp_path / "none.sock")
    assert not client.running()
    with pytest.raises(DaemonError, match="no daemon answers"):
        client.status()


def test_a_daemon_that_died_is_told_as_none(tmp_path):
    client = ControlClient(tmp_path / "control.sock")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(client.path))
    with pytest.raises(DaemonError, match=r"no daemon answers .*refused"):
        client.status()


@pytest.mark.parametrize("sent", [b"", b"this is no HTTP\r\n"])
@pytest.mark.parametrize("takes_bytes", [0, 10, 65536])
def test_whoever_is_hung_up_on_is_told_of_the_group(tmp_path, sent, takes_bytes):
    """However much of the request was read before."""
    client = ControlClient(tmp_path / "control.sock")

    def hang_up():
        peer, _ = server.accept()
        with peer:
            if takes_bytes:
                peer.recv(takes_bytes)
            peer.sendall(sent)

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(client.path))
        server.listen()
        answering = threading.Thread(target=hang_up)
        answering.start()
        with pytest.raises(DaemonError) as told:
            client.set_note("Ann", "x" * 500)
        answering.join()
    assert "start it" not in str(told.value)
    assert ("sudo adduser $USER facegate" in str(told.value)) is (sent == b"")


def test_the_door_is_commanded_and_roles_are_given(client, gate):
    now = {"door": "unlocked", "kept_unlocked_s": None, "lockdown": False}
    assert client.unlock() == now
    assert (gate.unlocked, gate.for_s) == (True, None)
    assert client.unlock(90.0) == {**now, "kept_unlocked_s": 90.0}
    assert gate.for_s == 90.0
    assert client.lock() == {**now, "door": "locked"}
    assert not gate.unlocked
    for on in (True, False):
        assert client.lockdown(on)["lockdown"] is on
        assert gate.locked_down is on
    assert client.set_role("Ann", "admin").role == "admin"
    assert client.set_group("Ann", "staff").group == "staff"
    assert client.set_group("Ann", None).group is None
    assert client.set_note("Ann", "a dog").note == "a dog"
    assert client.set_until("Ann", 1.8e9).until_wall == 1.8e9
    assert client.set_until("Ann", None).until_wall is None


@pytest.mark.parametrize(
    ("words", "now", "says"),
    [
        (["unlock"], ("unlocked", None, False), "for one pulse"),
        (["unlock", "--minutes", "2"], ("unlocked", 120.0, False), "unlocked for 2 min"),
        (["lock"], ("locked", None, False), "it is locked"),
        (["lockdown", "on"], ("locked", None, True), "Lockdown."),
        (["lockdown", "off"], ("locked", None, False), "Lockdown is over."),
    ],
)
def test_the_command_says_what_the_door_does_then(client, facegate, monkeypatch, words, now, says):
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(client.path.parent))
    said = facegate("door", *words, "--json")
    assert (said.code, said.err) == (0, "")
    assert json.loads(said.out) == dict(
        zip(("door", "kept_unlocked_s", "lockdown"), now, strict=True)
    )
    assert says in facegate("door", *words).out


def test_a_pin_is_set_and_entered(client, gate):
    client.set_pin("4829")
    assert gate.new_pin == "4829"
    client.enter_pin("4829")
    with pytest.raises(InputError, match="wrong PIN"):
        client.enter_pin("1111")
