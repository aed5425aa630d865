"""Wake a thread that waits for descriptors."""

from __future__ import annotations

import os
import threading


class Bell:
    """A descriptor that is readable from `ring` until `clear`; any thread may ring."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._descriptor: int | None = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def fileno(self) -> int:
        """Give the descriptor to wait for."""
        if self._descriptor is None:
            raise ValueError("the bell is closed")
        return self._descriptor

    def ring(self) -> None:
        """Make it readable; nothing happens after `close`."""
        with self._lock:
            if self._descriptor is not None:
                os.eventfd_write(self._descriptor, 1)

    def clear(self) -> None:
        """Make it unreadable, however often it was rung."""
        with self._lock:
            if self._descriptor is not None:
                try:
                    os.eventfd_read(self._descriptor)
                except BlockingIOError:
                    return

    def close(self) -> None:
        """Give the descriptor back; may be called again."""
        with self._lock:
            descriptor, self._descriptor = self._descriptor, None
            if descriptor is not None:
                os.close(descriptor)
