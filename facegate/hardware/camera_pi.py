"""The Pi's camera through picamera2: a full picture and a small one of the same instant."""

from __future__ import annotations

import gc
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import cv2

from facegate.closing import Closing
from facegate.errors import CameraError
from facegate.hardware.camera_buffers import BUFFER_COUNT, CameraBuffers
from facegate.hardware.capture_time import capture_time_s
from facegate.hardware.sensor_modes import SensorMode, Size, choose_mode, fitted, sensor_modes
from facegate.types import U8, Frame

STALL_S = 3.0
"""Seconds without a frame after which the camera counts as gone: libcamera never says so itself."""

_POLL_S = 0.25
_TO_RGB = {
    "BGR888": None,
    "RGB888": cv2.COLOR_BGR2RGB,
    "YUV420": cv2.COLOR_YUV2RGB_I420,
    "NV12": cv2.COLOR_YUV2RGB_NV12,
}
"""picamera2's name of a format → how it becomes RGB. Its names say the order from the high byte to
the low one, so "BGR888" lies in memory as R, G, B, and nothing has to be done.

Source: Picamera2 manual, appendix A, pixel formats.
"""

_PICAMERA2_ERRORS = (RuntimeError, OSError, IndexError, KeyError, ValueError)

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Wanted:
    """What is asked of the camera, as `PiCamera` says it; sizes are widths and heights."""

    main: Size
    small: Size
    fps: float
    focus_m: float | None
    upside_down: bool


class PiCamera(Closing):
    """Delivers what a camera on the Pi's ribbon cable sees.

    A frame's pixels lie in the camera's buffer, which goes back to the camera once nobody holds
    them or a view of them. Whoever holds many frames gets copies, and frames outlive the camera.

    Args:
        camera_num: which camera, 0 for the only one.
        width_px, height_px: of the main picture.
        small_width_px, small_height_px: of the low-resolution picture; even, not above the main.
        fps: frames a second asked of the sensor.
        focus_m: metres at which a lens that moves is sharp; None leaves it where it rests.
        upside_down: have the sensor turn its pictures by 180 degrees, which costs nothing.
        clock: monotonic seconds.

    Attributes:
        turned: whether it does; not every sensor can.
        description: which camera, how its sensor is read, and how large the main picture is, which
            is shrunk in proportion where the sensor delivers less than was asked for.

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
        focus_m: float | None = None,
        upside_down: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._name = self.description = f"picamera2 camera {camera_num}"
        os.environ.setdefault("LIBCAMERA_LOG_LEVELS", "*:WARN")
        try:
            from picamera2 import Picamera2
        except ImportError as error:
            raise CameraError(
                "picamera2 is not installed; sudo apt install python3-picamera2, and make the "
                "virtual environment with --system-site-packages"
            ) from error
        # An earlier camera, closed or refused, lingers in reference cycles of picamera2; while it
        # does, libcamera's one manager lives on, and a camera opened anew delivers nothing.
        gc.collect()
        known = len(Picamera2.global_camera_info())
        if camera_num >= known:
            raise CameraError(
                f"camera {camera_num}: libcamera sees {known} camera(s); check the ribbon cable, "
                "then rpicam-hello --list-cameras"
            )
        self._camera: Any = None
        self._buffers = CameraBuffers()
        try:
            self._camera = Picamera2(camera_num)
            wanted = _Wanted(
                (width_px, height_px), (small_width_px, small_height_px), fps, focus_m, upside_down
            )
            mode = self._configure(wanted)
            self._camera.start()
            streams = self._camera.camera_configuration()
            self._main, self._small = _Picture(streams["main"]), _Picture(streams["lores"])
            self.turned = upside_down and bool(streams["transform"].hflip)
            width, height = streams["main"]["size"]
            read = "" if mode is None else f", {mode}"
            lens = f", {self._lens(focus_m)}"
            turned = ", turned by 180°" if self.turned else ""
            self.description = f"{self._name}{read}, picture {width}×{height}{lens}{turned}"
        except _PICAMERA2_ERRORS as error:
            self.close()
            raise CameraError(
                f"{self._name}: cannot be started: {error}; another program may hold it, or "
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
                frame = self._take(stopping, seq)
            except _PICAMERA2_ERRORS as error:
                raise CameraError(f"{self._name}: {error}; check the ribbon cable") from error
            if frame is None:
                return
            yield frame
            del frame  # or it holds its buffer while this waits for the next one
            seq += 1

    def close(self) -> None:
        """Stop the camera and let it go; may be called again."""
        camera, self._camera = self._camera, None
        if camera is None:
            return
        try:
            camera.close()
        except _PICAMERA2_ERRORS as error:
            _log.warning("%s: did not close: %s", self._name, error)
        finally:
            self._buffers.close()

    def _configure(self, wanted: _Wanted) -> SensorMode | None:
        """Configure the camera, and say in which of its modes; None where picamera2 chose it.

        A mode that a small board has no memory for is no reason to see nothing at all.
        """
        try:
            mode = self._mode(wanted)
            if mode is not None:
                self._configure_in(mode, wanted)
                return mode
        except _PICAMERA2_ERRORS as error:
            _log.warning("%s: its widest view cannot be had: %s", self._name, error)
        self._configure_in(None, wanted)
        return None

    def _mode(self, wanted: _Wanted) -> SensorMode | None:
        """Choose the sensor's mode; None leaves that to picamera2."""
        if "ColorFilterArrangement" not in self._camera.camera_properties:
            return None  # as picamera2 tells cameras without a raw picture from the others
        return choose_mode(sensor_modes(self._camera.sensor_modes), wanted.main, wanted.fps)

    def _configure_in(self, mode: SensorMode | None, wanted: _Wanted) -> None:
        main, small, sensor = wanted.main, wanted.small, {}
        if mode is not None:
            main = fitted(main, mode.size)
            small = fitted(small, main)
            sensor = {"output_size": mode.size, "bit_depth": mode.bit_depth}
        self._camera.configure(
            self._camera.create_video_configuration(
                main={"size": main, "format": "BGR888"},
                lores={"size": small, "format": "YUV420"},
                raw=None,  # or as many buffers again as large as the sensor, that nobody reads
                sensor=sensor,
                controls={"FrameRate": wanted.fps, **self._focus(wanted.focus_m)},
                buffer_count=BUFFER_COUNT,
                queue=False,
                **_transform(wanted.upside_down),
            )
        )

    def _focus(self, focus_m: float | None) -> dict[str, float]:
        """Set the lens to a distance, if it moves.

        Source: libcamera, control_ids_core.yaml: LensPosition is in dioptres, 1/m; 0 is
        AfModeManual.
        """
        if focus_m is None or not self._lens_moves:
            return {}
        nearest, farthest = self._camera.camera_controls["LensPosition"][1::-1]
        return {"AfMode": 0, "LensPosition": min(max(1 / focus_m, farthest), nearest)}

    @property
    def _lens_moves(self) -> bool:
        return {"AfMode", "LensPosition"} <= self._camera.camera_controls.keys()

    def _lens(self, focus_m: float | None) -> str:
        """Say for people where the lens is."""
        if not self._lens_moves:
            return "lens fixed"
        return "lens at rest" if focus_m is None else f"focus at {focus_m:g} m"

    def _take(self, stopping: threading.Event, seq: int) -> Frame | None:
        """Make a frame of the next request; no request is left in the hands of its caller."""
        request = self._next_request(stopping)
        if request is None:
            return None
        with self._buffers.borrow(request) as borrowed:
            stamp_ns = request.get_metadata().get("SensorTimestamp")
            small = self._small.rgb(borrowed.look("lores"))
            if self._main.lies_as_rgb:
                pixels = borrowed.keep("main")
            else:
                pixels = self._main.rgb(borrowed.look("main"))
        pixels.flags.writeable = False
        stamp_s = None if stamp_ns is None else stamp_ns / 1e9
        return Frame(pixels, capture_time_s(stamp_s, self._clock()), seq, small)

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
                        f"{self._name}: no picture for {STALL_S:g} seconds; check the ribbon cable"
                    ) from None


def _transform(upside_down: bool) -> dict[str, Any]:
    """Say that pictures are turned over as picamera2 wants it."""
    if not upside_down:
        return {}
    from libcamera import Transform

    return {"transform": Transform(hflip=1, vflip=1)}


class _Picture:
    """One of the two streams, as the camera agreed to deliver it.

    Args:
        stream: picamera2's description; not every pipeline has every format, and libcamera then
            puts another in its place.

    Raises:
        ValueError: a format that cannot be turned into RGB.
    """

    def __init__(self, stream: dict[str, Any]) -> None:
        if stream["format"] not in _TO_RGB:
            raise ValueError(f"pictures come as {stream['format']}, not {' or '.join(_TO_RGB)}")
        self.format, self.width_px = stream["format"], stream["size"][0]

    @property
    def lies_as_rgb(self) -> bool:
        """Whether nothing has to be done to it."""
        return _TO_RGB[self.format] is None

    def rgb(self, memory: U8) -> U8:
        """Turn the stream's array into RGB and cut off the padding of its rows.

        Args:
            memory: uint8 (H, W, 3), or (H * 3 / 2, stride) of a planar format.

        Returns:
            uint8 (H, width_px, 3), contiguous and its own memory.
        """
        conversion = _TO_RGB[self.format]
        if conversion is None:
            return memory.copy()
        converted: U8 = cv2.cvtColor(memory, conversion)
        if converted.shape[1] == self.width_px:
            return converted
        return converted[:, : self.width_px].copy()
