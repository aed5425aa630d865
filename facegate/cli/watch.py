"""`watch`: what the gate sees and does, live, from the journal."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from facegate.cli.entries import (
    Events,
    Filter,
    Folder,
    Severity,
    entries,
    journalctl,
    plain,
    unseen,
    when,
)
from facegate.cli.options import ConfigFile, person_number
from facegate.events import EVENTS

HIDDEN_FACTS = frozenset({"event", "door", "seq", "track"})
"""Facts that say nothing to somebody who watches; `--json` has them all."""

STYLES = {1: "bold white on red", 2: "bold red", 3: "red", 4: "yellow", 5: "bold", 6: ""}
EVENT_STYLES = {"granted": "bold green", "unknown": "yellow", "denied": "yellow"}


def watch(
    event: Events = None,
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
    folder: Folder = None,
    config: ConfigFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """Show what the gate sees and does, as it happens; end with Ctrl-C."""
    chosen = Filter.of(event, severity, person_number(person, config))
    console = Console(highlight=False, soft_wrap=True)
    follows = follow and folder is None
    if follows and (why := unseen(folder)):  # else silence looks like a quiet door
        typer.echo(f"facegate: {why}", err=True)
    options, empty = _options(since, follows), True
    for entry in entries(journalctl(folder, *options)):
        empty = False
        if not chosen.passes(entry):
            continue
        if as_json:
            typer.echo(json.dumps(plain(entry)))
        else:
            console.print(_line(entry))
    if empty and not follows and (why := unseen(folder)):
        typer.echo(f"facegate: {why}", err=True)


def _options(since: str | None, follow: bool) -> list[str]:
    """Say which entries: from a moment on, or the last ones and what comes."""
    begin = [f"--since={since}"] if since else ["--lines=20"] if follow else []
    return begin + (["--follow"] if follow else [])


def _line(entry: dict[str, Any]) -> Text:
    """Give one entry as a coloured line; what is no event (a crash, systemd's words) is dim."""
    told = plain(entry)
    name, priority = told["event"], told["severity"]
    line = Text(f"{when(entry):%d %b %H:%M:%S}  ", style="dim")
    if name is None:
        line.append(f"{'':<22} {told['message']}", style=STYLES.get(priority, "") or "dim")
        return line
    style = EVENT_STYLES.get(name) or STYLES.get(priority, "")
    line.append(f"{name:<22} ", style=style or "cyan")
    line.append(told["message"], style=style)
    shown = "  ".join(f"{k}={v}" for k, v in told["facts"].items() if k not in HIDDEN_FACTS)
    if shown:
        line.append(f"  {shown}", style="dim")
    if name in EVENTS and priority <= 4 and EVENTS[name].advice:
        line.append(f"\n{'':<40}{EVENTS[name].advice}", style="italic dim")
    return line
