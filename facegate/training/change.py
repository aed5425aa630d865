"""What a training made of the weights it began with, on people held out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from facegate.training.intervals import RankedPairs, bootstrap
from facegate.training.metrics import fold_correct
from facegate.training.verification import Verification


@dataclass(frozen=True)
class Change:
    """How far two networks differ on the same pairs.

    Attributes:
        before, after: verification accuracy, 0 to 1.
        low, high: 95 % interval of `after - before`.
    """

    before: float
    after: float
    low: float
    high: float

    @property
    def worse(self) -> bool:
        """Whether it got worse by more than chance makes of so few people."""
        return self.high < 0

    @property
    def line(self) -> str:
        """Say it in one line."""
        chance = "" if self.worse or self.low > 0 else ": within chance, among so few people"
        return (
            f"against what it began with: accuracy {self.after:.4f}, before {self.before:.4f}, "
            f"change [{self.low:+.4f}, {self.high:+.4f}]{chance}"
        )


def change(before: Verification, after: Verification) -> Change:
    """Compare two networks pair by pair.

    The interval holds both for other people and for other pairs: with two or three people held out,
    drawing them anew says next to nothing of chance.

    Args:
        before, after: of the same pairs, whose people are known.

    Source of the second: Agresti and Min 2005, "Simple improved confidence intervals for comparing
    matched proportions" (half a pair more of each kind).
    """
    was, is_ = (fold_correct(v.similarity, v.same, v.fold) for v in (before, after))
    if after.people is None:
        raise ValueError("an interval needs to know who is in each pair")
    gained = is_.astype(np.float32) - was.astype(np.float32)
    ranked = RankedPairs.of(np.nan_to_num(after.similarity), after.same, after.people, gained)
    low, high = bootstrap(ranked, {})["accuracy"]
    won, lost, pairs = int((gained > 0).sum()), int((gained < 0).sum()), len(gained) + 2
    middle = (won - lost) / pairs
    half = 1.96 * float(np.sqrt((won + lost + 1) / pairs - middle**2) / np.sqrt(pairs))
    return Change(
        float(was.mean()), float(is_.mean()), min(low, middle - half), max(high, middle + half)
    )
