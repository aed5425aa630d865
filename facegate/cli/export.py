"""`export`: from trained weights to a shipped model with its card."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from facegate import parts
from facegate.cli.output import AsJson, emit
from facegate.cli.training import needs, portrait_figures, progress
from facegate.config import load_config
from facegate.errors import InputError


class Kind(StrEnum):
    """What is exported."""

    EMBEDDER = "embedder"
    DETECTOR = "detector"


def export(
    kind: Annotated[Kind, typer.Argument(help="Which network.", show_default=False)],
    weights: Annotated[Path, typer.Option(help="The trained .weights.h5 file.")],
    out: Annotated[Path, typer.Option(help="The .tflite file to write; the card goes beside it.")],
    data: Annotated[Path, typer.Option(help="Folder of the data sets: calibration and figures.")],
    architecture: Annotated[str, typer.Option(help="Of the embedder.")] = "inception_resnet_lite",
    width: Annotated[float, typer.Option(help="Of the embedder: multiplies its filters.")] = 1.0,
    float_too: Annotated[
        bool, typer.Option("--float", help="Also write OUT with .float.tflite, not quantised.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Quantise a trained network to INT8, measure it, and write it with its card."""
    if out.suffix != ".tflite":
        raise InputError(f"{out}: choose a name that ends in .tflite")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    needs("tensorflow", "keras", "pyarrow")
    from facegate.training import export as ex
    from facegate.training.card_file import write_card, write_model
    from facegate.training.partitions import partitions

    arguments: dict[str, Any] = {"width": width} if kind is Kind.EMBEDDER else {}
    name = architecture if kind is Kind.EMBEDDER else "yunet_like"
    source = ex.Source(kind.value, name, arguments, weights)
    model = ex.build(source)
    typer.echo(f"{name}: {model.count_params():,} parameters; quantising ...", err=True)
    if kind is Kind.EMBEDDER:
        pictures = ex.calibration_faces(data)
    else:
        _, height, wide, _ = model.inputs[0].shape
        pictures = ex.calibration_scenes(data, height, wide)
    content = ex.to_int8_tflite(model, pictures, float_output=kind is Kind.EMBEDDER)
    write_model(out, content)
    if float_too:
        write_model(out.with_suffix(".float.tflite"), ex.to_float_tflite(model))
    command = f"facegate export {kind.value} --weights {weights.name} --out {out.name} --data DATA"
    if kind is Kind.EMBEDDER and (architecture, width) != ("inception_resnet_lite", 1.0):
        command += f" --architecture {architecture} --width {width:g}"
    card = ex.describe(source, model, out, command, data)
    card["xnnpack_partitions"] = partitions(out)
    if kind is Kind.DETECTOR:
        card["outputs"] = ex.name_outputs(model, content)
    write_card(out, card)  # the runtime's classes below read it
    typer.echo("measuring ...", err=True)
    card.update(_measure(kind, out, data, model))
    write_card(out, card)
    emit(card["figures"], as_json, _lines(card))


def _measure(kind: Kind, out: Path, data: Path, model: Any) -> dict[str, Any]:
    import numpy as np

    from facegate.training import detection, verification
    from facegate.training.conditions import under_conditions
    from facegate.training.data import read_pairs, read_scenes
    from facegate.training.export import FloatNetwork
    from facegate.training.measure import measure_embedder
    from facegate.training.quality import of_ordinary_faces
    from facegate.training.quantisation import QUANTISED_PICTURES, equal_alarms, head_report
    from facegate.vision.detector import TFLiteFaceDetector
    from facegate.vision.embedder import TFLiteFaceEmbedder
    from facegate.vision.preprocess import letterbox

    before = FloatNetwork(model)
    if kind is Kind.DETECTOR:
        scenes = read_scenes(data / "scenes-val.parquet")
        detector = TFLiteFaceDetector(out)
        looked = detection.look_at(detector, scenes, progress)
        figures = {**detection.figures(looked), "min_score": detector.min_score}
        in_float = detection.detector_on_scenes(before, scenes, progress)
        compared = ("recall", "false_alarms_per_image", "false_alarms_with_faces", "landmark_nme")
        figures["float"] = {k: in_float[k] for k in compared}
        figures["at_equal_alarms"] = equal_alarms(detector, out, before, scenes)
        figures["conditions"] = under_conditions(detector, looked, progress)
        pictures = [letterbox(s.pixels, *before.canvas_px)[0] for s in scenes[:QUANTISED_PICTURES]]
        return {"figures": figures, "quantisation": head_report(detector, before, pictures)}
    embedder = TFLiteFaceEmbedder(out)
    reader = parts.reader_for(load_config(None), embedder)
    measured, _, vectors, crops = measure_embedder(reader, embedder, data, progress)
    measured["figures"] |= portrait_figures(reader)
    unit = np.stack([before.embed(c) for c in progress(crops, len(crops), "in float")])
    cosine = (unit * vectors).sum(1)
    in_float = verification.figures(
        verification.verification(unit, read_pairs(data / "val-pairs.csv"))
    )
    measured["figures"]["float"] = {k: in_float[k] for k in ("accuracy", "eer", "tar_at_far")}
    measured["figures"]["int8_to_float_cosine"] = {
        "min": float(cosine.min()),
        "mean": float(cosine.mean()),
        "crops": len(cosine),
    }
    lengths, coverage = of_ordinary_faces(embedder, data, progress)
    return {**measured, "lengths": lengths.to_card(), "coverage": coverage.to_card()}


def _lines(card: dict[str, Any]) -> list[str]:
    f = card["figures"]
    lines = [f"{card['bytes']:,} bytes, {card['xnnpack_partitions']} XNNPACK partition(s)"]
    if card["kind"] == "detector":
        equal = f["at_equal_alarms"]
        return [
            *lines,
            f"recall {f['recall']}, false alarms {f['false_alarms_per_image']:.4f}",
            f"at {equal['false_alarms']} false alarms: recall {equal['int8']:.4f}, "
            f"in float {equal['float']:.4f}",
            *[
                f"{head:<13} scale {q['scale']:.5f}  signal over error {q['sqnr_db']:.1f} dB  "
                f"greatest error {q['max_error']:.3f}"
                for head, q in card["quantisation"].items()
            ],
        ]
    cosine = f["int8_to_float_cosine"]
    return [
        *lines,
        f"accuracy {f['accuracy']:.4f} ± {f['accuracy_std']:.4f}, TAR {f['tar_at_far']}",
        f"INT8 against float: cosine min {cosine['min']:.4f} mean {cosine['mean']:.4f}, "
        f"accuracy {f['float']['accuracy']:.4f} in float",
    ]
