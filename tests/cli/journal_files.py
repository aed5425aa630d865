"""Journal files as journald writes them."""

import shutil
import subprocess

import pytest

from facegate.events import EVENTS

REMOTE = "/lib/systemd/systemd-journal-remote"
BEGAN_US = 1_790_000_000_000_000


def entry(number, message, event=None, priority=None, **facts):
    fields = {
        "__REALTIME_TIMESTAMP": BEGAN_US + number * 1_000_000,
        "__MONOTONIC_TIMESTAMP": number * 1_000_000,
        "_BOOT_ID": "0" * 31 + "1",
        "_SYSTEMD_UNIT": "facegate.service",
        "SYSLOG_IDENTIFIER": "facegate",
        "PRIORITY": EVENTS[event].priority if event else priority or 6,
        "MESSAGE": message,
    }
    if event:
        fields["MESSAGE_ID"], fields["FACEGATE_EVENT"] = EVENTS[event].message_id, event
    fields |= {f"FACEGATE_{key.upper()}": value for key, value in facts.items()}
    return "".join(f"{key}={value}\n" for key, value in fields.items()) + "\n"


def write_journal(folder, *entries):
    """Write entries into a folder of journal files; skips where the tools are missing."""
    if shutil.which("journalctl") is None or shutil.which(REMOTE) is None:
        pytest.skip("this machine has no journalctl and systemd-journal-remote to write a journal")
    folder.mkdir(exist_ok=True)
    number = len(list(folder.iterdir()))
    subprocess.run(
        [REMOTE, f"--output={folder / f'facegate-{number}.journal'}", "-"],
        input="".join(entries), text=True, check=True, capture_output=True,
    )  # fmt: skip
    return folder
