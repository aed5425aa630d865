import io
import socket
import uuid
from pathlib import Path
from typing import get_args

import facegate
from facegate.events import EVENTS, EventName
from facegate.journal import ConsoleSink, Journal, SystemdSink, notify_systemd, without_names


def test_every_event_has_its_own_valid_id():
    assert set(EVENTS) == set(get_args(EventName))
    assert len({kind.message_id for kind in EVENTS.values()}) == len(EVENTS)
    for kind in EVENTS.values():
        assert uuid.UUID(hex=kind.message_id).hex == kind.message_id
        assert 0 <= kind.priority <= 7


def test_what_somebody_has_to_be_told_is_an_error_at_least():
    trail_and_store = {
        "audit_failed",
        "audit_missing",
        "records_lost",
        "store_older",
        "store_newer",
    }
    failures = {"backup_failed", "camera_lost", "start_failed", "part_failed", "relay_failed"}
    alarms = {"duress", "door_forced_open", "door_held_open", "tamper_began"}
    for name in trail_and_store | failures | alarms:
        assert EVENTS[name].priority <= 3, name


def test_every_event_is_one_that_something_emits():
    package = Path(facegate.__file__).parent
    listed = {package / "events.py", package / "access" / "door_events.py"}
    code = "".join(p.read_text() for p in package.rglob("*.py") if p not in listed)
    assert [name for name in EVENTS if f'"{name}"' not in code] == []


def test_the_console_gets_one_line_an_event():
    stream = io.StringIO()
    Journal(ConsoleSink(stream)).emit("granted", "Ann: come in", distance=0.51234, track=3)
    line = stream.getvalue()
    assert line.count("\n") == 1
    assert "granted" in line
    assert "[distance=0.512  track=3]" in line


def test_the_journal_gets_upper_case_fields():
    sent = []
    sink = SystemdSink(lambda message, **fields: sent.append((message, fields)))
    Journal(sink).emit("unknown", "nobody", distance=1.25)
    message, fields = sent[0]
    assert message == "nobody"
    assert fields["MESSAGE_ID"] == EVENTS["unknown"].message_id
    assert fields["FACEGATE_DISTANCE"] == "1.250"
    assert fields["FACEGATE_EVENT"] == "unknown"
    assert fields["PRIORITY"] == 5


def test_systemd_is_told_over_its_socket(tmp_path, monkeypatch):
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(path)
        monkeypatch.setenv("NOTIFY_SOCKET", path)
        notify_systemd("READY=1")
        assert server.recv(64) == b"READY=1"


def test_without_systemd_nothing_happens(monkeypatch):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify_systemd("READY=1")


def test_a_journal_without_names_calls_people_by_number():
    events = []
    journal = Journal(events.append, names=False)
    journal.emit("granted", "Ann: come in", called=["Ann"], person=3)
    journal.emit("enrol_began", "Ann", called=["Ann"])
    journal.emit("unknown", "nobody enrolled looks like this", called=[None, ""])
    journal.emit("denied", "7: too near to Ben", called={"7": 3, "Ben": 7, None: None}, person=3)
    assert [e.message for e in events] == [
        "person 3: come in",
        "somebody",
        "nobody enrolled looks like this",
        "person 3: too near to person 7",
    ]


def test_a_name_inside_a_word_or_another_name_stays_whole():
    said = without_names("A: come in; Ann is not Ann B.", {"A": "x", "Ann": "y", "Ann B.": "z"})
    assert said == "x: come in; y is not z"
    assert without_names("Anna waits", {"Ann": "x"}) == "Anna waits"


def test_a_systemd_that_does_not_listen_ends_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "none"))
    notify_systemd("READY=1")
