"""What of the audit trail is older than it may be, and whether the clock leads up to that."""

from __future__ import annotations

from pathlib import Path

from facegate.access.audit_file import all_trails, dated, newest
from facegate.access.audit_record import Record, parse
from facegate.errors import StoreError

DAY_S = 86_400.0
LEAD_S = 7 * DAY_S
"""A clock that jumped ahead is noticed within a week, or it is right."""
PAUSE_S = 3 * DAY_S
"""A weekend without power."""


def too_old(lines: list[bytes], before_s: float, now_s: float) -> int:
    """Count the lines up to the last record that is older, with none that is younger before it.

    One of a clock that was ahead is no reason to keep those behind it, nor to take them out.
    """
    readable = [(k, r) for k, r in enumerate(map(parse, lines)) if r is not None]
    count = 0
    for (k, _), written_s in zip(readable, dated([r for _, r in readable]), strict=True):
        if before_s <= written_s <= now_s:
            break
        if written_s < before_s:
            count = k + 1
    return count


def overdue(path: Path, before_s: float, now_s: float) -> str:
    """Say how many records and trails put aside are older, or nothing where none is.

    The last record of a trail always stays.

    Raises:
        OSError, StoreError: a trail cannot be read.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror}") from error
    old = [r for r in map(parse, lines[: too_old(lines[:-1], before_s, now_s)]) if r]
    aside = outlived(path, before_s, now_s)
    return f"{len(old)} records and {len(aside)} trails put aside" if old or aside else ""


def outlived(path: Path, before_s: float, now_s: float) -> list[Path]:
    """Give the trails put aside whose newest record is older.

    One of a clock that was ahead says nothing; where no other can be read, the file's time does.

    Raises:
        OSError, StoreError: one of them cannot be read.
    """
    aside = [p for p in all_trails(path) if p != path]
    return [
        p
        for p in aside
        if next((r.wall_s for r in newest(p) if r.wall_s <= now_s), p.stat().st_mtime) < before_s
    ]


def led_up_to(path: Path) -> bool:
    """Whether a week of records leads up to the last one without a jump of the clock.

    So a gate that is switched off every night is believed as one that runs through.

    Raises:
        StoreError: the trail cannot be read.
    """
    last: Record | None = None
    later_s = 0.0
    for record in newest(path):
        if last is None:
            last = record
        elif not -DAY_S <= later_s - record.wall_s <= PAUSE_S:
            return False
        elif last.wall_s - record.wall_s >= LEAD_S:
            return True
        later_s = record.wall_s
    return False
