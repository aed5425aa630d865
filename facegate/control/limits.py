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
        connections: at once, of all peers but root and the daemon's own user.
        connections_each: at once, of one user.
        streams, streams_each: of these connections, so many may be streams of events: what is
            urgent finds one.
        requests_per_s: of one user, in the long run.
        burst: of one user, after a pause.
        changes_per_s: of them, those that are recorded, in the long run: nobody may push the audit
            trail's old records out with new ones.
        changes_burst: the same, after a pause.
        changes_kept: of these, so many are for what must not wait: the door, a lockdown.
    """

    head_bytes: int = 16 * 1024
    body_bytes: int = 256 * 1024
    request_s: float = 10.0
    answer_s: float = 10.0
    connections: int = 16
    connections_each: int = 8
    streams: int = 8
    streams_each: int = 4
    requests_per_s: float = 20.0
    burst: int = 60
    changes_per_s: float = 0.5
    changes_burst: int = 70
    changes_kept: int = 10


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
        self._streams: dict[int, int] = {}
        self._owners: set[int] = set()
        self._asked: dict[int, tuple[float, float]] = {}
        self._changed: dict[int, tuple[float, float]] = {}

    def enter(self, uid: int, *, owner: bool = False) -> bool:
        """Take a connection in; False when there are too many, and then `leave` is not due.

        Args:
            uid: whose.
            owner: root or the daemon's own user, whom others cannot keep out.
        """
        limits = self._limits
        with self._lock:
            if owner:
                self._owners.add(uid)
            return self._enter(self._open, uid, limits.connections, limits.connections_each)

    def leave(self, uid: int) -> None:
        """Let a connection go."""
        with self._lock:
            self._leave(self._open, uid)

    def enter_stream(self, uid: int) -> bool:
        """Let a connection become a stream; False when there are too many of them."""
        limits = self._limits
        with self._lock:
            return self._enter(self._streams, uid, limits.streams, limits.streams_each)

    def leave_stream(self, uid: int) -> None:
        """Let a stream go."""
        with self._lock:
            self._leave(self._streams, uid)

    def _enter(self, inside: dict[int, int], uid: int, most: int, each: int) -> bool:
        own = inside.get(uid, 0)
        others = sum(n for who, n in inside.items() if who not in self._owners)
        if (uid not in self._owners and others >= most) or own >= each:
            return False
        inside[uid] = own + 1
        return True

    def _leave(self, inside: dict[int, int], uid: int) -> None:
        inside[uid] -= 1
        if not inside[uid]:
            del inside[uid]

    def request(self, uid: int) -> float:
        """Count a request, and give 0; seconds to wait when this user asks too often."""
        return self._take(self._asked, uid, self._limits.requests_per_s, self._limits.burst, 0)

    def change(self, uid: int, *, urgent: bool = False) -> float:
        """Count a request that is recorded, and give 0; seconds to wait when there are too many."""
        limits = self._limits
        kept = 0 if urgent else limits.changes_kept
        return self._take(self._changed, uid, limits.changes_per_s, limits.changes_burst, kept)

    def _take(
        self, buckets: dict[int, tuple[float, float]], uid: int, per_s: float, burst: int, kept: int
    ) -> float:
        with self._lock:
            now_s = self._clock()
            tokens, at_s = buckets.get(uid, (float(burst), now_s))
            tokens = min(float(burst), tokens + (now_s - at_s) * per_s)
            missing = max(0.0, 1 + kept - tokens)
            buckets[uid] = (tokens if missing else tokens - 1, now_s)
            return missing / per_s
