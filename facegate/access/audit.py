"""The audit trail: an append-only file of records, each bound to the one before by a keyed hash.

One JSON object a line. `hash` is HMAC-SHA-256 over the record and the hash before it, with a key
derived from the store's: whoever cannot read that key cannot change, remove, insert or reorder a
record unnoticed. How far the trail reached stands in a second file, so that a cut-off end is
noticed too. People appear by number only: forgetting one does not touch the trail.

A record is on disk when `append` returns. A power cut can leave one torn line at the end, which was
never acknowledged; it is cut off when the trail is opened.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from facegate.access.keys import sync_folder
from facegate.errors import StoreError

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
BEGINNING = "0" * 64
"""Stands for the hash before the first record."""

Fact = str | int | float | bool | None


@dataclass(frozen=True)
class Record:
    """One thing that happened.

    Attributes:
        seq: 1, 2, 3 …
        wall_s: seconds since the epoch. mono_s: monotonic seconds of the boot named by `boot`.
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


@dataclass(frozen=True)
class Finding:
    """What `verify` found: so many sound records, and the first problem, if any."""

    records: int
    problem: str | None


class AuditTrail:
    """The open trail; one thread writes it.

    Make one with `AuditTrail.open`.
    """

    def __init__(self, path: Path, key: bytes, last: Record | None) -> None:
        self.path, self._key = path, key
        self._seq, self._hash = (last.seq, last.hash) if last else (0, BEGINNING)
        try:
            self._boot = BOOT_ID.read_text().strip()
        except OSError:
            self._boot = "unknown"
        self._descriptor: int | None = os.open(
            path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600
        )

    @classmethod
    def open(cls, path: Path, key: bytes) -> AuditTrail:
        """Open the trail to go on where it ends, or begin one.

        A trail that does not verify is gone on with nevertheless, from its last readable record:
        what happens from now on must be recorded, and `verify` goes on naming what is wrong.

        Args:
            path: of the file; its folder must exist.
            key: of the store, 32 bytes.

        Raises:
            StoreError: the file cannot be read or written.
        """
        try:
            _cut_torn_end(path)
            last = None
            if path.exists():
                for line in path.read_bytes().splitlines():
                    last = _parse(line) or last
            return cls(path, trail_key(key), last)
        except OSError as error:
            raise StoreError(f"{path}: {error.strerror}; check its owner and the disk") from error

    def append(
        self,
        event: str,
        facts: Mapping[str, Fact],
        wall_s: float | None = None,
        mono_s: float | None = None,
    ) -> Record:
        """Record something; it is on disk when this returns.

        Raises:
            StoreError: it cannot be written; the trail is as it was before.
        """
        if self._descriptor is None:
            raise StoreError(f"{self.path}: the trail is closed")
        plain: dict[str, Any] = {
            "seq": self._seq + 1,
            "wall_s": round(time.time() if wall_s is None else wall_s, 3),
            "mono_s": round(time.monotonic() if mono_s is None else mono_s, 3),
            "boot": self._boot,
            "event": event,
            "facts": dict(facts),
        }
        record = Record(**plain, hash=_chained(self._key, self._hash, plain))
        line = json.dumps(asdict(record), separators=(",", ":")).encode() + b"\n"
        before = os.fstat(self._descriptor).st_size
        try:
            if os.write(self._descriptor, line) != len(line):
                raise OSError(28, "the disk is full")
            os.fsync(self._descriptor)
        except OSError as error:
            os.ftruncate(self._descriptor, before)
            raise StoreError(f"{self.path}: cannot be written: {error.strerror}") from error
        self._seq, self._hash = record.seq, record.hash
        _write_head(self.path, self._key, record)
        return record

    def close(self) -> None:
        """Let the file go; may be called again."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def trail_key(key: bytes) -> bytes:
    """Derive the trail's key from the store's."""
    return hmac.digest(key, b"facegate audit 1", hashlib.sha256)


def read(path: Path, keep: Callable[[Record], bool] = lambda _: True) -> Iterator[Record]:
    """Give the readable records in the file's order.

    Raises:
        StoreError: the file cannot be read.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}; nothing was recorded here yet?") from error
    for line in content.splitlines():
        record = _parse(line)
        if record is not None and keep(record):
            yield record


def verify(path: Path, key: bytes) -> Finding:
    """Check the whole trail.

    Args:
        path: of the trail.
        key: of the store, 32 bytes.

    Raises:
        StoreError: the file cannot be read.
    """
    derived = trail_key(key)
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}; nothing was recorded here yet?") from error
    before, sound = BEGINNING, 0
    for number, line in enumerate(lines[:-1], start=1):
        record = _parse(line)
        if record is None:
            return Finding(sound, f"line {number}: damaged, not a record")
        if record.seq != sound + 1:
            return Finding(
                sound,
                f"line {number}: record {record.seq} where {sound + 1} belongs; records were "
                "removed, inserted or reordered",
            )
        plain = {k: v for k, v in asdict(record).items() if k != "hash"}
        if not hmac.compare_digest(record.hash, _chained(derived, before, plain)):
            return Finding(sound, f"line {number}: record {record.seq} was changed")
        before, sound = record.hash, record.seq
    reached = _read_head(path, derived)
    if reached is None and sound:
        return Finding(sound, f"{_head(path).name} is missing or was changed")
    if reached is not None and reached > sound:
        return Finding(sound, f"cut off: the trail reached record {reached}, it ends at {sound}")
    return Finding(sound, None)


def _chained(key: bytes, before: str, plain: Mapping[str, Any]) -> str:
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    return hmac.new(key, f"{before}{text}".encode(), hashlib.sha256).hexdigest()


def _parse(line: bytes) -> Record | None:
    try:
        record = Record(**json.loads(line))
    except (ValueError, TypeError):
        return None
    fine = isinstance(record.seq, int) and isinstance(record.facts, dict)
    return record if fine and isinstance(record.hash, str) else None


def _cut_torn_end(path: Path) -> None:
    """Remove what follows the last whole line."""
    if not path.exists():
        return
    with path.open("r+b") as file:
        content = file.read()
        if content and not content.endswith(b"\n"):
            file.truncate(content.rfind(b"\n") + 1)
            os.fsync(file.fileno())


def _head(path: Path) -> Path:
    return path.with_suffix(".head")


def _write_head(path: Path, key: bytes, record: Record) -> None:
    """Note how far the trail reaches; after a power cut the note may be older, never newer."""
    text = f"{record.seq} {record.hash}"
    mac = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    head = _head(path)
    scratch = head.with_suffix(".head.new")
    try:
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(f"{text} {mac}\n")
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(head)
        sync_folder(head.parent)
    except OSError as error:
        raise StoreError(f"{head}: cannot be written: {error.strerror}") from error


def _read_head(path: Path, key: bytes) -> int | None:
    try:
        seq, last, mac = _head(path).read_text().split()
    except (OSError, ValueError):
        return None
    wanted = hmac.new(key, f"{seq} {last}".encode(), hashlib.sha256).hexdigest()
    return int(seq) if hmac.compare_digest(mac, wanted) else None
