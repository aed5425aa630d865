"""One keyed figure over everything the store holds: a row taken out or altered changes it.

Every row is hashed with a secret key, and the hashes are summed. So a change costs as much as the
rows it touches, not as many as there are, and the order of the rows makes no difference.

Source: D. Clarke et al., "Incremental Multiset Hash Functions and Their Application to Memory
Integrity Checking", ASIACRYPT 2003, section 5 (MSet-Add-Hash). The sum is stored encrypted.
"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterable
from hashlib import blake2b
from typing import Any

DIGEST_BYTES = 32
_MODULUS = 1 << (8 * DIGEST_BYTES)

_PEOPLE = (
    "SELECT id, name_nonce, name, name_key, role, created_at_wall, details_nonce, details"
    " FROM people"
)
_TEMPLATES = (
    "SELECT id, person_id, model_id, nonce, vector, quality, created_at_wall FROM templates"
)


class Digest:
    """Sums the hashes of rows under one key.

    Args:
        key: 32 secret bytes.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def of_person(self, connection: sqlite3.Connection, person_id: int) -> int:
        """Give the sum over a person's rows; 0 when there are none."""
        return self._sum(
            b"person", connection.execute(f"{_PEOPLE} WHERE id = ?", (person_id,))
        ) + self._sum(
            b"template", connection.execute(f"{_TEMPLATES} WHERE person_id = ?", (person_id,))
        )

    def of_all(self, connection: sqlite3.Connection) -> int:
        """Give the sum over all rows."""
        total = self._sum(b"person", connection.execute(_PEOPLE))
        return (total + self._sum(b"template", connection.execute(_TEMPLATES))) % _MODULUS

    def _sum(self, table: bytes, rows: Iterable[tuple[Any, ...]]) -> int:
        total = 0
        for row in rows:
            hasher = blake2b(table, digest_size=DIGEST_BYTES, key=self._key)
            for value in row:
                hasher.update(_plain(value))
            total += int.from_bytes(hasher.digest(), "big")
        return total


def changed(total: int, before: int, after: int) -> int:
    """Give the sum over all rows after some of them changed."""
    return (total - before + after) % _MODULUS


def to_bytes(total: int) -> bytes:
    """Give a sum as bytes of fixed length."""
    return (total % _MODULUS).to_bytes(DIGEST_BYTES, "big")


def _plain(value: Any) -> bytes:
    # A type and a length before each value: no two rows can give the same bytes.
    if isinstance(value, bytes):
        return b"b" + len(value).to_bytes(4, "big") + value
    if isinstance(value, str):
        text = value.encode()
        return b"s" + len(text).to_bytes(4, "big") + text
    if isinstance(value, float):
        return b"f" + struct.pack(">d", value)
    if value is None:
        return b"n"
    return b"i" + int(value).to_bytes(8, "big", signed=True)
