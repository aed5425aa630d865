"""Says the same thing once and then how often, so that a person standing there fills no card.

The first of a kind is written at once. What repeats within `WINDOW_S` is counted, and the count is
written when the time is up, as `repeated`; as long as it goes on, that is one line a window. Only
what a face before the camera can cause over and over is ever held back: never a grant, a movement
of the door, an alarm, a command or a change. The audit trail holds back nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from facegate.events import EventName
from facegate.journal import Event, Sink

WINDOW_S = 600.0
MOST_KINDS = 256
"""Kinds that are counted at the same time; the oldest is closed for another."""

KINDS: dict[EventName, tuple[str, ...]] = {
    "face_refused": ("reasons",),
    "unknown": ("reason",),
    "denied": ("person", "runner_up"),
    "grant_refused": ("person", "reason"),
    "turn_wanted": ("person",),
    "turn_missing": ("person",),
    "decision_too_old": (),
    "second_factor_wanted": ("person", "track"),
    "second_factor_expired": ("person", "track"),
}
"""Events that may be held back, and the fields in which two of them must agree to be the same."""

_Key = tuple[object, ...]


@dataclass
class _Count:
    first_s: float
    last: Event
    times: int = 0


class Repeats:
    """A sink before another one. `Journal` calls it from one thread at a time, `settle` from any.

    Args:
        sink: what is not held back goes there.
        window_s: for so long a kind is counted.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        sink: Sink,
        window_s: float = WINDOW_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sink, self._window_s, self._clock = sink, window_s, clock
        self._counts: dict[_Key, _Count] = {}
        self._lock = threading.RLock()

    def __call__(self, event: Event) -> None:
        """Pass an event on, or count it."""
        with self._lock:
            self.settle()
            if event.name not in KINDS:
                self._sink(event)
                return
            key = (event.name, *(event.fields.get(f) for f in KINDS[event.name]))
            if count := self._counts.get(key):
                count.times += 1
                count.last = event
                return
            if len(self._counts) >= MOST_KINDS:
                self._close(next(iter(self._counts)))
            self._counts[key] = _Count(self._clock(), event)
            self._sink(event)

    def settle(self, at_end: bool = False) -> None:
        """Write the counts whose time is up; all of them at the end."""
        with self._lock:
            now_s = self._clock()
            for key, count in list(self._counts.items()):
                if at_end or now_s - count.first_s >= self._window_s:
                    self._close(key)
                    if count.times and not at_end:  # it goes on: no line for the next one alone
                        self._counts[key] = _Count(now_s, count.last)

    def _close(self, key: _Key) -> None:
        count = self._counts.pop(key)
        if not count.times:
            return
        seconds = self._clock() - count.first_s
        fields = {k: v for k, v in count.last.fields.items() if k in KINDS[count.last.name]}
        self._sink(
            Event(
                "repeated",
                f"{count.last.name} {count.times} times more in {_span(seconds)}; the last: "
                f"{count.last.message}",
                {**fields, "repeated": count.last.name, "times": count.times, "within_s": seconds},
            )
        )


def _span(seconds: float) -> str:
    return f"{seconds / 60:.0f} minutes" if seconds >= 120 else f"{seconds:.0f} seconds"
