"""`tell`: hand what matters to a program that reaches people: by mail, phone or another system.

The gate itself has no network. This reads the journal beside it, and remembers how far it came, so
that what happened while it did not run is told later.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from facegate.access.files import write_whole
from facegate.cli.entries import Events, Filter, Folder, Severity, entries, journalctl, plain
from facegate.doctor.service import UNIT
from facegate.errors import InputError
from facegate.events import EVENTS

UNITS = (UNIT, "facegate-verify.service", "facegate-backup.service")
"""Whose entries are told; of the last two systemd says when they fail."""

TIMEOUT_S = 60.0
AGAIN_S = (5.0, 30.0, 120.0)
"""Waits before another try of what could not be told."""


def tell(
    program: Annotated[
        Path,
        typer.Argument(help="Run once for each event, which it gets as one line of JSON."),
    ],
    event: Events = None,
    severity: Annotated[
        Severity, typer.Option("--severity", help="Only what is at least so bad.")
    ] = Severity.err,
    place: Annotated[
        Path | None,
        typer.Option(help="Where to remember how far it came; what came since is told first."),
    ] = None,
    follow: Annotated[bool, typer.Option(help="Go on with what comes.")] = True,
    folder: Folder = None,
) -> None:
    """Run a program for each event that matters; one that fails is tried four times.

    It finds FACEGATE_EVENT and FACEGATE_MESSAGE in its environment too, and ends with 0 once the
    event is told.
    """
    if not os.access(program, os.X_OK) or not program.is_file():
        raise InputError(f"{program}: no program that can be run; chmod +x it")
    chosen = Filter.of(event, severity)
    since = None if place is None else _since(place, folder)
    follows = follow and folder is None
    options = ["--follow"] if follows else []
    if since is not None:
        options += ["--no-tail", f"--after-cursor={since}"]
    elif follows:
        options += ["--lines=0"]
    for entry in entries(journalctl(folder, *options, units=UNITS)):
        if not chosen.passes(entry):
            continue
        _deliver(program, entry)
        if place is not None:
            _note(place, entry)


def _since(place: Path, folder: Path | None) -> str | None:
    """Say after which entry to begin; at the first time after the newest there is."""
    if place.exists():
        return place.read_text().strip() or None
    for entry in entries(journalctl(folder, "--lines=1", units=())):
        _note(place, entry)
        return str(entry["__CURSOR"])
    return None


def _note(place: Path, entry: dict[str, Any]) -> None:
    write_whole(place, f"{entry['__CURSOR']}\n".encode())


def _deliver(program: Path, entry: dict[str, Any]) -> None:
    """Run the program until it says that it is told, or for the last time."""
    for again_s in (*AGAIN_S, None):
        trouble = _run(program, entry)
        if trouble is None:
            return
        typer.echo(f"facegate: {program}: {trouble}", err=True)
        if again_s is not None:
            time.sleep(again_s)
    typer.echo(f"facegate: not told, and not tried again: {plain(entry)['message']}", err=True)


def _run(program: Path, entry: dict[str, Any]) -> str | None:
    """Run the program once; returns what went wrong."""
    told = plain(entry)
    known = EVENTS.get(told["event"])
    told |= {"host": entry.get("_HOSTNAME"), "advice": known.advice if known else ""}
    named = {"FACEGATE_EVENT": told["event"] or "", "FACEGATE_MESSAGE": told["message"]}
    try:
        done = subprocess.run(
            [program.absolute()],
            input=json.dumps(told) + "\n",
            env=os.environ | {k: v.replace("\0", " ") for k, v in named.items()},
            text=True,
            timeout=TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        return f"not done within {TIMEOUT_S:g} s"
    except OSError as error:
        return f"cannot be run: {(error.strerror or str(error)).lower()}"
    return None if done.returncode == 0 else f"exit status {done.returncode}"
