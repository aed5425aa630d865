"""`evaluate`: how good the networks are, on the data sets or on one's own pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from facegate import parts
from facegate.cli.options import ConfigFile
from facegate.cli.output import AsJson, emit
from facegate.cli.training import needs, progress
from facegate.config import load_config
from facegate.errors import DataError
from facegate.vision.embedder import TFLiteFaceEmbedder

LOWEST_SCORE = 0.05
"""Where a precision-recall curve ends: below it there are only false alarms."""

app = typer.Typer(help="Measure the networks.", no_args_is_help=True)

Data = Annotated[Path | None, typer.Option(help="Folder with the validation sets.")]
Model = Annotated[Path | None, typer.Option(help="A .tflite with its card, instead of config's.")]
Plots = Annotated[Path | None, typer.Option(help="Folder to write curves into, as PNG.")]


@app.command()
def embedder(
    data: Data = None,
    images: Annotated[Path | None, typer.Option(help="Folder in LFW's layout.")] = None,
    pairs: Annotated[Path | None, typer.Option(help="LFW's pairs.txt, for --images.")] = None,
    model: Model = None,
    plots: Plots = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Verification accuracy, EER and TAR at low FAR; fractions, not percent."""
    if (data is None) == (images is None) or (images is None) != (pairs is None):
        raise DataError("give either --data DIR, or --images DIR with --pairs FILE")
    from facegate.training import named_pairs, verification
    from facegate.training import plots as drawing

    if plots:
        needs("matplotlib")
    settings = load_config(config)
    path = model or parts.embedder_path(settings)
    embedder = TFLiteFaceEmbedder(path, settings.models.embedder_threads)
    if data is not None:
        needs("pyarrow")
        result, found, _, _ = verification.embedder_on_data(embedder, data, progress)
    elif images is not None and pairs is not None:
        named = named_pairs.read_named_pairs(images, pairs)
        reader = parts.reader_for(settings, embedder)
        result, found = named_pairs.embedder_on_pictures(reader, named, progress)
    result = {"model": str(path), "model_id": embedder.model_id, **result}
    if plots:
        result["plots"] = [str(p) for p in drawing.verification_plots(plots, found)]
    tar = "  ".join(f"{k} {v:.4f}" for k, v in result["tar_at_far"].items())
    emit(
        result,
        as_json,
        [
            f"model     {path}",
            f"accuracy  {result['accuracy']:.4f} ± {result['accuracy_std']:.4f}",
            f"EER       {result['eer']:.4f}",
            f"TAR @ FAR {tar}",
            f"refused   {result['refused']}",
            *[f"wrote     {p}" for p in result.get("plots", [])],
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
