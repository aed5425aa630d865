"""Is the audit trail whole? The first line that is not is named."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from pathlib import Path

from facegate.access.audit_record import (
    BEGINNING,
    ROTATED,
    fits,
    parse,
    parse_cut,
    trail_key,
    unseal_key,
)
from facegate.access.files import write_whole
from facegate.errors import StoreError


@dataclass(frozen=True)
class Finding:
    """What `verify` found.

    Attributes:
        records: sound ones, from the beginning of the trail on, those taken out included.
        problem: the first, if any.
        removed: how many of them were taken out by a signed cut.
    """

    records: int
    problem: str | None
    removed: int = 0


def verify(path: Path, key: bytes) -> Finding:
    """Check the whole trail.

    Args:
        path: of the trail.
        key: of the store, 32 bytes.

    Raises:
        StoreError: the file cannot be read.
    """
    newest = trail_key(key)
    reached = 0
    try:
        head = read_head(path, newest)  # before the lines: the daemon may be writing
        reached = 0 if head is None else head[0]
        lines = path.read_bytes().split(b"\n")[:-1]
    except FileNotFoundError as error:
        if reached:
            return Finding(0, f"{path.name} is missing: the trail reached record {reached}")
        raise StoreError(f"{path}: {error.strerror}; nothing was recorded here yet?") from error
    except OSError as error:
        raise StoreError(f"{error.filename}: cannot be read: {error.strerror}") from error
    finding = verify_lines(lines, newest)
    if finding.problem is not None:
        return finding
    sound = finding.records
    if head is None and sound:
        problem: str | None = f"{head_path(path).name} is missing or was changed"
    elif reached > sound:
        problem = f"cut off: the trail reached record {reached}, it ends at {sound}"
    else:
        problem = None
    return Finding(sound, problem, finding.removed)


def verify_lines(lines: list[bytes], newest: bytes) -> Finding:
    """Check the lines of a trail.

    Args:
        lines: without their ends.
        newest: the trail's present key.

    Returns:
        What is wrong with them; a cut-off end cannot be seen in them.
    """
    before, sound, removed = BEGINNING, 0, 0
    start = 0
    if lines and (cut := parse_cut(lines[0])) is not None:
        if not hmac.compare_digest(cut.mac, cut.signed(newest).mac):
            return Finding(0, "line 1: the cut was changed")
        before, sound, removed, start = cut.hash, cut.removed, cut.removed, 1
        if cut.problem is not None:
            return Finding(0, f"already when records were taken out: {cut.problem}")
    keys, forged = _keys(lines, newest)
    if forged is not None:
        return Finding(sound, forged, removed)
    for number, line in enumerate(lines[start:], start=start + 1):
        record = parse(line)
        if record is None:
            return Finding(sound, f"line {number}: damaged, not a record", removed)
        if record.seq != sound + 1:
            return Finding(
                sound,
                f"line {number}: record {record.seq} where {sound + 1} belongs; records were "
                "removed, inserted or reordered",
                removed,
            )
        if record.event == ROTATED:
            keys.pop(0)
        if not fits(record, keys[0], before):
            return Finding(sound, f"line {number}: record {record.seq} was changed", removed)
        before, sound = record.hash, record.seq
    return Finding(sound, None, removed)


def _keys(lines: list[bytes], newest: bytes) -> tuple[list[bytes], str | None]:
    """Give the keys of the trail, oldest first; each change of key carries the one before."""
    keys = [newest]
    for number in range(len(lines), 0, -1):
        line = lines[number - 1]
        if ROTATED.encode() not in line:
            continue
        record = parse(line)
        if record is None or record.event != ROTATED:
            continue
        older = unseal_key(keys[0], record)
        if older is None:
            return keys, f"line {number}: record {record.seq} was changed"
        keys.insert(0, older)
    return keys, None


def goes_on_under(path: Path, key: bytes) -> bool:
    """Whether a trail was sealed anew under a key of a store, 32 bytes, and verifies only by it.

    Raises:
        OSError: it is there and cannot be read.
    """
    newest = trail_key(key)
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return False
    records = (parse(line) for line in reversed(lines) if ROTATED.encode() in line)
    return any(r and r.event == ROTATED and unseal_key(newest, r) is not None for r in records)


def head_path(path: Path) -> Path:
    """Give the file that says how far the trail reached."""
    return path.with_suffix(".head")


def write_head(path: Path, key: bytes, reached: tuple[int, str]) -> None:
    """Note how far the trail reaches; after a power cut the note may be older, never newer.

    Args:
        path: of the trail.
        key: of the trail.
        reached: number and hash of its last record.

    Raises:
        StoreError: it cannot be written.
    """
    text = f"{reached[0]} {reached[1]}"
    mac = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    head = head_path(path)
    try:
        write_whole(head, f"{text} {mac}\n".encode())
    except OSError as error:
        raise StoreError(f"{head}: cannot be written: {error.strerror}") from error


def read_head(path: Path, key: bytes) -> tuple[int, str] | None:
    """Give how far the trail reached; None when the note is missing or was changed.

    Raises:
        OSError: it is there and cannot be read.
    """
    try:
        seq, last, mac = head_path(path).read_text(encoding="utf-8").split()
        wanted = hmac.new(key, f"{seq} {last}".encode(), hashlib.sha256).hexdigest()
        return (int(seq), last) if hmac.compare_digest(mac, wanted) else None
    except (FileNotFoundError, ValueError, TypeError):
        return None
