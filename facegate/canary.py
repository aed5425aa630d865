"""A known question to a network, now and then: does it still answer as it did?

Memory and cards go bad, and a processor that is too hot or too low on power computes wrongly. A
network that answers otherwise than at the start must not open a door.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from facegate.errors import ModelError
from facegate.types import F32, U8

EVERY_S = 60.0
"""An answer takes as long as one frame: once a minute costs nothing."""

MIN_COSINE = 0.99
"""The kernels give the same answer bit by bit; less than this is another answer."""


class Canary:
    """Asks one network, from the thread that owns it.

    Args:
        name: of the network, for people.
        ask: runs it on a picture, and gives all it says as one vector.
        shape: of its picture.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        name: str,
        ask: Callable[[U8], F32],
        shape: tuple[int, int, int],
        clock: Callable[[], float],
    ) -> None:
        self._name, self._ask, self._clock = name, ask, clock
        self._picture = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        self._first: F32 | None = None
        self._due_s = -math.inf

    def ask_if_due(self) -> None:
        """Ask if it is time to; the first answer is what later ones are held against.

        Raises:
            ModelError: the network answers otherwise than at first.
        """
        now_s = self._clock()
        if now_s < self._due_s:
            return
        self._due_s = now_s + EVERY_S
        answer = self._ask(self._picture)
        if self._first is None:
            self._first = answer
        similarity = cosine(self._first, answer)
        if not similarity >= MIN_COSINE:  # NaN too
            raise ModelError(
                f"the {self._name} answers a known picture otherwise than at the start (cosine "
                f"{similarity:.3f}): memory, power or heat; see `facegate doctor`"
            )

    def ask_soon(self) -> None:
        """Ask at the next opportunity, as after a part stood still."""
        self._due_s = -math.inf


def cosine(a: F32, b: F32) -> float:
    """Give the cosine of two vectors; NaN when one has no direction."""
    lengths = float(np.linalg.norm(a)) * float(np.linalg.norm(b))
    return float(np.dot(a, b)) / lengths if lengths > 0 else math.nan
