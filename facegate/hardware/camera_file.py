"""A camera made of a file: a video, one picture, or a folder of pictures."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, Protocol

import cv2
import numpy as np

from facegate.closing import Closing
from facegate.errors import CameraError
from facegate.hardware.opencv import open_capture, rgb
from facegate.types import U8, Frame

Pacing = Literal["real-time", "fast"]

SKIPPED_AT_MOST = 15
"""So many frames in a row are left out, then one is shown though it is late: on a machine too slow
even to skip in time, the film would never be seen again."""

PICTURES_HZ = 1.0
"""Pictures a second when nothing says how fast they come."""


class Reel(Protocol):
    """Pictures in a row, read once from front to back."""

    def read(self) -> U8 | None:
        """Give the next picture, uint8 (H, W, 3) RGB, or None at the end.

        Raises:
            CameraError: it cannot be decoded.
        """
        ...

    def skip(self) -> bool:
        """Pass over the next picture; false at the end."""
        ...

    def close(self) -> None:
        """Let the file go."""
        ...


class FileCamera(Closing):
    """Plays a file as if it were a camera.

    In real time, frames come at their rate and those that are already over when the consumer asks
    are left out, as a camera leaves them out: `seq` shows the gap. `fast` delivers every frame as
    soon as the consumer takes it.

    Args:
        path: a video that OpenCV decodes, a picture, or a folder whose pictures come sorted by
            name.
        fps: pictures a second; a video that states its own rate keeps it. None: one a second.
        pacing: "real-time" or "fast".
        loop: start again at the end.
        clock: monotonic seconds; a frame counts as captured when it is delivered.

    Attributes:
        description: what it plays, for people.

    Raises:
        CameraError: nothing there, or nothing that can be decoded.
    """

    def __init__(
        self,
        path: Path | str,
        fps: float | None = None,
        pacing: Pacing = "real-time",
        loop: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = Path(path)
        self._pacing, self._loop, self._clock = pacing, loop, clock
        self._pictures = _pictures(self._path)
        self._reel: Reel | None = self._open()
        own_hz = self._reel.fps if isinstance(self._reel, _Video) else 0.0
        self._period_s = 1.0 / (own_hz or fps or PICTURES_HZ)
        self.description = f"file {self._path}"

    def frames(self, stopping: threading.Event) -> Iterator[Frame]:
        """Yield frames until the end, `stopping` or `close()`.

        Raises:
            CameraError: a picture cannot be decoded.
        """
        started_s = None
        seq = skipped = 0
        while self._reel is not None and not stopping.is_set():
            if self._pacing == "real-time" and started_s is not None:
                behind_s = self._clock() - (started_s + seq * self._period_s)
                if behind_s < 0 and stopping.wait(-behind_s):
                    return
                late = behind_s >= self._period_s and skipped < SKIPPED_AT_MOST
                if late and self._reel.skip():
                    seq += 1
                    skipped += 1
                    continue
            pixels = self._reel.read()
            if pixels is None:
                self._reel.close()
                self._reel = self._open() if self._loop else None
                continue
            now_s = self._clock()
            started_s = now_s if started_s is None else started_s
            yield Frame(pixels, now_s, seq)
            seq += 1
            skipped = 0

    def close(self) -> None:
        """Let the file go; may be called again."""
        reel, self._reel = self._reel, None
        if reel is not None:
            reel.close()

    def _open(self) -> Reel:
        return _Pictures(self._pictures) if self._pictures else _Video(self._path)


def _pictures(path: Path) -> list[Path]:
    """List the pictures `path` stands for; none when it must be a video."""
    try:
        if path.is_dir():
            found = sorted(p for p in path.iterdir() if p.is_file() and _is_picture(p))
            if not found:
                raise CameraError(f"{path}: no picture in this folder; put JPEG or PNG files there")
            return found
        if not path.exists():
            raise CameraError(f"{path.absolute()}: no such file; check the path after file:")
        with path.open("rb"):
            return [path] if _is_picture(path) else []
    except OSError as error:
        raise CameraError(f"{path}: cannot be read: {error.strerror}; check its mode") from error


def _is_picture(path: Path) -> bool:
    return bool(cv2.haveImageReader(str(path)))


class _Pictures:
    """Picture files, upright as their EXIF orientation says."""

    def __init__(self, paths: list[Path]) -> None:
        self._paths, self._next = paths, 0
        self._first: U8 | None = self._decode(paths[0])

    def read(self) -> U8 | None:
        if self._next >= len(self._paths):
            return None
        first, self._first = self._first, None
        self._next += 1
        return first if first is not None else self._decode(self._paths[self._next - 1])

    def skip(self) -> bool:
        if self._next >= len(self._paths):
            return False
        self._first = None
        self._next += 1
        return True

    def close(self) -> None:
        self._next = len(self._paths)

    @staticmethod
    def _decode(path: Path) -> U8:
        try:
            pixels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
        except (OSError, cv2.error) as error:
            raise CameraError(f"{path}: cannot be decoded; take it out or replace it") from error
        if pixels is None:
            raise CameraError(f"{path}: a damaged picture; take it out or replace it")
        return rgb(pixels)


class _Video:
    """A video file; `fps` is the rate it states, 0 when it states none."""

    def __init__(self, path: Path) -> None:
        self._capture = open_capture(str(path))
        self._first: U8 | None = self._decode() if self._capture.isOpened() else None
        if self._first is None:
            self._capture.release()
            raise CameraError(
                f"{path}: neither a picture nor a video that OpenCV can decode; try MP4, AVI, JPEG "
                "or PNG"
            )
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        self.fps = fps if 0 < fps < 1000 else 0.0

    def read(self) -> U8 | None:
        first, self._first = self._first, None
        return first if first is not None else self._decode()

    def skip(self) -> bool:
        if self._first is not None:
            self._first = None
            return True
        return self._capture.grab()

    def close(self) -> None:
        self._capture.release()

    def _decode(self) -> U8 | None:
        got, pixels = self._capture.read()
        return rgb(pixels) if got and pixels is not None else None
