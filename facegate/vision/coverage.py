"""Tell from an embedding whether mouth or eyes were covered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from facegate.types import F32, Embedding

KINDS = ("mouth", "eyes")


@dataclass(frozen=True)
class Coverage:
    """A linear probe a kind of covering, on the embedding before normalising.

    Attributes:
        weights: float32 (2, D + 1), for `KINDS`; the last column is the bias.
        shares: rising shares of ordinary, uncovered faces.
        scores: float32 (2, len(shares)), the score that so many of them exceed.
    """

    weights: F32
    shares: tuple[float, ...]
    scores: F32

    def score(self, embedding: Embedding) -> F32:
        """Give how covered a face looks, float32 (2,), log odds."""
        raw = embedding.vector * embedding.length
        return self.weights[:, :-1] @ raw + self.weights[:, -1]

    def limits(self, share: float) -> F32:
        """Give the scores, float32 (2,), that this share of ordinary faces exceeds."""
        if share <= 0:
            return np.full(len(KINDS), np.inf, np.float32)
        return np.array([np.interp(share, self.shares, s) for s in self.scores], np.float32)

    @classmethod
    def from_card(cls, known: dict[str, Any]) -> Coverage:
        """Read what `to_card` gave."""
        return cls(
            np.array(known["weights"], np.float32),
            tuple(float(x) for x in known["shares"]),
            np.array(known["scores"], np.float32),
        )

    def to_card(self) -> dict[str, Any]:
        """Give it as a card keeps it."""
        return {
            "kinds": list(KINDS),
            "shares": list(self.shares),
            "scores": [[round(float(x), 4) for x in row] for row in self.scores],
            "weights": [[round(float(x), 5) for x in row] for row in self.weights],
        }


@dataclass(frozen=True)
class CoverageLimit:
    """A coverage, and the scores, float32 (2,), beyond which a face counts as covered."""

    coverage: Coverage
    limits: F32

    def exceeded(self, embedding: Embedding) -> bool:
        """Whether mouth or eyes look covered."""
        return bool((self.coverage.score(embedding) > self.limits).any())
