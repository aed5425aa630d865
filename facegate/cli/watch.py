"""`watch`: what the gate sees and does, live, from the journal."""

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
from rich.console import Console
from rich.text import Text

from facegate.cli.options import ConfigFile, check_events, person_number
from facegate.doctor.service import UNIT
from facegate.errors import DaemonError, InputError
from facegate.events import EVENTS

HIDDEN_FACTS = frozenset({"event", "door", "seq", "track"})
"""Facts that say nothing to somebody who watches; `--json` has them all."""


class Severity(StrEnum):
    """Severities of syslog, the worst first."""

    alert = "alert"
    crit = "crit"
    err = "err"
    warning = "warning"
    notice = "notice"
    info = "info"


PRIORITIES = {s: n for n, s in zip((1, 2, 3, 4, 5, 6), Severity, strict=True)}
STYLES = {1: "bold white on red", 2: "bold red", 3: "red", 4: "yellow", 5: "bold", 6: ""}
EVENT_STYLES = {"granted": "bold green", "unknown": "yellow", "denied": "yellow"}


@dataclass(frozen=True)
class Filter:
    """Which entries are shown; None lets all pass."""

    events: frozenset[str] | None
    person: int | None
    worst: int

    def passes(self, entry: dict[str, Any]) -> bool:
        """Whether an entry of the journal is shown."""
        if _priority(entry) > self.worst:
            return False
        if self.events is not None and entry.get("FACEGATE_EVENT") not in self.events:
            return False
        return self.person is None or entry.get("FACEGATE_PERSON") == str(self.person)


def watch(
    event: Annotated[
        list[str] | None, typer.Option("--event", "-e", help="Only events of this name; repeat it.")
    ] = None,
    person: Annotated[
        str | None, typer.Option("--person", "-p", help="Only what concerns one person.")
    ] = None,
    severity: Annotated[
        Severity, typer.Option("--severity", help="Only what is at least so bad.")
    ] = Severity.info,
    since: Annotated[
        str | None,
        typer.Option(help="Begin there: '10 min ago', today, '2026-11-24 08:00'."),
    ] = None,
    follow: Annotated[bool, typer.Option(help="Go on with what comes.")] = True,
    folder: Annotated[
        Path | None,
        typer.Option("--directory", help="Journal files of another machine, as on its card."),
    ] = None,
    config: ConfigFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """Show what the gate sees and does, as it happens; end with Ctrl-C."""
    chosen = Filter(_events(event), person_number(person, config), PRIORITIES[severity])
    console = Console(highlight=False, soft_wrap=True)
    for entry in _entries(_command(since, follow and folder is None, folder)):
        if not chosen.passes(entry):
            continue
        if as_json:
            typer.echo(json.dumps(_plain(entry)))
        else:
            console.print(_line(entry))


def _events(names: list[str] | None) -> frozenset[str] | None:
    if not names:
        return None
    check_events(names)
    return frozenset(names)


def _command(since: str | None, follow: bool, folder: Path | None) -> list[str]:
    tool = shutil.which("journalctl")
    if tool is None:
        raise DaemonError(
            "this machine has no journalctl, so no journal; `facegate run` prints its events"
        )
    command = [tool, "--output=json", "--no-pager", "--quiet", "--all", f"--unit={UNIT}"]
    command += [f"--since={since}"] if since else ["--lines=20"] if follow else []
    command += ["--follow"] if follow else []
    if folder is not None:
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder")
        command.append(f"--directory={folder}")
    return command


def _entries(command: list[str]) -> Iterator[dict[str, Any]]:
    """Give the journal's entries as they come.

    Raises:
        DaemonError: journalctl fails; the message is its own.
    """
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as p:
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
        raise DaemonError(f"journalctl: {why}; to read the journal join the group systemd-journal")


def _priority(entry: dict[str, Any]) -> int:
    text = str(entry.get("PRIORITY", "6"))
    return int(text) if text.isdecimal() else 6


def _plain(entry: dict[str, Any]) -> dict[str, Any]:
    facts = {
        key.removeprefix("FACEGATE_").lower(): value
        for key, value in entry.items()
        if key.startswith("FACEGATE_")
    }
    return {
        "at": _when(entry).isoformat(),
        "severity": _priority(entry),
        "event": facts.pop("event", None),
        "message": _text(entry.get("MESSAGE")),
        "facts": facts,
    }


def _line(entry: dict[str, Any]) -> Text:
    """Give one entry as a coloured line; what is no event (a crash, systemd's words) is dim."""
    plain = _plain(entry)
    name, priority = plain["event"], plain["severity"]
    line = Text(f"{_when(entry):%d %b %H:%M:%S}  ", style="dim")
    if name is None:
        line.append(f"{'':<22} {plain['message']}", style=STYLES.get(priority, "") or "dim")
        return line
    style = EVENT_STYLES.get(name) or STYLES.get(priority, "")
    line.append(f"{name:<22} ", style=style or "cyan")
    line.append(plain["message"], style=style)
    shown = "  ".join(f"{k}={v}" for k, v in plain["facts"].items() if k not in HIDDEN_FACTS)
    if shown:
        line.append(f"  {shown}", style="dim")
    if name in EVENTS and priority <= 4 and EVENTS[name].advice:
        line.append(f"\n{'':<40}{EVENTS[name].advice}", style="italic dim")
    return line


def _when(entry: dict[str, Any]) -> datetime:
    return datetime.fromtimestamp(int(entry.get("__REALTIME_TIMESTAMP", 0)) / 1e6).astimezone()


def _text(value: Any) -> str:
    """Give a field's text: what is no UTF-8 comes from journalctl as a list of numbers."""
    if isinstance(value, list):
        return bytes(n for n in value if isinstance(n, int)).decode(errors="replace")
    return "" if value is None else str(value)
