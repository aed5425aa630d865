"""What the audit trail is made of: records, the signed cut at its beginning, and its keys."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

UNKNOWN_BOOT = "unknown"
BEGINNING = "0" * 64
"""Stands for the hash before the first record."""
ROTATED = "key_rotated"
"""The event whose record is the first under a new key; its facts carry the key before, sealed."""

_NONCE_BYTES = 12

Fact = str | int | float | bool | None


@dataclass(frozen=True)
class Record:
    """One thing that happened.

    Attributes:
        seq: 1, 2, 3 …
        wall_s: seconds since the epoch.
        mono_s: monotonic seconds of the boot.
        boot: the kernel's random id of it.
        event: name of the journal's event.
        facts: what belongs to it; people by number.
        hash: of this record and all before it, hexadecimal.
    """

    seq: int
    wall_s: float
    mono_s: float
    boot: str
    event: str
    facts: Mapping[str, Fact]
    hash: str

    @property
    def people(self) -> list[int]:
        """Numbers of those it is about: one person, or two between whom was not decided."""
        named = (self.facts.get("person"), self.facts.get("runner_up"))
        return [number for number in named if isinstance(number, int)]

    @property
    def reached(self) -> tuple[int, str]:
        """How far the trail has got with it: its number and hash."""
        return self.seq, self.hash

    @property
    def line(self) -> bytes:
        """The record as it stands in the file."""
        return json.dumps(asdict(self), separators=(",", ":")).encode() + b"\n"


@dataclass(frozen=True)
class Cut:
    """The first line of a trail whose oldest records were taken out.

    Attributes:
        removed: so many, all that there were before the next line.
        hash: of the last of them; the next record goes on from it.
        first_wall_s, last_wall_s: when they were written, seconds since the epoch.
        problem: what was wrong with them, if anything.
        mac: HMAC-SHA-256 of all this under the trail's key, hexadecimal.
    """

    removed: int
    hash: str
    first_wall_s: float
    last_wall_s: float
    problem: str | None
    mac: str = ""

    def signed(self, key: bytes) -> Cut:
        """Give the cut with the mac it must have."""
        plain = {k: v for k, v in asdict(self).items() if k != "mac"}
        return Cut(**plain, mac=_mac(key, "cut", plain))

    @property
    def line(self) -> bytes:
        """The cut as it stands in the file."""
        return json.dumps({"cut": asdict(self)}, separators=(",", ":")).encode() + b"\n"


def trail_key(key: bytes) -> bytes:
    """Derive the trail's key from the store's."""
    return hmac.digest(key, b"facegate audit 1", hashlib.sha256)


def chained(key: bytes, before: str, plain: Mapping[str, Any]) -> str:
    """Give the hash of a record, without its hash, that follows the hash `before`."""
    return _mac(key, before, plain)


def fits(record: Record, key: bytes, before: str) -> bool:
    """Whether a record is what was written after the hash `before`."""
    plain = {k: v for k, v in asdict(record).items() if k != "hash"}
    return hmac.compare_digest(record.hash, chained(key, before, plain))


def parse(line: bytes) -> Record | None:
    """Read a line; None when it is no record."""
    try:
        content = json.loads(line)
        record = Record(**content)
    except (ValueError, TypeError, RecursionError):
        return None
    texts = (record.boot, record.event, record.hash)
    fine = isinstance(record.seq, int) and isinstance(record.facts, dict)
    timed = all(isinstance(s, int | float) for s in (record.wall_s, record.mono_s))
    return record if fine and timed and all(isinstance(t, str) for t in texts) else None


def parse_cut(line: bytes) -> Cut | None:
    """Read a line; None when it is no cut."""
    try:
        cut = Cut(**json.loads(line)["cut"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    fine = isinstance(cut.removed, int) and isinstance(cut.hash, str) and isinstance(cut.mac, str)
    timed = all(isinstance(s, int | float) for s in (cut.first_wall_s, cut.last_wall_s))
    return cut if fine and timed else None


def seal_key(key: bytes, before: bytes) -> str:
    """Seal the trail's key of before under the new one."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return (nonce + AESGCM(key).encrypt(nonce, before, ROTATED.encode())).hex()


def unseal_key(key: bytes, record: Record) -> bytes | None:
    """Take the trail's key of before out of a record; None when it was not sealed under `key`."""
    try:
        sealed = bytes.fromhex(str(record.facts["previous"]))
        return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], ROTATED.encode())
    except (InvalidTag, ValueError, KeyError):
        return None


def _mac(key: bytes, before: str, plain: Mapping[str, Any]) -> str:
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    return hmac.new(key, f"{before}{text}".encode(), hashlib.sha256).hexdigest()
