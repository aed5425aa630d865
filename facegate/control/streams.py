"""The connections on which lines are sent for as long as somebody listens."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

PATIENCE_S = 0.25
"""So long the end waits for what is still to be sent; a relay that is not obeyed is let go then."""


class Streams:
    """Knows those that are open, so that none outlives the server.

    Args:
        wake: called at the end, for those that wait for something to send.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._open: set[socket.socket] = set()
        self._fewer = threading.Condition()
        self._ending = False

    @contextmanager
    def one(self, connection: socket.socket) -> Iterator[None]:
        """Know a connection while lines are sent on it."""
        with self._fewer:
            self._open.add(connection)
        try:
            yield
        finally:
            with self._fewer:
                self._open.remove(connection)
                self._fewer.notify_all()

    def go_on(self, connection: socket.socket) -> bool:
        """Whether more is to be sent: the peer has not hung up, and the server does not end."""
        return not self._ending and not _hung_up(connection)

    def close(self) -> None:
        """Have all of them send what there is and end; cut off those that do not."""
        self._ending = True
        self._wake()
        with self._fewer:
            if self._fewer.wait_for(lambda: not self._open, PATIENCE_S):
                return
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            self._fewer.wait_for(lambda: not self._open, PATIENCE_S)


def _hung_up(connection: socket.socket) -> bool:
    """Whether the peer closed its end; one that only sends no more still listens."""
    poll = select.poll()
    poll.register(connection, 0)  # POLLHUP and POLLERR are told without being asked for
    return bool(poll.poll(0))
