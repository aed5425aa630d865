"""`export`: from trained weights to a shipped model with its card."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from facegate import parts
from facegate.cli.output import AsJson, emit
from facegate.cli.train import Blocks, Width
from facegate.cli.training import gate_of, needs, portrait_figures, progress, say
from facegate.config import load_config
from facegate.errors import DataError, InputError
from facegate.vision.card import read_card


class Kind(StrEnum):
    """What is exported."""

    EMBEDDER = "embedder"
    DETECTOR = "detector"


class Format(StrEnum):
    """What the weights of an embedder are exported as."""

    INT8 = "int8"
    FP16 = "fp16"
    FP32 = "fp32"


def export(
    kind: Annotated[Kind, typer.Argument(help="Which network.", show_default=False)],
    weights: Annotated[Path, typer.Option(help="Trained weights: .weights.h5, .keras or .h5.")],
    out: Annotated[Path, typer.Option(help="The .tflite file to write; the card goes beside it.")],
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of the data sets: INT8 is calibrated and all measured on them."),
    ] = None,
    architecture: Annotated[str, typer.Option(help="Of the embedder.")] = "inception_resnet_lite",
    width: Width = 1.0,
    blocks: Blocks = None,
    format_: Annotated[
        Format, typer.Option("--format", help="Of an embedder: int8 for a Pi, or not quantised.")
    ] = Format.INT8,
    as_json: AsJson = False,
) -> None:
    """Turn trained weights into a TFLite file, measure it, and write it with its card.

    With --data the card is whole: figures with intervals, groups, robustness, calibration, quality
    and landmarks. That takes some minutes; each part is said when it is done.
    """
    if out.suffix != ".tflite":
        raise InputError(f"{out}: choose a name that ends in .tflite")
    if kind is Kind.DETECTOR and format_ is not Format.INT8:
        raise InputError("--format belongs to embedders: the detector is always int8")
    if data is None and format_ is Format.INT8:
        raise DataError(
            "no --data: INT8 gets its scales from pictures (300 of faces-train-*.parquet for an "
            "embedder, of scenes-train.parquet for a detector), and guessed ones would ruin the "
            "network. Give --data DIR; an embedder can also go unquantised with --format fp16"
        )
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    needs("tensorflow", "keras", "pyarrow")
    from facegate.training import export as ex
    from facegate.training.card_file import write_card, write_model
    from facegate.training.partitions import partitions
    from facegate.training.recipe import parse_blocks

    arguments: dict[str, Any] = {"width": width} if kind is Kind.EMBEDDER else {}
    if blocks and kind is Kind.EMBEDDER:
        arguments["blocks"] = parse_blocks(blocks)
    name = architecture if kind is Kind.EMBEDDER else "yunet_like"
    source = ex.Source(kind.value, name, arguments, weights)
    model = ex.build(source)
    say(f"{name}: {model.count_params():,} parameters; converting ...")
    content = _converted(kind, format_, model, data)
    write_model(out, content)
    command = f"facegate export {kind.value} --weights {weights.name} --out {out.name}"
    command += " --data DATA" if data is not None else ""
    if kind is Kind.EMBEDDER and (architecture, width) != ("inception_resnet_lite", 1.0):
        command += f" --architecture {architecture} --width {width:g}"
    if kind is Kind.EMBEDDER and blocks:
        command += f" --blocks {blocks}"
    if format_ is not Format.INT8:
        command += f" --format {format_.value}"
    card = ex.describe(source, model, out, command, data)
    card["xnnpack_partitions"] = partitions(out)
    if kind is Kind.DETECTOR:
        card["outputs"] = ex.name_outputs(model, content)
    write_card(out, card)  # the runtime's classes below read it
    if data is None:
        say(
            "no --data: nothing was measured, and the card says no distance's meaning. The daemon "
            f"refuses such a network until: facegate calibrate --model {out} --data DIR "
            "(or --images PEOPLE)"
        )
        emit({"model": str(out)}, as_json, [f"wrote {out}, {card['bytes']:,} bytes, unmeasured"])
        return
    say("measuring ...")
    card.update(_measure(kind, out, data, model))
    write_card(out, card)
    emit(card["figures"], as_json, _lines(card, format_))


def _converted(kind: Kind, format_: Format, model: Any, data: Path | None) -> bytes:
    from facegate.training import export as ex

    if data is None or format_ is not Format.INT8:
        return ex.to_float_tflite(model, half=format_ is Format.FP16)
    if kind is Kind.EMBEDDER:
        return ex.to_int8_tflite(model, ex.calibration_faces(data), float_output=True)
    _, height, width, _ = model.inputs[0].shape
    return ex.to_int8_tflite(model, ex.calibration_scenes(data, height, width), float_output=False)


def _measure(kind: Kind, out: Path, data: Path, model: Any) -> dict[str, Any]:
    import numpy as np

    from facegate.training import detection, verification
    from facegate.training.conditions import under_conditions
    from facegate.training.data import read_pairs, read_scenes
    from facegate.training.export import FloatNetwork
    from facegate.training.fidelity import fidelity
    from facegate.training.measure import measure_embedder
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
    settings = load_config(None)
    reader = parts.reader_for(settings, embedder)
    measured, _, vectors, crops = measure_embedder(
        reader, embedder, gate_of(settings), data, progress, say
    )
    finder = read_card(parts.detector_path(settings), "detector")
    measured["landmark_cost"] = {"detector": finder.model_id} | measured["landmark_cost"]
    measured["figures"] |= portrait_figures(reader)
    unit = np.stack([before.embed(c) for c in progress(crops, len(crops), "in float")])
    pairs = read_pairs(data / "val-pairs.csv")
    in_float = verification.figures(verification.verification(unit, pairs))
    measured["figures"]["float"] = {k: in_float[k] for k in ("accuracy", "eer", "tar_at_far")}
    measured["figures"]["fidelity"] = fidelity(unit, vectors, pairs)
    return measured


def _lines(card: dict[str, Any], format_: Format) -> list[str]:
    from facegate.training.fidelity import fidelity_lines

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
    return [
        *lines,
        f"accuracy {f['accuracy']:.4f} ± {f['accuracy_std']:.4f}, TAR {f['tar_at_far']}",
        *fidelity_lines(f["fidelity"], format_.value),
    ]
