import json
import os
import signal
import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facegate.access.audit import AuditTrail, read, verify
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
    assert "record 3 was changed" in verify(path, KEY).problem


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
    if not os.path.exists("/dev/full"):
        pytest.skip("this machine has no /dev/full")
    trail = AuditTrail.open(path, KEY)
    trail.append("ready", {})
    whole = path.read_bytes()
    full = os.open("/dev/full", os.O_WRONLY)
    good, trail._descriptor = trail._descriptor, full
    with pytest.raises((StoreError, OSError)):
        trail.append("granted", {"person": 1})
    trail._descriptor = good
    os.close(full)
    assert path.read_bytes() == whole
    trail.append("granted", {"person": 1})
    trail.close()
    assert verify(path, KEY).records == 2


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
