"""The newest events, kept in memory for those who follow them as they happen."""

from __future__ import annotations

import secrets
import threading
from collections import deque
from dataclasses import dataclass

from facegate.journal import Event

KEPT = 500
"""Events; of an older one there is only the gap in the numbers."""


@dataclass(frozen=True)
class Entry:
    """An event and its number: 1 is the first since the start."""

    seq: int
    event: Event


class Feed:
    """A journal sink that keeps the newest events; nobody who follows them makes it wait.

    Args:
        kept: so many of them.

    Attributes:
        start: of the daemon, by a random name: numbers begin anew with each.
    """

    def __init__(self, kept: int = KEPT) -> None:
        self._entries: deque[Entry] = deque(maxlen=kept)
        self._seq = 0
        self.start = secrets.token_hex(4)
        self._news = threading.Condition()

    def __call__(self, event: Event) -> None:
        """Take an event."""
        with self._news:
            self._seq += 1
            self._entries.append(Entry(self._seq, event))
            self._news.notify_all()

    def begin(self, after: int | None, start: str | None = None) -> int:
        """Give the number after which to follow.

        Args:
            after: the last one known; None where only what comes from now on is wanted. One that
                was not reached yet is of an earlier start: all that is kept is news then.
            start: in which it was known, if that is told; in another all that is kept is news.
        """
        with self._news:
            if after is None:
                return self._seq
            return after if after <= self._seq and start in (None, self.start) else 0

    def after(self, seq: int, wait_s: float) -> list[Entry]:
        """Give what came after a number, oldest first.

        Args:
            seq: the last one known.
            wait_s: where nothing has come, wait for so long until something does, or until `wake`.
        """
        with self._news:
            if self._seq <= seq:
                self._news.wait(wait_s)
            return [entry for entry in self._entries if entry.seq > seq]

    def wake(self) -> None:
        """Let nobody wait any longer just now."""
        with self._news:
            self._news.notify_all()
