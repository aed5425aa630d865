"""GPIO lines through the kernel's character device, with libgpiod's own binding.

A line's level is given as active or inactive; which of them is high, the wiring decides.
"""

from __future__ import annotations

import errno
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from facegate.errors import LineError

DEVICES = Path("/dev")


class OutputLine(Protocol):
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
        """Make the line inactive and let it go; may be called again."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class InputLine(Protocol):
    """A line that is read."""

    def read(self) -> bool:
        """Whether the line is active now.

        Raises:
            LineError: the line is closed or cannot be read.
        """
        ...

    def close(self) -> None:
        """Let the line go; may be called again."""
        ...


class GpiodOutput:
    """Drives one line of a gpiochip; claimed inactive in one call, so claiming makes no edge.

    Args:
        chip: the chip's label ("pinctrl-rp1"), name ("gpiochip0") or path.
        line: the line's name ("GPIO17") or its offset on the chip.
        active_low: whether active means a low level.
        consumer: whom the kernel names as the line's owner.

    Raises:
        LineError: no gpiod, no such chip or line, the line is taken, or no right to it.
    """

    def __init__(
        self, chip: str, line: str | int, active_low: bool = False, consumer: str = "facegate"
    ) -> None:
        self._name = f"{chip} {line}"
        self._active = False
        self._request: Any = None
        try:
            import gpiod
        except ImportError as error:
            raise LineError(
                "gpiod is not installed; pip install 'gpiod>=2.2', or set door.relay.driver: fake"
            ) from error
        self._levels = {True: gpiod.line.Value.ACTIVE, False: gpiod.line.Value.INACTIVE}
        settings = gpiod.LineSettings(
            direction=gpiod.line.Direction.OUTPUT,
            active_low=active_low,
            output_value=gpiod.line.Value.INACTIVE,
        )
        with _open_chip(gpiod, chip) as opened:
            self._offset = _offset(opened, line, self._name)
            try:
                self._request = opened.request_lines({self._offset: settings}, consumer=consumer)
            except OSError as error:
                raise _claim_error(opened, self._offset, self._name, error) from error

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

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _open_chip(gpiod: Any, wanted: str) -> Any:
    """Open the chip of this label, name or path."""
    seen: list[str] = []
    forbidden: list[str] = []
    # A Pi 5 links an old chip's name to the new one: one device is listed once.
    for path in sorted({p.resolve() for p in DEVICES.glob("gpiochip*")}):
        try:
            chip = gpiod.Chip(str(path))
        except PermissionError:
            forbidden.append(str(path))
            continue
        except OSError:
            continue
        info = chip.get_info()
        if wanted in (info.label, info.name) or (DEVICES / wanted).resolve() == path:
            return chip
        seen.append(f"{info.name} ({info.label})")
        chip.close()
    if forbidden:
        raise LineError(
            f"{wanted}: no right to open {', '.join(forbidden)}; add the user to the group gpio"
        )
    here = f"this machine has {', '.join(seen)}" if seen else "this machine has no gpiochip"
    raise LineError(f"{wanted}: no such gpiochip; {here}; set door.relay.chip, see gpiodetect")


def _offset(chip: Any, line: str | int, name: str) -> int:
    """Find the line on the chip."""
    try:
        found = chip.line_offset_from_id(line)
    except (OSError, ValueError) as error:
        count = chip.get_info().num_lines
        raise LineError(
            f"{name}: no such line among the chip's {count}; set door.relay.line, see gpioinfo"
        ) from error
    return int(found)


def _claim_error(chip: Any, offset: int, name: str, error: OSError) -> LineError:
    """Say why the kernel did not give the line."""
    if error.errno == errno.EBUSY:
        owner = chip.get_line_info(offset).consumer
        holder = f"held by {owner}" if owner else "held by another program or driver"
        return LineError(f"{name}: busy, {holder}; stop it or choose another line")
    if error.errno in (errno.EPERM, errno.EACCES):
        return LineError(f"{name}: no right to claim it; add the user to the group gpio")
    return LineError(f"{name}: cannot be claimed: {error.strerror}")
