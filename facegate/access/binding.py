"""Which key and which model a store belongs to: what its table `meta` says."""

from __future__ import annotations

import secrets
import sqlite3
from pathlib import Path
from typing import Any

from facegate.access.keys import KEY_BYTES
from facegate.access.sealing import Sealer
from facegate.errors import StoreError

_CHECK = b"facegate store"


def unlock(path: Path, connection: sqlite3.Connection, key: bytes) -> Sealer:
    """Prove that the key is the store's; a new store takes it on.

    Raises:
        StoreError: it is another key.
    """
    if len(key) != KEY_BYTES:
        raise StoreError(f"{path}: a key has {KEY_BYTES} bytes, not {len(key)}")
    salt = meta(connection, "salt")
    if salt is None:
        salt = secrets.token_bytes(KEY_BYTES)
        sealer = Sealer(key, salt)
        nonce, sealed = sealer.seal(_CHECK, "check")
        values = {"salt": salt, "check_nonce": nonce, "check": sealed, "revision": 0}
        connection.executemany("INSERT INTO meta (key, value) VALUES (?, ?)", values.items())
        return sealer
    sealer = Sealer(key, salt)
    if sealer.open(meta(connection, "check_nonce"), meta(connection, "check"), "check") != _CHECK:
        raise StoreError(
            f"{path}: this key does not open it; put back the key it was made with, or move the "
            "store away and enrol everybody again"
        )
    return sealer


def bind(path: Path, connection: sqlite3.Connection, model_id: str) -> None:
    """Refuse the templates of another model; without templates the store takes the model on.

    Raises:
        StoreError: there are templates of another model.
    """
    bound = meta(connection, "model_id")
    if bound == model_id:
        return
    if connection.execute("SELECT count(*) FROM templates").fetchone()[0]:
        raise StoreError(
            f"{path}: made by model {bound}, this is model {model_id}: enrol again, or configure "
            "the old model (models.embedder)"
        )
    connection.execute(
        "INSERT INTO meta (key, value) VALUES ('model_id', ?)"
        " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (model_id,),
    )


def meta(connection: sqlite3.Connection, key: str) -> Any:
    """Read one of the store's facts about itself; None when it is not there."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return None if row is None else row[0]
