"""A thread of its own for a sink that may keep its caller waiting: a full disk, a busy journal."""

from __future__ import annotations

import queue
import threading

from facegate.closing import Closing
from facegate.journal import Event, Sink

WAITING_AT_MOST = 4096


class Outbox(Closing):
    """A sink that takes an event and returns at once; a context manager that sends what waits.

    Args:
        sink: where events go, in their order; called from the thread.
        name: of the thread.
        patience_s: how long `close` waits for the sink; None is for as long as it takes.

    Attributes:
        lost: events that the sink could not take, or for which there was no room because it took
            none for too long.
    """

    def __init__(self, sink: Sink, name: str, patience_s: float | None = None) -> None:
        self._sink, self._patience_s = sink, patience_s
        self._waiting: queue.Queue[Event | None] = queue.Queue(WAITING_AT_MOST)
        self.lost = 0
        self._thread = threading.Thread(target=self._send, name=name, daemon=True)
        self._thread.start()

    def __call__(self, event: Event) -> None:
        """Take an event."""
        try:
            self._waiting.put_nowait(event)
        except queue.Full:
            self.lost += 1

    def close(self) -> None:
        """Send what waits and end; may be called again."""
        if not self._thread.is_alive():
            return
        try:
            self._waiting.put(None, timeout=self._patience_s)
        except queue.Full:
            return
        self._thread.join(self._patience_s)

    def _send(self) -> None:
        while (event := self._waiting.get()) is not None:
            try:
                self._sink(event)
            except Exception:  # nobody reads any more, or no memory is left; the door goes on
                self.lost += 1
