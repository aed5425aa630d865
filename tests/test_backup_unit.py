"""The nightly backup's own lines of shell: what is kept, whatever the clock said."""

import os
import re
import subprocess
from pathlib import Path

import pytest

UNIT = Path(__file__).parents[1] / "systemd/facegate-backup.service"


@pytest.fixture
def night(tmp_path):
    """Give what makes one night's backup, by a clock that shows the given time."""
    unit = UNIT.read_text().replace("\\\n", " ")
    shell = re.search(r"^ExecStart=/bin/sh -euc '(.*)'$", unit, re.MULTILINE)[1].replace("%%", "%")
    tools, backups = tmp_path / "bin", tmp_path / "backups"
    tools.mkdir()
    backups.mkdir()
    shown = tmp_path / "shown"
    for name, does in (("facegate", 'touch "$2"'), ("date", f"cat {shown}")):
        (tools / name).write_text(f"#!/bin/sh\n{does}\n")
        (tools / name).chmod(0o755)
    shell = shell.replace("/opt/facegate/venv/bin/", f"{tools}/")

    def made(time):
        shown.write_text(time)
        environment = {
            "PATH": f"{tools}:{os.environ['PATH']}",
            "BACKUPS": str(backups),
            "KEEP": "14",
            "CREDENTIALS_DIRECTORY": str(tmp_path),
        }
        done = subprocess.run(
            ["/bin/sh", "-euc", shell], env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return sorted(p.stem.removeprefix("facegate-") for p in backups.iterdir())

    return made


def test_the_newest_stay(night):
    for day in range(10, 29):
        kept = night(f"202611{day}-030000")
    assert kept == [f"202611{day}-030000" for day in range(15, 29)]


def test_those_of_a_clock_that_was_ahead_go_first(night):
    night("20261101-030000")
    for day in range(10, 23):
        night(f"203601{day}-030000")
    assert "20261102-030000" in night("20261102-030000")
    for day in range(10, 29):
        kept = night(f"202611{day}-030000")
        assert f"202611{day}-030000" in kept
        assert len(kept) == 14
    assert kept == [f"202611{day}-030000" for day in range(15, 29)]
