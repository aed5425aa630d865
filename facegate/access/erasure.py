"""Forget a person everywhere, and prove it by searching every file for their bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from facegate.access.person import Person
from facegate.access.rolling import STORE_PART, RollingBackups
from facegate.access.store import Store, Traces
from facegate.errors import StoreError


@dataclass(frozen=True)
class Searched:
    """One file that was searched, or the store inside a backup.

    Attributes:
        where: what it is called.
        size: bytes that were read.
        found: how many of the person's traces are in it.
    """

    where: str
    size: int
    found: int


@dataclass(frozen=True)
class Erasure:
    """What became of a person.

    Attributes:
        person: as they were.
        traces: byte strings that were looked for.
        before, after: what was searched before and after.
        trouble: what went wrong once they were out of the store, if anything did.
    """

    person: Person
    traces: int
    before: tuple[Searched, ...]
    after: tuple[Searched, ...]
    trouble: str | None = None

    @property
    def found(self) -> int:
        """How many of their traces are left."""
        return sum(s.found for s in self.after)

    @property
    def clean(self) -> bool:
        """Whether nothing was found afterwards, and the search had found something before."""
        return self.trouble is None and any(s.found for s in self.before) and not self.found


def forget(
    store: Store,
    backups: RollingBackups,
    name: str,
    folder: Path,
    done: Callable[[Erasure], None] = lambda _: None,
) -> Erasure:
    """Erase a person from store, free pages, log and backups, and search for what is left.

    The backups are wiped and one without the person is made. What was looked for: name and note in
    plain, the templates' own numbers, and every sealed value that the store held of them.

    Args:
        store: where the person is.
        backups: copies of it.
        name: of the person.
        folder: all files below it are searched.
        done: called once they are out of the store, however the rest went.

    Raises:
        InputError: nobody is called so.
        StoreError: store or backups cannot be written, and the person is still in both.
    """
    traces = store.traces(name)
    before = search(folder, backups, traces)
    backups.drop_all()  # first: where copies stay, nobody is half forgotten, and may be again
    person = store.remove(name)
    erasure = Erasure(person, len(traces), before, (), "it was broken off")
    try:
        erasure = _finish(store, backups, folder, traces, erasure)
    finally:
        done(erasure)
    return erasure


def _finish(
    store: Store, backups: RollingBackups, folder: Path, traces: Traces, erasure: Erasure
) -> Erasure:
    """Make the copies anew, and search for whoever is out of the store."""
    try:
        backups.drop_all()  # those that were made meanwhile
        backups.make(store)
    except StoreError as error:
        mend = f"mend that, and delete what is in {backups.folder}"
        return replace(erasure, trouble=f"a copy may still hold them: {error}; {mend}")
    try:
        return replace(erasure, after=search(folder, backups, traces), trouble=None)
    except StoreError as error:
        return replace(erasure, trouble=f"not every file could be searched: {error}")


def search(folder: Path, backups: RollingBackups, traces: Traces) -> tuple[Searched, ...]:
    """Look for a person in every file below a folder, and in the stores inside backups.

    Raises:
        StoreError: a file cannot be read, so that nothing can be said.
    """
    searched = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            continue  # the daemon has put it in its place, or it was a part of the store's log
        except OSError as error:
            raise StoreError(f"{path}: cannot be searched: {error.strerror}") from error
        found = traces.found_in(content, prose=path.suffix in (".jsonl", ".head"))
        searched.append(Searched(str(path), len(content), found))
    for path in backups.files():
        image = backups.read(path).parts[STORE_PART]
        searched.append(Searched(f"{path}, opened", len(image), traces.found_in(image)))
    return tuple(searched)
