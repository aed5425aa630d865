"""Serve the control socket. Nothing listens on a network.

The kernel says who is at the other end: root, the daemon's own user, and members of the group
`facegate` get in; each route has a rule of its own beyond that.
"""

from __future__ import annotations

import contextlib
import grp
import os
import socket
import socketserver
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

from facegate.closing import Closing
from facegate.control.handler import Handler
from facegate.control.limits import Limits, Turnstile
from facegate.control.peers import GROUP, Peer, Rule, peer_of
from facegate.control.routes import Gatekeeper
from facegate.control.streams import Streams
from facegate.errors import DaemonError
from facegate.events import EventName
from facegate.feed import Feed

STOP_LOOK_S = 0.1
"""`close` is noticed within so long."""
_BUSY = (
    b'{"error": "too many connections at once; try again", "kind": "DaemonError", "mistakes": []}'
)
_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 1\r\n"
    b"Content-Length: %d\r\nConnection: close\r\n\r\n%b" % (len(_BUSY), _BUSY)
)


class Report(Protocol):
    """Says what happened, as `Journal.emit` does."""

    def __call__(
        self,
        name: EventName,
        message: str,
        *,
        called: Iterable[str | None] = (),
        **fields: str | int | float,
    ) -> None:
        """Take one event."""
        ...


def _silent(
    name: EventName,
    message: str,
    *,
    called: Iterable[str | None] = (),
    **fields: str | int | float,
) -> None:
    """Say nothing."""


class ControlServer(Closing):
    """Answer requests on a Unix socket, each in a thread of its own.

    Args:
        path: of the socket; made with mode 0660, group `facegate` where that exists.
        gate: what is commanded.
        report: told of commands, of those refused and of those that failed by our own defect.
        limits: what peers may ask of it.
        feed: what peers may follow; a sink of the journal.

    Raises:
        DaemonError: another daemon answers there, or the socket cannot be made.
    """

    def __init__(
        self,
        path: Path,
        gate: Gatekeeper,
        report: Report = _silent,
        limits: Limits = Limits(),  # noqa: B008 (frozen)
        feed: Feed | None = None,
    ) -> None:
        self.path = path
        _clear_stale(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._server = Server(str(path), gate, report, limits, feed or Feed())
        except OSError as error:
            raise DaemonError(
                f"{path}: the control socket cannot be made: {error.strerror or error}; "
                "set state.socket"
            ) from error
        os.chmod(path, 0o660)
        # No such group, or not allowed to give it away: then only root and our own user get in.
        with contextlib.suppress(KeyError, PermissionError):
            os.chown(path, -1, grp.getgrnam(GROUP).gr_gid)
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            args=(STOP_LOOK_S,),
            name="facegate-control",
            daemon=True,
        )
        self._thread.start()

    def close(self) -> None:
        """Stop answering and remove the socket; may be called again."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
            self._server.streams.close()
            self._server.server_close()
            self.path.unlink(missing_ok=True)


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """The listening socket, and what all connections share."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 16

    def __init__(
        self, path: str, gate: Gatekeeper, report: Report, limits: Limits, feed: Feed
    ) -> None:
        self.gate, self.report, self.limits, self.feed = gate, report, limits, feed
        self.streams = Streams(feed.wake)
        self.turnstile = Turnstile(limits)
        old = os.umask(0o117)
        try:
            super().__init__(path, Handler)
        finally:
            os.umask(old)

    def process_request(self, request: Any, _address: Any) -> None:
        """Let a peer in that may come in, and hang up on others."""
        peer = peer_of(request)
        if peer is None:
            self.shutdown_request(request)
        elif not self.turnstile.enter(peer.uid, owner=peer.fulfils(Rule.OWNER)):
            with contextlib.suppress(OSError):
                request.settimeout(0)
                request.sendall(_FULL)
            self.shutdown_request(request)
        else:
            try:
                super().process_request(request, peer)
            except RuntimeError:  # no more threads
                self.turnstile.leave(peer.uid)
                raise

    def process_request_thread(self, request: Any, peer: Any) -> None:
        """Answer in a thread of its own."""
        try:
            super().process_request_thread(request, peer)
        finally:
            assert isinstance(peer, Peer)
            self.turnstile.leave(peer.uid)

    def handle_error(self, _request: Any, _address: Any) -> None:
        """Tell of a defect of ours; a peer that hangs up is no event."""
        if not isinstance(error := sys.exception(), OSError):
            self.report("command_failed", f"while it was read or answered: {type(error).__name__}")


def _clear_stale(path: Path) -> None:
    """Remove the socket of a daemon that died; refuse if one answers."""
    if not path.is_socket():
        return
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            path.unlink(missing_ok=True)
            return
    raise DaemonError(f"{path}: another facegate runs already; stop it first")
