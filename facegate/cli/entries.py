"""Read the gate's journal with journalctl: which entries, in what order, and as what."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from facegate.cli.options import check_events
from facegate.doctor.service import UNIT
from facegate.errors import DaemonError, InputError


class Severity(StrEnum):
    """Severities of syslog, the worst first."""

    alert = "alert"
    crit = "crit"
    err = "err"
    warning = "warning"
    notice = "notice"
    info = "info"


Events = Annotated[
    list[str] | None, typer.Option("--event", "-e", help="Only events of this name; repeat it.")
]
Folder = Annotated[
    Path | None,
    typer.Option("--directory", help="Journal files of another machine, as on its card."),
]

PRIORITIES = {s: n for n, s in zip((1, 2, 3, 4, 5, 6), Severity, strict=True)}
TO_READ = "to read the journal join the group systemd-journal"


@dataclass(frozen=True)
class Filter:
    """Which entries are meant; None lets all pass."""

    events: frozenset[str] | None
    person: int | None
    worst: int

    @classmethod
    def of(cls, events: list[str] | None, severity: Severity, person: int | None = None) -> Filter:
        """Make one of what was typed.

        Raises:
            InputError: an event is misspelt.
        """
        check_events(events or [])
        return cls(frozenset(events) if events else None, person, PRIORITIES[severity])

    def passes(self, entry: dict[str, Any]) -> bool:
        """Whether an entry of the journal is meant."""
        if _priority(entry) > self.worst:
            return False
        if self.events is not None and entry.get("FACEGATE_EVENT") not in self.events:
            return False
        about = (entry.get("FACEGATE_PERSON"), entry.get("FACEGATE_RUNNER_UP"))
        return self.person is None or str(self.person) in about


def journalctl(folder: Path | None, *options: str, units: tuple[str, ...] = (UNIT,)) -> list[str]:
    """Give the command that prints entries as JSON.

    Args:
        folder: journal files of another machine, if any.
        options: which entries.
        units: whose; none is everybody's.

    Raises:
        DaemonError: this machine has no journal.
        InputError: there is no such folder.
    """
    tool = _tool()
    if folder is not None and not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    where = _where(folder)
    whose = [f"--unit={unit}" for unit in units]
    return [tool, "--output=json", "--no-pager", "--quiet", "--all", *whose, *options, *where]


def unseen(folder: Path | None) -> str | None:
    """Ask why a journal may seem empty; while it prints JSON journalctl says nothing of that.

    Returns:
        What to do where only some entries may be read; None where all may.

    Raises:
        DaemonError: there are no journal files.
    """
    command = [_tool(), "--no-pager", "--lines=0", *_where(folder)]
    said = subprocess.run(command, capture_output=True, encoding="utf-8").stderr
    if "No journal files were found" in said:
        if folder is not None:
            raise DaemonError(f"{folder}: no journal files; give another, as var/log/journal")
        raise DaemonError("no journal files were found; see `systemctl status systemd-journald`")
    if "not seeing messages from other users" in said:
        return f"there may be more than you may see; {TO_READ}"
    return None


def _tool() -> str:
    tool = shutil.which("journalctl")
    if tool is None:
        raise DaemonError(
            "this machine has no journalctl, so no journal; `facegate run` prints its events"
        )
    return tool


def _where(folder: Path | None) -> list[str]:
    return [] if folder is None else [f"--directory={folder}"]


def entries(command: list[str]) -> Iterator[dict[str, Any]]:
    """Give the journal's entries as they come.

    Raises:
        DaemonError: journalctl fails; the message is its own.
    """
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
    ) as p:
        assert p.stdout is not None
        assert p.stderr is not None
        try:
            for line in p.stdout:
                try:
                    entry = json.loads(line)
                except ValueError:
                    continue
                if isinstance(entry, dict):
                    yield entry
            said = p.stderr.read().strip()
            p.wait()
        finally:
            p.terminate()
    if p.returncode not in (0, None):
        why = said.splitlines()[-1] if said else f"exit status {p.returncode}"
        if "timestamp" in why:
            raise typer.BadParameter(
                f"--since: {why}; write '10 min ago', today or '2026-11-24 08:00'"
            )
        raise DaemonError(f"journalctl: {why}; {TO_READ}")


def _priority(entry: dict[str, Any]) -> int:
    text = str(entry.get("PRIORITY", "6"))
    return int(text) if text.isdecimal() else 6


def plain(entry: dict[str, Any]) -> dict[str, Any]:
    """Give an entry as `--json` has it: at, severity, event, message, facts."""
    facts = {
        key.removeprefix("FACEGATE_").lower(): value
        for key, value in entry.items()
        if key.startswith("FACEGATE_")
    }
    return {
        "at": when(entry).isoformat(),
        "severity": _priority(entry),
        "event": facts.pop("event", None),
        "message": _text(entry.get("MESSAGE")),
        "facts": facts,
    }


def when(entry: dict[str, Any]) -> datetime:
    """Say when an entry was written, in local time."""
    return datetime.fromtimestamp(int(entry.get("__REALTIME_TIMESTAMP", 0)) / 1e6).astimezone()


def _text(value: Any) -> str:
    """Give a field's text: what is no UTF-8 comes from journalctl as a list of numbers."""
    if isinstance(value, list):
        return bytes(n for n in value if isinstance(n, int)).decode(errors="replace")
    return "" if value is None else str(value)
