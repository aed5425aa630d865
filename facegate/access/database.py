"""The store's SQLite file: is it ours, is it whole, is it of this version; what its errors mean."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from facegate.access.files import hand_to_owner, sync_folder
from facegate.errors import StoreError

APPLICATION_ID = 0x46474154
"""SQLite's mark of whose file it is: "FGAT"."""

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY NOT NULL) STRICT",
        """CREATE TABLE people (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            name_nonce BLOB NOT NULL,
            name BLOB NOT NULL,
            name_key BLOB NOT NULL UNIQUE,
            role TEXT NOT NULL,
            created_at_wall REAL NOT NULL
        ) STRICT""",
        """CREATE TABLE templates (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            person_id INTEGER NOT NULL REFERENCES people(id) ON DELETE CASCADE,
            model_id TEXT NOT NULL,
            nonce BLOB NOT NULL,
            vector BLOB NOT NULL,
            quality REAL,
            created_at_wall REAL NOT NULL
        ) STRICT""",
        "CREATE INDEX templates_of_person ON templates(person_id)",
    ),
    (
        # Group and note, sealed.
        "ALTER TABLE people ADD COLUMN details_nonce BLOB",
        "ALTER TABLE people ADD COLUMN details BLOB",
    ),
    (),  # Ends of passes, among the details: who knows none of them must not let anybody in.
)
"""What leads from one `user_version` to the next; a published entry never changes."""

RESTORE = (
    "put back a backup (facegate restore --latest), or move the file away and enrol everybody again"
)
_MEANINGS = {
    sqlite3.SQLITE_BUSY: "in use by another program; wait, or stop it",
    sqlite3.SQLITE_LOCKED: "in use by another program; wait, or stop it",
    sqlite3.SQLITE_FULL: "the disk is full; make room",
    sqlite3.SQLITE_READONLY: "cannot be written; check the file's owner and that the disk is not "
    "mounted read-only",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened; check the owner of the file and of its folder, and "
    "that the disk is not mounted read-only",
    sqlite3.SQLITE_PERM: "cannot be opened; check the owner of the file and of its folder",
    sqlite3.SQLITE_CORRUPT: f"damaged; {RESTORE}",
    sqlite3.SQLITE_NOTADB: f"not an enrolment store, or a damaged one; {RESTORE}",
    sqlite3.SQLITE_IOERR: "the disk fails or is full; check it (dmesg, df), then try again",
}
_PRIMARY_CODE = 0xFF
_SCHEMA = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name"


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into `StoreError`."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE
        meaning = _MEANINGS.get(code, f"SQLite says: {error}; {RESTORE}")
        raise StoreError(f"{path}: {meaning}") from error
    except UnicodeDecodeError as error:  # in a text of the file, or in SQLite's complaint about it
        raise StoreError(f"{path}: damaged; {RESTORE}") from error


@contextmanager
def transaction(connection: sqlite3.Connection, kind: str = "IMMEDIATE") -> Iterator[None]:
    """Do all of it or nothing; DEFERRED reads one moment, IMMEDIATE may write."""
    connection.execute(f"BEGIN {kind}")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        raise


def connect(path: Path, timeout_s: float) -> sqlite3.Connection:
    """Open the file, or make it with mode 0600, and check that it is a whole store.

    Nothing is written to a file that is not ours. The connection commits each statement by itself
    unless `transaction` is used.

    Raises:
        StoreError: it cannot be made or opened, is foreign, damaged, or of a newer version.
        sqlite3.Error: for `translated` to turn.
    """
    _make(path)
    connection = sqlite3.connect(
        path, timeout=timeout_s, isolation_level=None, check_same_thread=False
    )
    try:
        _refuse_foreign(path, connection)  # before anything is written to the file
        for pragma in ("foreign_keys=ON", "secure_delete=ON", "trusted_schema=OFF"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        check_whole(path, connection)
    except BaseException:
        connection.close()
        raise
    return connection


def check_whole(path: Path, connection: sqlite3.Connection) -> None:
    """Refuse a file that is not a store of ours, or whose pages contradict each other.

    Raises:
        StoreError: it is foreign, damaged, or of a newer version.
    """
    _refuse_foreign(path, connection)
    if connection.execute("PRAGMA integrity_check(1)").fetchone()[0] != "ok":
        raise StoreError(f"{path}: damaged; {RESTORE}")


def check_tables(path: Path, connection: sqlite3.Connection) -> None:
    """Refuse tables, indexes or triggers other than those that `migrate` makes.

    Raises:
        StoreError: somebody changed them.
    """
    with closing(sqlite3.connect(":memory:")) as fresh:
        migrate(fresh)
        wanted = fresh.execute(_SCHEMA).fetchall()
    if connection.execute(_SCHEMA).fetchall() != wanted:
        raise StoreError(f"{path}: its tables are damaged or were changed from outside; {RESTORE}")


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the tables to this version; within a transaction."""
    version = _number(connection, "user_version")
    for statements in MIGRATIONS[version:]:
        for statement in statements:
            connection.execute(statement)
    if version < len(MIGRATIONS):
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version={len(MIGRATIONS)}")


def next_id(connection: sqlite3.Connection, table: str) -> int:
    """Give the next number of a table; it must be known before the row is sealed."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,)).fetchone()
    return 1 if row is None else int(row[0]) + 1


def _make(path: Path) -> None:
    if not path.parent.is_dir():
        raise StoreError(f"{path.parent}: no such folder; make it, or set state.folder")
    if path.is_dir():
        raise StoreError(f"{path}: a folder, not a store; set state.folder")
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            hand_to_owner(descriptor, path.parent)
        finally:
            os.close(descriptor)
        sync_folder(path.parent)
    except FileExistsError:
        return
    except OSError as error:
        raise StoreError(
            f"{path}: cannot be made: {error.strerror}; run as the folder's owner or set "
            "state.folder"
        ) from error


def _refuse_foreign(path: Path, connection: sqlite3.Connection) -> None:
    application, version = (
        _number(connection, "application_id"),
        _number(connection, "user_version"),
    )
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    is_new = application == version == tables == 0
    if application != APPLICATION_ID and not is_new:
        raise StoreError(
            f"{path}: another program's database, not an enrolment store; set state.folder"
        )
    if version > len(MIGRATIONS):
        raise StoreError(
            f"{path}: made by a newer facegate (store version {version}, this one knows "
            f"{len(MIGRATIONS)}); install that one"
        )


def _number(connection: sqlite3.Connection, pragma: str) -> int:
    return int(connection.execute(f"PRAGMA {pragma}").fetchone()[0])
