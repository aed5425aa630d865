"""Two people who are not one: how alike they are, as it matters at a door.

Whoever comes to a door is mostly of the population that lives there, and resembles its people more
than people from elsewhere do. So strangers are compared within a population only. A person counts
once, however many pictures there are of them, and a population as often as it has people.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from facegate.training.intervals import ERRORS_BEHIND_A_RATE, REPLICATES, Interval
from facegate.training.metrics import cosine_blocks
from facegate.types import F32, I64

Names = Sequence[str] | np.ndarray
"""Of the population that each row's person is of."""


@dataclass(frozen=True)
class Strangers:
    """Pairs of two people.

    Attributes:
        cosine: float32 (M,), the most alike first.
        weight: float64 (M,), sums to 1.
    """

    cosine: F32
    weight: np.ndarray

    @classmethod
    def alike(cls, cosine: F32, weight: np.ndarray | None = None) -> Strangers:
        """Make it of pairs in any order; without a weight all count the same."""
        order = np.argsort(-cosine, kind="stable")
        given = np.ones(len(cosine)) if weight is None else weight[order]
        return cls(cosine[order], given / max(given.sum(), 1e-300))

    @property
    def lowest_rate(self) -> float:
        """The lowest false-match rate that they show: ten false matches of average weight."""
        if not len(self.weight):
            return 1.0
        return float(ERRORS_BEHIND_A_RATE * (self.weight**2).sum())

    def threshold(self, far: float) -> float:
        """Find the cosine that at most `far` of them exceed; NaN where there are none."""
        if not len(self.cosine):
            return float("nan")
        passed = np.cumsum(self.weight)
        at = int(np.searchsorted(passed, far + 1e-12, side="right"))
        return float(self.cosine[min(at, len(self.cosine) - 1)])


def strangers(vectors: F32, person: I64, population: Names | None = None) -> Strangers:
    """Compare everybody with everybody else of their population.

    Args:
        vectors: float32 (N, D), unit length.
        person: int64 (N,), who is in each row.
        population: N names; None where all are of one.
    """
    cosines, weights = [], []
    for rows in populations(person, population).values():
        own, of = np.unique(person[rows], return_inverse=True)
        pictures = np.bincount(of)
        for block, same, upper, at in cosine_blocks(vectors[rows], of):
            first, second = np.nonzero(upper & ~same)
            cosines.append(block[first, second])
            a, b = of[at][first], of[second]
            # Of two people each pair of pictures is a part; of a population, each pair of people.
            weights.append(2 / ((len(own) - 1) * pictures[a] * pictures[b]))
    if not cosines:
        return Strangers.alike(np.zeros(0, np.float32))
    return Strangers.alike(np.concatenate(cosines), np.concatenate(weights))


def populations(person: I64, population: Names | None) -> dict[str, I64]:
    """Give each population's rows; whoever is alone in theirs is left out."""
    names = np.array(["all"] * len(person) if population is None else population)
    found = {str(name): np.flatnonzero(names == name) for name in np.unique(names)}
    return {name: rows for name, rows in found.items() if len(np.unique(person[rows])) > 1}


def people_matrix(vectors: F32, person: I64, limit: float) -> tuple[np.ndarray, int, int]:
    """Say of each two people which share of their pairs of pictures is more alike than `limit`.

    Returns:
        float64 (P, P), symmetric, its diagonal 0; how many pairs of pictures are; and of how many.
    """
    own, of = np.unique(person, return_inverse=True)
    pictures = np.bincount(of)
    number = len(own)
    wrong = np.zeros(number * number)
    compared = 0
    for block, same, upper, at in cosine_blocks(vectors, of):
        other = upper & ~same
        compared += int(other.sum())
        first, second = np.nonzero(other & (block > limit))
        wrong += np.bincount(of[at][first] * number + of[second], minlength=number * number)
    count = wrong.reshape(number, number)
    return (count + count.T) / np.outer(pictures, pictures), int(wrong.sum()), compared


def rate_of(matrix: np.ndarray) -> float:
    """Give the mean of a `people_matrix` over all pairs of two people."""
    number = len(matrix)
    return float(matrix.sum() / (number * (number - 1)))


def rate_interval(matrix: np.ndarray, seed: int = 0) -> Interval:
    """Give the 95 % interval of `rate_of`: the people are drawn anew, again and again.

    Source: Bolle, Ratha & Pankanti 2004, "Error analysis of pattern recognition systems: the
    subsets bootstrap".
    """
    rng = np.random.default_rng(seed)
    number = len(matrix)
    found = []
    for count in rng.multinomial(number, np.full(number, 1 / number), REPLICATES).astype(float):
        if (pairs := number**2 - (count**2).sum()) > 0:
            found.append(count @ matrix @ count / pairs)
    return float(np.quantile(found, 0.025)), float(np.quantile(found, 0.975))
