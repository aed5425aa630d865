"""The text file, as Prometheus' own parser reads it."""

import errno
import os
import stat
import time
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from facegate.access.door_events import DoorState
from facegate.events import EVENTS
from facegate.journal import Event, Journal
from facegate.metrics import LATENCY_BUCKETS_S, Metrics

STATUS = {
    "model_id": 'odd "name"\\',
    "uptime_s": 12.5,
    "camera_lost": None,
    "stalled": [],
    "detected_fps": 14.9,
    "people": 3,
    "door": "locked",
    "kept_unlocked_s": None,
    "lockdown": False,
    "tamper": False,
    "lockout": True,
    "queues": {
        "frames": {"put": 100, "dropped": 4},
        "faces": {"put": 96, "dropped": 0},
    },
}


@pytest.fixture
def metrics(tmp_path):
    return Metrics(tmp_path / "facegate.prom", 0.02, lambda: STATUS, lambda why: None)


def parsed(text):
    return {f.name: f for f in text_string_to_metric_families(text)}


def value(families, name, **labels):
    (family,) = (f for f in families.values() if any(s.name == name for s in f.samples))
    (found,) = (s.value for s in family.samples if s.name == name and s.labels == labels)
    return found


def test_the_parser_reads_what_the_status_says(metrics):
    families = parsed(metrics.text())
    assert value(families, "facegate_uptime_seconds") == 12.5
    assert value(families, "facegate_camera_up") == 1
    assert value(families, "facegate_people_enrolled") == 3
    assert value(families, "facegate_kept_unlocked_seconds") == 0
    assert value(families, "facegate_door_lockout") == 1
    assert value(families, "facegate_door_lockdown") == 0
    assert value(families, "facegate_queue_dropped_total", queue="frames") == 4
    assert value(families, "facegate_resident_memory_bytes") > 1e7
    (info,) = families["facegate_build_info"].samples
    assert info.labels["model"] == STATUS["model_id"]


def test_names_and_types_follow_the_conventions(metrics):
    metrics(Event("granted", "Ann", {"latency_ms": 120.0}))
    for family in parsed(metrics.text()).values():
        assert family.name.startswith("facegate_")
        assert family.documentation
        assert family.type in ("gauge", "counter", "histogram")
        for sample in family.samples:
            assert sample.name.endswith("_total") == (family.type == "counter")


def test_events_and_latencies_are_counted(metrics):
    journal = Journal(metrics)
    for latency_ms in (40.0, 120.0, 180.0, 5000.0):
        journal.emit("granted", "Ann: come in", latency_ms=latency_ms)
    journal.emit("unknown", "nobody")
    families = parsed(metrics.text())
    assert value(families, "facegate_events_total", event="granted") == 4
    assert value(families, "facegate_events_total", event="unknown") == 1
    name = "facegate_grant_latency_seconds"
    counts = [
        value(families, f"{name}_bucket", le=le)
        for le in (*(f"{limit:g}" for limit in LATENCY_BUCKETS_S), "+Inf")
    ]
    assert counts == [1, 1, 3, 3, 3, 3, 4]
    assert value(families, f"{name}_sum") == pytest.approx(5.34)
    assert value(families, f"{name}_count") == 4


def test_every_event_is_there_from_0_on(metrics):
    before = parsed(metrics.text())["facegate_events"].samples
    assert {s.labels["event"]: s.value for s in before} == dict.fromkeys(EVENTS, 0)
    metrics(Event("door_forced_open", "opened while the strike was held"))
    after = parsed(metrics.text())
    assert value(after, "facegate_events_total", event="door_forced_open") == 1


@pytest.mark.parametrize("state", DoorState)
def test_each_state_of_the_door_is_there_and_one_is_1(tmp_path, state):
    status = {**STATUS, "door": state.value, "kept_unlocked_s": 90.5}
    families = parsed(Metrics(tmp_path / "f.prom", 1.0, lambda: status, print).text())
    samples = families["facegate_door_state"].samples
    assert {s.labels["state"]: s.value for s in samples} == {
        other.value: float(other is state) for other in DoorState
    }
    assert value(families, "facegate_kept_unlocked_seconds") == 90.5


def test_what_stands_still_is_1(tmp_path):
    status = {**STATUS, "stalled": ["detector", "store"]}
    families = parsed(Metrics(tmp_path / "f.prom", 1.0, lambda: status, print).text())
    stalled = {s.labels["part"] for s in families["facegate_stalled"].samples if s.value}
    assert stalled == {"detector", "store"}
    assert value(families, "facegate_stalled", part="camera") == 0


@pytest.mark.parametrize("trouble", [{"camera_lost": "unplugged"}, {"stalled": ["camera"]}])
def test_a_camera_that_gives_nothing_is_down(tmp_path, trouble):
    status = {**STATUS, **trouble}
    metrics = Metrics(tmp_path / "f.prom", 1.0, lambda: status, lambda why: None)
    assert value(parsed(metrics.text()), "facegate_camera_up") == 0


def test_nothing_says_who_came(metrics):
    metrics(Event("granted", "Ann: come in", {"latency_ms": 1.0, "person": 7}))
    assert "Ann" not in metrics.text()
    samples = [s for family in parsed(metrics.text()).values() for s in family.samples]
    assert not any("person" in s.labels for s in samples)


def test_the_file_is_whole_readable_and_renewed(metrics, tmp_path):
    file = tmp_path / "facegate.prom"
    with metrics:
        end_s = time.monotonic() + 20
        while not file.exists():
            assert time.monotonic() < end_s
            time.sleep(0.01)
        first = file.stat().st_ino
        assert stat.S_IMODE(file.stat().st_mode) == 0o644
        assert file.read_text().endswith("\n")
        while file.stat().st_ino == first:
            assert time.monotonic() < end_s
            time.sleep(0.01)
    assert not list(tmp_path.iterdir())  # after a stop nothing says that the camera is up


@pytest.mark.parametrize("there", [True, False])
def test_a_file_that_cannot_be_removed_is_told_where_there_is_one(tmp_path, monkeypatch, there):
    def read_only(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    file, told = tmp_path / "f.prom", []
    if there:
        file.touch()
    monkeypatch.setattr(Path, "unlink", read_only)
    with Metrics(file, 60.0, lambda: STATUS, told.append):
        pass
    assert told == [f"{file}: cannot be removed: Read-only file system"] * there


def test_a_folder_that_is_not_there_is_told_once(tmp_path):
    told = []
    metrics = Metrics(tmp_path / "none" / "f.prom", 0.01, lambda: STATUS, told.append)
    with metrics:
        end_s = time.monotonic() + 20
        while not told:
            assert time.monotonic() < end_s
            time.sleep(0.01)
        time.sleep(0.1)
    assert len(told) == 1
    assert "No such file" in told[0]


def test_after_a_failure_of_any_kind_the_file_is_written_again(tmp_path):
    file, told = tmp_path / "f.prom", []

    def status():
        if not told:
            raise MemoryError
        return STATUS

    with Metrics(file, 0.01, status, told.append):
        end_s = time.monotonic() + 20
        while not file.exists():
            assert time.monotonic() < end_s
            time.sleep(0.01)
    assert told == [f"{file}: MemoryError"]


@pytest.mark.parametrize("limit", LATENCY_BUCKETS_S)
def test_a_bucket_holds_what_is_as_long_as_its_limit(metrics, limit):
    """`le` is "less or equal"."""
    metrics(Event("granted", "Ann", {"latency_ms": limit * 1000}))
    families = parsed(metrics.text())
    name = "facegate_grant_latency_seconds_bucket"
    assert value(families, name, le=f"{limit:g}") == 1
    shorter = [other for other in LATENCY_BUCKETS_S if other < limit]
    assert all(value(families, name, le=f"{other:g}") == 0 for other in shorter)


def test_another_user_may_read_the_file_whatever_the_daemons_mask(metrics, tmp_path):
    """The unit says UMask=0077."""
    before = os.umask(0o077)
    try:
        metrics.write()
    finally:
        os.umask(before)
    assert (tmp_path / "facegate.prom").stat().st_mode & 0o777 == 0o644


def test_memory_is_what_is_held_not_what_was_reserved(metrics):
    lines = Path("/proc/self/status").read_text().splitlines()
    resident = next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) * 1024
    told = value(parsed(metrics.text()), "facegate_resident_memory_bytes")
    assert told == pytest.approx(resident, rel=0.2)


def test_a_file_that_fails_again_is_told_again(tmp_path):
    told, place = [], tmp_path / "there" / "facegate.prom"

    def until(done):
        ends_s = time.monotonic() + 20
        while not done():
            assert time.monotonic() < ends_s
            time.sleep(0.01)

    with Metrics(place, 0.01, lambda: STATUS, told.append):
        until(lambda: len(told) == 1)
        place.parent.mkdir()
        until(place.exists)
        place.parent.rename(tmp_path / "away")
        until(lambda: len(told) == 2)
