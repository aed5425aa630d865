"""`tell`: hand what matters to a program that reaches people: by mail, phone or another system.

The gate itself has no network. This reads the journal beside it, and remembers how far it came, so
that what happened while it did not run is told later.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import Annotated, Any

import typer

from facegate.access.audit import BOOT_ID
from facegate.access.files import write_whole
from facegate.cli.entries import Events, Filter, Folder, Severity, entries, journalctl, plain
from facegate.doctor.service import UNIT
from facegate.errors import InputError
from facegate.events import EVENTS

UNITS = (UNIT, "facegate-verify.service", "facegate-backup.service")
"""Whose entries are told; of the last two systemd says when they fail."""

CURSOR = re.compile(r"(\w=[0-9a-f]+;?)+")
"""How journalctl calls an entry."""

FIRST = "--since=10 min ago"
"""Where it begins that was nowhere yet: soon after a start of the machine, with the start."""

TIMEOUT_S = 60.0
SOON_S, LATER_S = (5.0, 30.0, 120.0), 600.0
"""Waits before another try of what could not be told: the first ones, and all others."""

KEEP_TRYING_S = 6 * 3600.0
LONGEST_MESSAGE = 1000
"""Characters in the environment; the line of JSON has all."""

READ_AHEAD = 100
NOTE_EVERY_S = 3600.0
"""Where nothing is to be told the place is noted so seldom, to spare the card."""

Entry = dict[str, Any]


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
    follows = follow and folder is None
    teller = Teller(program, chosen, place, patient=follows)
    teller.work(_since(_read(place), follows, folder))


def _since(cursor: str | None, follow: bool, folder: Path | None) -> Iterator[Entry]:
    """Give the entries after a cursor's, and those that come if it is to follow."""
    # Not --after-cursor: where the cursor's own entry is of another unit it leaves out one of ours.
    options = [f"--cursor={cursor}"] if cursor else [FIRST] if follow else []
    boot = BOOT_ID.read_text(encoding="utf-8").strip().replace("-", "")
    if follow and cursor and f"b={boot}" not in cursor.split(";") and _knows(boot):
        # The journal sorts by the clock, and after a power cut that may be behind the cursor's.
        # So first what came before this boot, and then this boot from its beginning.
        for entry in entries(journalctl(folder, *options, units=UNITS)):
            if entry.get("__CURSOR") != cursor and entry.get("_BOOT_ID") != boot:
                yield entry
        options = [f"_BOOT_ID={boot}"]
    # To follow is otherwise to see the last ten entries, and by the kernel's word this boot alone.
    options += ["--follow", "--no-tail", "--merge"] if follow else []
    for entry in entries(journalctl(folder, *options, units=UNITS)):
        if entry.get("__CURSOR") != cursor:
            yield entry


def _knows(boot: str) -> bool:
    """Whether the journal calls this boot as the kernel does here; in a container it may not."""
    return any(entries(journalctl(None, "--lines=1", f"_BOOT_ID={boot}", units=())))


def _read(place: Path | None) -> str | None:
    try:
        cursor = "" if place is None else place.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{place}: does not tell how far was told: {error}; remove it") from error
    if cursor and not CURSOR.fullmatch(cursor):
        raise InputError(f"{place}: does not tell how far was told; remove it")
    return cursor or None


@dataclass
class _Untold:
    """What could not be told yet, the cursor before it, and the tries; monotonic seconds."""

    entry: Entry
    before: str | None
    began_s: float
    next_s: float
    tries: int = 0


class Teller:
    """Runs the program, again and again where it fails; what fails holds up nothing else.

    Args:
        program: to run.
        chosen: what is told.
        place: where to remember how far all was told, if anywhere.
        patient: whether it keeps trying for hours; else it gives up after the first tries.
    """

    def __init__(self, program: Path, chosen: Filter, place: Path | None, patient: bool) -> None:
        self._program, self._chosen, self._place, self._patient = program, chosen, place, patient
        self._untold: list[_Untold] = []
        self._seen: str | None = None
        self._noted: str | None = None
        self._noted_s = float("-inf")

    def work(self, source: Iterator[Entry]) -> None:
        """Tell what comes until no more comes, and all is told or given up.

        Raises:
            Exception: what the source raises.
        """
        coming: Queue[Entry | Exception | None] = Queue(READ_AHEAD)
        Thread(target=_pour, args=(source, coming), daemon=True).start()
        more = True
        while more or self._untold:
            entry = self._next(coming)
            if isinstance(entry, Exception):
                raise entry
            more = more and entry is not None
            if isinstance(entry, dict):
                self._take(entry)
            self._try_again()
            self._note()

    def _next(self, coming: Queue[Any]) -> Any:
        """Give what comes: an entry, an error, or None for the end; False when a try is due."""
        try:
            return coming.get(timeout=self._due_s())
        except Empty:
            return False

    def _due_s(self) -> float | None:
        """Say in how many seconds something is to be tried again; None where nothing is."""
        now_s = time.monotonic()
        return min((max(0.0, u.next_s - now_s) for u in self._untold), default=None)

    def _take(self, entry: Entry) -> None:
        before, self._seen = self._seen, entry.get("__CURSOR")
        if self._chosen.passes(entry):
            now_s = time.monotonic()
            self._untold.append(_Untold(entry, before, now_s, now_s))

    def _try_again(self) -> None:
        """Try what is due; keep what fails, unless it failed for long enough."""
        now_s = time.monotonic()
        for untold in [u for u in self._untold if u.next_s <= now_s]:
            trouble = _run(self._program, untold.entry)
            if trouble is not None:
                typer.echo(f"facegate: {self._program}: {trouble}", err=True)
                if not self._give_up(untold):
                    continue
                said = plain(untold.entry)["message"]
                typer.echo(f"facegate: not told, and given up: {said}", err=True)
            self._untold.remove(untold)
            self._noted_s = float("-inf")

    def _give_up(self, untold: _Untold) -> bool:
        """Say whether that was the last try, or when the next is."""
        now_s, soon = time.monotonic(), untold.tries < len(SOON_S)
        untold.next_s = now_s + (SOON_S[untold.tries] if soon else LATER_S)
        untold.tries += 1
        return not soon and not (self._patient and now_s - untold.began_s < KEEP_TRYING_S)

    def _note(self) -> None:
        """Remember how far all was told; where that fails more is told twice, and nothing lost."""
        told = self._untold[0].before if self._untold else self._seen
        now_s = time.monotonic()
        if self._place is None or told in (None, self._noted):
            return
        if now_s - self._noted_s < NOTE_EVERY_S:
            return
        try:
            write_whole(self._place, f"{told}\n".encode())
        except OSError as error:
            typer.echo(f"facegate: {self._place}: cannot be written: {error.strerror}", err=True)
        self._noted, self._noted_s = told, now_s


def _pour(source: Iterator[Entry], into: Queue[Entry | Exception | None]) -> None:
    """Put all that comes into a queue, then the end or what ended it."""
    try:
        for entry in source:
            into.put(entry)
    except Exception as error:
        into.put(error)
    else:
        into.put(None)


def _run(program: Path, entry: Entry) -> str | None:
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
            encoding="utf-8",
            timeout=TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        return f"not done within {TIMEOUT_S:g} s"
    except OSError as error:
        return f"cannot be run: {(error.strerror or str(error)).lower()}"
    return None if done.returncode == 0 else f"exit status {done.returncode}"
