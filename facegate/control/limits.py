"""How much a peer may ask: sizes, times, connections at once, requests a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What the control socket bears.

    Attributes:
        head_bytes: request line and headers together.
        body_bytes: body of a request.
        request_s: seconds from the connection to the last byte of the request, however slowly it
            drips.
        answer_s: seconds until the peer has taken one answer, or one line of it.
        connections: at once, of all peers.
        connections_each: at once, of one user.
        requests_per_s: of one user, in the long run.
        burst: of one user, after a pause.
    """

    head_bytes: int = 16 * 1024
    body_bytes: int = 256 * 1024
    request_s: float = 10.0
    answer_s: float = 10.0
    connections: int = 16
    connections_each: int = 8
    requests_per_s: float = 20.0
    burst: int = 60


class Turnstile:
    """Counts the connections of each user, and the requests as a bucket that refills.

    Args:
        limits: of the socket.
        clock: monotonic seconds.

    Source: the token bucket of RFC 2697, with one rate.
    """

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits, self._clock = limits, clock
        self._lock = threading.Lock()
        self._open: dict[int, int] = {}
        self._buckets: dict[int, tuple[float, float]] = {}

    def enter(self, uid: int) -> bool:
        """Take a connection in; False when there are too many, and then `leave` is not due."""
        with self._lock:
            own = self._open.get(uid, 0)
            full = sum(self._open.values()) >= self._limits.connections
            if full or own >= self._limits.connections_each:
                return False
            self._open[uid] = own + 1
            return True

    def leave(self, uid: int) -> None:
        """Let a connection go."""
        with self._lock:
            self._open[uid] -= 1
            if not self._open[uid]:
                del self._open[uid]

    def request(self, uid: int) -> bool:
        """Count a request; False when this user asks too often."""
        with self._lock:
            now_s = self._clock()
            tokens, at_s = self._buckets.get(uid, (float(self._limits.burst), now_s))
            refilled = tokens + (now_s - at_s) * self._limits.requests_per_s
            tokens = min(float(self._limits.burst), refilled)
            self._buckets[uid] = (tokens - 1 if tokens >= 1 else tokens, now_s)
            return tokens >= 1
