"""kill -9 at random moments while people are enrolled and removed: nothing acknowledged is lost."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.host
CYCLES = 1000
STORM = Path(__file__).with_name("kill_storm.py")


def test_killed_over_a_thousand_cycles_nothing_acknowledged_is_lost(tmp_path):
    # A kill loses no page that was written, so memory serves as well as a disk, and faster.
    memory = Path("/dev/shm")
    base = memory if os.access(memory, os.W_OK) else tmp_path
    with tempfile.TemporaryDirectory(dir=base) as folder:
        done = subprocess.run(
            [sys.executable, str(STORM), folder, str(CYCLES), "20261124"],
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stderr[-2000:]
    report = json.loads(done.stdout)
    print(report)
    assert report["wrong"] == []
    assert report["removed"] >= CYCLES
    assert report["kills"] >= 40
