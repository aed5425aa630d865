"""Lines without hardware: for a gate on a desk, the demo and tests."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

from facegate.closing import Closing
from facegate.errors import LineError
from facegate.hardware.lines import Edge

__all__ = ["Edge", "FakeInput", "FakeOutput"]


class FakeOutput(Closing):
    """An output line that remembers its edges; starts inactive.

    Args:
        name: said in errors.
        active_low: whether active means a low level.
        clock: monotonic seconds.

    Attributes:
        edges: every change so far, oldest first; setting what is set already makes none.
        failure: why `set()` fails, as a broken line would; None while it works.
    """

    def __init__(
        self, name: str, active_low: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.name = name
        self.edges: list[Edge] = []
        self.failure: str | None = None
        self._active_low, self._clock = active_low, clock
        self._active = self._closed = False

    @property
    def active(self) -> bool:
        """What was set last."""
        return self._active

    @property
    def high(self) -> bool:
        """The level a meter would see."""
        return self._active != self._active_low

    def set(self, active: bool) -> None:
        """Make the line active or inactive.

        Raises:
            LineError: it is closed, or told to fail.
        """
        if self._closed:
            raise LineError(f"{self.name}: the line is closed")
        if self.failure is not None:
            raise LineError(f"{self.name}: {self.failure}")
        self._change(active)

    def close(self) -> None:
        """Make the line inactive and let it go, even one told to fail; may be called again."""
        self._change(False)
        self._closed = True

    def _change(self, active: bool) -> None:
        if active != self._active:
            self._active = active
            self.edges.append(Edge(self._clock(), active))


class FakeInput(Closing):
    """An input line that a test or a person at the keyboard drives; starts inactive.

    Args:
        name: said in errors.
        clock: monotonic seconds.

    Attributes:
        failure: why reading fails, as a broken line would; None while it works.
    """

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = name
        self.failure: str | None = None
        self._clock = clock
        self._active = self._closed = False
        self._waiting: list[Edge] = []
        self._lock = threading.Lock()
        self._ready = os.eventfd(0)

    def drive(self, active: bool) -> None:
        """Make the line active or inactive from outside; any thread may."""
        with self._lock:
            if self._closed or active == self._active:
                return
            self._active = active
            self._waiting.append(Edge(self._clock(), active))
            os.eventfd_write(self._ready, 1)

    def press(self) -> None:
        """Make it active and inactive again, as a button does."""
        self.drive(True)
        self.drive(False)

    def fileno(self) -> int:
        """Give the descriptor that is readable while edges wait.

        Raises:
            LineError: it is closed, or told to fail.
        """
        self._check()
        return self._ready

    def read(self) -> bool:
        """Whether the line is active now.

        Raises:
            LineError: it is closed, or told to fail.
        """
        self._check()
        return self._active

    def edges(self) -> list[Edge]:
        """Take the edges that wait, oldest first; waits for one when there is none.

        Raises:
            LineError: it is closed, or told to fail.
        """
        self._check()
        os.eventfd_read(self._ready)
        with self._lock:
            edges, self._waiting = self._waiting, []
        return edges

    def close(self) -> None:
        """Let the line go; may be called again."""
        with self._lock:
            if not self._closed:
                self._closed = True
                os.close(self._ready)

    def _check(self) -> None:
        if self._closed:
            raise LineError(f"{self.name}: the line is closed")
        if self.failure is not None:
            raise LineError(f"{self.name}: {self.failure}")
