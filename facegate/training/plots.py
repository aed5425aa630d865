"""The pictures that `evaluate` draws."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from facegate.errors import InputError
from facegate.training.detection import Ranking
from facegate.training.verification import Verification
from facegate.types import F32
from facegate.vision.card import Calibration


def verification_plots(folder: Path, found: Verification) -> list[Path]:
    """Draw the ROC and the distances of genuine and impostor pairs; gives the files written.

    Pairs with a refused picture are never accepted in the ROC and absent from the histogram.
    """
    similarity = np.nan_to_num(found.similarity, nan=-np.inf)
    genuine, impostor = similarity[found.same], np.sort(similarity[~found.same])
    thresholds = np.unique(similarity[np.isfinite(similarity)])
    far = 1 - np.searchsorted(impostor, thresholds, side="left") / len(impostor)
    tar = 1 - np.searchsorted(np.sort(genuine), thresholds, side="left") / len(genuine)
    measurable = far > 0
    with _figure(folder / "roc.png", "False-match rate (FAR)", "True-accept rate (TAR)") as axes:
        axes.semilogx(far[measurable], tar[measurable], drawstyle="steps-post", color="tab:blue")
        axes.set(
            title="ROC", xlim=(1 / len(impostor), 1), ylim=(min([0.5, *tar[measurable]]), 1.005)
        )

    def distances(cosines: F32) -> F32:
        usable = cosines[np.isfinite(cosines)]
        return np.sqrt(np.maximum(0, 2 - 2 * usable)).astype(np.float32)

    bins = np.linspace(0, 2, 81).tolist()
    with _figure(folder / "distances.png", "Euclidean distance", "Pairs") as axes:
        axes.hist(distances(genuine), bins, alpha=0.6, color="tab:green", label="one person")
        axes.hist(distances(impostor), bins, alpha=0.6, color="tab:red", label="two people")
        axes.set(title="Distances of pairs", xlim=(0, 2))
        axes.legend()
    return [folder / "roc.png", folder / "distances.png"]


def calibration_plots(folder: Path, table: dict[str, Any]) -> list[Path]:
    """Draw what a distance means, and how far that was true of other people; gives the files."""
    calibration = Calibration.of(table)
    at = np.linspace(0, 2, 401)
    name = folder / "probability.png"
    with _figure(name, "Euclidean distance", "Probability of one person") as axes:
        axes.plot(at, calibration.probabilities(at), color="tab:green")
        axes.set(title="What a distance means", xlim=(0, 2), ylim=(0, 1.02))
        rates = axes.twinx()
        rates.semilogy(calibration.distances, calibration.false_match_rates, color="tab:red")
        rates.set_ylabel("False-match rate of one comparison", color="tab:red")
    written = [name]
    if found := table.get("reliability"):
        name = folder / "reliability.png"
        with _figure(name, "Probability said", "Share that was one person") as axes:
            axes.plot([0, 1], [0, 1], color="tab:grey", linestyle=":", label="as it should be")
            size = 20 + 400 * np.array(found["weight"])
            axes.plot(found["said"], found["was"], color="tab:blue", alpha=0.5)
            axes.scatter(found["said"], found["was"], size, color="tab:blue", label="measured")
            error = found["expected_calibration_error"]
            axes.set(
                title=f"People the curve was not fitted to: off by {error:.1%} on average",
                xlim=(-0.02, 1.02),
                ylim=(-0.02, 1.02),
            )
            axes.legend()
        written.append(name)
    return written


def detection_plots(folder: Path, found: Ranking, min_score: float) -> list[Path]:
    """Draw precision over recall, with the shipped threshold marked; gives the file written."""
    order = np.argsort(-found.scores, kind="stable")
    hits = np.cumsum(found.hits[order])
    recall = hits / max(1, found.faces)
    precision = hits / np.arange(1, len(hits) + 1)
    with _figure(folder / "precision-recall.png", "Recall, all sizes", "Precision") as axes:
        axes.plot(recall, precision, color="tab:blue")
        at = int((found.scores >= min_score).sum()) - 1
        if at >= 0:
            axes.plot(recall[at], precision[at], "o", color="tab:red", label=f"score {min_score:g}")
            axes.legend()
        axes.set(title="Detection at IoU 0.5", xlim=(0, 1), ylim=(0, 1.02))
    return [folder / "precision-recall.png"]


def quality_plots(folder: Path, curve: dict[str, Any]) -> list[Path]:
    """Draw the error of what is left over the share refused; gives the file written."""
    path = folder / "error-versus-reject.png"
    start = curve["by_quality"][0]
    with _figure(path, "Share of crops refused", "False non-match rate at FAR 1e-3") as axes:
        axes.plot(curve["refused"], curve["at_random"], color="tab:grey", label="at random")
        axes.plot(
            curve["refused"], curve["by_quality"], "o-", color="tab:blue", label="worst first"
        )
        axes.axhline(start / 2, color="tab:red", linestyle=":", label="half")
        axes.set(
            title="Refusing the worst",
            xlim=(0, max(curve["refused"])),
            ylim=(0, max(0.05, 1.1 * start)),
        )
        axes.legend()
    return [path]


@contextmanager
def _figure(path: Path, across: str, up: str) -> Iterator[Any]:
    """Draw into axes, then write them as PNG.

    Raises:
        InputError: the file cannot be written.
    """
    from matplotlib.figure import Figure  # not pyplot: no global state, no window system

    figure = Figure(figsize=(6, 4.2), dpi=120, layout="constrained")
    axes = figure.subplots()
    axes.set(xlabel=across, ylabel=up)
    axes.grid(alpha=0.3)
    yield axes
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from error
