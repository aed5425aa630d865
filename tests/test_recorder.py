import threading

from facegate.access.audit import AuditTrail, read, verify
from facegate.errors import StoreError
from facegate.events import EVENTS
from facegate.journal import Journal
from facegate.recorder import UNRECORDED, Recorder, last_start, revision_before

KEY = bytes(32)


def test_events_are_recorded_by_number_and_never_by_name(tmp_path):
    path = tmp_path / "audit.jsonl"
    journal = Journal()
    with AuditTrail.open(path, KEY) as trail, Recorder(trail) as recorder:
        journal.add(recorder)
        journal.emit("granted", "Eileen Collins: come in", person=3, distance=0.41)
        journal.emit("face_refused", "track 1: come closer", track=1)
        journal.emit("person_removed", "person 3", person=3)
    assert [r.event for r in read(path)] == ["granted", "person_removed"]
    assert verify(path, KEY).problem is None
    assert b"Eileen" not in path.read_bytes()


class FullDisk:
    def append(self, *_):
        raise StoreError("the disk is full")


def test_a_trail_that_cannot_be_written_is_told_once_and_counted():
    told = []
    recorder = Recorder(FullDisk(), told.append)
    journal = Journal(recorder)
    for _ in range(5):
        journal.emit("granted", "x", person=1)
    recorder.close()
    assert told == ["the disk is full"]
    assert recorder.lost == 5


def test_what_was_recorded_of_the_last_start_is_found(tmp_path):
    path = tmp_path / "audit.jsonl"
    with AuditTrail.open(path, KEY) as trail:
        assert last_start(path) == {}
        for fingerprint in ("abc", "def"):
            trail.append("started", {"settings": fingerprint})
            trail.append("granted", {"person": 1})
    assert last_start(path) == {"settings": "def"}


class SlowDisk:
    """A trail that takes nothing until it is let go."""

    def __init__(self):
        self.goes_on = threading.Event()
        self.recorded = []

    def append(self, event, facts, *_):
        self.goes_on.wait(10)
        self.recorded.append((event, dict(facts)))


def test_events_for_which_there_was_no_room_are_owned_up_to(monkeypatch):
    monkeypatch.setattr("facegate.outbox.WAITING_AT_MOST", 3)
    trail, missed = SlowDisk(), []
    recorder = Recorder(trail, missed=missed.append)
    journal = Journal(recorder)
    for person in range(20):
        journal.emit("granted", "x", person=person)
    lost = recorder.lost
    assert lost > 10
    trail.goes_on.set()
    recorder.close()
    assert missed == [lost]
    assert trail.recorded.count(("records_lost", {"missing": lost})) == 1
    assert len(trail.recorded) == 20 - lost + 1


def test_the_revision_that_the_store_should_have_is_found(tmp_path):
    path = tmp_path / "audit.jsonl"
    now = iter((7, 8))
    with AuditTrail.open(path, KEY) as trail:
        assert revision_before(path) is None
        with Recorder(trail, revision=lambda: next(now)) as recorder:
            journal = Journal(recorder)
            journal.emit("started", "x", revision=6)
            journal.emit("enrolled", "x", person=1)
            journal.emit("granted", "x", person=1)
            journal.emit("person_forgotten", "x", person=1)
        assert revision_before(path) == 8
        trail.rotate(KEY, bytes(32))
        assert revision_before(path) == 9
        trail.append("backup_restored", {})
        assert revision_before(path) is None


class Exhausted:
    """A trail for which there is no memory, once."""

    def __init__(self):
        self.recorded = []

    def append(self, event, facts, *_):
        if not self.recorded:
            self.recorded.append(None)
            raise MemoryError
        self.recorded.append((event, dict(facts)))


def test_after_a_failure_of_any_kind_recording_goes_on():
    trail, told = Exhausted(), []
    with Recorder(trail, told.append) as recorder:
        journal = Journal(recorder)
        for person in (1, 2):
            journal.emit("granted", "x", person=person)
    assert told == ["MemoryError"]
    assert trail.recorded[1:] == [("records_lost", {"missing": 1}), ("granted", {"person": 2})]


def test_every_alarm_is_recorded():
    alarms = {name for name, kind in EVENTS.items() if kind.priority <= 2}
    assert {"duress", "relay_failed", "door_forced_open"} <= alarms - UNRECORDED
    assert alarms & UNRECORDED <= {"start_failed"}  # before there is a trail to write to
