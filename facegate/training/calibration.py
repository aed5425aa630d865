"""What a distance means: the table and the curve that an embedder's card carries.

One code for `export` and `calibrate`. The curve is fitted for equally many looks at the person and
at others ("95 %" is what the look itself says, before anybody knows who usually comes), and is
judged on people that took no part in fitting it. Strangers are those of `strangers`: people of one
population, each counted once.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from facegate.errors import DataError
from facegate.training.intervals import resolved
from facegate.training.metrics import tells_nobody_apart
from facegate.training.strangers import Names, Strangers, names_of, populations, strangers
from facegate.training.verification import genuine_pairs
from facegate.types import F32, I64
from facegate.vision.card import Calibration

POINTS = 60
HIGHEST_RATE = 0.5
FOLDS = 5
BINS = 10
LEAST_PEOPLE = 10
HELD_OUT_RATES = (1e-2, 1e-3, 1e-4)
CROWDS = (1, 10, 100)
"""Numbers of people enrolled for which it is measured how many strangers pass."""
CROWDS_WANTED = 1e-3
DRAWS = 200
SAID_95 = (0.925, 0.975)
"""What counts as "about 95 %" when it is checked how often that is true."""


class Rate(NamedTuple):
    """A rate measured, the false matches behind it, and whether the table reached down to it."""

    measured: float
    false_matches: int
    resolved: bool


def calibrate(genuine: F32, impostor: Strangers) -> dict[str, Any]:
    """Say what a distance means: the core of the card's `calibration`.

    Args:
        genuine: float32 (M,), cosines of pairs of one person.
        impostor: pairs of two.

    Returns:
        A table distance → false-match rate, both strictly rising, down to the rate that has ten
        errors behind it; and the `probability` curve of `vision.card.Calibration`, fitted with
        genuine and impostor pairs weighted equally.

    Raises:
        DataError: there are too few impostor pairs for any table, or all are equally far apart.
    """
    check_tells_apart(impostor.cosine)
    distances, rate = _distance(impostor.cosine), np.cumsum(impostor.weight)
    lowest = impostor.lowest_rate
    if lowest >= HIGHEST_RATE:
        raise DataError(f"only {len(distances)} impostor pairs: too few to calibrate distances")
    rates = np.geomspace(lowest, HIGHEST_RATE, POINTS)
    # Rounded up, then counted anew: the table says what holds at the very distance it prints.
    at = np.unique(np.ceil(distances[np.searchsorted(rate, rates - 1e-12)] * 1e6) / 1e6)
    reached, first = np.unique(np.searchsorted(distances, at, side="right"), return_index=True)
    if at[0] <= 0:
        raise DataError(
            "pictures of different people get the very same vector: look for one picture under two "
            "names"
        )
    constant, near, far = _beta_curve(_distance(genuine), distances, impostor.weight)
    return {
        "distances": [round(float(d), 6) for d in at[first]],
        "false_match_rates": [float(r) for r in rate[reached - 1]],
        "probability": {"constant": constant, "near": near, "far": far},
        "comparisons": len(distances),
    }


def check_tells_apart(impostor: F32) -> None:
    """Refuse an embedder that gives everyone the same vector.

    Args:
        impostor: cosines of pairs of two people.

    Raises:
        DataError: it does; the message says what is likely.
    """
    if tells_nobody_apart(impostor):
        raise DataError(
            "the network gives everyone nearly the same vector: its training collapsed, or it "
            "wants pixels otherwise (facegate models import --normalisation)"
        )


def calibrate_people(vectors: F32, person: I64, population: Names | None = None) -> dict[str, Any]:
    """Calibrate on everybody compared with everybody, and say how far it holds for other people.

    Args:
        vectors: float32 (N, D), unit length.
        person: int64 (N,), who is in each row.
        population: N names; None where all are of one.

    Returns:
        What `calibrate` gives; the number of `people` and of `populations`; measured on folds of
        people whom the calibration under test has not seen, the `reliability` of the curve and the
        `held_out_rates`: which false-match rate a threshold for a given one really had; and the
        `crowds`, see `crowds`.

    Raises:
        DataError: fewer than ten people have two pictures or more.
    """
    number, pictures = np.unique(person, return_counts=True)
    several = int((pictures > 1).sum())
    if several < LEAST_PEOPLE:
        raise DataError(
            f"{several} people with two usable pictures or more: a calibration needs "
            f"{LEAST_PEOPLE}, and is worth the more the more there are"
        )
    names = names_of(person, population)
    table = calibrate(genuine_pairs(vectors, person), strangers(vectors, person, names))
    fold = _fold_of_people(number, pictures)[np.searchsorted(number, person)]
    chance, same, weight = [], [], []
    rates: dict[float, list[Rate]] = {rate: [] for rate in HELD_OUT_RATES}
    for f in range(FOLDS):
        inside, outside = np.flatnonzero(fold == f), np.flatnonzero(fold != f)
        others = strangers(vectors[outside], person[outside], names[outside])
        fitted = Calibration.of(calibrate(genuine_pairs(vectors[outside], person[outside]), others))
        genuine = genuine_pairs(vectors[inside], person[inside])
        impostor = strangers(vectors[inside], person[inside], names[inside])
        even = np.full(len(genuine), 1 / max(1, len(genuine)))
        for cosines, shares, truth in (
            (genuine, even, True),
            (impostor.cosine, impostor.weight, False),
        ):
            chance.append(fitted.probabilities(_distance(cosines)))
            same.append(np.full(len(cosines), truth))
            weight.append(0.5 / FOLDS * shares)
        apart = _distance(impostor.cosine)
        for rate, found in rates.items():
            passed = apart <= fitted.threshold(rate, 1)
            wrong = float(impostor.weight[passed].sum())
            found.append(Rate(wrong, int(passed.sum()), rate >= others.lowest_rate))
    table["people"] = len(number)
    table["populations"] = len(populations(person, names))
    table["reliability"] = _reliability(*map(np.concatenate, (chance, same, weight)))
    curve = Calibration.of(table)
    at_95 = curve.distance_at(0.95)
    table["reliability"]["at_95"] |= {
        "distance": at_95,
        "false_match_rate": curve.false_match_rate(at_95),
    }
    table["held_out_rates"] = [_held_out(rate, found) for rate, found in rates.items()]
    table["crowds"] = [c for n in CROWDS if (c := crowd(vectors, person, names, curve, n))]
    return table


def crowd(
    vectors: F32,
    person: I64,
    population: Names,
    calibration: Calibration,
    people: int,
) -> dict[str, Any] | None:
    """Measure at a door with so many enrolled which share of strangers pass one look.

    The threshold is the one that such a door has for one stranger in a thousand. Again and again
    so many people of a population are enrolled, by one look each, and everybody else of it comes.
    They are the people that the calibration was made with.

    Returns:
        The number of `people`, what is `wanted`, the `threshold`; the share that passes,
        `measured` over all populations by their people and `by_population`, those whose people are
        enough for ten false matches. None where there is no such population.
    """
    threshold = calibration.threshold(CROWDS_WANTED, people)
    limit = 1 - threshold**2 / 2
    rng = np.random.default_rng(0)
    rates: dict[str, tuple[float, int]] = {}
    for name, rows in populations(person, population).items():
        own = np.unique(person[rows])
        pairs = len(own) * (len(own) - 1) // 2
        if not resolved(CROWDS_WANTED / people, pairs) or len(own) < 2 * people:
            continue
        passed = 0.0
        for _ in range(DRAWS):
            shuffled = rng.permutation(rows)
            _, first = np.unique(person[shuffled], return_index=True)
            looks = vectors[rng.permutation(shuffled[first])]
            alike = looks[people:] @ looks[:people].T
            passed += float((alike.max(1) > limit).mean())
        rates[name] = passed / DRAWS, len(own)
    if not rates:
        return None
    total = sum(count for _, count in rates.values())
    return {
        "people": people,
        "wanted": CROWDS_WANTED,
        "threshold": threshold,
        "measured": sum(rate * count for rate, count in rates.values()) / total,
        "by_population": {name: rate for name, (rate, _) in rates.items()},
    }


def _distance(cosine: F32) -> np.ndarray:
    return np.sqrt(np.maximum(0, 2 - 2 * cosine.astype(np.float64)))


def _fold_of_people(number: I64, pictures: I64) -> I64:
    """Deal people into folds: those with several pictures evenly, and the others evenly."""
    order = np.random.default_rng(0).permutation(len(number))
    order = order[np.argsort(pictures[order] == 1, kind="stable")]
    fold = np.empty(len(number), np.int64)
    fold[order] = np.arange(len(number)) % FOLDS
    return fold


def _reliability(chance: F32, same: np.ndarray, weight: F32) -> dict[str, Any]:
    """Compare what was said with what was so, in ten bins.

    Source: Guo et al. 2017, "On calibration of modern neural networks", for the expected
    calibration error; here genuine and impostor pairs weigh the same in sum.
    """
    bins = np.minimum((chance * BINS).astype(int), BINS - 1)
    total = np.bincount(bins, weight, BINS)
    usable = np.flatnonzero(total)
    said = np.bincount(bins, weight * chance, BINS)[usable] / total[usable]
    was = np.bincount(bins, weight * same, BINS)[usable] / total[usable]
    genuine = np.bincount(bins[same], minlength=BINS)[usable]
    impostor = np.bincount(bins[~same], minlength=BINS)[usable]
    near = (chance >= SAID_95[0]) & (chance <= SAID_95[1])
    return {
        "expected_calibration_error": float((total[usable] * np.abs(said - was)).sum()),
        "said": said.tolist(),
        "was": was.tolist(),
        "weight": total[usable].tolist(),
        "genuine": genuine.tolist(),
        "impostor": impostor.tolist(),
        "folds": FOLDS,
        "at_95": {
            "said": list(SAID_95),
            "was": float((weight * same)[near].sum() / weight[near].sum()) if near.any() else None,
            "genuine": int((near & same).sum()),
            "impostor": int((near & ~same).sum()),
        },
    }


def _held_out(rate: float, found: list[Rate]) -> dict[str, Any]:
    measured = [r.measured for r in found]
    return {
        "wanted": rate,
        "measured": float(np.mean(measured)),
        "between_folds": [min(measured), max(measured)],
        "false_matches": sum(r.false_matches for r in found),
        "resolved": all(r.resolved for r in found),
    }


def _beta_curve(
    genuine: np.ndarray, impostor: np.ndarray, weight: np.ndarray
) -> tuple[float, float, float]:
    """Fit P(same | distance) on binned distances.

    A logistic curve of the logarithms of both ends of the scale: a straight logistic in the
    distance is far off where impostors' distances end sharply and genuine ones trail off.

    Source: Kull, Silva Filho & Flach 2017, "Beta calibration".
    """
    edges = np.linspace(0, 2, 401)
    share = (edges[1:] + edges[:-1]) / 4
    g = np.histogram(genuine, edges)[0] / max(1, len(genuine))
    i = np.histogram(impostor, edges, weights=weight)[0]
    x = np.stack([np.ones_like(share), np.log(share), np.log(1 - share)], axis=1)
    constant, near, far = _logistic(x, g, i)
    if far < 0:
        # A few genuine pairs as far apart as strangers (a wrong name) let it rise again at the far
        # end. The source's own rule: without the term that has the wrong sign.
        (constant, near), far = _logistic(x[:, :2], g, i), 0.0
    return float(constant), float(near), float(far)


def _logistic(x: np.ndarray, g: np.ndarray, i: np.ndarray) -> np.ndarray:
    """Fit a logistic regression: Newton's method with halved steps.

    Args:
        x: float (N, K), rows of terms.
        g, i: float (N,), how much of the one and of the other kind is in each row.
    """
    ridge = 1e-6 * np.eye(x.shape[1])  # keeps it finite where the two kinds do not overlap

    def loss(beta: np.ndarray) -> float:
        z = x @ beta
        return float((g * np.logaddexp(0, -z) + i * np.logaddexp(0, z)).sum()) + float(
            beta @ ridge @ beta / 2
        )

    beta = np.zeros(x.shape[1])
    for _ in range(100):
        p = 1 / (1 + np.exp(-np.clip(x @ beta, -60, 60)))
        gradient = x.T @ (i * p - g * (1 - p)) + ridge @ beta
        hessian = (x * ((g + i) * p * (1 - p))[:, None]).T @ x + ridge
        step = np.linalg.solve(hessian, gradient)
        size = 1.0
        while loss(beta - size * step) > loss(beta) and size > 1e-6:
            size /= 2
        beta = beta - size * step
        if np.abs(size * step).max() < 1e-9:
            break
    return beta
