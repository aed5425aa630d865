"""Who is enrolled: names and templates, encrypted, in one SQLite file.

Templates belong to the model that made them, and the store holds those of one model only. Names and
templates are sealed with AES-GCM and bound to their row, so that a row moved, swapped or given
another role with a database tool is found out. What is deleted is overwritten.
"""

from __future__ import annotations

import difflib
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self

import numpy as np

from facegate.access.binding import bind, meta, unlock
from facegate.access.database import connect, migrate, next_id, transaction, translated
from facegate.access.gallery import VECTOR_FLOATS, Gallery, unit_templates
from facegate.access.keys import create_key, load_key
from facegate.access.names import clean_name, same_name_key
from facegate.access.sealing import Sealer
from facegate.errors import InputError, NameTakenError, NotEnrolledError, StoreError
from facegate.types import F32

__all__ = ["Gallery", "Person", "Store", "create_key", "load_key"]

ROLES = ("member", "admin", "duress")
BUSY_WAIT_S = 5.0
"""Seconds to wait for another program that is writing."""

_STORED = np.dtype("<f4")
_PERSON = """SELECT id, name_nonce, name, name_key, role, created_at_wall,
    (SELECT count(*) FROM templates WHERE person_id = people.id) FROM people"""


@dataclass(frozen=True)
class Person:
    """An enrolled person.

    Attributes:
        person_id: never given again, even after the person is removed.
        name: as it was typed, normalised.
        role: "member"; "admin", who may arm enrolment; or "duress", whose coming means a threat.
        templates: how many are kept.
        created_at_wall: seconds since the epoch.
    """

    person_id: int
    name: str
    role: str
    templates: int
    created_at_wall: float


class Store:
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
    ) -> None:
        self.path, self.model_id = path, model_id
        self._connection: sqlite3.Connection | None = connection
        self._sealer, self._wall_clock = sealer, wall_clock
        self._lock = threading.RLock()

    @classmethod
    def open(
        cls,
        path: Path | str,
        key: bytes,
        model_id: str,
        *,
        busy_wait_s: float = BUSY_WAIT_S,
        wall_clock: Callable[[], float] = time.time,
    ) -> Store:
        """Open the store, making it if the file is not there; its folder must be.

        Args:
            path: of the file.
            key: 32 bytes, from `load_key`.
            model_id: the embedder whose templates are kept. A store without templates takes it on.
            busy_wait_s: seconds to wait for another program that is writing.
            wall_clock: seconds since the epoch.

        Raises:
            StoreError: the file cannot be made or opened, is damaged or no store, the key is not
                its key, or its templates are of another model.
        """
        path = Path(path)
        with translated(path):
            connection = connect(path, busy_wait_s)
            try:
                with transaction(connection):
                    migrate(connection)
                    sealer = unlock(path, connection, key)
                    bind(path, connection, model_id)
            except BaseException:
                connection.close()
                raise
        return cls(path, connection, sealer, model_id, wall_clock)

    @property
    def revision(self) -> int:
        """A number that rises with every change, by this process or another."""
        with self._reading() as connection:
            return int(meta(connection, "revision"))

    def people(self) -> list[Person]:
        """List everybody, by name."""
        with self._reading() as connection:
            rows = connection.execute(_PERSON).fetchall()
        return sorted((self._person(row) for row in rows), key=lambda p: p.name.casefold())

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
            InputError: it cannot be used, or somebody has it.
        """
        with self._reading() as connection:
            cleaned = clean_name(name)
            self._refuse_taken(connection, cleaned)
            return cleaned

    def add(
        self,
        name: str,
        vectors: Sequence[F32],
        role: str = "member",
        qualities: Sequence[float] | None = None,
    ) -> Person:
        """Enrol a person: all of it is on disk when this returns, or nothing.

        Args:
            name: at most 64 characters; upper and lower case make no difference.
            vectors: float32 (128,) each, unit L2 norm, at least one.
            role: one of `ROLES`.
            qualities: a figure for each vector, kept beside it.

        Raises:
            InputError: the name is taken or unusable, or a vector is.
        """
        cleaned = clean_name(name)
        templates = unit_templates(vectors)
        _check_role(role)
        if qualities is not None and len(qualities) != len(templates):
            raise InputError(f"{len(qualities)} qualities for {len(templates)} embeddings")
        now_wall = self._wall_clock()
        with self._changing() as connection:
            self._refuse_taken(connection, cleaned)
            person_id = next_id(connection, "people")
            name_key = self._name_key(cleaned)
            connection.execute(
                "INSERT INTO people (id, name_nonce, name, name_key, role, created_at_wall)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (
                    person_id,
                    *self._seal_name(cleaned, person_id, role, name_key),
                    name_key,
                    role,
                    now_wall,
                ),
            )
            for number, template in enumerate(templates):
                template_id = next_id(connection, "templates")
                row = ("template", template_id, person_id, self.model_id)
                connection.execute(
                    "INSERT INTO templates"
                    " (id, person_id, model_id, nonce, vector, quality, created_at_wall)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (
                        template_id,
                        person_id,
                        self.model_id,
                        *self._sealer.seal(template.astype(_STORED).tobytes(), *row),
                        None if qualities is None else float(qualities[number]),
                        now_wall,
                    ),
                )
        return Person(person_id, cleaned, role, len(templates), now_wall)

    def rename(self, old: str, new: str) -> Person:
        """Give a person another name, or their name in other case.

        Raises:
            InputError: nobody is called `old`, or `new` is taken or unusable.
        """
        cleaned = clean_name(new)
        with self._changing() as connection:
            person = self._find(old)
            self._refuse_taken(connection, cleaned, but=person.person_id)
            name_key = self._name_key(cleaned)
            connection.execute(
                "UPDATE people SET name_nonce = ?, name = ?, name_key = ? WHERE id = ?",
                (
                    *self._seal_name(cleaned, person.person_id, person.role, name_key),
                    name_key,
                    person.person_id,
                ),
            )
        return replace(person, name=cleaned)

    def set_role(self, name: str, role: str) -> Person:
        """Give a person another role.

        Raises:
            InputError: nobody is called so, or there is no such role.
        """
        _check_role(role)
        with self._changing() as connection:
            person = self._find(name)
            name_key = self._name_key(person.name)
            connection.execute(
                "UPDATE people SET name_nonce = ?, name = ?, role = ? WHERE id = ?",
                (
                    *self._seal_name(person.name, person.person_id, role, name_key),
                    role,
                    person.person_id,
                ),
            )
        return replace(person, role=role)

    def next_name(self) -> str:
        """Give a name for somebody whose name nobody typed; `person-0007` for the seventh."""
        with self._reading() as connection:
            return f"person-{next_id(connection, 'people'):04d}"

    def remove(self, name: str) -> Person:
        """Forget a person and their templates, and give them back as they were.

        Raises:
            InputError: nobody is called so.
        """
        with self._changing() as connection:
            person = self._find(name)
            connection.execute("DELETE FROM people WHERE id = ?", (person.person_id,))
        # The person is gone and overwritten; that the file also shrinks may fail on a full disk.
        with suppress(StoreError), self._reading() as connection:
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return person

    def gallery(self) -> Gallery:
        """Decrypt all templates, of one moment.

        Raises:
            StoreError: a row was damaged, moved or swapped, or is of another model.
        """
        with self._reading() as connection, transaction(connection, "DEFERRED"):
            people = [self._person(row) for row in connection.execute(_PERSON)]
            rows = connection.execute(
                "SELECT id, person_id, model_id, nonce, vector FROM templates"
                " ORDER BY person_id, id"
            ).fetchall()
        matrix = np.empty((len(rows), VECTOR_FLOATS), np.float32)
        for number, (template_id, person_id, model_id, nonce, sealed) in enumerate(rows):
            plain = self._sealer.open(nonce, sealed, "template", template_id, person_id, model_id)
            if plain is None or model_id != self.model_id:
                raise self._tampered(f"template {template_id} of person {person_id}")
            matrix[number] = np.frombuffer(plain, _STORED)
        person_ids = np.array([row[1] for row in rows], np.int64)
        matrix.setflags(write=False)
        person_ids.setflags(write=False)
        names = MappingProxyType({p.person_id: p.name for p in people})
        return Gallery(matrix, person_ids, names)

    def close(self) -> None:
        """Let the file go; may be called again."""
        with self._lock, translated(self.path):
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock, translated(self.path):
            if self._connection is None:
                raise StoreError(f"{self.path}: the store is closed")
            yield self._connection

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        with self._reading() as connection, transaction(connection):
            # Another process may have taken on another model while nobody was enrolled.
            if meta(connection, "model_id") != self.model_id:
                raise StoreError(f"{self.path}: now of another model; restart facegate")
            yield connection
            connection.execute("UPDATE meta SET value = value + 1 WHERE key = 'revision'")

    def _find(self, name: str) -> Person:
        cleaned = clean_name(name)
        with self._reading() as connection:
            row = connection.execute(
                f"{_PERSON} WHERE name_key = ?", (self._name_key(cleaned),)
            ).fetchone()
        if row is not None:
            return self._person(row)
        known = {p.name.casefold(): p.name for p in self.people()}
        near = difflib.get_close_matches(cleaned.casefold(), known)
        hint = " or ".join(known[n] for n in near)
        raise NotEnrolledError(
            f"{cleaned}: nobody of this name is enrolled; "
            + (f"did you mean {hint}?" if near else "see facegate people list")
        )

    def _refuse_taken(
        self, connection: sqlite3.Connection, name: str, but: int | None = None
    ) -> None:
        row = connection.execute(
            "SELECT id FROM people WHERE name_key = ?", (self._name_key(name),)
        ).fetchone()
        if row is not None and row[0] != but:
            raise NameTakenError(f"{name}: somebody of this name is enrolled; choose another name")

    def _person(self, row: tuple[Any, ...]) -> Person:
        person_id, nonce, sealed, name_key, role, created_at_wall, templates = row
        plain = self._sealer.open(nonce, sealed, "name", person_id, role, name_key.hex())
        if plain is None:
            raise self._tampered(f"person {person_id}")
        return Person(person_id, plain.decode(), role, templates, created_at_wall)

    def _name_key(self, name: str) -> bytes:
        return self._sealer.index(same_name_key(name))

    def _seal_name(
        self, name: str, person_id: int, role: str, name_key: bytes
    ) -> tuple[bytes, bytes]:
        return self._sealer.seal(name.encode(), "name", person_id, role, name_key.hex())

    def _tampered(self, what: str) -> StoreError:
        return StoreError(
            f"{self.path}: the record of {what} is damaged or was changed from outside; put back "
            "a backup, or move the file away and enrol everybody again"
        )


def _check_role(role: str) -> None:
    if role not in ROLES:
        raise InputError(f"{role}: no such role; use {', '.join(ROLES)}")
