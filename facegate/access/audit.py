"""The audit trail: an append-only file of records, each bound to the one before by a keyed hash.

One JSON object a line. `hash` is HMAC-SHA-256 over the record and the hash before it, with a key
derived from the store's: whoever cannot read that key cannot change, remove, insert or reorder a
record unnoticed. How far the trail reached stands in a second file, so that a cut-off end is
noticed too. People appear by number only: forgetting one does not touch the trail.

A record is on disk when `append` returns. A power cut can leave one torn line at the end, which was
never acknowledged; it is cut off when the trail is opened. Several programs may write: each looks,
under a lock, where the trail has got to.
"""

from __future__ import annotations

import fcntl
import hashlib
import math
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facegate.access.audit_age import DAY_S, led_up_to, outlived, too_old
from facegate.access.audit_check import (
    Finding,
    goes_on_under,
    head_path,
    read_head,
    verify,
    verify_lines,
    write_head,
)
from facegate.access.audit_file import all_trails, cut_torn_end, end_of, newest, open_file, read
from facegate.access.audit_record import (
    BEGINNING,
    ROTATED,
    UNKNOWN_BOOT,
    Cut,
    Fact,
    Record,
    chained,
    parse,
    parse_cut,
    seal_key,
    trail_key,
)
from facegate.access.files import drop_scratch, is_file_at, write_whole
from facegate.closing import Closing
from facegate.errors import StoreError

__all__ = [
    "AuditTrail",
    "Fact",
    "Finding",
    "Limits",
    "Record",
    "all_trails",
    "newest",
    "read",
    "verify",
]

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
STEADY_S = DAY_S / 2
"""A gate that is started anew every night comes to this, too; where it is off then: `led_up_to`."""
CLOCK_SLACK_S = 60.0
"""A clock that is off by more than before was set; by less, it was corrected on the way."""


@dataclass(frozen=True)
class Limits:
    """What a trail may keep: bytes, and seconds since a record was written (None: for ever)."""

    max_bytes: int = 16 << 20
    keep_s: float | None = None


class AuditTrail(Closing):
    """The open trail; one thread writes it.

    Make one with `AuditTrail.open`.

    Attributes:
        believed: says whether the clock can be believed. Only if it can, and was not set for half a
            day, or a week of records leads up to it, are records taken out for their age: else one
            record of a clock that is ahead would end all of them.
        cut: called with what was taken out, when the limits made that necessary.
        unnoted: called once with why it cannot be noted how far the trail reaches. What is recorded
            is on disk nevertheless; only a cut-off end would not show.
    """

    def __init__(self, path: Path, key: bytes, limits: Limits) -> None:
        self.path, self._key, self._limits = path, key, limits
        self.believed: Callable[[], bool] = lambda: False
        self.cut: Callable[[Cut], None] = lambda _: None
        self.unnoted: Callable[[str], None] = lambda _: None
        self._told = False
        try:
            self._boot = BOOT_ID.read_text(encoding="utf-8").strip()
        except OSError:
            self._boot = UNKNOWN_BOOT
        self._descriptor: int | None = open_file(path)
        self._reached = (0, BEGINNING)
        self._size = -1
        self._look_again_s = 0.0
        self._clock_off_s, self._steady_from_s, self._believed = math.nan, 0.0, False

    @classmethod
    def open(cls, path: Path, key: bytes, limits: Limits | None = None) -> AuditTrail:
        """Open the trail to go on where it ends, or begin one. Only its end is read.

        A trail that does not verify is gone on with nevertheless, behind the last record that it
        is known to have had: what happens from now on must be recorded, and `verify` goes on naming
        what is wrong.

        Args:
            path: of the file; its folder must exist.
            key: of the store, 32 bytes.
            limits: what is kept; looked at when records are written.

        Raises:
            StoreError: the file cannot be read or written.
        """
        try:
            trail = cls(path, trail_key(key), limits or Limits())
            with trail._alone():
                for written in (path, head_path(path)):
                    drop_scratch(path.parent, re.escape(written.name))
                if trail.is_new:  # from now on, a trail without its note has lost it
                    with suppress(StoreError):  # a full disk is told when something is recorded
                        write_head(path, trail._key, trail._reached)
        except OSError as error:
            why = f"{error.strerror}; check its owner and the disk"
            if path.is_symlink():
                why = "a symbolic link, which is not followed; put the file itself there"
            raise StoreError(f"{path}: {why}") from error
        return trail

    @property
    def is_new(self) -> bool:
        """Whether nothing was ever recorded in it, as far as can be told."""
        return self._reached[0] == 0

    def append(
        self,
        event: str,
        facts: Mapping[str, Fact],
        wall_s: float | None = None,
        mono_s: float | None = None,
    ) -> Record:
        """Record something; it is on disk when this returns.

        Args:
            event: name of the journal's event.
            facts: what belongs to it; people by number.
            wall_s: when it happened, seconds since the epoch; None is now.
            mono_s: the same, monotonic seconds of this boot; None is now.

        Raises:
            StoreError: it cannot be written; the trail is as it was before.
        """
        if self._descriptor is None:
            raise StoreError(f"{self.path}: the trail is closed")
        try:
            with self._alone() as descriptor:
                record = self._write(descriptor, event, facts, wall_s, mono_s)
                with suppress(OSError, StoreError):  # a disk too full for that is told elsewhere
                    self._trim(record.wall_s, by_age=self._steady(record))
                return record
        except OSError as error:
            raise StoreError(f"{self.path}: cannot be written: {error.strerror}") from error

    def rotate(self, old: bytes, new: bytes) -> None:
        """Go on under another key; what is recorded already stays bound by the new one.

        Args:
            old, new: keys of the store, 32 bytes each. Doing it again changes nothing.

        Raises:
            StoreError: the trail cannot be written.
        """
        key = trail_key(new)
        try:
            with self._alone():
                self._key = key
                lines = self.path.read_bytes().splitlines(keepends=True)
                last = next((r for r in map(parse, reversed(lines)) if r), None)
                if last and goes_on_under(self.path, new):
                    write_head(self.path, key, last.reached)
                    return
                if lines and (cut := parse_cut(lines[0])) is not None:
                    lines[0] = cut.signed(key).line
                sealed = seal_key(key, trail_key(old))
                record = self._record(ROTATED, {"previous": sealed}, None, None)
                write_whole(self.path, b"".join([*lines, record.line]))
                write_head(self.path, key, record.reached)
        except OSError as error:
            raise StoreError(f"{self.path}: cannot be written: {error.strerror}") from error

    def renew(self, problem: str, by: str) -> Path:
        """Put a trail that is not whole aside, and begin one whose first record tells of it.

        Args:
            problem: what is wrong with it.
            by: who wants that.

        Returns:
            Where the old trail lies; nothing is lost of it.

        Raises:
            StoreError: something cannot be written; broken off, it can be done again.
        """
        try:
            with self._alone():
                aside = self._free_name()
                os.link(self.path, aside)
                content = aside.read_bytes()
                self._reached = (0, BEGINNING)
                facts = {
                    "problem": problem,
                    "aside": aside.name,
                    "sha256": hashlib.sha256(content).hexdigest(),
                    "by": by,
                }
                record = self._record("audit_renewed", facts, None, None)
                # The trail first: broken off here, it looks cut off, and can be begun anew again.
                write_whole(self.path, record.line)
                write_head(self.path, self._key, record.reached)
        except OSError as error:
            raise StoreError(f"{self.path}: cannot be written: {error.strerror}") from error
        return aside

    def trim(self, by: str, now_s: float | None = None) -> None:
        """Take out what is older than the limits say, whoever vouches for the clock.

        Args:
            by: who does; it is recorded.
            now_s: seconds since the epoch; None is now.

        Raises:
            StoreError: something cannot be read or written.
        """
        now_s = time.time() if now_s is None else now_s
        if (keep_s := self._limits.keep_s) is None:
            return
        try:
            with self._alone():
                self._drop_outlived(now_s - keep_s, now_s, by=by)
                self._take_out(now_s, keep_s, 0, by=by)
        except OSError as error:
            raise StoreError(f"{self.path}: cannot be written: {error.strerror}") from error

    def _free_name(self) -> Path:
        """Give a name for a trail that is put aside, by the second; one broken off may have it."""
        stem = f"{self.path.stem}-{time.strftime('%Y%m%d-%H%M%S')}"
        path, number = self.path.with_name(f"{stem}.jsonl"), 1
        while path.exists():
            number += 1
            path = self.path.with_name(f"{stem}-{number}.jsonl")
        return path

    def close(self) -> None:
        """Let the file go; may be called again."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    @contextmanager
    def _alone(self) -> Iterator[int]:
        """Hold the lock, with the file that is the trail now, and knowing where it ends."""
        while True:
            descriptor = self._descriptor
            assert descriptor is not None
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if is_file_at(descriptor, self.path):
                break
            # Somebody put another file in its place. First that one: if it cannot be opened, the
            # number of the old one must not be closed twice.
            self._descriptor, self._size = open_file(self.path), -1
            os.close(descriptor)
        try:
            if os.fstat(descriptor).st_size != self._size:
                cut_torn_end(descriptor)
                self._reached = self._end()
            yield descriptor
            self._size = os.fstat(descriptor).st_size
        except BaseException:
            self._size = -1
            raise
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)

    def _end(self) -> tuple[int, str]:
        """Give what the next record goes on from; where the end was cut off, a number is left out.

        Left as they are, numbers and hashes would go on as if nothing had been there. Where all of
        it was removed while it was open, it goes on from what is remembered.
        """
        found, noted = end_of(self.path), read_head(self.path, self._key)
        if noted is None:
            return (found[0] + 1, found[1]) if found[0] else self._reached
        return max(found, noted, key=lambda reached: reached[0])

    def _record(
        self, event: str, facts: Mapping[str, Fact], wall_s: float | None, mono_s: float | None
    ) -> Record:
        seq, before = self._reached
        plain: dict[str, Any] = {
            "seq": seq + 1,
            "wall_s": round(time.time() if wall_s is None else wall_s, 3),
            "mono_s": round(time.monotonic() if mono_s is None else mono_s, 3),
            "boot": self._boot,
            "event": event,
            "facts": dict(facts),
        }
        return Record(**plain, hash=chained(self._key, before, plain))

    def _write(
        self,
        descriptor: int,
        event: str,
        facts: Mapping[str, Fact],
        wall_s: float | None = None,
        mono_s: float | None = None,
    ) -> Record:
        record = self._record(event, facts, wall_s, mono_s)
        before = os.fstat(descriptor).st_size
        try:
            if os.write(descriptor, record.line) != len(record.line):
                raise OSError(28, "the disk is full")
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, before)
            raise
        self._reached = record.reached
        try:
            write_head(self.path, self._key, self._reached)
            self._told = False
        except StoreError as error:
            if not self._told:
                self._told = True
                self.unnoted(str(error))
        return record

    def _steady(self, record: Record) -> bool:
        """Whether the clock can be believed, and nobody set it for `STEADY_S`, or for a week."""
        off_s, believed = record.wall_s - record.mono_s, self.believed()
        as_before = abs(off_s - self._clock_off_s) <= CLOCK_SLACK_S
        if not (believed and self._believed and as_before):
            self._clock_off_s, self._steady_from_s = off_s, record.mono_s
            if believed and led_up_to(self.path):
                self._steady_from_s -= STEADY_S
        self._believed = believed
        return believed and record.mono_s - self._steady_from_s >= STEADY_S

    def _trim(self, now_s: float, by_age: bool) -> None:
        """Take the oldest records out where the limits say so."""
        keep_s, size = self._limits.keep_s if by_age else None, self.path.stat().st_size
        excess = 0
        if size > self._limits.max_bytes:  # down to half, so that this is seldom done
            excess = size - self._limits.max_bytes // 2
        looked = self._look_again_s - DAY_S <= now_s < self._look_again_s  # the clock may go back
        if not excess and (keep_s is None or looked):
            return
        self._look_again_s = now_s + DAY_S
        if keep_s is not None:
            self._drop_outlived(now_s - keep_s, now_s)
            if not excess and not self._may_begin_before(now_s - keep_s, now_s):
                return
        self._take_out(now_s, keep_s, excess)

    def _drop_outlived(self, before_s: float, now_s: float, **facts: Fact) -> None:
        """Remove the trails put aside that hold nothing younger, and record each."""
        assert self._descriptor is not None
        for aside in outlived(self.path, before_s, now_s):
            self._write(self._descriptor, "audit_cut", {"aside": aside.name, **facts}, now_s)
            aside.unlink()

    def _take_out(self, now_s: float, keep_s: float | None, excess: int, **facts: Fact) -> None:
        """Take out what is too old, and so many bytes at least, and record that."""
        lines = self.path.read_bytes().splitlines(keepends=True)
        old_cut = parse_cut(lines[0]) if lines else None
        stop = start = 0 if old_cut is None else 1
        while stop < len(lines) - 1 and excess > 0:  # the last record always stays
            excess -= len(lines[stop])
            stop += 1
        if keep_s is not None:
            stop = max(stop, start + too_old(lines[start:-1], now_s - keep_s, now_s))
        gone = [r for r in map(parse, lines[start:stop]) if r]
        if not gone:
            return
        cut = Cut(
            removed=gone[-1].seq,
            hash=gone[-1].hash,
            first_wall_s=old_cut.first_wall_s if old_cut else gone[0].wall_s,
            last_wall_s=gone[-1].wall_s,
            problem=verify_lines([line.rstrip(b"\n") for line in lines], self._key).problem,
        ).signed(self._key)
        facts = {"removed": cut.removed, "hash": cut.hash, **facts}
        record = self._record("audit_cut", facts, now_s, None)
        write_whole(self.path, b"".join([cut.line, *lines[stop:], record.line]))
        write_head(self.path, self._key, record.reached)
        self.cut(cut)

    def _may_begin_before(self, wall_s: float, now_s: float) -> bool:
        """Whether the oldest readable record is older, or by a clock that was ahead.

        Only the file's beginning is read.
        """
        with self.path.open("rb") as file:
            oldest = next((r for r in map(parse, file) if r), None)
        return oldest is not None and not wall_s <= oldest.wall_s <= now_s
