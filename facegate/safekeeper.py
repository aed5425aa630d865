"""Backs the store up by itself: soon after every change, and from time to time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from facegate.access.rolling import RollingBackups
from facegate.access.store import Store
from facegate.closing import Closing
from facegate.journal import Journal

LOOK_S = 2.0
"""Seconds between two looks; a store that changed since the last one is left to finish."""
MOST_PAUSE_S = 3600.0
"""A copy that could not be made is tried again after twice the time each time, up to this."""


class SafeKeeper(Closing):
    """A thread that keeps the copies new; a context manager that ends it.

    Args:
        store: what is copied.
        backups: the copies.
        journal: is told of every copy, and once when none can be made.
        every_s: a copy is made at least so often.
        look_s: seconds between two looks.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        store: Store,
        backups: RollingBackups,
        journal: Journal,
        every_s: float,
        look_s: float = LOOK_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._backups, self._journal = store, backups, journal
        self._every_s, self._look_s, self._clock = every_s, look_s, clock
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="facegate-backup", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread; may be called again."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        copied: str | None = None
        seen = failed = ""
        due_s, again_s, pause_s = self._clock() + self._every_s, 0.0, self._look_s
        told = False
        while not self._stopping.is_set():
            trying = False
            try:
                if copied is None:
                    copied = self._backups.latest_mark() or ""
                mark = self._store.mark
                settled, seen = mark == seen, mark
                rests = mark == failed and self._clock() < again_s
                trying = settled and not rests and (mark != copied or self._clock() >= due_s)
                if trying:
                    due_s = self._clock() + self._every_s
                    path = self._backups.make(self._store)
                    copied, failed, told, pause_s = mark, "", False, self._look_s
                    if path is not None:
                        self._journal.emit("backup_made", path.name)
            except Exception as error:  # whatever it is: a later copy may succeed
                if trying:  # each try writes a whole copy: a full card gets fewer and fewer
                    failed, pause_s = seen, min(2 * pause_s, MOST_PAUSE_S)
                    again_s = self._clock() + pause_s
                if not told:
                    told = True
                    self._journal.emit("backup_failed", str(error) or type(error).__name__)
            self._stopping.wait(self._look_s)
