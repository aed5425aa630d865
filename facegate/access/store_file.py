"""The store's file while it is open: key, digest, revision, and one call at a time.

Opening checks everything: the file is a whole store of ours, the key is its key, the rows are those
written last, and the templates are of the model that is used. Who is enrolled is `store.Store`.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Self
from urllib.parse import quote

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
from facegate.access.occupancy import occupy
from facegate.access.rows import Rows
from facegate.access.sealing import Sealer
from facegate.closing import Closing
from facegate.errors import StoreError

BUSY_WAIT_S = 5.0
"""Seconds to wait for another program that is writing."""
_WAL_VERSION, _ROLLBACK_VERSION = slice(18, 20), b"\x01\x01"
"""Where a database says that it has a log beside it; an image has none. Source: SQLite file
format, section 1.3.3."""


class StoreFile(Closing):
    """What `Store` stands on: the open file, of which nothing here knows who is in it."""

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
        model_id: str | None,
        *,
        busy_wait_s: float = BUSY_WAIT_S,
        wall_clock: Callable[[], float] = time.time,
        alone: bool = False,
        take_on: bool = False,
    ) -> Self:
        """Open the store, making it if the file is not there; its folder must be.

        Args:
            path: of the file.
            key: 32 bytes, from `load_key`.
            model_id: the embedder whose templates are kept. A store without templates takes it on.
                None for whichever the store is of, to read it.
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
                        if model_id is None:
                            model_id = str(meta(connection, "model_id") or "")
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
    def from_image(cls, image: bytes, key: bytes, name: str) -> Self:
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

    @property
    def mark(self) -> str:
        """A text that any change alters."""
        with self._reading() as connection:
            return self._mark(connection)

    def image(self) -> tuple[str, bytes]:
        """Give the store as one piece, of one moment, and a mark that any change alters."""
        with self._reading() as connection, transaction(connection, "DEFERRED"):
            mark = self._mark(connection)
            return mark, _without_log(connection.serialize())

    def rekey(self, key: bytes) -> None:
        """Seal everything again under another key, 32 bytes: all of it, or nothing."""
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
        self.tidy()

    def give_no_number_up_to(self, last: int) -> None:
        """Let the next person get a higher number than `last`: none is ever given again."""
        with self._reading() as connection, transaction(connection):
            if next_id(connection, "people") > last:
                return
            total = read_content(self.path, connection, self._sealer)
            connection.execute("DELETE FROM sqlite_sequence WHERE name = 'people'")
            connection.execute("INSERT INTO sqlite_sequence VALUES ('people', ?)", (last,))
            write_content(connection, self._sealer, total)

    def tidy(self) -> None:
        """Leave nothing of what was taken out; a full disk may keep the file from shrinking."""
        for statement in ("VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"):
            with suppress(StoreError), self._reading() as connection:
                connection.execute(statement)

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
        """Have the connection for this thread alone; may be nested."""
        with self._lock, translated(self.path):
            if self._connection is None:
                raise StoreError(f"{self.path}: the store is closed")
            yield self._connection

    @contextmanager
    def _changing(self, connection: sqlite3.Connection, person_id: int) -> Iterator[None]:
        """Change the rows of one person, within a transaction; digest and revision follow."""
        # Another process may have taken on another model while nobody was enrolled.
        if meta(connection, "model_id") != self.model_id:
            raise StoreError(f"{self.path}: now of another model; restart facegate")
        total = read_content(self.path, connection, self._sealer)
        before = self._digest.of_person(connection, person_id)
        yield
        after = self._digest.of_person(connection, person_id)
        put(connection, "revision", int(meta(connection, "revision")) + 1)
        write_content(connection, self._sealer, changed(total, before, after))

    def _mark(self, connection: sqlite3.Connection) -> str:
        return f"{meta(connection, 'revision')} {meta(connection, 'content_nonce').hex()}"


def last_number(path: Path) -> int:
    """Say which number was given to a person last in a store's file, without the key.

    Raises:
        StoreError: the file cannot be read.
    """
    with _looking(path) as connection:
        return next_id(connection, "people") - 1


def kept_model(path: Path) -> str | None:
    """Say which embedder the templates in a store's file are of, without the key.

    Returns:
        Its `model_id`; None where there are no templates, or no store.

    Raises:
        StoreError: the file cannot be read.
    """
    if not path.exists():
        return None
    with _looking(path) as connection:
        row = connection.execute("SELECT model_id FROM templates LIMIT 1").fetchone()
    return None if row is None else str(row[0])


@contextmanager
def _looking(path: Path) -> Iterator[sqlite3.Connection]:
    where = f"file:{quote(str(path))}?mode=ro"
    with translated(path), closing(sqlite3.connect(where, uri=True)) as connection:
        yield connection


def _without_log(image: bytes) -> bytes:
    content = bytearray(image)
    content[_WAL_VERSION] = _ROLLBACK_VERSION
    return bytes(content)
