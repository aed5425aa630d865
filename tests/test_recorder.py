from facegate.access.audit import AuditTrail, read, verify
from facegate.errors import StoreError
from facegate.journal import Journal
from facegate.recorder import Recorder, settings_before

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


def test_the_settings_of_the_last_start_are_found(tmp_path):
    path = tmp_path / "audit.jsonl"
    with AuditTrail.open(path, KEY) as trail:
        assert settings_before(path) is None
        for fingerprint in ("abc", "def"):
            trail.append("started", {"settings": fingerprint})
            trail.append("granted", {"person": 1})
    assert settings_before(path) == "def"
