"""Everything that an embedder's card says of how good it is, measured in one go."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from facegate.errors import DataError
from facegate.training.calibration import calibrate_people
from facegate.training.progress import Progress, quietly
from facegate.training.quality import of_ordinary_faces
from facegate.training.robustness import robustness
from facegate.training.sampling import labels_of
from facegate.training.verification import Verification, embedder_on_data
from facegate.types import F32, U8
from facegate.vision.embedder import FaceEmbedder
from facegate.vision.faces import FaceReader


def measure_embedder(
    reader: FaceReader, embedder: FaceEmbedder, data: Path, progress: Progress[Any] = quietly
) -> tuple[dict[str, Any], Verification, F32, U8]:
    """Measure an embedder for its card: figures, robustness, calibration.

    Args:
        reader: the shipped detector, for what it must find again.
        embedder: the network that ships, not the float one it was made of.
        data: folder with `faces-val.parquet`, `val-pairs.csv` and `faces-train-*.parquet`.

    Returns:
        The card's `figures`, `calibration` (null, and why, where there are too few people), and the
        `lengths` and `coverage` that the quality gate goes by; the pairs; embeddings and pixels of
        the crops.
    """
    figures, found, vectors, crops = embedder_on_data(embedder, data, progress)
    figures["robustness"] = robustness(reader, embedder, data, progress)
    try:
        calibration = calibrate_people(vectors, labels_of(crops.identity))
    except DataError as error:
        # The card is written all the same; the daemon takes no model without a calibration.
        calibration = None
        figures["calibration_missing"] = str(error)
    lengths, coverage = of_ordinary_faces(embedder, data, progress)
    measured = {
        "figures": figures,
        "calibration": calibration,
        "lengths": lengths.to_card(),
        "coverage": coverage.to_card(),
    }
    return measured, found, vectors, crops.pixels
