"""One connection, one request, one answer: HTTP/1.1 as far as the routes need it.

A request is acted on only when all of it has come and nothing in it is wrong.
"""

from __future__ import annotations

import math
import re
import socket
import socketserver
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from pydantic import BaseModel, ValidationError

from facegate.control.peers import Peer, Rule
from facegate.control.reading import Head, RequestReader
from facegate.control.route import Call, Refusal, Route
from facegate.control.routes import ROUTES
from facegate.control.schemas import Failure, Mistake
from facegate.errors import (
    DaemonError,
    FacegateError,
    InputError,
    ModelError,
    NameTakenError,
    NotEnrolledError,
)

if TYPE_CHECKING:
    from facegate.control.server import Server

MOST_MISTAKES = 20
_NUMBER = re.compile("[0-9]{1,18}")
_STATUS = (
    (NotEnrolledError, HTTPStatus.NOT_FOUND),
    (NameTakenError, HTTPStatus.CONFLICT),
    (InputError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (ModelError, HTTPStatus.CONFLICT),
    (DaemonError, HTTPStatus.CONFLICT),
)


def status_of(error: FacegateError) -> HTTPStatus:
    """Give the status that says an error; what is the gate's own trouble is 503."""
    if isinstance(error, Refusal):
        return error.status
    found = (status for kind, status in _STATUS if isinstance(error, kind))
    return next(found, HTTPStatus.SERVICE_UNAVAILABLE)


class Handler(socketserver.BaseRequestHandler):
    """Answers one connection."""

    server: Server
    request: socket.socket
    client_address: Peer

    def handle(self) -> None:
        """Answer the one request."""
        self._began, self._method = False, ""
        reader = RequestReader(self.request, self.server.limits)
        try:
            head = reader.head()
            if head is None:
                return
            self._method = head.method
            route, call = self._understand(head, reader)
        except Refusal as refusal:
            self._refuse(refusal)
            with suppress(OSError):
                self.request.shutdown(socket.SHUT_WR)
            reader.drain()
        else:
            with self._stream() if route.streams else nullcontext():
                self._answer(route, call)

    @contextmanager
    def _stream(self) -> Iterator[None]:
        """Be known as one that lasts; `_understand` let it in."""
        try:
            with self.server.streams.one(self.request):
                yield
        finally:
            self.server.turnstile.leave_stream(self.client_address.uid)

    # Understand the request.

    def _understand(self, head: Head, reader: RequestReader) -> tuple[Route[Any], Call]:
        peer = self.client_address
        if wait_s := self.server.turnstile.request(peer.uid):
            raise _too_many("requests", wait_s)
        route, named = find_route(ROUTES, head)
        recorded = route.changes and not peer.fulfils(Rule.OWNER)
        if recorded and (wait_s := self.server.turnstile.change(peer.uid, urgent=route.urgent)):
            raise _too_many("changes", wait_s)
        if not peer.fulfils(route.rule):
            what, who = f"{route.method} {route.path}", f"uid {peer.uid}"
            self.server.report("command_refused", f"{what} by {who}: not allowed", by=who)
            raise Refusal(
                HTTPStatus.FORBIDDEN, f"{what} is for root and the daemon's own user; use sudo"
            )
        query = _query(route, head)
        body = _parse(route, head, reader.body(head))
        if route.streams and not self.server.turnstile.enter_stream(peer.uid):
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "too many streams at once")
        return route, Call(
            peer,
            named,
            query,
            body,
            send=lambda line: self._send_line(route, line),
            go_on=lambda: self.server.streams.go_on(self.request),
            feed=self.server.feed,
        )

    # Answer it.

    def _answer(self, route: Route[Any], call: Call) -> None:
        what, who = f"{route.method} {route.path}", f"uid {call.peer.uid}"
        failed: FacegateError | None = None
        try:
            last = route.dump(route.answer(self.server.gate, call))
        except FacegateError as error:
            failed = error
        except Exception as error:  # a defect of ours must not look like a peer's mistake
            self.server.report("command_failed", f"{what}: {type(error).__name__}", by=who)
            failed = Refusal(
                HTTPStatus.INTERNAL_SERVER_ERROR, "a defect of facegate; see its journal"
            )
        if route.changes:  # said before it is acknowledged
            status = status_of(failed) if failed else HTTPStatus.OK
            said = f"{what} by {who}: {status.phrase}"
            self.server.report("commanded", said, by=who, command=what, status=status.value)
        if failed:
            self._refuse(failed)
        else:
            with suppress(OSError):
                self._send(route, last)

    def _send_line(self, route: Route[Any], line: object) -> None:
        try:
            self._send(route, route.dump(line))
        except OSError:
            with suppress(OSError):  # nothing may follow what was sent by halves
                self.request.shutdown(socket.SHUT_RDWR)
            raise DaemonError("the one who asked hung up") from None

    def _send(self, route: Route[Any], data: bytes) -> None:
        if not route.streams:
            self._send_whole(HTTPStatus.OK, data)
            return
        if not self._began:
            self._send_head(HTTPStatus.OK, {"Content-Type": "application/x-ndjson"})
        self._write(data + b"\n")

    def _refuse(self, error: FacegateError) -> None:
        refusal = error if isinstance(error, Refusal) else None
        failure = Failure(
            error=str(error),
            kind=refusal.kind if refusal else type(error).__name__,
            mistakes=refusal.mistakes if refusal else [],
        )
        data = failure.model_dump_json().encode()
        with suppress(OSError):
            if self._began:
                self._write(data + b"\n")
            else:
                self._send_whole(status_of(error), data, refusal.headers if refusal else None)

    def _send_whole(
        self, status: HTTPStatus, data: bytes, headers: dict[str, str] | None = None
    ) -> None:
        length = {"Content-Type": "application/json", "Content-Length": str(len(data))}
        self._send_head(status, {**length, **(headers or {})})
        if self._method != "HEAD":
            self._write(data)

    def _send_head(self, status: HTTPStatus, headers: dict[str, str]) -> None:
        self._began = True
        if status is HTTPStatus.SERVICE_UNAVAILABLE:
            headers = {**headers, "Retry-After": "1"}
        lines = [f"HTTP/1.1 {status.value} {status.phrase}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self._write("\r\n".join([*lines, "Connection: close", "", ""]).encode())

    def _write(self, data: bytes) -> None:
        self.request.settimeout(self.server.limits.answer_s)
        self.request.sendall(data)


def find_route(routes: Sequence[Route[Any]], head: Head) -> tuple[Route[Any], dict[str, str]]:
    """Give the route that a request is for, and the named parts of its path.

    Raises:
        Refusal: there is none.
    """
    path = head.path.partition("?")[0]
    there = [(r, m) for r in routes if (m := r.pattern.fullmatch(path))]
    if not there:
        raise Refusal(HTTPStatus.NOT_FOUND, "no such path; see /v1/openapi.json")
    for route, found in there:
        if route.method != head.method:
            continue
        try:
            parts = {k: unquote(v, errors="strict") for k, v in found.groupdict().items()}
            path.encode("ascii")
        except UnicodeError:
            raise Refusal(HTTPStatus.BAD_REQUEST, "the path is not UTF-8, written with %") from None
        return route, parts
    allowed = ", ".join(sorted(route.method for route, _ in there))
    raise Refusal(
        HTTPStatus.METHOD_NOT_ALLOWED,
        f"{head.method} is not offered here, only {allowed}",
        headers={"Allow": allowed},
    )


def _too_many(what: str, wait_s: float) -> Refusal:
    later = {"Retry-After": str(math.ceil(wait_s))}
    return Refusal(HTTPStatus.TOO_MANY_REQUESTS, f"too many {what}; slow down", headers=later)


def _query(route: Route[Any], head: Head) -> BaseModel | None:
    """Give what stands behind the question mark; digits are a number."""
    text = head.path.partition("?")[2]
    if route.asks is None:
        if text:
            raise Refusal(HTTPStatus.BAD_REQUEST, f"{route.path} takes no query (?…)")
        return None
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=True) if text else []
    except ValueError as error:
        raise Refusal(HTTPStatus.BAD_REQUEST, f"the query (?…) is none: {error}") from None
    if len(given := dict(pairs)) < len(pairs):
        raise Refusal(HTTPStatus.BAD_REQUEST, "the query (?…) says something twice")
    try:
        return route.asks.model_validate(
            {k: int(v) if _NUMBER.fullmatch(v) else v for k, v in given.items()}
        )
    except ValidationError as error:
        raise _mistakes("query", error, list(route.asks.model_fields)) from None


def _parse(route: Route[Any], head: Head, raw: bytes) -> BaseModel | None:
    if route.takes is None:
        if raw:
            raise Refusal(HTTPStatus.BAD_REQUEST, f"{route.method} takes no body here")
        return None
    given = head.headers.get_content_type() if "Content-Type" in head.headers else ""
    if given != "application/json" and (raw or not route.takes.may_be_empty()):
        raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send Content-Type: application/json")
    try:
        return route.takes.model_validate_json(raw or b"{}")
    except ValidationError as error:
        raise _mistakes("request body", error, list(route.takes.model_fields)) from None


def _mistakes(where: str, error: ValidationError, known: list[str]) -> Refusal:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    mistakes = []
    for mistake in found[:MOST_MISTAKES]:
        message = mistake["msg"].removeprefix("Value error, ")
        if mistake["type"] == "extra_forbidden":
            message = f"unknown key; known here: {', '.join(known) or 'none'}"
        path = ".".join(str(part) for part in mistake["loc"])[:64]
        mistakes.append(Mistake(path=path, message=f"{message[:1].lower()}{message[1:]}"))
    said = [f"{m.path}: {m.message}" if m.path else m.message for m in mistakes]
    if len(found) > len(mistakes):
        said.append(f"and {len(found) - len(mistakes)} more")
    count = f"{len(found)} mistake(s) in the {where}"
    return Refusal(HTTPStatus.BAD_REQUEST, f"{count}: {'; '.join(said)}", mistakes)
