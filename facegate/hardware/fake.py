"""A line without hardware: for a gate on a desk, the demo and tests."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from facegate.errors import LineError


@dataclass(frozen=True)
class Edge:
    """A change of a line: monotonic seconds, and whether it was active from then on."""

    at_s: float
    active: bool


class FakeOutput:
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
        """Whether the line is active."""
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

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _change(self, active: bool) -> None:
        if active != self._active:
            self._active = active
            self.edges.append(Edge(self._clock(), active))
