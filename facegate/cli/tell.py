"""`tell`: hand what matters to a program that reaches people: by mail, phone or another system.

The gate itself has no network. This reads the journal beside it, and remembers how far it came, so
that what happened while it did not run is told later.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from facegate.access.files import write_whole
from facegate.cli.entries import Events, Filter, Folder, Severity, entries, journalctl, plain, when
from facegate.doctor.service import UNIT
from facegate.errors import InputError
from facegate.events import EVENTS

UNITS = (UNIT, "facegate-verify.service", "facegate-backup.service")
"""Whose entries are told; of the last two systemd says when they fail."""

FIRST = "--since=10 min ago"
"""Where it begins that was nowhere yet: soon after a start of the machine, with the start."""

TIMEOUT_S = 60.0
SOON_S, LATER_S = (5.0, 30.0, 120.0), 600.0
"""Waits before another try of what could not be told: the first ones, and all others."""

KEEP_TRYING_S = 6 * 3600.0
"""What is older than this is given up after the first tries, so that a program that never succeeds
does not hold everything up for ever."""

LONGEST_MESSAGE = 1000
"""Characters in the environment; the line of JSON has all."""


def tell(
    program: Annotated[
        Path,
        typer.Argument(help="Run once for each event, which it gets as one line of JSON."),
    ],
    event: Events = None,
    severity: Annotated[
        Severity | None,
        typer.Option("--severity", help="Only what is at least so bad; err, with --event any."),
    ] = None,
    place: Annotated[
        Path | None,
        typer.Option(help="Where to remember how far it came; what came since is told first."),
    ] = None,
    follow: Annotated[bool, typer.Option(help="Go on with what comes.")] = True,
    folder: Folder = None,
) -> None:
    """Run a program for each event that matters; one that fails is tried again, for six hours.

    It finds FACEGATE_EVENT and FACEGATE_MESSAGE in its environment too, and ends with 0 once the
    event is told.
    """
    if not os.access(program, os.X_OK) or not program.is_file():
        raise InputError(f"{program}: no program that can be run; chmod +x it")
    if place is not None and not place.parent.is_dir():
        raise InputError(f"{place.parent}: no such folder; it is to hold how far was told")
    chosen = Filter.of(event, severity or (Severity.info if event else Severity.err))
    for entry in _since(_read(place), follow and folder is None, folder):
        if chosen.passes(entry):
            _deliver(program, entry)
            if place is not None:
                _note(place, entry)


def _since(cursor: str | None, follow: bool, folder: Path | None) -> Iterator[dict[str, Any]]:
    """Give the entries after a cursor's, and those that come if it is to follow."""
    # To follow is otherwise to see this boot alone, and the last ten entries.
    options = ["--follow", "--no-tail", "--merge"] if follow else []
    # Not --after-cursor: where the cursor's own entry is of another unit it leaves out one of ours.
    options += [f"--cursor={cursor}"] if cursor else [FIRST] if follow else []
    for entry in entries(journalctl(folder, *options, units=UNITS)):
        if entry.get("__CURSOR") != cursor:
            yield entry


def _read(place: Path | None) -> str | None:
    try:
        return None if place is None else place.read_text().strip() or None
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{place}: does not tell how far was told: {error}; remove it") from error


def _note(place: Path, entry: dict[str, Any]) -> None:
    """Remember an entry; where that fails more is told twice, and nothing is lost."""
    try:
        write_whole(place, f"{entry['__CURSOR']}\n".encode())
    except OSError as error:
        typer.echo(f"facegate: {place}: cannot be written: {error.strerror}", err=True)


def _deliver(program: Path, entry: dict[str, Any]) -> None:
    """Run the program until it says that it is told, or for the last time."""
    happened_s, tries = when(entry).timestamp(), 0
    while (trouble := _run(program, entry)) is not None:
        typer.echo(f"facegate: {program}: {trouble}", err=True)
        if tries >= len(SOON_S) and time.time() - happened_s > KEEP_TRYING_S:
            typer.echo(f"facegate: not told, and given up: {plain(entry)['message']}", err=True)
            return
        time.sleep(SOON_S[tries] if tries < len(SOON_S) else LATER_S)
        tries += 1


def _run(program: Path, entry: dict[str, Any]) -> str | None:
    """Run the program once; returns what went wrong."""
    told = plain(entry)
    known = EVENTS.get(told["event"])
    told |= {"host": entry.get("_HOSTNAME"), "advice": known.advice if known else ""}
    message = told["message"][:LONGEST_MESSAGE].replace("\0", " ")
    named = {"FACEGATE_EVENT": told["event"] or "", "FACEGATE_MESSAGE": message}
    try:
        done = subprocess.run(
            [program.absolute()],
            input=json.dumps(told) + "\n",
            env=os.environ | named,
            text=True,
            timeout=TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        return f"not done within {TIMEOUT_S:g} s"
    except OSError as error:
        return f"cannot be run: {(error.strerror or str(error)).lower()}"
    return None if done.returncode == 0 else f"exit status {done.returncode}"
