"""How far a measured rate may be from the true one: 95 % intervals.

Two things make a rate uncertain. Few pairs: Wilson's interval takes them as independent. Few
people: pairs that share a person err together, so whole people are drawn anew (a bootstrap). What
is reported is the hull of both: the first is wide where nothing or everything was right and a
bootstrap shows no spread, the second is wide where few people stand behind many pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import sqrt

import numpy as np

from facegate.types import F32, I64

Z_95 = 1.959964
REPLICATES = 400
ERRORS_BEHIND_A_RATE = 10
"""A rate of which fewer errors were seen is not resolved: its own interval spans a factor of 4."""

METHOD = (
    "95 %: hull of Wilson's score interval and of a percentile bootstrap over people "
    f"({REPLICATES} draws)"
)

Interval = tuple[float, float]


def wilson(right: float, of: float) -> Interval:
    """Give Wilson's 95 % score interval of a share, `right` out of `of` independent trials.

    Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference".
    """
    if of <= 0:
        return 0.0, 1.0
    share = right / of
    middle = (share + Z_95**2 / (2 * of)) / (1 + Z_95**2 / of)
    reach = Z_95 / (1 + Z_95**2 / of) * sqrt(share * (1 - share) / of + Z_95**2 / (4 * of**2))
    return max(0.0, middle - reach), min(1.0, middle + reach)


def resolved(far: float, impostors: int) -> bool:
    """Whether so many impostor pairs can show a false-match rate at all."""
    return far * impostors >= ERRORS_BEHIND_A_RATE - 1e-6


@dataclass(frozen=True)
class RankedPairs:
    """Pairs, the most alike first, with what a bootstrap over people needs.

    Attributes:
        same: bool (N,), whether a pair shows one person.
        people: int64 (N, 2), who is in it, numbered from 0.
        number: of people, those too whom no pair here shows.
        correct: float (N,), 1 where the pair was told rightly, or None if nobody asks.
        impostor_weight: gives the weight of all impostor pairs, those left out of N too, when
            each person counts as often as the given (P,) array says.
    """

    same: np.ndarray
    people: I64
    number: int
    correct: F32 | None
    impostor_weight: Callable[[np.ndarray], float]

    @classmethod
    def of(
        cls, similarity: F32, same: np.ndarray, people: I64, correct: F32 | None = None
    ) -> RankedPairs:
        """Rank pairs of which all are there."""
        order = np.argsort(-similarity, kind="stable")
        same, people = same[order], people[order]
        a, b = people[~same].T

        def weight(count: np.ndarray) -> float:
            return float((count[a] * count[b]).sum())

        told = None if correct is None else correct[order]
        return cls(same, people, int(people.max()) + 1, told, weight)


def bootstrap(
    pairs: RankedPairs, fars: Mapping[str, float], replicates: int = REPLICATES
) -> dict[str, Interval]:
    """Draw the people anew, again and again, and see how the figures move.

    A pair counts as often as its people were drawn: a pair of two as the product of both counts.
    The threshold of each FAR is found anew in every draw, so its uncertainty is in the interval.

    Returns:
        2.5 and 97.5 % percentiles: `accuracy` (where `correct` is known), `eer`, and each FAR's.

    Source: Bolle, Ratha & Pankanti 2004, "Error analysis of pattern recognition systems: the
    subsets bootstrap"; Owen & Eckles 2012, "Bootstrapping data arrays of arbitrary order" for the
    products.
    """
    rng = np.random.default_rng(0)
    number = pairs.number
    a, b = pairs.people.T
    found: dict[str, list[float]] = {}
    for _ in range(replicates):
        count = rng.multinomial(number, np.full(number, 1 / number)).astype(np.float64)
        weight = np.where(pairs.same, count[a], count[a] * count[b])
        genuine = np.cumsum(np.where(pairs.same, weight, 0))
        impostor = np.cumsum(np.where(pairs.same, 0, weight))
        of_genuine, of_impostor = genuine[-1], pairs.impostor_weight(count)
        if of_genuine == 0 or of_impostor == 0:
            continue
        if pairs.correct is not None:
            right = float((weight * pairs.correct).sum() / weight.sum())
            found.setdefault("accuracy", []).append(right)
        missed, matched = 1 - genuine / of_genuine, impostor / of_impostor
        at = int(np.argmin(np.abs(missed - matched)))
        found.setdefault("eer", []).append(float(missed[at] + matched[at]) / 2)
        for name, far in fars.items():
            taken = int(np.searchsorted(impostor, far * of_impostor + 1e-9, side="right"))
            tar = genuine[taken - 1] / of_genuine if taken else 0.0
            found.setdefault(name, []).append(float(tar))
    return {
        name: (float(np.quantile(v, 0.025)), float(np.quantile(v, 0.975)))
        for name, v in found.items()
    }


def hull(first: Interval, second: Interval | None) -> list[float]:
    """Give the smallest interval that holds both."""
    low, high = second or first
    return [min(first[0], low), max(first[1], high)]
