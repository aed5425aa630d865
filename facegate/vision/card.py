"""The JSON card beside each model: what it is, where it comes from, what it can do."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from facegate.errors import ModelError
from facegate.types import EMBEDDING_FLOATS
from facegate.vision.coverage import Coverage
from facegate.vision.network_input import FIXED
from facegate.vision.preprocess import PREPROCESS_VERSION

EXTENDED_OVER = 5.0
"""Between the rates by whose distances a calibration is extended: with 36 pictures of 12 people the
step from the lowest to the next one let more than 10 times as many strangers in as wanted in 36 of
100 draws, this one in one of 300 (impostor cosines drawn from a normal distribution). With pictures
of real people, who err in many pairs together: of 400 draws of 12 people one with one in 1,000
wanted of 10 enrolled; more than 3 times as many in 30 of them."""

_TYPES = {"sha256": str, "kind": str, "architecture": str, "input": dict, "output": dict}
_TYPES |= {"figures": dict, "data": dict, "outputs": dict, "commands": list}


@dataclass(frozen=True)
class Curve:
    """The probability that two faces are one person, for equally many genuine and impostor looks.

    With the share s = distance / 2 its log-odds are `constant + near * ln(s) + far * ln(1 - s)`.
    Where that would rise with the distance again (very near) the probability stays at its highest.

    Source: Kull, Silva Filho & Flach 2017, "Beta calibration".
    """

    constant: float
    near: float
    far: float

    def at(self, distance: float) -> float:
        """Give the probability at a distance, in [0, 1]."""
        peak = self.near / (self.near + self.far) if self.near > 0 and self.far > 0 else 0.0
        share = min(max(distance / 2, peak, 1e-6), 1 - 1e-6)
        odds = self.constant + self.near * math.log(share) + self.far * math.log(1 - share)
        return 1 / (1 + math.exp(-min(max(odds, -60.0), 60.0)))


@dataclass(frozen=True)
class FalseAccepts:
    """Strangers who pass as anybody enrolled.

    Attributes:
        per_1000: of 1,000 who are looked at once, how many.
        measured: whether the calibration reaches down to so few; else they are extrapolated.
    """

    per_1000: float
    measured: bool


@dataclass(frozen=True)
class Calibration:
    """What a distance means for one embedder.

    Attributes:
        distances, false_match_rates: rising distances (Euclidean, unit vectors) and the share of
            impostors at or below each.
        curve: distance → probability.
        comparisons: impostor pairs behind the table.
    """

    distances: tuple[float, ...]
    false_match_rates: tuple[float, ...]
    curve: Curve
    comparisons: int

    @classmethod
    def of(cls, table: dict[str, Any]) -> Calibration:
        """Read a card's `calibration`."""
        curve = table["probability"]
        distances, rates = table["distances"], table["false_match_rates"]
        if len(distances) != len(rates) or len(distances) < 2:
            raise ValueError("calibration needs two distances or more, and a rate for each")
        return cls(
            tuple(float(x) for x in distances),
            tuple(float(x) for x in rates),
            Curve(float(curve["constant"]), float(curve["near"]), float(curve["far"])),
            int(table["comparisons"]),
        )

    def threshold(self, target_fmr: float, people: int) -> float:
        """Find the distance at which a stranger is taken for any of `people` with `target_fmr`.

        A stranger is compared with everybody, so each comparison may only err with
        `1 - (1 - target_fmr) ** (1 / people)`.
        """
        per_pair = 1 - (1 - target_fmr) ** (1 / max(1, people))
        log_rates = np.log10(self.false_match_rates)
        wanted = np.log10(per_pair)
        if wanted >= log_rates[0]:
            return float(np.interp(wanted, log_rates, self.distances))
        return float(10 ** (np.log10(self.distances[0]) + (wanted - log_rates[0]) / self._slope))

    def false_match_rate(self, distance: float) -> float:
        """Give the false-match rate of one comparison at this threshold.

        Beyond the table's last distance it rises to 1 at the greatest that there is, 2.
        """
        if distance <= 0:
            return 0.0
        log_rates = np.log10(self.false_match_rates)
        first = self.distances[0]
        if distance < first:
            return float(10 ** (log_rates[0] + self._slope * np.log10(distance / first)))
        return float(10 ** np.interp(distance, (*self.distances, 2.0), (*log_rates, 0.0)))

    @cached_property
    def _slope(self) -> float:
        """How the table goes on below its lowest rate: the rate is a power of the distance.

        As steep as it is where the rate rises by a factor of `EXTENDED_OVER`: two neighbouring
        steps may lie anyhow.
        """
        log_rates = np.log10(self.false_match_rates)
        far_enough = log_rates >= log_rates[0] + np.log10(EXTENDED_OVER)
        k = int(far_enough.argmax()) if far_enough.any() else len(log_rates) - 1
        d0, d1 = self.distances[0], self.distances[k]
        slope = (log_rates[k] - log_rates[0]) / max(1e-6, np.log10(d1) - np.log10(d0))
        return float(max(slope, 1e-6))

    def measured(self, distance: float) -> bool:
        """Whether the table reaches down to this distance; below it rates are extrapolated."""
        return distance >= self.distances[0]

    def false_accept_rate(self, distance: float, people: int) -> float:
        """Give the chance that one look at a stranger passes as any of `people` enrolled."""
        return 1 - (1 - self.false_match_rate(distance)) ** people

    def false_accepts(self, distance: float, people: int) -> FalseAccepts:
        """Say whom a door lets in that opens up to this distance to any of `people` enrolled."""
        rate = self.false_accept_rate(distance, people)
        return FalseAccepts(1000 * rate, self.measured(distance))

    def probability(self, distance: float) -> float:
        """Give the probability that two faces at this distance are one person, in [0, 1]."""
        return self.curve.at(distance)

    def probabilities(self, distances: np.ndarray) -> np.ndarray:
        """Give `probability` for many distances at once."""
        return np.array([self.curve.at(d) for d in distances.tolist()])

    @property
    def midpoint(self) -> float:
        """The distance at which two faces are as likely one person as two."""
        return self.distance_at(0.5)

    def distance_at(self, probability: float) -> float:
        """Find the greatest distance whose probability is at least so high."""
        low, high = 0.0, 2.0
        for _ in range(50):
            middle = (low + high) / 2
            if self.probability(middle) >= probability:
                low = middle
            else:
                high = middle
        return low


@dataclass(frozen=True)
class Lengths:
    """How long an embedder's raw embeddings of ordinary aligned faces are.

    Attributes:
        shares, lengths: rising shares of training crops, and the length that so many fall below.
    """

    shares: tuple[float, ...]
    lengths: tuple[float, ...]

    @classmethod
    def of(cls, known: dict[str, Any]) -> Lengths:
        """Read a card's `lengths`."""
        shares, lengths = known["shares"], known["lengths"]
        if len(shares) != len(lengths) or not shares:
            raise ValueError("lengths needs one share or more, and a length for each")
        return cls(tuple(float(x) for x in shares), tuple(float(x) for x in lengths))

    def below(self, share: float) -> float:
        """Give the length that this share of ordinary faces falls below; 0 for the share 0."""
        return float(np.interp(share, (0.0, *self.shares), (0.0, *self.lengths)))

    def to_card(self) -> dict[str, Any]:
        """Give it as a card keeps it."""
        return {"shares": list(self.shares), "lengths": list(self.lengths)}


@dataclass(frozen=True)
class ModelCard:
    """What the runtime needs of a card; `raw` holds everything in the file."""

    path: Path
    kind: str
    architecture: str
    sha256: str
    preprocess_version: str
    calibration: Calibration | None
    lengths: Lengths | None
    coverage: Coverage | None
    raw: dict[str, Any]

    @property
    def model_id(self) -> str:
        """Name the model and its preprocessing; equal ids make comparable embeddings."""
        own = f"{self.sha256[:16]}-p{self.preprocess_version}"
        if self.normalisation not in (None, FIXED):
            own += f"-{self.normalisation}"
        if self.embedding_floats != EMBEDDING_FLOATS:
            own += f"-{self.embedding_floats}d"  # `facegate.access.gallery.floats_of` reads it
        return own

    @property
    def normalisation(self) -> str | None:
        """What the network takes pixels as; None where the card leaves it to the quantisation."""
        return (self.raw.get("input") or {}).get("normalisation")

    @property
    def embedding_floats(self) -> int:
        """How many numbers an embedder gives."""
        return int((self.raw.get("output") or {}).get("floats", EMBEDDING_FLOATS))


def card_path(model: Path) -> Path:
    """Give the card's path: the model's with `.json`."""
    return model.with_suffix(".json")


def sha256_of(path: Path) -> str:
    """Give a file's SHA-256 as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_card(model: Path, kind: str | None = None) -> ModelCard:
    """Read and check the card of a model file.

    Args:
        model: the `.tflite` file.
        kind: `detector`, `refiner` or `embedder`, what the caller is about to use it as;
            None takes any.

    Raises:
        ModelError: model or card is missing, unreadable, of another kind, of another preprocessing,
            or the model's bytes are not those the card was written for.
    """
    path = card_path(model)
    for wanted in (model, path):
        if not wanted.is_file():
            setting = f"models.{kind}" if kind else "models"
            raise ModelError(f"{wanted}: no such file; reinstall facegate or mend {setting}")
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        table = raw.get("calibration")
        # A card from before the curve was a beta curve counts as one without calibration.
        known = table is not None and "probability" in table
        calibration = Calibration.of(table) if known else None
        lengths = None
        if "lengths" in raw:
            lengths = Lengths.of(raw["lengths"])
        for name, type_ in _TYPES.items():
            if not isinstance(raw.get(name) or type_(), type_):
                raise TypeError(f"{name} is no {type_.__name__}")
        int((raw.get("output") or {}).get("floats", EMBEDDING_FLOATS))
        coverage = Coverage.from_card(raw["coverage"]) if "coverage" in raw else None
        card = ModelCard(
            path,
            raw["kind"],
            raw["architecture"],
            raw["sha256"],
            str(raw["preprocess_version"]),
            calibration,
            lengths,
            coverage,
            raw,
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        fault = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise ModelError(
            f"{path}: not a model card: {fault}; `facegate export` or `facegate models import` "
            "writes one"
        ) from error
    if kind is not None and card.kind != kind:
        raise ModelError(f"{model}: its card says {card.kind!r}, but models.{kind} names it")
    if card.preprocess_version != PREPROCESS_VERSION:
        raise ModelError(
            f"{model}: made for preprocessing {card.preprocess_version}, this facegate has "
            f"{PREPROCESS_VERSION}; export the model again"
        )
    digest = sha256_of(model)
    if digest != card.sha256:
        raise ModelError(
            f"{model}: sha256 {digest[:16]}… is not the card's {card.sha256[:16]}…; "
            "the file is damaged or was exchanged, restore both"
        )
    return card


def strict(value: Any) -> Any:
    """Replace what JSON has no word for, NaN and infinity, by null: it could not be measured."""
    if isinstance(value, dict):
        return {k: strict(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [strict(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
