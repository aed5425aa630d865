"""Everything that an embedder's card says of how good it is, measured in one go."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from facegate.errors import DataError
from facegate.training.alignment import landmark_cost
from facegate.training.calibration import calibrate_people, check_tells_apart
from facegate.training.progress import Progress, quietly
from facegate.training.quality import FAR, quality_on_data
from facegate.training.robustness import robustness
from facegate.training.sampling import labels_of
from facegate.training.verification import embedder_on_data
from facegate.types import F32, U8
from facegate.vision.embedder import FaceEmbedder
from facegate.vision.faces import FaceReader
from facegate.vision.quality import GateSettings


def measure_embedder(
    reader: FaceReader,
    embedder: FaceEmbedder,
    gate: GateSettings,
    data: Path,
    progress: Progress[Any] = quietly,
    say: Callable[[str], None] = print,
) -> tuple[dict[str, Any], F32, U8]:
    """Measure an embedder for its card, all that `evaluate` can say of it.

    Args:
        reader: the shipped detector with the embedder, for what it must find and align again.
        embedder: the network that ships, not the float one it was made of.
        gate: the quality gate that judges its pictures.
        data: folder with `faces-val.parquet`, `val-pairs.csv` and `faces-train-*.parquet`.
        say: takes a line as soon as a part is measured.

    Returns:
        The card's `figures`, `calibration` (null, and why, where there are too few people),
        `quality` (the error-versus-reject curve), `landmark_cost`, and the `lengths` and `coverage`
        that the quality gate goes by; embeddings (N, D) and pixels of the crops.

    Raises:
        DataError: a set is missing or cannot be read, or everybody got the same vector.
    """
    figures, found, vectors, crops = embedder_on_data(embedder, data, progress)
    check_tells_apart(found.similarity[~found.same])
    say(
        f"accuracy {figures['accuracy']:.4f}, TAR {figures['tar_at_far']['1e-2']:.4f} at FAR 1e-2, "
        f"{figures['all_pairs']['tar_at_far']['1e-4']:.4f} at FAR 1e-4 of everybody with everybody"
    )
    try:
        calibration = calibrate_people(vectors, labels_of(crops.identity), crops.source)
        say(f"calibrated on {calibration['comparisons']:,} pairs of two people")
    except DataError as error:
        # The card is written all the same; the daemon takes no model without a calibration.
        calibration = None
        figures["calibration_missing"] = str(error)
        say(f"not calibrated: {error}; no door opens by it")
    quality = quality_on_data(embedder, gate, data, progress)
    learnt = {name: quality.pop(name) for name in ("lengths", "coverage")}
    say(_quality_line(quality["error_versus_reject"]))
    cost = landmark_cost(reader, embedder, data, progress)
    said = ", ".join(f"{r['cost']:+.4f} at {px} px" for px, r in cost["detected"].items())
    say(f"the detector's landmarks cost, in accuracy: {said}")
    figures["robustness"] = robustness(reader, embedder, data, progress)
    rows = figures["robustness"]["conditions"]
    worst = min(rows, key=lambda name: rows[name]["change"])
    say(f"robustness: worst under {worst}, {100 * rows[worst]['change']:+.1f} points of accuracy")
    measured = {
        "figures": figures,
        "calibration": calibration,
        "quality": quality,
        "landmark_cost": cost,
        **learnt,
    }
    return measured, vectors, crops.pixels


def _quality_line(curve: dict[str, Any]) -> str:
    at = curve["refused"].index(0.2)
    return (
        f"false non-matches at FAR {FAR:g}: {curve['by_quality'][0]:.4f}, "
        f"{curve['by_quality'][at]:.4f} without the worst fifth"
    )
