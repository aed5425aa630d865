"""Threads that start in order, stop in reverse, and never die unnoticed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType

from facegate.errors import DaemonError

STOP_S = 3.0
"""Less than systemd waits (`TimeoutStopSec=`): what did not stop is still written down."""


class Stage:
    """One named thread.

    Args:
        name: of the thread, for people.
        run: the thread's work; gets the event that tells it to stop, and returns when done.
        finish: called after `run` in any case, from the thread: closes what the stage feeds.
    """

    def __init__(
        self,
        name: str,
        run: Callable[[threading.Event], None],
        finish: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        self.stopping = threading.Event()
        self.error: BaseException | None = None
        self._run, self._finish = run, finish
        self._over = threading.Event()
        self._ended: Callable[[], None] = lambda: None
        self._thread = threading.Thread(target=self._main, name=f"facegate-{name}", daemon=True)

    def start(self, ended: Callable[[], None]) -> None:
        """Start the thread; `ended` is called from it when it is over."""
        self._ended = ended
        self._thread.start()

    def join(self, timeout_s: float) -> bool:
        """Wait for the thread; returns whether it is over (or was never started)."""
        if self._thread.ident is not None:
            self._thread.join(max(0.0, timeout_s))
        return not self._thread.is_alive()

    @property
    def alive(self) -> bool:
        """Whether the stage has not ended yet."""
        return not self._over.is_set()

    def _main(self) -> None:
        try:
            self._run(self.stopping)
        except BaseException as error:  # handed to the thread that waits for the pipeline
            self.error = error
        finally:
            try:
                self._finish()
            except BaseException as error:
                self.error = self.error or error
            self._over.set()
            self._ended()


class Pipeline:
    """Stages run together; the first that fails ends them all.

    Args:
        stages: in the order of the data; they start last to first, so that nobody feeds a stage
            that is not there yet.
        wake: called when stopping, to free stages that wait for data.
    """

    def __init__(self, stages: list[Stage], wake: Callable[[], None] = lambda: None) -> None:
        self.stages, self._wake = stages, wake
        self._changed = threading.Event()

    def __enter__(self) -> Pipeline:
        """Start all stages."""
        for stage in reversed(self.stages):
            stage.start(self._changed.set)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop all stages; one that failed while it stopped is told too."""
        self.stop()
        if kind is None:
            self._raise_failure()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until every stage is over, or one failed, or time is up.

        Returns:
            Whether all stages are over.

        Raises:
            DaemonError: a stage failed; its own error is the cause.
        """
        until_s = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            self._changed.clear()
            self._raise_failure()
            if not any(stage.alive for stage in self.stages):
                return True
            left_s = None if until_s is None else until_s - time.monotonic()
            if left_s is not None and left_s <= 0:
                return False
            self._changed.wait(left_s)

    def _raise_failure(self) -> None:
        for stage in self.stages:
            if stage.error is not None:
                why = str(stage.error) or type(stage.error).__name__
                raise DaemonError(f"{stage.name} failed: {why}") from stage.error

    def stop(self, timeout_s: float = STOP_S) -> None:
        """Tell all stages to stop, then wait for each.

        Raises:
            DaemonError: a stage did not stop in time.
        """
        for stage in self.stages:
            stage.stopping.set()
        self._wake()
        until_s = time.monotonic() + timeout_s
        survivors = [s.name for s in self.stages if not s.join(until_s - time.monotonic())]
        if survivors:
            raise DaemonError(f"did not stop within {timeout_s:g} s: {', '.join(survivors)}")
