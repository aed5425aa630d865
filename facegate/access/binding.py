"""Which key and which model a store belongs to, and what it holds: its table `meta`."""

from __future__ import annotations

import hmac
import secrets
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from facegate.access.database import RESTORE, connect
from facegate.access.digest import Digest, to_bytes
from facegate.access.keys import KEY_BYTES
from facegate.access.rows import Rows
from facegate.access.sealing import Sealer
from facegate.errors import StoreError

_CHECK_OLD = b"facegate store"
"""In stores of version 1, which had no digest; one that had it cannot be made to look older."""
_CHECK = b"facegate store 2"


def unlock(path: Path, connection: sqlite3.Connection, key: bytes) -> Sealer:
    """Prove that the key is the store's, and that nobody changed what lies in it.

    A new store takes the key on; one of version 1 gets its digest.

    Raises:
        StoreError: it is another key, or the content was changed from outside.
    """
    if len(key) != KEY_BYTES:
        raise StoreError(f"{path}: a key has {KEY_BYTES} bytes, not {len(key)}")
    salt = meta(connection, "salt")
    if salt is None:
        return lock(connection, key)
    check = _opened(connection, Sealer(key, _bytes(salt)), "check", "check")
    if check not in (_CHECK, _CHECK_OLD):
        raise StoreError(
            f"{path}: this key does not open it; put back the key it was made with, or move the "
            "store away and enrol everybody again"
        )
    sealer = Sealer(key, _bytes(salt))
    if check == _CHECK_OLD:
        _put(connection, "check", *sealer.seal(_CHECK, "check"))
        write_content(connection, sealer, Digest(sealer.digest_key).of_all(connection))
    check_content(path, connection, sealer)
    return sealer


def key_fits(path: Path, key: bytes) -> bool:
    """Whether a key opens the store in a file, which is made if it is not there.

    Its rows are not checked.

    Raises:
        StoreError: it cannot be opened, is foreign, damaged, or of a newer version.
        sqlite3.Error: for `translated` to turn.
    """
    with closing(connect(path, 0.0)) as connection:
        salt = meta(connection, "salt")
        if salt is None:
            return False
        found = _opened(connection, Sealer(key, _bytes(salt)), "check", "check")
        return found in (_CHECK, _CHECK_OLD)


def lock(connection: sqlite3.Connection, key: bytes) -> Sealer:
    """Make the key the store's, with a new salt; what lies in it must be sealed anew."""
    salt = secrets.token_bytes(KEY_BYTES)
    sealer = Sealer(key, salt)
    put(connection, "salt", salt)
    _put(connection, "check", *sealer.seal(_CHECK, "check"))
    if meta(connection, "revision") is None:
        put(connection, "revision", 0)
    write_content(connection, sealer, Digest(sealer.digest_key).of_all(connection))
    return sealer


def bind(path: Path, connection: sqlite3.Connection, sealer: Sealer, model_id: str) -> None:
    """Refuse the templates of another model; without templates the store takes the model on.

    Raises:
        StoreError: there are templates of another model.
    """
    bound = meta(connection, "model_id")
    if bound == model_id:
        return
    if connection.execute("SELECT count(*) FROM templates").fetchone()[0]:
        raise StoreError(
            f"{path}: made by model {bound}, this is model {model_id}; keep the people and enrol "
            "them again at their next visit (facegate people migrate), or configure the old model "
            "(models.embedder)"
        )
    total = read_content(path, connection, sealer)
    put(connection, "model_id", model_id)
    write_content(connection, sealer, total)


def meta(connection: sqlite3.Connection, key: str) -> Any:
    """Read one of the store's facts about itself; None when it is not there."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return None if row is None else row[0]


def put(connection: sqlite3.Connection, key: str, value: bytes | int | str) -> None:
    """Write one of the store's facts about itself."""
    connection.execute(
        "INSERT INTO meta (key, value) VALUES (?, ?)"
        " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (key, value),
    )


def read_content(path: Path, connection: sqlite3.Connection, sealer: Sealer) -> int:
    """Give the sum over all rows as it was written last.

    Raises:
        StoreError: it, or what it is bound to, was changed from outside.
    """
    plain = _opened(connection, sealer, "content", *_bound(connection))
    if plain is None:
        raise _changed(path)
    return int.from_bytes(plain, "big")


def write_content(connection: sqlite3.Connection, sealer: Sealer, total: int) -> None:
    """Write the sum over all rows, bound to revision, model and the numbers given so far."""
    _put(connection, "content", *sealer.seal(to_bytes(total), *_bound(connection)))


def check_content(path: Path, connection: sqlite3.Connection, sealer: Sealer) -> None:
    """Compare the rows with the sum written last.

    Raises:
        StoreError: a row was added, changed or taken out from outside.
    """
    wanted = read_content(path, connection, sealer)
    found = Digest(sealer.digest_key).of_all(connection)
    if not hmac.compare_digest(to_bytes(found), to_bytes(wanted)):
        rows = Rows(path, sealer)  # names the row, where it is one that no longer opens
        rows.people(connection)
        list(rows.templates(connection, str(meta(connection, "model_id"))))
        raise _changed(path)


def _bound(connection: sqlite3.Connection) -> tuple[str, ...]:
    numbers = connection.execute(
        "SELECT name, seq FROM sqlite_sequence WHERE seq > 0 ORDER BY name"
    ).fetchall()
    facts = [meta(connection, "revision"), meta(connection, "model_id"), *numbers]
    return ("content", *(repr(fact) for fact in facts))


def _put(connection: sqlite3.Connection, key: str, nonce: bytes, sealed: bytes) -> None:
    put(connection, f"{key}_nonce", nonce)
    put(connection, key, sealed)


def _opened(
    connection: sqlite3.Connection, sealer: Sealer, key: str, *row: str | int
) -> bytes | None:
    nonce, sealed = meta(connection, f"{key}_nonce"), meta(connection, key)
    return sealer.open(_bytes(nonce), _bytes(sealed), *row)


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else b""


def _changed(path: Path) -> StoreError:
    return StoreError(f"{path}: its content is damaged or was changed from outside; {RESTORE}")
