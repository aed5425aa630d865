import json
import os
import resource
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facegate.access import audit, audit_file
from facegate.access.audit import AuditTrail, Finding, Limits, newest, read, verify
from facegate.access.audit_age import DAY_S
from facegate.access.audit_record import parse_cut
from facegate.errors import StoreError

KEY = bytes(range(32))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "audit.jsonl"


def fill(path, count=6, key=KEY):
    with AuditTrail.open(path, key) as trail:
        for number in range(count):
            trail.append("granted", {"person": number, "distance": 0.5 + number / 10})


def lines(path):
    return path.read_bytes().splitlines(keepends=True)


def test_a_trail_is_gone_on_with_and_verifies(path):
    for _ in range(3):
        fill(path, 2)
    finding = verify(path, KEY)
    assert (finding.records, finding.problem) == (6, None)
    assert [r.seq for r in read(path)] == [1, 2, 3, 4, 5, 6]
    assert path.stat().st_mode & 0o777 == 0o600


def test_every_single_changed_byte_is_found(path):
    fill(path, 3)
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert verify(path, KEY).problem is not None, at


@settings(max_examples=60, deadline=None)
@given(st.permutations(range(5)))
def test_every_reordering_is_found(tmp_path_factory, order):
    path = tmp_path_factory.mktemp("a") / "audit.jsonl"
    fill(path, 5)
    rows = lines(path)
    path.write_bytes(b"".join(rows[k] for k in order))
    assert (verify(path, KEY).problem is None) == (list(order) == sorted(order))


@pytest.mark.parametrize("gone", range(6))
def test_a_removed_record_is_found_and_its_place_is_said(path, gone):
    fill(path)
    rows = lines(path)
    path.write_bytes(b"".join(rows[:gone] + rows[gone + 1 :]))
    finding = verify(path, KEY)
    assert finding.records == gone
    place = "cut off: the trail reached record 6, it ends at 5" if gone == 5 else f"line {gone + 1}"
    assert place in finding.problem


def test_a_record_written_with_another_key_is_found(path):
    fill(path, 2)
    fill(path, 1, key=bytes(32))
    assert "record 4 where 3 belongs" in verify(path, KEY).problem
    rows = lines(path)
    path.write_bytes(b"".join(rows[:2]) + rows[2].replace(b'"seq":4', b'"seq":3'))
    assert "record 3 was changed" in verify(path, KEY).problem


def remove_end(path, head):
    path.write_bytes(b"".join(lines(path)[:2]))


def remove_head(path, head):
    head.unlink()


def remove_end_and_head(path, head):
    remove_end(path, head)
    head.unlink()


def remove_end_and_forge_head(path, head):
    remove_end(path, head)
    head.write_text(head.read_text().replace("6 ", "2 ", 1))


def empty_the_trail(path, head):
    path.write_bytes(b"")


def remove_the_trail(path, head):
    path.unlink()


REMOVALS = [
    remove_end,
    remove_head,
    remove_end_and_head,
    remove_end_and_forge_head,
    empty_the_trail,
    remove_the_trail,
]


@pytest.mark.parametrize("remove", REMOVALS, ids=lambda f: f.__name__)
def test_what_was_removed_is_named_before_and_after_more_is_recorded(path, remove):
    fill(path, 6)
    remove(path, path.with_suffix(".head"))
    assert verify(path, KEY).problem is not None
    fill(path, 2)
    fill(path, 2)
    assert "belongs; records were removed" in verify(path, KEY).problem


def test_a_trail_removed_with_its_note_while_it_is_open_is_named(path):
    """Else the next record would begin a new one, and nobody would ever know of the old."""
    fill(path)
    with AuditTrail.open(path, KEY) as trail:
        trail.append("started", {})
        path.unlink()
        path.with_suffix(".head").unlink()
        trail.append("granted", {"person": 1})
        assert verify(path, KEY).problem is not None
    with AuditTrail.open(path, KEY) as again:
        assert not again.is_new
        again.append("started", {})
    assert verify(path, KEY).problem is not None


def test_power_cuts_around_the_first_record_alarm_nobody(path):
    AuditTrail.open(path, KEY).close()
    head = path.with_suffix(".head")
    before = head.read_bytes()
    fill(path, 1)
    head.write_bytes(before)  # the record was on disk, the note of it not yet
    fill(path, 1)
    assert verify(path, KEY) == Finding(2, None)


def test_no_file_is_made_or_wiped_where_a_link_points(path, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    path.symlink_to(elsewhere)
    with pytest.raises(StoreError, match=r"audit\.jsonl: a symbolic link, which is not followed"):
        AuditTrail.open(path, KEY)
    assert not elsewhere.exists()
    path.unlink()
    elsewhere.write_bytes(b"of somebody else")
    scratch = path.with_name(".audit.head.0123456789abcdef")
    scratch.symlink_to(elsewhere)
    AuditTrail.open(path, KEY).close()
    assert elsewhere.read_bytes() == b"of somebody else"
    assert not scratch.is_symlink()


def test_a_lost_or_forged_head_is_found(path):
    fill(path, 2)
    head = path.with_suffix(".head")
    text = head.read_text()
    head.write_text(text.replace("2 ", "1 ", 1))
    assert "audit.head" in verify(path, KEY).problem
    head.unlink()
    assert "audit.head" in verify(path, KEY).problem


def test_a_torn_last_line_was_never_acknowledged(path):
    fill(path, 2)
    with path.open("ab") as file:
        file.write(b'{"seq": 3, "wall')
    fill(path, 1)
    assert verify(path, KEY).records == 3
    assert verify(path, KEY).problem is None


def test_a_full_disk_is_told_and_nothing_is_lost(path):
    with AuditTrail.open(path, KEY) as trail:
        trail.append("ready", {})
        whole = path.read_bytes()
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) + 20, hard))
        try:
            with pytest.raises(StoreError, match="cannot be written"):
                trail.append("granted", {"person": 1})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert path.read_bytes() == whole
        trail.append("granted", {"person": 1})
    assert verify(path, KEY) == Finding(2, None)


def test_a_closed_trail_says_so(path):
    trail = AuditTrail.open(path, KEY)
    trail.close()
    trail.close()
    with pytest.raises(StoreError, match="closed"):
        trail.append("ready", {})


def test_without_a_trail_there_is_nothing_to_verify(path):
    with pytest.raises(StoreError, match="nothing was recorded"):
        verify(path, KEY)


WRITER = """
import sys
from pathlib import Path
from facegate.access.audit import AuditTrail
with AuditTrail.open(Path(sys.argv[1]), bytes(range(32))) as trail:
    while True:
        print(trail.append("granted", {"person": 7}).seq, flush=True)
"""


def test_killed_at_any_moment_it_keeps_what_was_acknowledged(path):
    acknowledged = 0
    for round_ in range(12):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
        ) as writer:
            assert writer.stdout.readline()
            time.sleep(0.003 * round_)
            os.kill(writer.pid, signal.SIGKILL)
            told = writer.stdout.read().split()
        AuditTrail.open(path, KEY).close()  # cuts a torn end off, as the daemon does
        finding = verify(path, KEY)
        assert finding.problem is None
        acknowledged = max([acknowledged, *map(int, told)])
        assert finding.records >= acknowledged


def test_it_is_plain_json_for_other_tools(path):
    fill(path, 1)
    record = json.loads(lines(path)[0])
    assert record["event"] == "granted"
    assert set(record) == {"seq", "wall_s", "mono_s", "boot", "event", "facts", "hash"}


# Several writers, a bound on its size, another key.


def test_two_programs_may_write_the_same_trail(path):
    with AuditTrail.open(path, KEY) as daemon, AuditTrail.open(path, KEY) as command:
        for trail in (daemon, command, command, daemon, command):
            trail.append("granted", {})
    assert verify(path, KEY) == Finding(5, None)


def test_only_the_end_is_read_when_it_is_opened(path, monkeypatch):
    fill(path, 100)
    monkeypatch.setattr(audit_file, "BLOCK_BYTES", 4096)
    read_at = []
    reading = os.pread
    monkeypatch.setattr(os, "pread", lambda *a: read_at.append(a[2]) or reading(*a))
    monkeypatch.setattr(Path, "read_bytes", lambda _: pytest.fail("the trail was read whole"))
    with AuditTrail.open(path, KEY) as trail:
        assert trail.append("ready", {}).seq == 101
    assert min(read_at) > path.stat().st_size // 2
    assert [r.seq for r, _ in zip(newest(path), range(3), strict=False)] == [101, 100, 99]
    assert [r.seq for r in newest(path)] == list(range(101, 0, -1))


def test_it_never_grows_beyond_its_bound_and_verifies_through_the_cut(path):
    cuts, largest = [], 0
    with AuditTrail.open(path, KEY, Limits(max_bytes=6000)) as trail:
        trail.cut = cuts.append
        for number in range(120):
            trail.append("granted", {"person": number})
            largest = max(largest, path.stat().st_size)
    assert len(cuts) > 2
    assert largest <= 6000
    finding = verify(path, KEY)
    assert finding.problem is None
    assert finding.removed == cuts[-1].removed > 60
    assert finding.records == 120 + len(cuts)
    left = list(read(path))
    assert left[0].seq == finding.removed + 1
    assert any(r.event == "audit_cut" and r.facts["hash"] == cuts[-1].hash for r in left)


def test_a_long_trail_is_not_read_for_the_age_of_its_first_record(path, monkeypatch):
    with AuditTrail.open(path, KEY, Limits(keep_s=1000.0)) as trail:
        for number in range(3):
            trail.append("granted", {"person": number}, wall_s=5000.0)
    with AuditTrail.open(path, KEY, Limits(keep_s=2 * DAY_S)) as trail:
        monkeypatch.setattr(Path, "read_bytes", lambda _: pytest.fail("all of it was read"))
        trail.believed = lambda: True
        for mono_s in (0.0, DAY_S):
            trail.append("granted", {"person": 3}, wall_s=5500.0 + mono_s, mono_s=mono_s)


def aged(path, keep_s=100.0, believed=True):
    """Records of ten seconds, then one each day by a steady clock, from 100 s later on."""
    with AuditTrail.open(path, KEY, Limits(keep_s=keep_s)) as trail:
        trail.believed = lambda: believed
        for second in range(10):
            trail.append("granted", {}, wall_s=1000.0 + second, mono_s=0.0)
        return trail


def test_records_beyond_their_age_are_taken_out(path):
    aged(path)
    assert verify(path, KEY).removed == 0
    with AuditTrail.open(path, KEY, Limits(keep_s=100.0)) as trail:
        trail.believed = lambda: True
        trail.append("granted", {}, wall_s=1105.5 - DAY_S, mono_s=0.0)
        assert verify(path, KEY).removed == 0  # a clock that was not looked at for a day
        trail.append("granted", {}, wall_s=1105.5, mono_s=DAY_S)
    assert verify(path, KEY).removed == 11
    assert next(read(path)).wall_s == 1105.5


@pytest.mark.parametrize("believed", [True, False])
def test_a_clock_that_is_ahead_takes_nothing_out(path, believed):
    """A wrong date, for a day or for as long as nobody vouches for the clock."""
    aged(path)
    with AuditTrail.open(path, KEY, Limits(keep_s=100.0)) as trail:
        trail.believed = lambda: believed
        for hours, ahead_s in ((0, 0.0), (1, 6e7), (12, 6e7), (13, 0.0), (24, 0.0)):
            mono_s = hours * 3600.0
            trail.append("granted", {}, wall_s=1050.0 + mono_s + ahead_s, mono_s=mono_s)
        assert verify(path, KEY).removed == 0
        if not believed:
            trail.append("granted", {}, wall_s=1050.0 + 9 * DAY_S, mono_s=9 * DAY_S)
            assert verify(path, KEY).removed == 0


@pytest.fixture
def boots(path, tmp_path, monkeypatch):
    """Give what records something in a boot, each with a monotonic clock of its own."""
    names = tmp_path / "boot_id"
    monkeypatch.setattr(audit, "BOOT_ID", names)

    def wrote(boot, *moments):
        names.write_text(boot)
        with AuditTrail.open(path, KEY, Limits(keep_s=5 * DAY_S)) as trail:
            trail.believed = lambda: True
            for mono_s, wall_s in moments:
                trail.append("granted", {}, wall_s=wall_s, mono_s=mono_s)

    return wrote


def test_a_record_of_a_clock_that_was_ahead_keeps_no_others(path, boots):
    boots("ahead", (0.0, 1e9))
    boots("right", *((day * DAY_S, 1000.0 + day * DAY_S) for day in range(20)))
    assert verify(path, KEY).removed >= 13
    assert max(r.wall_s for r in read(path)) < 1e9


def test_a_record_of_a_clock_that_was_behind_takes_no_others_out(path, boots):
    """A battery that is dead, or the date of the system's image."""
    day = DAY_S
    boots("old", (0.0, 100 * day))
    boots("young", *((k * day, (116 + k) * day) for k in range(2, 5)))
    boots("behind", (5.0, 0.0))
    boots("now", (0.0, 121 * day), (day, 122 * day))
    assert verify(path, KEY).removed == 1
    left = [r.wall_s for r in read(path) if r.event == "granted"]
    assert left[:4] == [118 * day, 119 * day, 120 * day, 0.0]


def test_what_was_recorded_before_the_clock_was_set_is_as_old_as_it_is(path, boots):
    boots("installed", (10.0, 1000.0), (20.0, 1010.0), (60.0, 100 * DAY_S))
    boots("now", (0.0, 101 * DAY_S), (DAY_S, 102 * DAY_S))
    assert verify(path, KEY).removed == 0
    boots("later", (0.0, 105.5 * DAY_S), (DAY_S, 106.5 * DAY_S))
    assert verify(path, KEY).removed == 4


@pytest.fixture
def cut_path(path):
    with AuditTrail.open(path, KEY, Limits(max_bytes=1500)) as trail:
        for number in range(9):
            trail.append("granted", {"person": number})
    assert verify(path, KEY).removed
    return path


def test_every_changed_byte_of_the_cut_is_found(cut_path):
    whole = cut_path.read_bytes()
    for at in range(len(lines(cut_path)[0])):
        cut_path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert verify(cut_path, KEY).problem is not None, at


def test_a_cut_that_is_forged_or_lost_is_found(cut_path):
    first, *rest = lines(cut_path)
    cut_path.write_bytes(b"".join(rest))
    assert "line 1" in verify(cut_path, KEY).problem
    cut_path.write_bytes(first + b"".join(rest[1:]))
    assert "line 2" in verify(cut_path, KEY).problem
    other = parse_cut(first).signed(bytes(32)).line
    cut_path.write_bytes(other + b"".join(rest))
    assert "the cut was changed" in verify(cut_path, KEY).problem


def test_cutting_does_not_hide_what_was_wrong_before(path):
    fill(path, 6)
    path.write_bytes(path.read_bytes().replace(b'"person":1', b'"person":8'))
    with AuditTrail.open(path, KEY, Limits(max_bytes=900)) as trail:
        trail.append("ready", {})
    problem = verify(path, KEY).problem
    assert "when records were taken out: line 2: record 2 was changed" in problem


@pytest.mark.parametrize("name", ["path", "cut_path"])
def test_another_key_goes_on_with_the_same_chain(request, name):
    path = request.getfixturevalue(name)
    fill(path, 3)
    keys = [KEY, bytes(32), bytes([7]) * 32]
    for old, new in pairwise(keys):
        for _ in range(2):  # the second time, as after a power cut, changes nothing
            with AuditTrail.open(path, old) as trail:
                trail.rotate(old, new)
        fill(path, 2, key=new)
        assert verify(path, new).problem is None
        assert verify(path, old).problem is not None
    assert [r.event for r in read(path)].count("key_rotated") == 2
    whole = path.read_bytes()
    for at in range(0, len(whole), 7):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert verify(path, keys[-1]).problem is not None, at


def test_the_old_key_cannot_rewrite_what_the_new_one_binds(path):
    fill(path, 3)
    with AuditTrail.open(path, KEY) as trail:
        trail.rotate(KEY, bytes(32))
    rotated = lines(path)[3:]
    path.unlink()
    fill(path, 3)  # as somebody with the old key would
    path.write_bytes(path.read_bytes() + b"".join(rotated))
    assert "record 4 was changed" in verify(path, bytes(32)).problem


@pytest.mark.parametrize("remove", REMOVALS, ids=lambda f: f.__name__)
def test_a_new_trail_tells_of_the_old_one(path, remove):
    fill(path, 6)
    remove(path, path.with_suffix(".head"))
    fill(path, 2)
    old, problem = path.read_bytes(), verify(path, KEY).problem
    with AuditTrail.open(path, KEY) as running, AuditTrail.open(path, KEY) as trail:
        aside = trail.renew(problem, "uid 0")
        running.append("granted", {"person": 1})
        trail.append("granted", {"person": 2})
    assert aside.read_bytes() == old
    assert verify(path, KEY) == Finding(3, None)
    first = next(read(path))
    assert (first.event, first.facts["problem"]) == ("audit_renewed", problem)
    assert first.facts["aside"] == aside.name


@pytest.mark.parametrize("step", ["audit.write_whole", "audit_check.write_whole"])
@pytest.mark.parametrize("more", [0, 1])
def test_beginning_anew_may_be_broken_off(path, monkeypatch, step, more):
    fill(path, 6)
    remove_end(path, None)
    fill(path, more)
    problem = verify(path, KEY).problem
    monkeypatch.setattr(audit.time, "strftime", lambda _: "20261127-120000")
    with AuditTrail.open(path, KEY) as trail:
        with monkeypatch.context() as patch:
            patch.setattr(f"facegate.access.{step}", full)
            with pytest.raises(StoreError, match="No space left"):
                trail.renew(problem, "uid 0")
        assert verify(path, KEY).problem is not None
        trail.append("granted", {})
        assert verify(path, KEY).problem is not None
        trail.renew(problem, "uid 0")  # within the same second
    assert verify(path, KEY) == Finding(1, None)


def full(*_):
    raise OSError(28, "No space left on device")


def test_what_is_recorded_stays_though_its_end_cannot_be_noted(path, monkeypatch):
    told = []
    with AuditTrail.open(path, KEY) as trail:
        trail.unnoted = told.append
        with monkeypatch.context() as patch:
            patch.setattr("facegate.access.audit_check.write_whole", full)
            for person in range(3):
                trail.append("granted", {"person": person})
        assert len(told) == 1
        assert "audit.head: cannot be written: No space left" in told[0]
        assert verify(path, KEY) == Finding(3, None)
        trail.append("granted", {"person": 3})
    assert verify(path, KEY) == Finding(4, None)


def test_a_note_that_cannot_be_read_is_no_note_that_was_removed(path, monkeypatch):
    fill(path, 3)
    read_text = Path.read_text

    def failing(self, *words, **more):
        if self.suffix == ".head":
            raise OSError(5, "Input/output error", str(self))
        return read_text(self, *words, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_text", failing)
        for read_it in (lambda: fill(path, 1), lambda: verify(path, KEY)):
            with pytest.raises(StoreError, match="Input/output error"):
                read_it()
    fill(path, 1)
    assert verify(path, KEY) == Finding(4, None)


def test_the_key_is_changed_behind_what_another_program_wrote(path):
    with AuditTrail.open(path, KEY) as trail:
        fill(path, 2)
        trail.rotate(KEY, bytes(32))
    assert verify(path, bytes(32)) == Finding(3, None)


def test_after_a_clock_that_was_years_ahead_records_still_go_when_they_are_old(tmp_path):
    """It looks once a day; a day that is said to come in 2040 must not be waited for."""
    path, gone = tmp_path / "audit.jsonl", []
    now, ahead = 1.8e9, 2.2e9
    with AuditTrail.open(path, KEY, Limits(keep_s=30 * DAY_S)) as trail:
        trail.believed, trail.cut = lambda: True, gone.append
        day = iter(range(100))

        def days(count, clock):
            for _ in range(count):
                at = next(day)
                trail.append("granted", {"day": at}, clock + at * DAY_S, at * DAY_S)

        days(3, ahead)
        days(45, now)
    assert gone
    left = [r.facts["day"] for r in read(path) if r.event == "granted"]
    assert left[-1] == 47
    assert left[0] >= 47 - 32
    assert verify(path, KEY).problem is None


DAILY = [DAY_S * day + hours for day in range(9) for hours in (0.0, 36_000.0)]


@pytest.fixture
def off_at_night(path, tmp_path, monkeypatch):
    """Give what records in a boot for every two moments, in seconds after the first record."""
    monkeypatch.setattr(audit, "BOOT_ID", tmp_path / "boot_id")

    def wrote(moments, believed=True):
        for begin, end in zip(moments[::2], moments[1::2], strict=True):
            (tmp_path / "boot_id").write_text(f"from {begin}", encoding="utf-8")
            with AuditTrail.open(path, KEY, Limits(keep_s=30 * DAY_S)) as trail:
                trail.believed = lambda: believed
                for moment in (begin, end):
                    trail.append("granted", {}, wall_s=1e9 + moment, mono_s=moment - begin)

    return wrote


def test_a_gate_that_is_off_at_night_cuts_after_a_week(path, off_at_night):
    off_at_night([0.0, 1.0])
    off_at_night([31 * DAY_S + s for s in DAILY[:14]])
    assert verify(path, KEY).removed == 0
    off_at_night([31 * DAY_S + s for s in DAILY[14:]])
    assert verify(path, KEY) == Finding(21, None, 2)


@pytest.mark.parametrize(
    ("moments", "believed"),
    [
        (DAILY, False),
        (DAILY[:12], True),
        ([s + (100 * DAY_S if s >= 4 * DAY_S else 0.0) for s in DAILY], True),
        ([*DAILY[:14], DAILY[14] + 100 * DAY_S, DAILY[15] + 100 * DAY_S], True),
    ],
    ids=["nobody vouches", "days only", "jumped in the week", "jumped today"],
)
def test_a_clock_to_which_no_week_leads_cuts_nothing(path, off_at_night, moments, believed):
    off_at_night([0.0, 1.0], believed)
    off_at_night([31 * DAY_S + s for s in moments], believed)
    assert verify(path, KEY).removed == 0


def put_aside(path, name, *walls):
    """A trail as `renew` leaves it, with records of these times."""
    other = path.with_name("other.jsonl")
    with AuditTrail.open(other, KEY) as trail:
        for wall_s in walls:
            trail.append("granted", {}, wall_s=wall_s)
    other.rename(path.with_name(name))


def test_trails_put_aside_go_when_their_newest_record_is_too_old(path, off_at_night):
    put_aside(path, "audit-20010901-000000.jsonl", 1e9, 1e9 + DAY_S)
    put_aside(path, "audit-20010902-000000.jsonl", 1e9, 3e9)  # the last by a clock that was ahead
    put_aside(path, "audit-20010903-000000.jsonl", 1e9, 1e9 + 20 * DAY_S)
    empty = path.with_name("audit-20010904-000000.jsonl")
    empty.write_bytes(b"torn")
    os.utime(empty, (1e9, 1e9))
    off_at_night([s + 35 * DAY_S for s in (0.0, 1.0)])
    assert len(list(path.parent.glob("audit-*.jsonl"))) == 4
    off_at_night([s + 35 * DAY_S for s in (0.0, DAY_S)])
    assert [p.name for p in path.parent.glob("audit-*.jsonl")] == ["audit-20010903-000000.jsonl"]
    told = [r.facts["aside"] for r in read(path) if r.event == "audit_cut"]
    assert told == [f"audit-2001090{day}-000000.jsonl" for day in (1, 2, 4)]
    assert verify(path, KEY) == Finding(7, None)


def test_whoever_vouches_for_the_clock_trims_at_once(path, off_at_night):
    put_aside(path, "audit-20010901-000000.jsonl", 1e9)
    off_at_night([0.0, 1.0, 40 * DAY_S, 40 * DAY_S + 1], believed=False)
    with AuditTrail.open(path, KEY, Limits(keep_s=30 * DAY_S)) as trail:
        other = AuditTrail.open(path, KEY)
        trail.trim("uid 0", 1e9 + 41 * DAY_S)
        trail.trim("uid 0", 1e9 + 41 * DAY_S)
        with other:
            other.append("ready", {})
    aside, cut = (r.facts for r in read(path) if r.event == "audit_cut")
    assert aside == {"aside": "audit-20010901-000000.jsonl", "by": "uid 0"}
    assert (cut["removed"], cut["by"]) == (2, "uid 0")
    assert verify(path, KEY) == Finding(7, None, 2)
    assert not list(path.parent.glob("audit-*.jsonl"))


def test_without_an_age_nothing_is_trimmed(path):
    aged(path)
    with AuditTrail.open(path, KEY) as trail:
        trail.trim("uid 0")
    assert verify(path, KEY) == Finding(10, None)
