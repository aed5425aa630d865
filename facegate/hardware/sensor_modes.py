"""Which of its modes a sensor should run in: its widest view, with the pixels asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Size = tuple[int, int]

SAME_VIEW = 0.95
"""Modes whose views differ by less than a twentieth of the area see the same."""


@dataclass(frozen=True)
class SensorMode:
    """One way to read a sensor out.

    Attributes:
        size: width and height delivered, pixels.
        crop: x, y, width and height of what it sees, in pixels of the whole sensor.
        bit_depth: bits a pixel.
        fps: frames a second at most.
    """

    size: Size
    crop: tuple[int, int, int, int]
    bit_depth: int
    fps: float

    @property
    def view(self) -> int:
        """Area of what it sees, in pixels of the whole sensor."""
        return self.crop[2] * self.crop[3]

    def __str__(self) -> str:
        """Say it for people."""
        (width, height), (x, y, across, down) = self.size, self.crop
        return (
            f"sensor mode {width}×{height}, {self.bit_depth} bits, view {across}×{down} at {x},{y}"
        )


def sensor_modes(listed: Iterable[Mapping[str, Any]]) -> list[SensorMode]:
    """Read picamera2's `sensor_modes`; those of cameras without raw pictures say too little."""
    return [
        SensorMode(tuple(m["size"]), tuple(m["crop_limits"]), m["bit_depth"], m["fps"])
        for m in listed
        if {"size", "crop_limits", "bit_depth", "fps"} <= m.keys()
    ]


def choose_mode(modes: Iterable[SensorMode], wanted: Size, fps: float) -> SensorMode | None:
    """Choose a mode: fast enough, of the widest view, and of enough pixels but no more.

    picamera2 alone takes the size nearest to the picture's, which on a Camera Module 2 is the
    middle of the sensor: a quarter of its view. Whom the camera does not see at all is not let in;
    a few pixels fewer of them matter less.

    Args:
        modes: of the sensor.
        wanted: width and height of the main picture, pixels.
        fps: frames a second wanted; where no mode reaches them, the fastest are taken.

    Returns:
        None if there are no modes.
    """
    known = list(modes)
    if not known:
        return None
    reached = min(fps, max(mode.fps for mode in known))
    fast = [mode for mode in known if mode.fps >= reached]
    widest = max(mode.view for mode in fast)

    def worth(mode: SensorMode) -> tuple[bool, int, int]:
        enough = mode.size[0] >= wanted[0] and mode.size[1] >= wanted[1]
        pixels = mode.size[0] * mode.size[1]
        return enough, -pixels if enough else pixels, mode.bit_depth

    return max((m for m in fast if m.view >= SAME_VIEW * widest), key=worth)


def fitted(size: Size, inside: Size) -> Size:
    """Shrink a picture, in proportion and to even numbers, until it fits into another."""
    share = min(1.0, inside[0] / size[0], inside[1] / size[1])
    return size if share == 1 else (int(size[0] * share) // 2 * 2, int(size[1] * share) // 2 * 2)
