"""What systemd's watchdog is told: that the gate moves, only if it does."""

from __future__ import annotations

from collections.abc import Callable

from facegate.errors import StoreError
from facegate.health import Health
from facegate.journal import Journal

BEAT_S = 2.0


class Heartbeat:
    """Feeds the watchdog while every part shows life.

    A camera that is lost and being opened again is a known loss, not a stalled part, and so is a
    store that cannot be read: the door goes on with who is in memory, and its exit button opens. A
    restart would mend neither, and without a store the gate does not start. A part that stands
    still is not fed for, and systemd restarts.

    Args:
        health: of the parts that must move.
        read_store: reads something of the store.
        camera_lost: why there is no picture while the camera is opened again, else None.
        status_line: for `STATUS=`.
        tell: systemd.
        journal: where events go.
        clock: monotonic seconds.
        resumed: called when what stood still moves again.

    Attributes:
        amiss: whether a part stands still or is lost; the panel says so.
        stalled: the parts that stand still, and the store where it cannot be read.
    """

    def __init__(
        self,
        health: Health,
        read_store: Callable[[], object],
        camera_lost: Callable[[], str | None],
        status_line: Callable[[], str],
        tell: Callable[[str], None],
        journal: Journal,
        clock: Callable[[], float],
        resumed: Callable[[], None] = lambda: None,
    ) -> None:
        self._health, self._read_store, self._camera_lost = health, read_store, camera_lost
        self._status_line, self._tell, self._journal = status_line, tell, journal
        self._clock, self._resumed = clock, resumed
        self.stalled: list[str] = []
        self._due_s = clock()
        self.amiss = False

    def beat_if_due(self) -> None:
        """Look at all parts every `BEAT_S`, and tell systemd."""
        now_s = self._clock()
        if now_s < self._due_s:
            return
        self._due_s = now_s + BEAT_S
        moving = not (stalled := self._health.stalled())
        try:
            self._read_store()
        except StoreError:
            stalled.append("store")
        lost = self._camera_lost()
        self.amiss = bool(stalled) or lost is not None
        if stalled:
            if stalled != self.stalled:
                self._journal.emit("stalled", f"no sign of life: {', '.join(stalled)}")
            status = f"stalled: {', '.join(stalled)}"
        else:
            if self.stalled:
                self._journal.emit("stall_over", f"moving again: {', '.join(self.stalled)}")
                self._resumed()
            status = self._status_line() if lost is None else f"camera lost: {lost}"
        self._tell(f"WATCHDOG=1\nSTATUS={status}" if moving else f"STATUS={status}")
        self.stalled = stalled
