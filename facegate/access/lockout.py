"""Lock faces out for a while after too many refusals in a row."""

from __future__ import annotations

from collections import deque


class Lockout:
    """Counts refusals; pure, with times handed in.

    Args:
        attempts: so many begin a lockout; None never does.
        within_s: seconds within which they count.
        lasts_s: seconds that a lockout lasts.

    Attributes:
        until_s: when the lockout that is on ends, in the seconds handed in; None while none is.
    """

    def __init__(self, attempts: int | None, within_s: float, lasts_s: float) -> None:
        self._refused_at_s: deque[float] = deque()
        self.until_s: float | None = None
        self.limit(attempts, within_s, lasts_s)

    def limit(self, attempts: int | None, within_s: float, lasts_s: float) -> None:
        """Take on other limits; a lockout that is on goes on."""
        self._attempts, self._within_s, self._lasts_s = attempts, within_s, lasts_s
        self._refused_at_s = deque(self._refused_at_s, maxlen=attempts or 1)

    def refuse(self, now_s: float) -> bool:
        """Count a refusal; returns whether a lockout begins with it."""
        if self._attempts is None or self.until_s is not None:
            return False
        self._refused_at_s.append(now_s)
        first_s = self._refused_at_s[0]
        if len(self._refused_at_s) < self._attempts or now_s - first_s > self._within_s:
            return False
        self._refused_at_s.clear()
        self.until_s = now_s + self._lasts_s
        return True

    def forgive(self) -> None:
        """Forget the refusals so far: somebody was let in."""
        self._refused_at_s.clear()

    def over(self, now_s: float) -> bool:
        """Whether a lockout ends now; says so once."""
        if self.until_s is None or now_s < self.until_s:
            return False
        self.until_s = None
        return True
