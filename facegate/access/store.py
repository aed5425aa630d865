"""Who is enrolled: names and templates, encrypted, in one SQLite file.

Templates belong to the model that made them, and the store holds those of one model only. Names and
templates are sealed with AES-GCM and bound to their row, and a keyed digest covers all rows: one
moved, swapped, altered or taken out with a database tool is found out when the store is opened.
What is deleted is overwritten.
"""

from __future__ import annotations

import difflib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from facegate.access.binding import bind, lock, meta, put, read_content, unlock, write_content
from facegate.access.database import (
    check_tables,
    check_whole,
    connect,
    migrate,
    next_id,
    transaction,
    translated,
)
from facegate.access.digest import Digest, changed
from facegate.access.gallery import Gallery, floats_of, unit_templates
from facegate.access.keys import create_key, load_key
from facegate.access.names import clean_name
from facegate.access.occupancy import occupy
from facegate.access.person import Person, check_note, check_role
from facegate.access.rows import Rows
from facegate.access.sealing import Sealer
from facegate.access.selection import choose
from facegate.closing import Closing
from facegate.errors import InputError, NameTakenError, NotEnrolledError, StoreError
from facegate.types import F32

__all__ = ["Gallery", "Person", "Store", "create_key", "load_key"]

BUSY_WAIT_S = 5.0
"""Seconds to wait for another program that is writing."""
SHORTEST_TRACE = 4
"""Bytes."""
_WAL_VERSION, _ROLLBACK_VERSION = slice(18, 20), b"\x01\x01"
"""Where a database says that it has a log beside it; an image has none. Source: SQLite file
format, section 1.3.3."""


class Store(Closing):
    """The open store. Any thread may use it; one call runs at a time.

    Make one with `Store.open`. Every method raises StoreError when the file cannot be read or
    written, or the store is closed.
    """

    def __init__(
        self,
        path: Path,
        connection: sqlite3.Connection,
        sealer: Sealer,
        model_id: str,
        wall_clock: Callable[[], float],
        occupied: int | None = None,
    ) -> None:
        self.path, self.model_id = path, model_id
        self._connection: sqlite3.Connection | None = connection
        self._wall_clock, self._occupied = wall_clock, occupied
        self._lock = threading.RLock()
        self._use(sealer)

    def _use(self, sealer: Sealer) -> None:
        self._sealer, self._rows = sealer, Rows(self.path, sealer)
        self._digest = Digest(sealer.digest_key)

    @classmethod
    def open(
        cls,
        path: Path | str,
        key: bytes,
        model_id: str,
        *,
        busy_wait_s: float = BUSY_WAIT_S,
        wall_clock: Callable[[], float] = time.time,
        alone: bool = False,
        take_on: bool = False,
    ) -> Store:
        """Open the store, making it if the file is not there; its folder must be.

        Args:
            path: of the file.
            key: 32 bytes, from `load_key`.
            model_id: the embedder whose templates are kept. A store without templates takes it on.
            busy_wait_s: seconds to wait for another program that is writing.
            wall_clock: seconds since the epoch.
            alone: with no other program in the folder.
            take_on: drop the templates of another model; people stay, to be enrolled again.

        Raises:
            StoreError: the file cannot be made or opened, is damaged, was changed from outside or
                is no store, the key is not its key, or its templates are of another model.
        """
        path = Path(path)
        if not path.parent.is_dir():
            raise StoreError(f"{path.parent}: no such folder; make it, or set state.folder")
        occupied = occupy(path.parent, alone=alone)
        try:
            with translated(path):
                connection = connect(path, busy_wait_s)
                try:
                    with transaction(connection):
                        migrate(connection)
                        check_tables(path, connection)
                        sealer = unlock(path, connection, key)
                        if take_on and meta(connection, "model_id") != model_id:
                            connection.execute("DELETE FROM templates")
                            write_content(
                                connection, sealer, Digest(sealer.digest_key).of_all(connection)
                            )
                        bind(path, connection, sealer, model_id)
                except BaseException:
                    connection.close()
                    raise
        except BaseException:
            os.close(occupied)
            raise
        return cls(path, connection, sealer, model_id, wall_clock, occupied)

    @classmethod
    def from_image(cls, image: bytes, key: bytes, name: str) -> Store:
        """Open a store that lies in memory, with every check that a file undergoes.

        Args:
            image: from `image`, or of a file that has no log beside it.
            key: 32 bytes.
            name: what messages call it.

        Raises:
            StoreError: it is damaged, was changed or is no store, or the key is not its key.
        """
        path = Path(name)
        with translated(path):
            connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
            try:
                connection.deserialize(_without_log(image))
                check_whole(path, connection)
                connection.execute("PRAGMA foreign_keys=ON")
                with transaction(connection):
                    migrate(connection)
                    check_tables(path, connection)
                    sealer = unlock(path, connection, key)
            except BaseException:
                connection.close()
                raise
        return cls(path, connection, sealer, str(meta(connection, "model_id")), time.time)

    @property
    def revision(self) -> int:
        """A number that rises with every change, by this process or another."""
        with self._reading() as connection:
            return int(meta(connection, "revision"))

    def people(self) -> list[Person]:
        """List everybody, by name."""
        with self._reading() as connection:
            return sorted(self._rows.people(connection), key=lambda p: p.name.casefold())

    def person(self, name: str) -> Person:
        """Find a person; upper and lower case make no difference.

        Raises:
            InputError: nobody is called so; names the nearest names.
        """
        with self._reading():
            return self._find(name)

    def check_new_name(self, name: str) -> str:
        """Give the name as it would be kept.

        Raises:
            InputError: it cannot be used, or somebody with templates has it.
        """
        with self._reading() as connection:
            cleaned = clean_name(name)
            self._to_fill(connection, cleaned)
            return cleaned

    def add(
        self,
        name: str,
        vectors: Sequence[F32],
        role: str = "member",
        qualities: Sequence[float] | None = None,
    ) -> Person:
        """Enrol a person: all of it is on disk when this returns, or nothing.

        A person of this name who has no templates, because the model changed, gets these and stays
        who they were.

        Args:
            name: at most 64 characters; upper and lower case make no difference.
            vectors: float32 (D,) each, unit L2 norm, at least one. The best that differ are kept
                (`selection.choose`).
            role: one of `ROLES`; of a new person.
            qualities: a figure for each vector, kept beside it.

        Raises:
            InputError: the name is taken or unusable, or a vector is.
        """
        cleaned = clean_name(name)
        kept, figures = _best(unit_templates(vectors, floats_of(self.model_id)), qualities)
        check_role(role)
        now_wall = self._wall_clock()
        with self._reading() as connection, transaction(connection):
            person = self._to_fill(connection, cleaned)
            number = next_id(connection, "people") if person is None else person.person_id
            with self._changing(connection, number):
                if person is None:
                    person = Person(number, cleaned, role, 0, now_wall)
                    self._rows.insert_person(connection, person)
                self._rows.insert_templates(
                    connection, number, self.model_id, kept, figures, now_wall
                )
        return replace(person, templates=len(kept))

    def extend(
        self, name: str, vectors: Sequence[F32], qualities: Sequence[float] | None = None
    ) -> Person:
        """Give a person more templates; of old and new ones the best that differ are kept.

        Raises:
            InputError: nobody is called so, or a vector is unusable.
        """
        new, figures = _best(unit_templates(vectors, floats_of(self.model_id)), qualities)
        with self._reading() as connection, transaction(connection):
            person = self._find(name)
            old = list(self._rows.templates(connection, self.model_id, person.person_id))
            marks = [*(t.quality for t in old), *figures]
            known = None if None in marks else [float(m or 0) for m in marks]
            chosen = choose([*(t.vector for t in old), *new], known)
            with self._changing(connection, person.person_id):
                for position, template in enumerate(old):
                    if position not in chosen:
                        connection.execute(
                            "DELETE FROM templates WHERE id = ?", (template.template_id,)
                        )
                added = [p - len(old) for p in chosen if p >= len(old)]
                self._rows.insert_templates(
                    connection,
                    person.person_id,
                    self.model_id,
                    [new[p] for p in added],
                    [figures[p] for p in added],
                    self._wall_clock(),
                )
        return replace(person, templates=len(chosen))

    def rename(self, old: str, new: str) -> Person:
        """Give a person another name, or their name in other case.

        Raises:
            InputError: nobody is called `old`, or `new` is taken or unusable.
        """
        return self._update(old, name=clean_name(new))

    def set_role(self, name: str, role: str) -> Person:
        """Give a person another role.

        Raises:
            InputError: nobody is called so, or there is no such role.
        """
        return self._update(name, role=check_role(role))

    def set_group(self, name: str, group: str | None) -> Person:
        """Put a person into a group of `schedule.groups`, or into none.

        Raises:
            InputError: nobody is called so, or the group's name is unusable.
        """
        return self._update(name, group=None if group is None else clean_name(group))

    def set_note(self, name: str, note: str) -> Person:
        """Write something down about a person.

        Raises:
            InputError: nobody is called so, or the note is too long.
        """
        return self._update(name, note=check_note(note))

    def next_name(self) -> str:
        """Give a name for somebody whose name nobody typed; `person-0007` for the seventh."""
        with self._reading() as connection:
            return f"person-{next_id(connection, 'people'):04d}"

    def remove(self, name: str) -> Person:
        """Forget a person and their templates, and give them back as they were.

        Raises:
            InputError: nobody is called so.
        """
        with self._reading() as connection, transaction(connection):
            person = self._find(name)
            with self._changing(connection, person.person_id):
                connection.execute("DELETE FROM people WHERE id = ?", (person.person_id,))
        self._tidy()
        return person

    def gallery(self) -> Gallery:
        """Decrypt all templates, of one moment.

        Raises:
            StoreError: a row was damaged, moved or swapped, or is of another model.
        """
        with self._reading() as connection, transaction(connection, "DEFERRED"):
            names = {p.person_id: p.name for p in self._rows.people(connection)}
            found = list(self._rows.templates(connection, self.model_id))
        matrix = np.empty((len(found), floats_of(self.model_id)), np.float32)
        for number, template in enumerate(found):
            matrix[number] = template.vector
        person_ids = np.array([t.person_id for t in found], np.int64)
        matrix.setflags(write=False)
        person_ids.setflags(write=False)
        return Gallery(matrix, person_ids, MappingProxyType(names))

    def rekey(self, key: bytes) -> None:
        """Seal everything again under another key: all of it, or nothing."""
        with self._reading() as connection:
            with transaction(connection):
                people = self._rows.people(connection)
                templates = list(self._rows.templates(connection, self.model_id))
                sealer = lock(connection, key)
                rows = Rows(self.path, sealer)
                for person in people:
                    rows.update_person(connection, person)
                for template in templates:
                    rows.reseal_template(connection, template, self.model_id)
                put(connection, "revision", int(meta(connection, "revision")) + 1)
                write_content(connection, sealer, Digest(sealer.digest_key).of_all(connection))
            self._use(sealer)
        self._tidy()

    def image(self) -> tuple[str, bytes]:
        """Give the store as one piece, of one moment, and a mark that any change alters."""
        with self._reading() as connection, transaction(connection, "DEFERRED"):
            mark = self._mark(connection)
            return mark, _without_log(connection.serialize())

    @property
    def mark(self) -> str:
        """A text that any change alters."""
        with self._reading() as connection:
            return self._mark(connection)

    def traces(self, name: str) -> list[bytes]:
        """Give the bytes by which a person could be found in a file, plain and sealed.

        Raises:
            InputError: nobody is called so.
        """
        with self._reading() as connection, transaction(connection, "DEFERRED"):
            person = self._find(name)
            blobs = connection.execute(
                "SELECT name_nonce, name, name_key, details_nonce, details FROM people"
                " WHERE id = ?",
                (person.person_id,),
            ).fetchone()
            sealed = connection.execute(
                "SELECT nonce, vector FROM templates WHERE person_id = ?", (person.person_id,)
            ).fetchall()
            plain = list(self._rows.templates(connection, self.model_id, person.person_id))
        found = [*blobs, *(blob for row in sealed for blob in row)]
        found += [t.vector.tobytes()[at : at + 16] for t in plain for at in (0, 256, 496)]
        found += [text.encode() for text in {person.name, person.name.casefold(), person.note}]
        # Shorter ones are found by chance in anything encrypted.
        return [blob for blob in found if blob and len(blob) >= SHORTEST_TRACE]

    def close(self) -> None:
        """Let the file go; may be called again."""
        with self._lock, translated(self.path):
            connection, self._connection = self._connection, None
            occupied, self._occupied = self._occupied, None
            try:
                if connection is not None:
                    connection.close()
            finally:
                if occupied is not None:
                    os.close(occupied)

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock, translated(self.path):
            if self._connection is None:
                raise StoreError(f"{self.path}: the store is closed")
            yield self._connection

    @contextmanager
    def _changing(self, connection: sqlite3.Connection, person_id: int) -> Iterator[None]:
        """Change the rows of one person, within a transaction."""
        # Another process may have taken on another model while nobody was enrolled.
        if meta(connection, "model_id") != self.model_id:
            raise StoreError(f"{self.path}: now of another model; restart facegate")
        total = read_content(self.path, connection, self._sealer)
        before = self._digest.of_person(connection, person_id)
        yield
        after = self._digest.of_person(connection, person_id)
        put(connection, "revision", int(meta(connection, "revision")) + 1)
        write_content(connection, self._sealer, changed(total, before, after))

    def _update(self, who: str, /, **facts: Any) -> Person:
        with self._reading() as connection, transaction(connection):
            person = self._find(who)
            new = replace(person, **facts)
            taken = self._rows.find(connection, new.name)
            if taken is not None and taken.person_id != person.person_id:
                raise _taken(new.name)
            with self._changing(connection, person.person_id):
                self._rows.update_person(connection, new)
        return new

    def _find(self, name: str) -> Person:
        cleaned = clean_name(name)
        with self._reading() as connection:
            person = self._rows.find(connection, cleaned)
        if person is not None:
            return person
        known = {p.name.casefold(): p.name for p in self.people()}
        near = difflib.get_close_matches(cleaned.casefold(), known)
        hint = " or ".join(known[n] for n in near)
        raise NotEnrolledError(
            f"{cleaned}: nobody of this name is enrolled; "
            + (f"did you mean {hint}?" if near else "see facegate people list")
        )

    def _to_fill(self, connection: sqlite3.Connection, name: str) -> Person | None:
        """Give the person of this name who waits for templates; None when nobody has the name."""
        person = self._rows.find(connection, name)
        if person is not None and person.templates:
            raise _taken(name)
        return person

    def _mark(self, connection: sqlite3.Connection) -> str:
        return f"{meta(connection, 'revision')} {meta(connection, 'content_nonce').hex()}"

    def _tidy(self) -> None:
        """Leave nothing of what was taken out; a full disk may keep the file from shrinking."""
        for statement in ("VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"):
            with suppress(StoreError), self._reading() as connection:
                connection.execute(statement)


def _without_log(image: bytes) -> bytes:
    content = bytearray(image)
    content[_WAL_VERSION] = _ROLLBACK_VERSION
    return bytes(content)


def _best(
    vectors: list[F32], qualities: Sequence[float] | None
) -> tuple[list[F32], list[float | None]]:
    if qualities is None:
        chosen = choose(vectors)
        return [vectors[i] for i in chosen], [None] * len(chosen)
    if len(qualities) != len(vectors):
        raise InputError(f"{len(qualities)} qualities for {len(vectors)} embeddings")
    chosen = choose(vectors, qualities)
    return [vectors[i] for i in chosen], [float(qualities[i]) for i in chosen]


def _taken(name: str) -> NameTakenError:
    return NameTakenError(f"{name}: somebody of this name is enrolled; choose another name")
