"""A bounded channel between two threads, with a stated overflow policy and counted drops."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

T = TypeVar("T")

Overflow = Literal["drop-oldest", "wait"]


class ChannelClosed(Exception):
    """The channel was closed; for `get`, also emptied."""


@dataclass(frozen=True)
class ChannelCounts:
    """How many items went in, came out, were dropped, wait now, and waited at most at once."""

    put: int
    got: int
    dropped: int
    waiting: int
    most_waiting: int


class Channel(Generic[T]):
    """Items from one thread to another, never more than `capacity` of them.

    Args:
        capacity: bound, at least 1.
        overflow: `drop-oldest` makes room by dropping the oldest item that may be dropped; `wait`
            makes `put` wait for room.
        keep: items for which it is true are never dropped; when nothing else can make room, `put`
            waits, unless the new item itself may be dropped.
        ring: called after an item was put, and when the channel is closed.
    """

    def __init__(
        self,
        capacity: int,
        overflow: Overflow = "drop-oldest",
        keep: Callable[[T], bool] = lambda _item: False,
        ring: Callable[[], None] = lambda: None,
    ) -> None:
        if capacity < 1:
            raise ValueError(f"capacity is {capacity}, must be at least 1")
        self.capacity, self._overflow, self._keep, self._ring = capacity, overflow, keep, ring
        self._items: deque[T] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._put = self._got = self._dropped = self._most = 0

    def put(self, item: T) -> bool:
        """Hand an item over.

        Returns:
            Whether it was taken; False when it was dropped itself.

        Raises:
            ChannelClosed: nobody will read it.
        """
        with self._changed:
            while True:
                if self._closed:
                    raise ChannelClosed
                if len(self._items) < self.capacity:
                    break
                if self._overflow == "drop-oldest":
                    if self._drop_oldest():
                        break
                    if not self._keep(item):
                        self._put += 1
                        self._dropped += 1
                        return False
                self._changed.wait()
            self._items.append(item)
            self._put += 1
            self._most = max(self._most, len(self._items))
            self._changed.notify_all()
        self._ring()
        return True

    def get(self, timeout_s: float | None = None) -> T | None:
        """Take the oldest item, or None when none came in time.

        Raises:
            ChannelClosed: closed, and all items were taken.
        """
        until_s = None if timeout_s is None else time.monotonic() + timeout_s
        with self._changed:
            while not self._items:
                if self._closed:
                    raise ChannelClosed
                left_s = None if until_s is None else until_s - time.monotonic()
                if left_s is not None and left_s <= 0:
                    return None
                self._changed.wait(left_s)
            self._got += 1
            item = self._items.popleft()
            self._changed.notify_all()
            return item

    def __iter__(self) -> Iterator[T]:
        """Take items until the channel is closed and empty."""
        while True:
            try:
                item = self.get()
            except ChannelClosed:
                return
            if item is not None:
                yield item

    def close(self) -> None:
        """Refuse new items and wake everybody; what waits can still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._ring()

    @property
    def closed(self) -> bool:
        """Whether new items are refused."""
        with self._changed:
            return self._closed

    @property
    def counts(self) -> ChannelCounts:
        """What has passed so far."""
        with self._changed:
            return ChannelCounts(self._put, self._got, self._dropped, len(self._items), self._most)

    def _drop_oldest(self) -> bool:
        for index, item in enumerate(self._items):
            if not self._keep(item):
                del self._items[index]
                self._dropped += 1
                return True
        return False
