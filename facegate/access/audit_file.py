"""The trail's file: opened, read from the front or from its end, rid of a torn last line."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from facegate.access.audit_record import BEGINNING, UNKNOWN_BOOT, Record, parse, parse_cut
from facegate.access.files import hand_to_owner
from facegate.errors import StoreError

BLOCK_BYTES = 1 << 16
"""Read at once, going backwards."""


def read(path: Path, keep: Callable[[Record], bool] = lambda _: True) -> Iterator[Record]:
    """Give the readable records in the file's order; nothing is verified.

    Args:
        path: of the trail.
        keep: which records to give.

    Raises:
        StoreError: the file cannot be read; said when the first record is asked for.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}; nothing was recorded here yet?") from error
    for line in content.splitlines():
        record = parse(line)
        if record is not None and keep(record):
            yield record


def dated(records: Sequence[Record]) -> list[float]:
    """Say when each was written, seconds since the epoch, by the clock at the end of its boot.

    A clock without a battery is set some time after the start, and what was written before that is
    dated wrong; the monotonic clock knows how long it was before the boot's last record.
    """
    last = {r.boot: r for r in records if r.boot != UNKNOWN_BOOT}
    return [
        r.wall_s if (end := last.get(r.boot)) is None else end.wall_s - (end.mono_s - r.mono_s)
        for r in records
    ]


def newest(path: Path) -> Iterator[Record]:
    """Give the readable records from the last to the first; only what is asked for is read.

    Raises:
        StoreError: the file cannot be read; said when a record is asked for.
    """
    try:
        for line in _lines_backwards(path):
            record = parse(line)
            if record is not None:
                yield record
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror}; check the disk") from error


def all_trails(path: Path) -> list[Path]:
    """Give the trails that `AuditTrail.renew` put aside, and the one that goes on, if there."""
    return [p for p in (*sorted(path.parent.glob(f"{path.stem}-*.jsonl")), path) if p.is_file()]


def read_all(path: Path) -> Iterator[Record]:
    """Give the readable records of all trails, those put aside first; none where there is none.

    Raises:
        StoreError: a trail cannot be read.
    """
    for trail in all_trails(path):
        yield from read(trail)


def open_file(path: Path) -> int:
    """Open the file to append to it, or make it with mode 0600; gives the descriptor.

    Raises:
        OSError: it cannot be opened or made, or is a symbolic link: root would make the file that
            the folder's owner, who may not, points at.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    if os.fstat(descriptor).st_size == 0:
        hand_to_owner(descriptor, path.parent)
    return descriptor


def end_of(path: Path) -> tuple[int, str]:
    """Give number and hash of the last record, or those a cut stands for.

    Returns:
        0 and `BEGINNING` where there is neither.

    Raises:
        OSError: the file cannot be read.
    """
    for line in _lines_backwards(path):
        if (record := parse(line)) is not None:
            return record.reached
        if (cut := parse_cut(line)) is not None:
            return cut.removed, cut.hash
    return 0, BEGINNING


def cut_torn_end(descriptor: int) -> None:
    """Remove what follows the last whole line of an open trail: a power cut tore it.

    Raises:
        OSError: the file cannot be read or cut.
    """
    size = at = os.fstat(descriptor).st_size
    while at > 0:
        step = min(BLOCK_BYTES, at)
        at -= step
        found = os.pread(descriptor, step, at).rfind(b"\n")
        if found >= 0:
            at += found + 1
            break
    if at < size:
        os.ftruncate(descriptor, at)
        os.fsync(descriptor)


def _lines_backwards(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        at, rest = file.seek(0, os.SEEK_END), b""
        while at > 0:
            step = min(BLOCK_BYTES, at)
            at -= step
            file.seek(at)
            rest = file.read(step) + rest
            first, *whole = rest.split(b"\n")
            for line in reversed(whole):
                if line:
                    yield line
            rest = first
        if rest:
            yield rest
