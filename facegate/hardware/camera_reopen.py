"""A camera that is opened again when it is lost: a loose cable or a reset of the bus is no end.

Nor is one that is missing at the start: `AbsentCamera` stands for it until it is there.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from facegate.closing import Closing
from facegate.errors import CameraError
from facegate.hardware.camera import Camera
from facegate.types import Frame

MAX_WAIT_S = 30.0
"""The back-off doubles up to here: whoever puts the cable back need not wait longer."""

STEADY_S = 60.0
"""A camera that delivered for so long has earned all its attempts again."""

SLICE_S = 0.5
"""While it waits, it shows life this often."""


@dataclass(frozen=True)
class Reopening:
    """How often a lost camera is opened again, and the seconds to wait before the first time."""

    attempts: int
    wait_s: float

    def waits(self) -> Iterator[float]:
        """Give the seconds to wait before each attempt: twice the last, `MAX_WAIT_S` at most."""
        for attempt in range(self.attempts):
            yield min(self.wait_s * 2**attempt, MAX_WAIT_S)


class AbsentCamera(Closing):
    """A camera that could not be opened: whoever wants frames of it is told why.

    Args:
        source: what was to be opened.
        why: it could not be.
    """

    def __init__(self, source: str, why: CameraError) -> None:
        self.description, self._why = source, why

    def frames(self, stopping: threading.Event) -> Iterator[Frame]:  # noqa: ARG002
        """Say why there are none.

        Raises:
            CameraError: always.
        """
        raise self._why

    def close(self) -> None:
        """Nothing was opened."""


class LastingCamera:
    """One camera after another from the same place, never two of them open.

    Everything happens in the thread that takes the frames. Numbers of frames go on rising through
    all cameras.

    Args:
        camera: the first, open.
        reopen: opens the next; None means that the first loss is the last.
        reopening: how often.
        lost: called with what happened, once for every loss.
        back: called when pictures come again, with the seconds that none came.
        clock: monotonic seconds.
        wait: waits for `stopping` for so many seconds; says whether it was set.

    Attributes:
        description: of the camera that was opened last, for people.
        lost_for: why there is no picture now; None while there are.
        signs: rises while it waits for a lost camera; a camera that hangs shows no such life.
    """

    def __init__(
        self,
        camera: Camera,
        reopen: Callable[[], Camera] | None,
        reopening: Reopening,
        lost: Callable[[str], None],
        back: Callable[[float], None],
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[threading.Event, float], bool] = threading.Event.wait,
    ) -> None:
        self._camera, self._reopen, self._reopening = camera, reopen, reopening
        self._lost, self._back, self._clock, self._wait = lost, back, clock, wait
        self.description = camera.description
        self.lost_for: str | None = None
        self.signs = 0

    def frames(self, stopping: threading.Event) -> Iterator[Frame]:
        """Yield frames until the source ends or `stopping` is set.

        Raises:
            CameraError: the camera failed, and so did every attempt to have it back.
        """
        waits = self._reopening.waits()
        first_number = next_number = 0
        steady_from_s = since_s = self._clock()
        while True:
            try:
                for frame in self._camera.frames(stopping):
                    if self.lost_for is not None:
                        self.lost_for, steady_from_s = None, self._clock()
                        self._back(steady_from_s - since_s)
                    next_number = first_number + frame.seq + 1
                    yield replace(frame, seq=next_number - 1)
                return
            except CameraError as error:
                self._camera.close()
                if self._reopen is None:
                    raise
                if self.lost_for is None:
                    since_s = self._clock()
                    if since_s - steady_from_s >= STEADY_S:
                        waits = self._reopening.waits()
                    self.lost_for = str(error)
                    self._lost(str(error))
            first_number = next_number
            if not self._open_again(stopping, waits):
                return

    def close(self) -> None:
        """Let the camera go; may be called again, but not while frames are taken."""
        self._camera.close()

    def _open_again(self, stopping: threading.Event, waits: Iterator[float]) -> bool:
        """Open the camera again; false when `stopping` came first."""
        assert self._reopen is not None
        for wait_s in waits:
            if not self._pause(stopping, wait_s):
                return False
            try:
                self._camera = self._reopen()
                self.description = self._camera.description
                return True
            except CameraError as error:
                self.lost_for = str(error)
        raise CameraError(
            f"{self.lost_for}; given up after {self._reopening.attempts} attempts to open it again"
        )

    def _pause(self, stopping: threading.Event, seconds: float) -> bool:
        until_s = self._clock() + seconds
        while (left_s := until_s - self._clock()) > 0:
            self.signs += 1
            if self._wait(stopping, min(left_s, SLICE_S)):
                return False
        self.signs += 1
        return not stopping.is_set()
