"""People and templates as rows: sealed on the way in, opened and checked on the way out."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from facegate.access.database import RESTORE, next_id
from facegate.access.gallery import floats_of
from facegate.access.names import same_name_key
from facegate.access.person import Person
from facegate.access.sealing import Sealer
from facegate.errors import StoreError
from facegate.types import F32

_STORED = np.dtype("<f4")
_PERSON = """SELECT id, name_nonce, name, name_key, role, created_at_wall, details_nonce, details,
    (SELECT count(*) FROM templates WHERE person_id = people.id),
    (SELECT max(created_at_wall) FROM templates WHERE person_id = people.id) FROM people"""


@dataclass(frozen=True, eq=False)
class Template:
    """One template as it lies in the store.

    Attributes:
        template_id, person_id: of the rows.
        vector: float32 (D,), unit length.
    """

    template_id: int
    person_id: int
    vector: F32


class Rows:
    """Reads and writes rows under one key; the caller holds the transaction.

    Args:
        path: of the store, for messages.
        sealer: of the store.
    """

    def __init__(self, path: Path, sealer: Sealer) -> None:
        self.path, self.sealer = path, sealer

    def people(self, connection: sqlite3.Connection) -> list[Person]:
        """Read everybody.

        Raises:
            StoreError: a row was damaged, moved or swapped.
        """
        return [self._person(row) for row in connection.execute(_PERSON)]

    def find(self, connection: sqlite3.Connection, name: str) -> Person | None:
        """Find a person by name; None when nobody is called so.

        Raises:
            StoreError: their row was damaged, moved or swapped.
        """
        found = connection.execute(f"{_PERSON} WHERE name_key = ?", (self.name_key(name),))
        row = found.fetchone()
        return None if row is None else self._person(row)

    def templates(
        self, connection: sqlite3.Connection, model_id: str, person_id: int | None = None
    ) -> Iterator[Template]:
        """Read templates of a model, by person.

        Raises:
            StoreError: one was damaged, moved or swapped, or is of another model.
        """
        where, values = ("", ()) if person_id is None else (" WHERE person_id = ?", (person_id,))
        for row in connection.execute(
            "SELECT id, person_id, model_id, nonce, vector"
            f" FROM templates{where} ORDER BY person_id, id",
            values,
        ):
            template_id, whose, model, nonce, sealed = row
            plain = self.sealer.open(nonce, sealed, "template", template_id, whose, model)
            if plain is None or model != model_id or len(plain) != 4 * floats_of(model):
                raise self._tampered(f"template {template_id} of person {whose}")
            vector = np.frombuffer(plain, _STORED).astype(np.float32)
            yield Template(template_id, whose, vector)

    def insert_person(self, connection: sqlite3.Connection, person: Person) -> None:
        """Write a new person, without templates."""
        connection.execute(
            "INSERT INTO people (id, created_at_wall, name_nonce, name, name_key, role,"
            " details_nonce, details) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (person.person_id, person.created_at_wall, *self._sealed(person)),
        )

    def update_person(self, connection: sqlite3.Connection, person: Person) -> None:
        """Write a person again."""
        connection.execute(
            "UPDATE people SET name_nonce = ?, name = ?, name_key = ?, role = ?,"
            " details_nonce = ?, details = ? WHERE id = ?",
            (*self._sealed(person), person.person_id),
        )

    def insert_templates(
        self,
        connection: sqlite3.Connection,
        person_id: int,
        model_id: str,
        vectors: Sequence[F32],
        now_wall: float,
    ) -> None:
        """Write new templates of a person.

        Args:
            connection: within a transaction.
            person_id: whose they are.
            model_id: the embedder that made them.
            vectors: float32 (D,) each, unit length.
            now_wall: seconds since the epoch.
        """
        for vector in vectors:
            number = next_id(connection, "templates")
            sealed = self._seal_template(number, person_id, model_id, vector)
            connection.execute(
                "INSERT INTO templates"
                " (id, person_id, model_id, nonce, vector, created_at_wall)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (number, person_id, model_id, *sealed, now_wall),
            )

    def reseal_template(
        self, connection: sqlite3.Connection, template: Template, model_id: str
    ) -> None:
        """Write a template again under this key."""
        number = template.template_id
        sealed = self._seal_template(number, template.person_id, model_id, template.vector)
        connection.execute(
            "UPDATE templates SET nonce = ?, vector = ? WHERE id = ?", (*sealed, number)
        )

    def name_key(self, name: str) -> bytes:
        """Give what a name is found by."""
        return self.sealer.index(same_name_key(name))

    def _seal_template(
        self, number: int, person_id: int, model_id: str, vector: F32
    ) -> tuple[bytes, bytes]:
        plain = vector.astype(_STORED).tobytes()
        return self.sealer.seal(plain, "template", number, person_id, model_id)

    def _sealed(self, p: Person) -> tuple[Any, ...]:
        name_key = self.name_key(p.name)
        kept = {"group": p.group, "note": p.note, "until_wall": p.until_wall}
        details = json.dumps(kept).encode()
        return (
            *self.sealer.seal(p.name.encode(), "name", p.person_id, p.role, name_key.hex()),
            name_key,
            p.role,
            *self.sealer.seal(details, "details", p.person_id),
        )

    def _person(self, row: tuple[Any, ...]) -> Person:
        number, nonce, sealed, name_key, role, created, details_nonce, details, *of_templates = row
        plain = self.sealer.open(nonce, sealed, "name", number, role, name_key.hex())
        if plain is None:
            raise self._tampered(f"person {number}")
        templates, last_look = of_templates
        person = Person(number, plain.decode(), role, templates, created, last_look_wall=last_look)
        if details is None:  # enrolled before there were groups and notes
            return person
        opened = self.sealer.open(details_nonce or b"", details, "details", number)
        if opened is None:
            raise self._tampered(f"person {number}")
        return replace(person, **json.loads(opened))

    def _tampered(self, what: str) -> StoreError:
        return StoreError(
            f"{self.path}: the record of {what} is damaged or was changed from outside; {RESTORE}"
        )
