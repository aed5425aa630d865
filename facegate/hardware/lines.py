"""GPIO lines through the kernel's character device, with libgpiod's own binding.

A line's level is given as active or inactive; which of them is high, the wiring decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from select import POLLIN, poll
from typing import Any, Literal, Protocol

from facegate.closing import Closing
from facegate.errors import LineError
from facegate.hardware.chips import binding, claim

Bias = Literal["pull-up", "pull-down", "none"]


@dataclass(frozen=True)
class Edge:
    """A change of a line: monotonic seconds, and whether it was active from then on."""

    at_s: float
    active: bool


class OutputLine(Closing, Protocol):
    """A line that is driven; a context manager that closes itself."""

    @property
    def active(self) -> bool:
        """What was set last."""
        ...

    def set(self, active: bool) -> None:
        """Make the line active or inactive.

        Raises:
            LineError: the line is closed or cannot be driven.
        """
        ...

    def close(self) -> None:
        """Make the line inactive and let it go; may be called again.

        Raises:
            LineError: it could not be made inactive; it is let go nevertheless.
        """
        ...


class InputLine(Protocol):
    """A line that is read; `select.poll` tells by its `fileno` when it has edges."""

    def fileno(self) -> int:
        """Give the descriptor that is readable while edges wait.

        Raises:
            LineError: the line is closed.
        """
        ...

    def read(self) -> bool:
        """Whether the line is active now.

        Raises:
            LineError: the line is closed or cannot be read.
        """
        ...

    def edges(self) -> list[Edge]:
        """Take the edges that wait, oldest first; waits for one when there is none.

        Raises:
            LineError: the line is closed or cannot be read.
        """
        ...

    def close(self) -> None:
        """Let the line go; may be called again."""
        ...


def wait_for_edges(
    lines: Mapping[str, InputLine], timeout_s: float, bell: int | None = None
) -> list[tuple[str, Edge]]:
    """Wait until any of the lines changes.

    Args:
        lines: by name.
        timeout_s: seconds to wait at most.
        bell: a descriptor that also ends the waiting when it is readable.

    Returns:
        The edges with their line's name, in the order in which they happened; none in time is none.

    Raises:
        LineError: a line is closed or cannot be read.
    """
    waiting = poll()
    names = {}
    for name, line in lines.items():
        descriptor = line.fileno()
        names[descriptor] = name
        waiting.register(descriptor, POLLIN)
    if bell is not None:
        waiting.register(bell, POLLIN)
    found = []
    for descriptor, _ in waiting.poll(max(0.0, timeout_s) * 1000):
        if descriptor == bell:
            continue
        name = names[descriptor]
        found += [(name, edge) for edge in lines[name].edges()]
    return sorted(found, key=lambda item: item[1].at_s)


class GpiodOutput(Closing):
    """Drives one line of a gpiochip; claimed inactive in one call, so claiming makes no edge.

    Args:
        chip: "header" for the one behind the Pi's 40 pins, or the chip's label ("pinctrl-rp1"),
            name ("gpiochip0") or path.
        line: the line's name ("GPIO17") or its offset on the chip.
        active_low: whether active means a low level.

    Raises:
        LineError: no gpiod, no such chip or line, the line is taken, or no right to it.
    """

    def __init__(self, chip: str, line: str | int, active_low: bool = False) -> None:
        self._name = f"{chip} {line}"
        self._active = False
        self._request: Any = None
        gpiod = binding()
        self._levels = {True: gpiod.line.Value.ACTIVE, False: gpiod.line.Value.INACTIVE}
        settings = gpiod.LineSettings(
            direction=gpiod.line.Direction.OUTPUT,
            active_low=active_low,
            output_value=gpiod.line.Value.INACTIVE,
        )
        self._offset, self._request = claim(gpiod, chip, line, settings)

    @property
    def active(self) -> bool:
        """What was set last."""
        return self._active

    def set(self, active: bool) -> None:
        """Make the line active or inactive.

        Raises:
            LineError: the line is closed or cannot be driven.
        """
        if self._request is None:
            raise LineError(f"{self._name}: the line is closed")
        try:
            self._request.set_value(self._offset, self._levels[active])
        except OSError as error:
            raise LineError(f"{self._name}: cannot be driven: {error.strerror}") from error
        self._active = active

    def close(self) -> None:
        """Make the line inactive and let it go; may be called again.

        Raises:
            LineError: it could not be made inactive; it is let go nevertheless.
        """
        if self._request is None:
            return
        try:
            self.set(False)
        finally:
            request, self._request = self._request, None
            self._active = False
            request.release()


class GpiodInput(Closing):
    """Reads one line of a gpiochip; the kernel debounces it and stamps its edges.

    Args:
        chip, line: as for `GpiodOutput`.
        active_low: whether active means a low level, as with a button to ground.
        bias: the chip's own pull resistor; "none" where one is soldered.
        debounce_s: a level that does not last so many seconds makes no edge.

    Raises:
        LineError: no gpiod, no such chip or line, the line is taken, or no right to it.
    """

    def __init__(
        self,
        chip: str,
        line: str | int,
        active_low: bool,
        bias: Bias,
        debounce_s: float,
    ) -> None:
        self._name = f"{chip} {line}"
        gpiod = binding()
        self._active_value = gpiod.line.Value.ACTIVE
        self._rising = gpiod.EdgeEvent.Type.RISING_EDGE
        pulls = {
            "pull-up": gpiod.line.Bias.PULL_UP,
            "pull-down": gpiod.line.Bias.PULL_DOWN,
            "none": gpiod.line.Bias.DISABLED,
        }
        settings = gpiod.LineSettings(
            direction=gpiod.line.Direction.INPUT,
            active_low=active_low,
            bias=pulls[bias],
            edge_detection=gpiod.line.Edge.BOTH,
            debounce_period=timedelta(seconds=debounce_s),
            event_clock=gpiod.line.Clock.MONOTONIC,
        )
        self._request: Any = None
        self._offset, self._request = claim(gpiod, chip, line, settings)

    def fileno(self) -> int:
        """Give the descriptor that is readable while edges wait.

        Raises:
            LineError: the line is closed.
        """
        return int(self._open().fileno())

    def read(self) -> bool:
        """Whether the line is active now.

        Raises:
            LineError: the line is closed or cannot be read.
        """
        request = self._open()
        try:
            return bool(request.get_value(self._offset) == self._active_value)
        except OSError as error:
            raise LineError(f"{self._name}: cannot be read: {error.strerror}") from error

    def edges(self) -> list[Edge]:
        """Take the edges that wait, oldest first; waits for one when there is none.

        An edge is rising or falling as the line is active or not, whatever its level is.

        Raises:
            LineError: the line is closed or cannot be read.
        """
        request = self._open()
        try:
            events = request.read_edge_events()
        except OSError as error:
            raise LineError(f"{self._name}: cannot be read: {error.strerror}") from error
        return [Edge(e.timestamp_ns / 1e9, e.event_type is self._rising) for e in events]

    def close(self) -> None:
        """Let the line go; may be called again."""
        request, self._request = self._request, None
        if request is not None:
            request.release()

    def _open(self) -> Any:
        if self._request is None:
            raise LineError(f"{self._name}: the line is closed")
        return self._request
