"""Who is enrolled: names and templates, encrypted, in one SQLite file.

Templates belong to the model that made them, and the store holds those of one model only. Names and
templates are sealed with AES-GCM and bound to their row, and a keyed digest covers all rows: one
moved, swapped, altered or taken out with a database tool is found out when the store is opened.
What is deleted is overwritten.
"""

from __future__ import annotations

import difflib
import re
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from facegate.access.database import next_id, transaction
from facegate.access.gallery import Gallery, floats_of, unit_templates
from facegate.access.keys import create_key, load_key
from facegate.access.names import clean_name
from facegate.access.passes import check_end
from facegate.access.person import Person, check_note, check_role
from facegate.access.selection import choose
from facegate.access.store_file import StoreFile
from facegate.errors import NameTakenError, NotEnrolledError
from facegate.types import F32

__all__ = ["Gallery", "Person", "Store", "create_key", "load_key"]

SHORTEST_TRACE = 4
"""Bytes; shorter ones are found by chance in anything encrypted."""


@dataclass(frozen=True)
class Traces:
    """What a person could be found by: sealed and plain bytes, and words."""

    blobs: tuple[bytes, ...]
    words: tuple[bytes, ...]

    def __len__(self) -> int:
        return len(self.blobs) + len(self.words)

    def __or__(self, other: Traces) -> Traces:
        blobs, words = {*self.blobs, *other.blobs}, {*self.words, *other.words}
        return Traces(tuple(blobs), tuple(words))

    def __sub__(self, other: Traces) -> Traces:
        return Traces(tuple({*self.blobs} - {*other.blobs}), tuple({*self.words} - {*other.words}))

    def found_in(self, content: bytes, prose: bool = False) -> int:
        """Count those that are in some bytes; in prose "Grant" is not in "granted"."""
        found = sum(blob in content for blob in self.blobs)
        if not prose:
            return found + sum(word in content for word in self.words)
        letter = rb"[0-9A-Za-z\x80-\xff]"
        for word in self.words:
            alone = rb"(?<!%b)%b(?!%b)" % (letter, re.escape(word), letter)
            found += re.search(alone, content) is not None
        return found


class Store(StoreFile):
    """The open store. Any thread may use it; one call runs at a time.

    Make one with `Store.open`. Every method raises StoreError when the file cannot be read or
    written, or the store is closed.

    Attributes:
        path: of the file, or what messages call a store in memory.
        model_id: the embedder whose templates are kept.
    """

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

    def add(self, name: str, vectors: Sequence[F32], role: str = "member") -> Person:
        """Enrol a person: all of it is on disk when this returns, or nothing.

        A person of this name who has no templates, because the model changed, gets these and stays
        who they were.

        Args:
            name: at most 64 characters; upper and lower case make no difference.
            vectors: float32 (D,) each, unit L2 norm, at least one. Of many, those that differ
                are kept (`selection.choose`).
            role: one of `ROLES`; of a new person.

        Raises:
            InputError: the name is taken or unusable, or a vector is.
        """
        cleaned = clean_name(name)
        new = unit_templates(vectors, floats_of(self.model_id))
        kept = [new[p] for p in choose(new)]
        check_role(role)
        now_wall = self._wall_clock()
        with self._reading() as connection, transaction(connection):
            person = self._to_fill(connection, cleaned)
            number = next_id(connection, "people") if person is None else person.person_id
            with self._changing(connection, number):
                if person is None:
                    person = Person(number, cleaned, role, 0, now_wall)
                    self._rows.insert_person(connection, person)
                self._rows.insert_templates(connection, number, self.model_id, kept, now_wall)
            return self._find(cleaned)

    def extend(self, name: str, vectors: Sequence[F32]) -> Person:
        """Give a person more templates; of old and new ones those that differ are kept.

        Raises:
            InputError: nobody is called so, or a vector is unusable.
        """
        new = unit_templates(vectors, floats_of(self.model_id))
        with self._reading() as connection, transaction(connection):
            person = self._find(name)
            old = list(self._rows.templates(connection, self.model_id, person.person_id))
            chosen = choose([*(t.vector for t in old), *new])
            with self._changing(connection, person.person_id):
                for position, template in enumerate(old):
                    if position not in chosen:
                        connection.execute(
                            "DELETE FROM templates WHERE id = ?", (template.template_id,)
                        )
                added = [new[p - len(old)] for p in chosen if p >= len(old)]
                self._rows.insert_templates(
                    connection, person.person_id, self.model_id, added, self._wall_clock()
                )
            return self._find(name)

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

    def set_until(self, name: str, until_wall: float | None) -> Person:
        """Say from when on a person is not let in, seconds since the epoch; None is never.

        Raises:
            InputError: nobody is called so, or it is no moment.
        """
        return self._update(name, until_wall=check_end(until_wall))

    def next_name(self) -> str:
        """Give a name for somebody whose name nobody typed; `person-0007` for the seventh."""
        with self._reading() as connection:
            number = next_id(connection, "people")
            while self._rows.find(connection, name := f"person-{number:04d}") is not None:
                number += 1  # somebody was called so by hand
            return name

    def remove(self, name: str, removed: Callable[[Person], None] = lambda _: None) -> Person:
        """Take out a person and their templates, and give them back as they were.

        Args:
            name: of the person.
            removed: called once that is on disk, before what is left of them is overwritten.

        Raises:
            InputError: nobody is called so.
        """
        with self._reading() as connection, transaction(connection):
            person = self._find(name)
            with self._changing(connection, person.person_id):
                connection.execute("DELETE FROM people WHERE id = ?", (person.person_id,))
        try:
            removed(person)
        finally:
            self.tidy()
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

    def traces(self, name: str) -> Traces:
        """Give the bytes by which a person could be found in a file.

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
        words = [text.encode() for text in {person.name, person.name.casefold(), person.note}]
        return Traces(
            tuple(blob for blob in found if blob and len(blob) >= SHORTEST_TRACE),
            tuple(word for word in words if len(word) >= SHORTEST_TRACE),
        )

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


def _taken(name: str) -> NameTakenError:
    return NameTakenError(f"{name}: somebody of this name is enrolled; choose another name")
