"""Turns the pictures of a camera that is mounted turned."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import cv2

from facegate.closing import Closing
from facegate.types import U8, Frame

if TYPE_CHECKING:
    from facegate.hardware.camera import Camera

_TURNS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}


class TurnedCamera(Closing):
    """Delivers another camera's frames with both pictures upright, as copies of their own.

    Args:
        camera: the camera, which is closed with this one.
        rotation_deg: 90, 180 or 270: degrees that the camera is turned clockwise, seen from behind
            it; its pictures are turned clockwise by as much. Width and height change places at 90
            and 270.

    Attributes:
        description: what it looks through, and how it is turned, for people.
    """

    def __init__(self, camera: Camera, rotation_deg: int) -> None:
        self._camera, self._turn = camera, _TURNS[rotation_deg]
        self.description = f"{camera.description}, turned by {rotation_deg}°"

    def frames(self, stopping: threading.Event) -> Iterator[Frame]:
        """Yield frames until the source ends, `stopping` is set or `close()` was called.

        Raises:
            CameraError: the camera fails.
        """
        for frame in self._camera.frames(stopping):
            small = None if frame.small is None else self._turned(frame.small)
            turned = replace(frame, pixels=self._turned(frame.pixels), small=small)
            del frame  # or it holds the camera's buffer while somebody looks at the copy
            yield turned
            del turned

    def close(self) -> None:
        """Let the device go; may be called again."""
        self._camera.close()

    def _turned(self, pixels: U8) -> U8:
        turned: U8 = cv2.rotate(pixels, self._turn)
        turned.flags.writeable = False
        return turned
