"""Find a gpiochip and claim one of its lines; what the kernel's refusals mean."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

from facegate.errors import LineError

DEVICES = Path("/dev")
CONSUMER = "facegate"
"""Whom the kernel names as a line's owner."""

HEADER = "header"
HEADER_CHIPS = ("pinctrl-rp1", "pinctrl-bcm2711", "pinctrl-bcm2835")
"""Labels of the chip behind a Pi's 40 pins: Pi 5; Pi 4; Zero 2 W and Pi 3.

Source: their device trees, arch/arm64/boot/dts/broadcom in the kernel.
"""


def binding() -> Any:
    """Give libgpiod's Python binding.

    Raises:
        LineError: it is not installed.
    """
    try:
        import gpiod
    except ImportError as error:
        raise LineError(
            "gpiod is not installed; pip install 'gpiod>=2.2', or set gpio.driver: fake"
        ) from error
    return gpiod


def claim(gpiod: Any, chip: str, line: str | int, settings: Any) -> tuple[int, Any]:
    """Claim a line with all its settings in one call.

    Args:
        gpiod: the binding.
        chip: "header" for the one behind the Pi's 40 pins, or the chip's label ("pinctrl-rp1"),
            name ("gpiochip0") or path.
        line: the line's name ("GPIO17") or its offset on the chip.
        settings: a `gpiod.LineSettings`.

    Returns:
        The line's offset, and the `gpiod.LineRequest` that holds it.

    Raises:
        LineError: no such chip or line, the line is taken, or no right to it.
    """
    name = f"{chip} {line}"
    with _open_chip(gpiod, chip) as opened:
        offset = _offset(opened, line, name)
        try:
            return offset, opened.request_lines({offset: settings}, consumer=CONSUMER)
        except OSError as error:
            raise _claim_error(opened, offset, name, error) from error


def _open_chip(gpiod: Any, wanted: str) -> Any:
    """Open the header's chip, or the one of this label, name or path."""
    names = HEADER_CHIPS if wanted == HEADER else (wanted,)
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
        if info.label in names or info.name in names or (DEVICES / wanted).resolve() == path:
            return chip
        seen.append(f"{info.name} ({info.label})")
        chip.close()
    if forbidden:
        raise LineError(
            f"{wanted}: no right to open {', '.join(forbidden)}; add the user to the group gpio"
        )
    here = f"this machine has {', '.join(seen)}" if seen else "this machine has no gpiochip"
    raise LineError(
        f"{wanted}: no such gpiochip; {here}; set gpio.chip in the settings, see gpiodetect"
    )


def _offset(chip: Any, line: str | int, name: str) -> int:
    """Find the line on the chip."""
    try:
        found = chip.line_offset_from_id(line)
    except (OSError, ValueError) as error:
        count = chip.get_info().num_lines
        raise LineError(
            f"{name}: no such line among the chip's {count}; set it in the settings, see gpioinfo"
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
