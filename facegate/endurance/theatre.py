"""A film that loops before the gate, a camera that can be made to fail, and a record of visits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from facegate.closing import Closing
from facegate.demo.walkup import Act, Actor, Portrait
from facegate.errors import CameraError
from facegate.hardware.camera import Camera, FileCamera
from facegate.types import Frame

Who = Literal["friend", "stranger"]

SETTLE_S = 4.0
"""So long after a fault ends, a visit may still be disturbed by it."""

LATE_S = 2.0
"""So long after a visitor left, the decision about them may come."""


def acts(friend: Portrait, stranger: Portrait) -> tuple[Act, ...]:
    """Give the film: somebody enrolled comes and goes, then a stranger does, for ever."""

    def near(to_px: float) -> Callable[[float], float]:
        return lambda t: 60 + (to_px - 60) * min(1.0, 2 * t)

    def walk(title: Who, portrait: Portrait, x: float) -> Act:
        return Act(title, 4.5, (Actor(portrait, lambda t: x + (0.5 - x) * t, near(150)),))

    nobody = Act("nobody", 2.0)
    return (nobody, walk("friend", friend, 0.34), nobody, walk("stranger", stranger, 0.66))


@dataclass
class Visit:
    """Somebody before the camera, and what the gate made of it.

    Attributes:
        who: is in the picture.
        began_s, ended_s: monotonic; `ended_s` is None while they are there.
        verdict: granted or unknown, the first that came; None while there is none.
        disturbed: whether a fault fell into it, which excuses a missing verdict.
    """

    who: Who
    began_s: float
    ended_s: float | None = None
    verdict: str | None = None
    disturbed: bool = False

    @property
    def decided(self) -> bool:
        """Whether the gate came to the right verdict."""
        return self.verdict == {"friend": "granted", "stranger": "unknown"}[self.who]


class Theatre:
    """Opens cameras on one film, and knows who is in the picture.

    Args:
        film: a video.
        scenes: for each frame of it, who is in it; None is nobody.
        clock: monotonic seconds.

    Attributes:
        visits: all so far.
        open_cameras: how many of its cameras are open now; `most_open` at once so far.
        refusals: so many of the next openings fail.
    """

    def __init__(
        self,
        film: Path,
        scenes: list[Who | None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._film, self._scenes, self._clock = film, scenes, clock
        self._lock = threading.Lock()
        self._faults: list[tuple[float, float | None]] = []
        self.visits: list[Visit] = []
        self.open_cameras = self.most_open = self.refusals = 0
        self.break_now = threading.Event()
        self.freeze_s = 0.0

    def open(self) -> Camera:
        """Open a camera on the film, from its beginning.

        Raises:
            CameraError: it was told to refuse.
        """
        if self.refusals > 0:
            self.refusals -= 1
            raise CameraError("camera: no such device")
        return _Seat(self, FileCamera(self._film, loop=True))

    # Faults.

    def fault_began(self) -> None:
        """Excuse visits from now on."""
        with self._lock:
            self._faults.append((self._clock(), None))
            self._mark(self._clock())

    def fault_ended(self) -> None:
        """Excuse them no longer than until things have settled."""
        with self._lock:
            began_s, _ = self._faults[-1]
            self._faults[-1] = (began_s, self._clock() + SETTLE_S)

    @property
    def quiet(self) -> bool:
        """Whether no fault is at work or was just now."""
        with self._lock:
            return not self._in_fault(self._clock())

    # What happens before the camera and what the gate says to it.

    def passing(self, frame: Frame) -> None:
        """Note who is in a frame that the gate is about to be shown."""
        who = self._scenes[frame.seq % len(self._scenes)]
        with self._lock:
            now_s = self._clock()
            current = self.visits[-1] if self.visits else None
            if current is not None and current.ended_s is None and current.who != who:
                current.ended_s = now_s
            if who is not None and (current is None or current.ended_s is not None):
                self.visits.append(Visit(who, now_s))
            self._mark(now_s)

    def interrupted(self) -> None:
        """Note that the picture broke off."""
        with self._lock:
            if self.visits and self.visits[-1].ended_s is None:
                self.visits[-1].ended_s = self._clock()

    def decided(self, verdict: str) -> None:
        """Note a verdict of the gate about whoever is there, or just left."""
        with self._lock:
            now_s = self._clock()
            for visit in reversed(self.visits):
                if visit.ended_s is None or now_s - visit.ended_s < LATE_S:
                    visit.verdict = visit.verdict or verdict
                return

    def _in_fault(self, now_s: float) -> bool:
        return any(end is None or now_s <= end for _, end in self._faults)

    def _mark(self, now_s: float) -> None:
        if self.visits and self.visits[-1].ended_s is None and self._in_fault(now_s):
            self.visits[-1].disturbed = True


class _Seat(Closing):
    """One opened camera of the theatre."""

    def __init__(self, theatre: Theatre, camera: FileCamera) -> None:
        self._theatre, self._camera = theatre, camera
        self.description = camera.description
        self._open = True
        theatre.open_cameras += 1
        theatre.most_open = max(theatre.most_open, theatre.open_cameras)

    def frames(self, stopping: threading.Event) -> Iterator[Frame]:
        try:
            for frame in self._camera.frames(stopping):
                if self._theatre.break_now.is_set():
                    self._theatre.break_now.clear()
                    raise CameraError("camera: stopped delivering pictures")
                freeze_s, self._theatre.freeze_s = self._theatre.freeze_s, 0.0
                if freeze_s and stopping.wait(freeze_s):
                    return
                self._theatre.passing(frame)
                yield frame
        finally:
            self._theatre.interrupted()

    def close(self) -> None:
        self._camera.close()
        if self._open:
            self._open = False
            self._theatre.open_cameras -= 1
