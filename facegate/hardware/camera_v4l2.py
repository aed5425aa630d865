"""A USB or other Video4Linux camera through OpenCV."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2

from facegate.closing import Closing
from facegate.errors import CameraError
from facegate.hardware.capture_time import capture_time_s
from facegate.hardware.opencv import Capture, open_capture, rgb
from facegate.types import Frame

PIXEL_FORMATS = ("MJPG", "YUYV")
"""FOURCC codes, the better first: MJPG reaches full rate over USB 2, YUYV does not."""

FAILED_READS = 5
"""Reads in a row that may fail before the camera counts as gone."""

RETRY_S = 0.1
"""Between a failed read and the next."""


class V4l2Camera(Closing):
    """Delivers what a V4L2 device sees.

    Args:
        device: path of the device, as /dev/video0.
        width_px, height_px, fps: asked of the camera, which takes the nearest it has.
        clock: monotonic seconds.
        opener: opens the device.

    Attributes:
        description: what it looks through, for people.
        pixel_format: the one of `PIXEL_FORMATS` that the device took, or "its own".

    Raises:
        CameraError: no such device, no right to use it, or it cannot be opened.
    """

    def __init__(
        self,
        device: str,
        width_px: int,
        height_px: int,
        fps: float,
        clock: Callable[[], float] = time.monotonic,
        opener: Callable[[str, int], Capture] = open_capture,
    ) -> None:
        self._device, self._clock = device, clock
        if not Path(device).exists():
            raise CameraError(f"{device}: no such camera; {devices_said()}")
        if not os.access(device, os.R_OK | os.W_OK):
            raise CameraError(
                f"{device}: no right to use this camera; add the user to the group video"
            )
        capture = opener(device, cv2.CAP_V4L2)
        if not capture.isOpened():
            capture.release()
            raise CameraError(
                f"{device}: cannot be opened as a camera; another program may hold it, or it is "
                f"no camera; {devices_said()}"
            )
        self._capture: Capture | None = capture
        self.pixel_format = _choose_format(capture)
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, width_px)
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, height_px)
        capture.set(cv2.CAP_PROP_FPS, fps)
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        self.description = f"v4l2 {device}"

    def frames(self, stopping: threading.Event) -> Iterator[Frame]:
        """Yield frames until `stopping` or `close()`.

        Raises:
            CameraError: the camera delivers nothing any more.
        """
        seq = failed = 0
        while self._capture is not None and not stopping.is_set():
            got, pixels = self._capture.read()
            if not got or pixels is None:
                failed += 1
                if failed >= FAILED_READS:
                    raise CameraError(
                        f"{self._device}: the camera stopped delivering pictures; "
                        "check its cable and power"
                    )
                stopping.wait(RETRY_S)
                continue
            failed = 0
            stamp_s = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            yield Frame(rgb(pixels), capture_time_s(stamp_s, self._clock()), seq)
            seq += 1

    def close(self) -> None:
        """Let the device go; may be called again."""
        capture, self._capture = self._capture, None
        if capture is not None:
            capture.release()


def devices() -> list[str]:
    """List the V4L2 devices of this machine."""
    return sorted(str(p) for p in Path("/dev").glob("video*"))


def devices_said() -> str:
    """Say which V4L2 devices there are."""
    found = devices()
    return f"there are: {', '.join(found)}" if found else "this machine has no /dev/video* device"


def _choose_format(capture: Capture) -> str:
    """Take the first pixel format the camera accepts; without one it keeps its own."""
    for name in PIXEL_FORMATS:
        code = cv2.VideoWriter.fourcc(*name)
        if capture.set(cv2.CAP_PROP_FOURCC, code) and int(capture.get(cv2.CAP_PROP_FOURCC)) == code:
            return name
    return "its own"
