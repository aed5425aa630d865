"""Read a request within a number of bytes and a time, however slowly it comes."""

from __future__ import annotations

import io
import re
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from http import HTTPStatus
from http.client import HTTPException, parse_headers
from typing import TYPE_CHECKING

from facegate.control.limits import Limits
from facegate.control.route import Refusal

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

DRAINED_BYTES = 1 << 20
"""Of a request that was refused unread, so that its sender comes to reading why."""
_REQUEST_LINE = re.compile(r"([A-Z]+) (\S+) HTTP/1\.[01]")


class TooManyBytes(Exception):
    """The peer sent more than it may."""


@dataclass(frozen=True)
class Head:
    """A request without its body: method, path and headers."""

    method: str
    path: str
    headers: Message


class RequestReader(io.RawIOBase):
    """What one peer sends.

    A time-out for each read would let a peer that sends a byte now and then hold on for ever, so
    there is one for all of them together.

    Args:
        connection: of the peer; its time-out is set anew before each read.
        limits: of bytes and time.
        clock: monotonic seconds.
    """

    def __init__(
        self, connection: socket.socket, limits: Limits, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._connection, self._limits, self._clock = connection, limits, clock
        self._ends_s = clock() + limits.request_s
        self._left = limits.head_bytes
        self._buffered = io.BufferedReader(self)

    def readable(self) -> bool:
        """Say that it reads."""
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Read what is there, waiting until something is.

        Raises:
            TimeoutError: the time is up.
            TooManyBytes: the peer sent all it may and more is asked for.
        """
        if self._left <= 0:
            raise TooManyBytes
        remaining_s = self._ends_s - self._clock()
        if remaining_s <= 0:
            raise TimeoutError
        self._connection.settimeout(remaining_s)
        count = self._connection.recv_into(memoryview(buffer).cast("B")[: self._left])
        self._left -= count
        return count

    def head(self) -> Head | None:
        """Read as far as the blank line; None when nothing came or the peer is gone.

        Raises:
            Refusal: it is too long, too slow, broke off, or is no HTTP/1.1.
        """
        lines: list[bytes] = []
        try:
            while not lines or lines[-1] not in (b"\r\n", b"\n"):
                lines.append(self._buffered.readline())
                if not lines[-1].endswith(b"\n"):
                    if lines == [b""]:
                        return None
                    raise Refusal(HTTPStatus.BAD_REQUEST, "the request broke off")
        except TooManyBytes:
            raise Refusal(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
                f"request line and headers hold at most {self._limits.head_bytes} bytes",
            ) from None
        except TimeoutError:
            raise Refusal(HTTPStatus.REQUEST_TIMEOUT, "the request did not come in time") from None
        except OSError:
            return None
        first = _REQUEST_LINE.fullmatch(lines[0].decode("latin-1").rstrip("\r\n"))
        if first is None:
            raise Refusal(HTTPStatus.BAD_REQUEST, "this is not an HTTP/1.1 request")
        try:
            headers = parse_headers(io.BytesIO(b"".join(lines[1:])))
        except HTTPException:
            raise Refusal(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "there are too many headers"
            ) from None
        return Head(first[1], first[2], headers)

    def body(self, head: Head) -> bytes:
        """Read the whole body; empty where the head tells of none.

        Raises:
            Refusal: its length is not said or too great, it is too slow, or it broke off.
        """
        lengths = head.headers.get_all("Content-Length") or ["0"]
        if "Transfer-Encoding" in head.headers:
            raise Refusal(HTTPStatus.LENGTH_REQUIRED, "send Content-Length, not chunks")
        if len(lengths) != 1 or not re.fullmatch("[0-9]+", lengths[0]):
            raise Refusal(HTTPStatus.BAD_REQUEST, "Content-Length is not one number")
        most = self._limits.body_bytes
        if len(lengths[0]) > len(str(most)) or int(lengths[0]) > most:
            raise Refusal(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a request body holds at most {most} bytes"
            )
        self._left = length = int(lengths[0])
        try:
            if length and head.headers.get("Expect", "").lower() == "100-continue":
                self._connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            body = self._buffered.read(length) if length else b""
        except TimeoutError:
            raise Refusal(HTTPStatus.REQUEST_TIMEOUT, "the body did not come in time") from None
        except OSError:
            body = b""
        if len(body) != length:
            raise Refusal(HTTPStatus.BAD_REQUEST, "the request body broke off")
        return body

    def drain(self) -> None:
        """Throw away what still comes, for a while."""
        self._left = DRAINED_BYTES
        try:
            while self.read(io.DEFAULT_BUFFER_SIZE):
                pass
        except (OSError, TooManyBytes):
            return
