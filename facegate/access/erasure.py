"""Forget a person everywhere, and prove it by searching every file for their bytes."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from facegate.access.audit_file import dated
from facegate.access.audit_record import Record
from facegate.access.names import same_name_key
from facegate.access.person import Person, meant
from facegate.access.rolling import STORE_PART, RollingBackups
from facegate.access.store import Store, Traces
from facegate.errors import NotEnrolledError, StoreError


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
        namesakes: whoever else of this name was removed before, and was still in a backup.
        traces: byte strings that were looked for.
        before, after: what was searched before and after.
        trouble: what went wrong once they were out of the store, if anything did.
    """

    person: Person
    namesakes: tuple[Person, ...]
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
    removed: Callable[[Person], None] = lambda _: None,
    agreed: Callable[[list[Person]], None] = lambda _: None,
) -> Erasure:
    """Erase a person from store, free pages, log and backups, and search for what is left.

    Whoever of this name was removed before, and is in a backup still, is erased too. The backups
    are wiped and one without them is made. What was looked for: names and notes in plain, the
    templates' own numbers, and every sealed value that store and backups held of them.

    Args:
        store: where the person is, if they were not removed.
        backups: copies of it.
        name: of the person, or their number where nobody is called so.
        folder: all files below it are searched.
        done: called once they are out of store and backups, however the rest went.
        removed: called as soon as they are out of the store.
        agreed: called with all whom the name means before anything is done; may raise.

    Raises:
        NotEnrolledError: nobody is called so, and nobody in a backup who was removed.
        StoreError: the store cannot be read, or it or the backups not written, and nothing was
            erased.
    """
    person, *namesakes = _sought(store, backups, name)
    agreed([person, *namesakes])
    enrolled = person in store.people()
    traces = _traces(store, backups, [person, *namesakes])
    before = search(folder, backups, traces, wiped_anyway=True)
    backups.drop_all()  # first: where copies stay, nobody is half forgotten, and may be again
    if enrolled:
        person = store.remove(person.name, removed)
    else:
        store.tidy()
    erasure = Erasure(person, tuple(namesakes), len(traces), before, (), "it was broken off")
    try:
        erasure = _finish(store, backups, folder, traces, erasure)
    finally:
        done(erasure)
    return erasure


def removed_in(backups: RollingBackups, enrolled: Iterable[Person]) -> list[Person]:
    """List who is in the copies and is not enrolled, by each name that they had there.

    The latest enrolled come first, of one person's names the last.
    """
    now, found = set(map(_identity, enrolled)), dict[tuple[int, float, str], Person]()
    for copy in _copies(backups):
        found |= {(*_identity(p), same_name_key(p.name)): p for p in copy.people()}
    removed = [p for p in reversed(found.values()) if _identity(p) not in now]
    return sorted(removed, key=lambda p: p.person_id, reverse=True)


def come_back(people: Iterable[Person], records: Sequence[Record]) -> list[Person]:
    """List who was forgotten since they were enrolled, as these records of the audit trail say."""
    forgotten = {
        record.facts.get("person"): written_s
        for record, written_s in zip(records, dated(records), strict=True)
        if record.event == "person_forgotten"
    }
    return [p for p in people if forgotten.get(p.person_id, 0.0) > p.created_at_wall]


def copies_with(backups: RollingBackups, person: Person) -> list[str]:
    """List the copies that somebody is in."""
    who = _identity(person)
    return [str(c.path) for c in _copies(backups) if who in map(_identity, c.people())]


def nobody_in(backups: RollingBackups) -> str:
    """Say that no copy holds who was looked for, as far as copies can be opened."""
    said = f"the copies in {backups.folder} hold nobody removed of this name or number either"
    if unread := [path.name for path in backups.files() if not _opens(backups, path)]:
        said += f", as far as they can be opened: {', '.join(unread)} cannot; remove those"
    return said


def _sought(store: Store, backups: RollingBackups, name: str) -> list[Person]:
    """Find who is called so in the store, and who in the backups was, the latest enrolled first.

    Where nobody is or was, a number means the one who has it, or had it.

    Raises:
        NotEnrolledError: nobody.
    """
    enrolled = store.people()
    found = meant(name, [*enrolled, *removed_in(backups, enrolled)])
    if found and same_name_key(found[0].name) != same_name_key(name.strip()):
        return found[:1]
    if found:
        return found
    try:
        return [store.person(name)]
    except NotEnrolledError as error:
        called = _called(enrolled, backups, name)
        raise NotEnrolledError(f"{error}; {nobody_in(backups)}{called}") from None


def _called(enrolled: list[Person], backups: RollingBackups, name: str) -> str:
    """Say whom a copy calls so who is enrolled under another name."""
    now, called = {_identity(p): p for p in enrolled}, ""
    for copy in _copies(backups):
        for person in meant(name, copy.people()):
            if found := now.get(_identity(person)):
                called = f"; in a copy that is {found.name}, who is enrolled"
    return called


def _traces(store: Store, backups: RollingBackups, people: list[Person]) -> Traces:
    """Give what people could be found by, whatever they were called in the backups."""
    sought, traces = set(map(_identity, people)), Traces((), ())
    for source in chain(_copies(backups), [store]):
        for person in source.people():
            if _identity(person) in sought:
                traces |= source.traces(person.name)
    for person in store.people():
        if _identity(person) not in sought:  # who stays may be called as they were
            traces -= store.traces(person.name)
    return traces


def _opens(backups: RollingBackups, path: Path) -> bool:
    try:
        backups.store_in(path).close()
    except StoreError:
        return False
    return True


def _copies(backups: RollingBackups) -> Iterator[Store]:
    """Open one copy after the other; one that is damaged tells nothing, and is wiped anyway."""
    for path in backups.files():
        with suppress(StoreError), backups.store_in(path) as copy:
            yield copy


def _identity(person: Person) -> tuple[int, float]:
    """Give what stays of a person: numbers begin anew where a store was moved away."""
    return person.person_id, person.created_at_wall


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


def search(
    folder: Path, backups: RollingBackups, traces: Traces, wiped_anyway: bool = False
) -> tuple[Searched, ...]:
    """Look for a person in every file below a folder, and in the stores inside backups.

    Args:
        folder: of the files.
        backups: to open; one that is damaged is passed over where they are `wiped_anyway`.
        traces: what to look for.

    Raises:
        StoreError: a file cannot be read, so that nothing can be said.
    """
    searched = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        content = _content(path)
        if content is None:
            continue  # the daemon has put it in its place, or it was a part of the store's log
        found = traces.found_in(content, prose=path.suffix in (".jsonl", ".head"))
        searched.append(Searched(str(path), len(content), found))
    for path in backups.files():
        try:
            image = backups.read(path).parts[STORE_PART]
        except StoreError:
            if wiped_anyway:
                continue
            raise
        searched.append(Searched(f"{path}, opened", len(image), traces.found_in(image)))
    return tuple(searched)


def _content(path: Path) -> bytes | None:
    """Read a file by a process of its own; None where it is gone.

    Whoever closes a file of the store loses every lock that its process has on it, and the store
    is open here.

    Source: sqlite.org/howtocorrupt.html, section 2.2.
    """
    try:
        command, english = ["cat", "--", str(path)], {**os.environ, "LC_ALL": "C"}
        done = subprocess.run(command, capture_output=True, env=english)
    except OSError as error:
        raise StoreError(f"{path}: cannot be searched: cat: {error.strerror}") from error
    if done.returncode == 0:
        return done.stdout
    why = done.stderr.decode(errors="replace").strip().rpartition(": ")[2]
    if why == os.strerror(errno.ENOENT):
        return None
    raise StoreError(f"{path}: cannot be searched: {why or 'cat was ended'}")
