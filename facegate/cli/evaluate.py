"""`evaluate`: how good the networks are, on the data sets or on one's own pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from facegate import parts
from facegate.cli.figures import figure_lines
from facegate.cli.options import ConfigFile
from facegate.cli.output import AsJson, emit
from facegate.cli.training import needs, progress
from facegate.config import load_config
from facegate.errors import DataError
from facegate.vision.card import amend_card
from facegate.vision.embedder import TFLiteFaceEmbedder
from facegate.vision.faces import FaceReader

if TYPE_CHECKING:
    from facegate.training.verification import Verification

LOWEST_SCORE = 0.05
"""Where a precision-recall curve ends: below it there are only false alarms."""

app = typer.Typer(help="Measure the networks.", no_args_is_help=True)

Data = Annotated[Path | None, typer.Option(help="Folder with the validation sets.")]
Model = Annotated[Path | None, typer.Option(help="A .tflite with its card, instead of config's.")]
Plots = Annotated[Path | None, typer.Option(help="Folder to write curves into, as PNG.")]


@app.command()
def embedder(
    data: Data = None,
    images: Annotated[
        Path | None, typer.Option(help="Folder of people, NAME/PICTURE; LFW's layout is one.")
    ] = None,
    pairs: Annotated[
        Path | None, typer.Option(help="LFW's pairs.txt for --images; else pairs are drawn.")
    ] = None,
    groups: Annotated[
        Path | None, typer.Option(help="CSV of NAME,GROUP for --images: false matches by group.")
    ] = None,
    sheets: Annotated[
        Path | None,
        typer.Option(help="Folder for the worst pairs of --images, as PNG that shows faces."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the drawn pairs.")] = 0,
    robustness: Annotated[
        bool, typer.Option("--robustness", help="With --data: how much bad light and so on cost.")
    ] = False,
    into_card: Annotated[
        bool, typer.Option("--into-card", help="With --data: write the figures into the card.")
    ] = False,
    model: Model = None,
    plots: Plots = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Verification accuracy, EER and TAR at low FAR, with 95 % intervals; all as fractions."""
    if (data is None) == (images is None):
        raise DataError("give either --data DIR, or --images DIR (with or without --pairs FILE)")
    for name, option in (("pairs", pairs), ("groups", groups), ("sheets", sheets)):
        if option is not None and images is None:
            raise DataError(f"--{name} belongs to --images DIR")
    if data is None and (robustness or into_card):
        raise DataError("--robustness and --into-card belong to --data DIR")
    from facegate.training import plots as drawing
    from facegate.training import verification
    from facegate.training.robustness import robustness as robustness_on

    if plots:
        needs("matplotlib")
    settings = load_config(config)
    path = model or parts.embedder_path(settings)
    embedder = TFLiteFaceEmbedder(path, settings.models.embedder_threads)
    result: dict[str, Any] = {"model": str(path), "model_id": embedder.model_id}
    written: list[Path] = []
    if data is not None:
        needs("pyarrow")
        figures, found, _, _ = verification.embedder_on_data(embedder, data, progress)
        if robustness:
            reader = parts.reader_for(settings, embedder)
            figures["robustness"] = robustness_on(reader, embedder, data, progress)
        if into_card:
            written.append(_into_card(embedder, path, figures))
    elif images is not None:
        reader = parts.reader_for(settings, embedder)
        figures, found, written = _on_images(reader, images, pairs, groups, sheets, seed)
    result |= figures
    if plots:
        written += drawing.verification_plots(plots, found)
    result["plots"] = [str(p) for p in written]
    emit(
        result,
        as_json,
        [f"model        {path}", *figure_lines(result), *[f"wrote        {p}" for p in written]],
    )


def _into_card(embedder: TFLiteFaceEmbedder, path: Path, figures: dict[str, Any]) -> Path:
    """Put figures into a model's card; those that were not measured anew stay."""
    from facegate.training.card_file import write_card

    raw = embedder.model.card.raw
    write_card(path, {**raw, "figures": {**raw.get("figures", {}), **figures}})
    return embedder.model.card.path


def _on_images(
    reader: FaceReader,
    images: Path,
    pairs: Path | None,
    groups: Path | None,
    sheets: Path | None,
    seed: int,
) -> tuple[dict[str, Any], Verification, list[Path]]:
    """Measure on a folder of people; without a file of pairs everybody is compared too."""
    import numpy as np

    from facegate.training import identity_folder, named_pairs, verification
    from facegate.training.groups import false_matches_by_group
    from facegate.training.sampling import labels_of
    from facegate.training.sheets import failure_sheets

    if pairs is not None:
        named = named_pairs.read_named_pairs(images, pairs)
        paths = [*named.a, *named.b]
    else:
        pictures = identity_folder.read_folder(images)
        named = identity_folder.draw_pairs(pictures, seed)
        paths = [p.path for p in pictures]
    people = {p.parent.name for p in paths}
    group = identity_folder.read_groups(groups, people) if groups is not None else None
    seen = named_pairs.see_pictures(reader, paths, progress)
    found = named_pairs.verify_pictures(seen, named)
    figures = verification.figures(found)
    usable = np.flatnonzero(seen.found)
    names = [seen.paths[k].parent.name for k in usable]
    if pairs is None and len(set(names)) > 1:
        figures["all_pairs"] = verification.low_far(seen.vectors[usable], labels_of(names))
    if group is not None:
        figures["groups"] = false_matches_by_group(
            seen.vectors[usable], labels_of(names), [group[n] for n in names]
        )
    written = failure_sheets(sheets, seen, named) if sheets is not None else []
    return figures, found, written


@app.command()
def quality(
    data: Annotated[Path, typer.Option(help="Folder with faces-val and faces-train.")],
    model: Model = None,
    plots: Plots = None,
    card: Annotated[
        bool, typer.Option("--card", help="Write the figures into the model's card too.")
    ] = False,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """What the quality gate refuses, and whether that is what verifies worst."""
    needs("pyarrow", *(["matplotlib"] if plots else []))
    from facegate.training import plots as drawing
    from facegate.training import quality as measuring
    from facegate.vision.quality import QualityLimits

    settings = load_config(config)
    path = model or parts.embedder_path(settings)
    embedder = TFLiteFaceEmbedder(path, settings.models.embedder_threads)
    gate = settings.quality
    limits = gate.model_dump(exclude={"shortest_refused", "covered_refused"})
    result = measuring.quality_on_data(
        embedder,
        QualityLimits(**limits),
        gate.shortest_refused,
        gate.covered_refused,
        data,
        progress,
    )
    learnt = {name: result.pop(name) for name in ("lengths", "coverage")}
    if card:
        amend_card(path, {"quality": result, **learnt})
    written = drawing.quality_plots(plots, result["error_versus_reject"]) if plots else []
    curve = result["error_versus_reject"]
    rows = zip(curve["refused"], curve["by_quality"], curve["at_random"], strict=True)
    emit(
        {"model": str(path), "model_id": embedder.model_id, **result}
        | ({"plots": [str(p) for p in written]} if plots else {}),
        as_json,
        [
            f"model    {path}",
            "refused  false non-matches at FAR 1e-3: the worst refused, at random",
            *[f"{share:7.0%}  {worst:.4f}  {chance:.4f}" for share, worst, chance in rows],
            "reason           crops   their pairs' misses   the others'",
            *[
                f"{name:<16} {r['share']:5.1%}   {r['fnmr']:.3f} of {r['pairs']:<6}"
                f"       {r['fnmr_of_others']:.3f}"
                for name, r in result["refused"].items()
                if r["pairs"]
            ],
            *[f"wrote    {p}" for p in written],
        ],
    )


@app.command()
def detector(
    data: Annotated[Path, typer.Option(help="Folder with scenes-val.parquet.")],
    model: Model = None,
    plots: Plots = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Recall by face size, false alarms, landmark error; fractions, not percent."""
    needs("pyarrow", *(["matplotlib"] if plots else []))
    from facegate.training import detection
    from facegate.training import plots as drawing
    from facegate.training.data import read_scenes
    from facegate.vision.detector import TFLiteFaceDetector

    settings = load_config(config)
    path = model or parts.detector_path(settings)
    finder = TFLiteFaceDetector(path, settings.detection.min_score)
    result: dict[str, Any] = {
        "model": str(path),
        **detection.detector_on_data(finder, data, progress),
    }
    if plots:
        scenes = read_scenes(data / "scenes-val.parquet")
        eager = TFLiteFaceDetector(path, LOWEST_SCORE)
        ranking = detection.rank_detections(eager, scenes, progress)
        written = drawing.detection_plots(plots, ranking, finder.min_score)
        result["plots"] = [str(p) for p in written]
    recall = "  ".join(f"{k} {v:.4f}" for k, v in result["recall"].items())
    emit(
        result,
        as_json,
        [
            f"model         {path}",
            f"recall        {recall}",
            f"false alarms  {result['false_alarms_per_image']:.4f} a picture without faces, "
            f"{result['false_alarms_with_faces']:.4f} with",
            f"landmarks     {result['landmark_nme']:.4f} of the eyes' distance",
            *[f"wrote         {p}" for p in result.get("plots", [])],
        ],
    )
