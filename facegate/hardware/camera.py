"""What a camera is, and how one is named."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from facegate.closing import Closing
from facegate.errors import CameraError
from facegate.hardware.camera_file import FileCamera, Pacing
from facegate.hardware.camera_pi import PiCamera
from facegate.hardware.camera_turned import TurnedCamera
from facegate.hardware.camera_v4l2 import V4l2Camera, devices
from facegate.types import Frame

__all__ = ["Camera", "FileCamera", "PiCamera", "V4l2Camera", "open_camera"]

FIRST_V4L2_DEVICE = "/dev/video0"


class Camera(Closing, Protocol):
    """Delivers frames to one consumer; a context manager that closes itself.

    Attributes:
        description: what it looks through, for people.
    """

    description: str

    def frames(self, stopping: threading.Event) -> Iterator[Frame]:
        """Yield frames until the source ends, `stopping` is set or `close()` was called.

        Raises:
            CameraError: the camera fails.
        """
        ...

    def close(self) -> None:
        """Let the device go; may be called again."""
        ...


def open_camera(
    source: str,
    *,
    width_px: int,
    height_px: int,
    small_width_px: int,
    small_height_px: int,
    fps: float,
    focus_m: float | None = None,
    rotation: int = 0,
    pacing: Pacing = "real-time",
    loop: bool = False,
) -> Camera:
    """Open the camera that `source` names.

    Args:
        source: "picamera2", "picamera2:1" (the second camera), "v4l2" (the first device),
            "v4l2:/dev/video2", "file:PATH", or the path of a device or file that is there.
        width_px, height_px: of the full picture; files keep their own.
        small_width_px, small_height_px: of the low-resolution picture, picamera2 only.
        fps: frames a second; a video keeps its own rate.
        focus_m: metres at which a lens that moves is sharp, picamera2 only; see `PiCamera`.
        rotation: 0, 90, 180 or 270: degrees that the camera is turned clockwise, seen from behind
            it. Widths and heights are those before pictures are turned upright.
        pacing, loop: for files, see `FileCamera`.

    Raises:
        CameraError: nothing is named so, or it cannot be opened.
    """
    kind, _, rest = source.partition(":")
    camera: Camera
    if kind == "picamera2" and (not rest or rest.isdecimal()):
        camera = PiCamera(
            int(rest or 0), width_px, height_px, small_width_px, small_height_px, fps, focus_m,
            rotation == 180,
        )  # fmt: skip
        return camera if camera.turned else _upright(camera, rotation)
    if kind == "v4l2":
        camera = V4l2Camera(rest or FIRST_V4L2_DEVICE, width_px, height_px, fps)
    elif kind == "file" and rest:
        camera = FileCamera(rest, fps, pacing, loop)
    elif Path(source).is_char_device():
        camera = V4l2Camera(source, width_px, height_px, fps)
    elif source and Path(source).exists():
        camera = FileCamera(source, fps, pacing, loop)
    else:
        raise CameraError(_unknown(source))
    return _upright(camera, rotation)


def _upright(camera: Camera, rotation: int) -> Camera:
    return TurnedCamera(camera, rotation) if rotation else camera


def _unknown(source: str) -> str:
    here = [f"v4l2:{d}" for d in devices()]
    if find_spec("picamera2") is not None:
        here.insert(0, "picamera2")
    return (
        f"{source or 'an empty name'}: no such camera; use picamera2, picamera2:1, "
        f"v4l2:/dev/video0 or file:PATH. This machine has: {', '.join(here) or 'none but files'}"
    )
