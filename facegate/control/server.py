"""Serve the control socket. Nothing listens on a network.

Peers are checked by the kernel's word for who they are (SO_PEERCRED): root, the daemon's own user,
and members of the group `facegate` get in.
"""

from __future__ import annotations

import contextlib
import grp
import json
import os
import pwd
import re
import socket
import socketserver
import struct
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from facegate.errors import DaemonError, FacegateError, InputError

GROUP = "facegate"
MAX_BODY_BYTES = 256 * 1024
REQUEST_TIMEOUT_S = 10.0

Body = dict[str, Any]
Answer = dict[str, Any] | list[Any]


class Route:
    """One method and path; `{name}` in the path is handed to the handler.

    Args:
        method: GET, POST, PUT, PATCH or DELETE.
        path: for example `/v1/people/{name}`.
        answer: takes the path's parts and the JSON body, returns what is sent as JSON.
        streams: `answer` takes a third argument, a function that sends one JSON line at once; its
            return value is the last line.
    """

    def __init__(
        self, method: str, path: str, answer: Callable[..., Answer], streams: bool = False
    ) -> None:
        self.method, self.answer, self.streams = method, answer, streams
        self.pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path))


class ControlServer:
    """Answer requests on a Unix socket, each in a thread of its own.

    Args:
        path: of the socket; made with mode 0660, group `facegate` where that exists.
        routes: what is offered.

    Raises:
        DaemonError: another daemon answers there, or the socket cannot be made.
    """

    def __init__(self, path: Path, routes: list[Route]) -> None:
        self.path = path
        _clear_stale(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._server = _Server(str(path), routes)
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
            target=self._server.serve_forever, name="facegate-control", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop answering and remove the socket; may be called twice."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
            self.path.unlink(missing_ok=True)

    def __enter__(self) -> ControlServer:
        """Serve until the block ends."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop serving."""
        self.close()


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, path: str, routes: list[Route]) -> None:
        self.routes = routes
        old = os.umask(0o117)
        try:
            super().__init__(path, _Handler)
        finally:
            os.umask(old)

    def verify_request(self, request: Any, _address: Any) -> bool:
        return allowed(request)

    def handle_error(self, _request: Any, _address: Any) -> None:
        """A peer that hangs up is no event."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = REQUEST_TIMEOUT_S
    server: _Server

    def address_string(self) -> str:
        return "local"

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are not events; what they do is."""

    def _serve(self) -> None:
        self.close_connection = True
        try:
            status, answer = self._route()
        except FacegateError as error:
            status = HTTPStatus.BAD_REQUEST if error.exit_code < 7 else HTTPStatus.CONFLICT
            answer = _error(error)
        if answer is not None:
            self._send(status, answer)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

    def _route(self) -> tuple[HTTPStatus, Answer | None]:
        path = self.path.split("?")[0]
        known = [r for r in self.server.routes if r.pattern.fullmatch(path)]
        if not known:
            return HTTPStatus.NOT_FOUND, {"error": f"no such path: {path}"}
        for route in known:
            if route.method != self.command:
                continue
            found = route.pattern.fullmatch(path)
            named = {k: unquote(v) for k, v in found.groupdict().items()} if found else {}
            body = self._body()
            if not route.streams:
                return HTTPStatus.OK, route.answer(named, body)
            self._stream(route, named, body)
            return HTTPStatus.OK, None
        return HTTPStatus.METHOD_NOT_ALLOWED, {"error": f"{self.command} is not offered here"}

    def _body(self) -> Body:
        try:
            length = int(self.headers.get("Content-Length") or 0)
        except ValueError:
            raise InputError("Content-Length is not a number") from None
        if not 0 <= length <= MAX_BODY_BYTES:
            raise InputError(f"a request body holds at most {MAX_BODY_BYTES} bytes")
        if not length:
            return {}
        try:
            body = json.loads(self.rfile.read(length))
        except ValueError:
            raise InputError("the request body is not JSON") from None
        if not isinstance(body, dict):
            raise InputError("the request body must be a JSON object")
        return body

    def _stream(self, route: Route, named: dict[str, str], body: Body) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "application/x-ndjson")
        self.send_header("Connection", "close")
        self.end_headers()

        def send(line: Answer) -> None:
            self.wfile.write(json.dumps(line).encode() + b"\n")
            self.wfile.flush()

        try:
            send(route.answer(named, body, send))
        except FacegateError as error:
            send(_error(error))

    def _send(self, status: HTTPStatus, answer: Answer) -> None:
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)


def allowed(connection: socket.socket) -> bool:
    """Whether the peer of a Unix socket is root, this user, or in the group."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, uid, gid = struct.unpack("3i", raw)
    if uid in (0, os.geteuid()):
        return True
    try:
        group = grp.getgrnam(GROUP)
        user = pwd.getpwuid(uid).pw_name
    except KeyError:
        return False
    return gid == group.gr_gid or user in group.gr_mem


def _error(error: FacegateError) -> Body:
    return {"error": str(error), "kind": type(error).__name__}


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
