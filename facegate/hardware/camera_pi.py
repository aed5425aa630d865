"""The Pi's camera through picamera2: a full picture and a small one of the same instant."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self

import cv2

from facegate.errors import CameraError
from facegate.hardware.capture_time import capture_time_s
from facegate.types import U8, Frame

STALL_S = 3.0
"""Seconds without a frame after which the camera counts as gone: libcamera never says so itself."""

_POLL_S = 0.25
_PICAMERA2_ERRORS = (RuntimeError, OSError, IndexError, KeyError, ValueError)

_log = logging.getLogger(__name__)


class PiCamera:
    """Delivers what a camera on the Pi's ribbon cable sees.

    A frame's pixels are copied out of the camera's buffer before they are handed on, so the buffer
    goes straight back to the camera.

    Args:
        camera_num: which camera, 0 for the only one.
        width_px, height_px: of the main picture.
        small_width_px, small_height_px: of the low-resolution picture; even, not above the main.
        fps: frames a second asked of the sensor.
        clock: monotonic seconds.

    Raises:
        CameraError: picamera2 is not installed, or the camera is not there, busy, or refuses.
    """

    def __init__(
        self,
        camera_num: int,
        width_px: int,
        height_px: int,
        small_width_px: int,
        small_height_px: int,
        fps: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self.description = f"picamera2 camera {camera_num}"
        os.environ.setdefault("LIBCAMERA_LOG_LEVELS", "*:WARN")
        try:
            from picamera2 import Picamera2
        except ImportError as error:
            raise CameraError(
                "picamera2 is not installed; sudo apt install python3-picamera2, and make the "
                "virtual environment with --system-site-packages"
            ) from error
        known = len(Picamera2.global_camera_info())
        if camera_num >= known:
            raise CameraError(
                f"camera {camera_num}: libcamera sees {known} camera(s); check the ribbon cable, "
                "then rpicam-hello --list-cameras"
            )
        self._camera: Any = None
        try:
            self._camera = Picamera2(camera_num)
            self._camera.configure(
                self._camera.create_video_configuration(
                    main={"size": (width_px, height_px), "format": "RGB888"},
                    lores={"size": (small_width_px, small_height_px), "format": "YUV420"},
                    controls={"FrameRate": fps},
                    queue=False,
                )
            )
            self._camera.start()
            small = self._camera.camera_configuration()["lores"]
            self._small_format, self._small_width_px = small["format"], small["size"][0]
        except _PICAMERA2_ERRORS as error:
            self.close()
            raise CameraError(
                f"{self.description}: cannot be started: {error}; another program may hold it, or "
                "the sizes do not suit it"
            ) from error

    def frames(self, stopping: threading.Event) -> Iterator[Frame]:
        """Yield frames until `stopping` or `close()`.

        Raises:
            CameraError: the camera delivers nothing any more.
        """
        seq = 0
        while self._camera is not None and not stopping.is_set():
            try:
                request = self._next_request(stopping)
                if request is None:
                    return
                try:
                    main, small = request.make_array("main"), request.make_array("lores")
                    stamp_ns = request.get_metadata().get("SensorTimestamp")
                finally:
                    request.release()
            except _PICAMERA2_ERRORS as error:
                raise CameraError(f"{self.description}: {error}; check the ribbon cable") from error
            stamp_s = None if stamp_ns is None else stamp_ns / 1e9
            small_rgb = (
                yuv420_to_rgb(small, self._small_width_px)
                if self._small_format == "YUV420"
                else memory_to_rgb(small)
            )
            taken_s = capture_time_s(stamp_s, self._clock())
            yield Frame(memory_to_rgb(main), taken_s, seq, small_rgb)
            seq += 1

    def close(self) -> None:
        """Stop the camera and let it go; may be called again."""
        camera, self._camera = self._camera, None
        if camera is None:
            return
        try:
            camera.close()
        except _PICAMERA2_ERRORS as error:
            _log.warning("%s: did not close: %s", self.description, error)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _next_request(self, stopping: threading.Event) -> Any:
        """Wait for the next completed request; None when `stopping` comes first."""
        job = self._camera.capture_request(wait=False)
        give_up_s = self._clock() + STALL_S
        while True:
            try:
                return self._camera.wait(job, timeout=_POLL_S)
            except TimeoutError:
                if stopping.is_set():
                    return None
                if self._clock() >= give_up_s:
                    raise CameraError(
                        f"{self.description}: no picture for {STALL_S:g} seconds; "
                        "check the ribbon cable"
                    ) from None


def memory_to_rgb(pixels: U8) -> U8:
    """Mend the channel order of picamera2's "RGB888", which lies in memory as B, G, R.

    Args:
        pixels: uint8 (H, W, 3) as picamera2 delivers it.

    Returns:
        A new uint8 (H, W, 3), RGB.

    Source: Picamera2 manual, appendix A, pixel formats.
    """
    converted: U8 = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
    return converted


def yuv420_to_rgb(planes: U8, width_px: int) -> U8:
    """Turn picamera2's planar YUV420 into RGB and cut off the padding of its rows.

    Args:
        planes: uint8 (H * 3 / 2, stride): Y, then U and V at half the stride.
        width_px: true width, not above the stride.

    Returns:
        uint8 (H, width_px, 3), RGB, contiguous.
    """
    converted: U8 = cv2.cvtColor(planes, cv2.COLOR_YUV2RGB_I420)
    return converted if converted.shape[1] == width_px else converted[:, :width_px].copy()
