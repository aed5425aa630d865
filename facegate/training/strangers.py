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


def names_of(person: I64, population: Names | None) -> np.ndarray:
    """Name the population of each row's person; all are of one where none are given."""
    return np.array(["all"] * len(person) if population is None else population)


def populations(person: I64, population: Names | None) -> dict[str, I64]:
    """Give each population's rows; whoever is alone in theirs is left out."""
    names = names_of(person, population)
    found = {str(name): np.flatnonzero(names == name) for name in np.unique(names)}
    return {name: rows for name, rows in found.items() if len(np.unique(person[rows])) > 1}


@dataclass(frozen=True)
class PeoplePairs:
    """False matches between each two people.

    Attributes:
        share: float32 (P, P), symmetric: of their pairs of pictures, those that match.
        kin: int64 (P,); people of one are not compared, as each with themselves.
        false_matches, pairs: of pictures.
    """

    share: F32
    kin: I64
    false_matches: int
    pairs: int

    @classmethod
    def of(cls, vectors: F32, person: I64, limit: float, group: Names | None = None) -> PeoplePairs:
        """Compare people, or only those of different groups, and count what exceeds `limit`."""
        own, first, of = np.unique(person, return_index=True, return_inverse=True)
        apart = own if group is None else np.asarray(group)[first]
        kin = np.unique(apart, return_inverse=True)[1]
        pictures, number = np.bincount(of), len(own)
        wrong = np.zeros(number * number, np.float32)
        compared = 0
        for block, _, upper, at in cosine_blocks(vectors, of):
            other = upper & (kin[of[at]][:, None] != kin[of][None])
            compared += int(other.sum())
            a, b = np.nonzero(other & (block > limit))
            np.add.at(wrong, of[at][a] * number + of[b], 1)
        count = wrong.reshape(number, number)
        of_two = (pictures[:, None] * pictures[None]).astype(np.float32)
        share = (count + count.T) / of_two
        return cls(share, kin, int(wrong.sum()), compared)

    @property
    def rate(self) -> float | None:
        """The mean over all pairs of two people; None where there are none."""
        (rate,) = self._rates(np.ones((1, len(self.kin))))
        return None if np.isnan(rate) else float(rate)

    @property
    def pairs_of_people(self) -> int:
        """How many two people were compared."""
        number, together = len(self.kin), np.bincount(self.kin)
        return int(number**2 - (together**2).sum()) // 2

    def interval(self) -> Interval:
        """Give the 95 % interval of the rate: the people are drawn anew, again and again.

        Source: Bolle, Ratha & Pankanti 2004, "Error analysis of pattern recognition systems: the
        subsets bootstrap".
        """
        rng = np.random.default_rng(0)
        number = len(self.kin)
        drawn = self._rates(rng.multinomial(number, np.full(number, 1 / number), REPLICATES))
        found = drawn[~np.isnan(drawn)]
        if not len(found):
            return 0.0, 1.0
        return float(np.quantile(found, 0.025)), float(np.quantile(found, 0.975))

    def _rates(self, count: np.ndarray) -> np.ndarray:
        """Give the rate when each person counts so often: (K, P) → (K,)."""
        count = count.astype(np.float32)
        together = np.zeros((len(count), int(self.kin.max()) + 1), np.float64)
        for draw, row in zip(together, count, strict=True):
            np.add.at(draw, self.kin, row)
        pairs = count.sum(1, dtype=np.float64) ** 2 - (together**2).sum(1)
        matched = ((count @ self.share) * count).sum(1, dtype=np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(pairs > 0, matched / pairs, np.nan)
