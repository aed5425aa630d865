"""OpenCV's captures without its own words on the terminal: errors are ours to say."""

from __future__ import annotations

import os
from typing import Any, Protocol

import cv2

from facegate.types import U8

V4L2_WAIT_S = 2
"""Seconds that one read of a V4L2 device may block; OpenCV's default of ten hides a dead camera."""

# FFmpeg and the V4L2 driver inside OpenCV read these once, at their first use anywhere in the
# process; "-8" is FFmpeg's AV_LOG_QUIET.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", str(V4L2_WAIT_S))


class Capture(Protocol):
    """What is used of `cv2.VideoCapture`."""

    def isOpened(self) -> bool:
        """Whether the source could be opened."""
        ...

    def set(self, prop: int, value: float) -> bool:
        """Set a property; false when the source does not have it."""
        ...

    def get(self, prop: int) -> float:
        """Read a property; 0 when the source does not have it."""
        ...

    def grab(self) -> bool:
        """Take the next picture without decoding it."""
        ...

    def read(self) -> tuple[bool, Any]:
        """Take and decode the next picture: uint8 (H, W, 3) BGR."""
        ...

    def release(self) -> None:
        """Let the source go."""
        ...


_set_log_level = getattr(cv2, "setLogLevel", None) or cv2.utils.logging.setLogLevel
"""OpenCV 4 has the first, OpenCV 5 only the second."""

LOG_LEVEL_SILENT = 0


def open_capture(source: str, backend: int = cv2.CAP_ANY) -> Capture:
    """Open a video or device; ask `isOpened()` whether it worked."""
    _set_log_level(LOG_LEVEL_SILENT)
    capture: Capture = cv2.VideoCapture(source, backend)
    return capture


def rgb(pixels: U8) -> U8:
    """Turn a picture as OpenCV delivers it, uint8 (H, W, 3) BGR, into RGB; a new array."""
    converted: U8 = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
    return converted
