"""`export`: from trained weights to a shipped model with its card."""

from __future__ import annotations

import shlex
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from facegate import parts
from facegate.cli.output import AsJson, emit
from facegate.cli.train import Architecture, Blocks, Boxes, Images, Width
from facegate.cli.training import (
    annotated_sets,
    keras_to_convert,
    needs,
    portrait_figures,
    progress,
    say,
)
from facegate.config import load_config
from facegate.errors import ModelError, NoEmbeddingError
from facegate.vision.card import read_card

if TYPE_CHECKING:
    from facegate.training.data import Scene
    from facegate.training.export import FloatNetwork, Source
    from facegate.training.quantisation import Limited


class Kind(StrEnum):
    """What is exported."""

    EMBEDDER = "embedder"
    DETECTOR = "detector"
    REFINER = "refiner"


ONLY = {Kind.DETECTOR: "yunet_like", Kind.REFINER: "onet_like"}
"""The architecture of what has but one."""


class Format(StrEnum):
    """What the weights of an embedder are exported as."""

    INT8 = "int8"
    FP16 = "fp16"
    FP32 = "fp32"


def export(
    context: typer.Context,
    kind: Annotated[Kind, typer.Argument(help="Which network.", show_default=False)],
    weights: Annotated[Path, typer.Option(help="Trained weights: .weights.h5, .keras or .h5.")],
    out: Annotated[Path, typer.Option(help="The .tflite file to write; the card goes beside it.")],
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of the data sets: INT8 is calibrated and all measured on them."),
    ] = None,
    images: Images = None,
    boxes: Boxes = None,
    architecture: Architecture = None,
    width: Width = None,
    blocks: Blocks = None,
    format_: Annotated[
        Format, typer.Option("--format", help="Of an embedder: int8 for a Pi, or not quantised.")
    ] = Format.INT8,
    as_json: AsJson = False,
) -> None:
    """Turn trained weights into a TFLite file, measure it, and write it with its card.

    With --data the card is whole: figures with intervals, groups, robustness, calibration, quality
    and landmarks. That takes some minutes; each part is said when it is done. A detector or refiner
    may have --images with --boxes instead: the fifth that training held out measures it.
    """
    if out.suffix != ".tflite":
        raise typer.BadParameter(f"{out}: choose a name that ends in .tflite")
    if kind is not Kind.EMBEDDER and format_ is not Format.INT8:
        raise typer.BadParameter(f"--format belongs to embedders: the {kind.value} is always int8")
    data, given = _given(context, kind, data, images, boxes)
    if data is None and format_ is Format.INT8:
        raise typer.BadParameter(
            "no --data: INT8 gets its scales from pictures (300 of faces-train-*.parquet for an "
            "embedder, else of scenes-train.parquet), and guessed ones would ruin the "
            "network. Give --data DIR; an embedder can also go unquantised with --format fp16"
        )
    keras_to_convert()
    needs("tensorflow", "keras", "pyarrow")
    from facegate.training import export as ex
    from facegate.training.recipe import variant_of

    name, arguments, options = ONLY.get(kind, ""), {}, list[str]()
    if kind is Kind.EMBEDDER:
        variant = variant_of(architecture, width, blocks, weights)
        name, arguments, options = variant.architecture, variant.arguments, variant.options
    if format_ is not Format.INT8:
        options.append(f"--format {format_.value}")
    source = ex.Source(kind.value, name, arguments, weights)
    model = ex.build(source)
    say(f"{name}: {model.count_params():,} parameters; converting ...")
    content = _converted(kind, format_, model, data)
    files = ["--weights", weights.name, "--out", out.name]
    command = " ".join(["facegate", "export", kind.value, *files, *given, *options])
    card = _write(source, model, content, out, command, data)
    if data is not None:
        emit(card["figures"], as_json, _lines(card, format_, out))
        return
    say(
        "no --data: nothing was measured, and the card says no distance's meaning. The daemon "
        f"refuses such a network until: facegate calibrate --model {out} --data DIR "
        "(or --images PEOPLE, nobody that it was trained on)"
    )
    emit({"model": str(out)}, as_json, [f"wrote {out}, {card['bytes']:,} bytes, unmeasured"])


def _given(
    context: typer.Context, kind: Kind, data: Path | None, images: Path | None, boxes: Path | None
) -> tuple[Path | None, list[str]]:
    """Give the sets, made of one's own pictures if need be, and how the card's command names them.

    Sets that are made lie in a folder that goes with the command.
    """
    if images is None and boxes is None:
        return data, [] if data is None else ["--data DATA"]
    if kind is Kind.EMBEDDER:
        raise typer.BadParameter("--images belongs to detector and refiner: give --data DIR")
    needs("pyarrow")
    folder = Path(context.with_resource(TemporaryDirectory()))
    return annotated_sets(data, images, boxes, folder, say), ["--images IMAGES", "--boxes BOXES"]


def _write(
    source: Source, model: Any, content: bytes, out: Path, command: str, data: Path | None
) -> dict[str, Any]:
    """Write the network, measured where there is data, and its card.

    Returns:
        The card.
    """
    from facegate.training import export as ex
    from facegate.training.card_file import replacing, write_card, write_whole
    from facegate.training.partitions import partitions

    kind = Kind(source.kind)
    with replacing(out) as made:  # what was there before stays until all is measured
        write_whole(made, content)
        card = ex.describe(source, model, made, command, data)
        card["xnnpack_partitions"] = partitions(made)
        if kind is not Kind.EMBEDDER:
            card["outputs"] = ex.name_outputs(model, content)
        write_card(made, card)  # the runtime's classes read it
        if data is not None:
            say("measuring ...")
            try:
                card.update(_measure(kind, made, data, model))
            except NoEmbeddingError as error:
                raise ModelError(
                    f"{source.weights}: gives zeros or no numbers for a face: its training came to "
                    "nothing"
                ) from error
            write_card(made, card)
    return card


def _converted(kind: Kind, format_: Format, model: Any, data: Path | None) -> bytes:
    from facegate.training import export as ex
    from facegate.training.conversion import to_float_tflite, to_int8_tflite

    if data is None or format_ is not Format.INT8:
        return to_float_tflite(model, half=format_ is Format.FP16)
    if kind is Kind.EMBEDDER:
        return to_int8_tflite(model, ex.calibration_faces(data), float_output=True)
    _, height, width, _ = model.inputs[0].shape
    if kind is Kind.REFINER:
        # Its last convolution in float: what two releases of OpenCV cut out a little differently
        # moves landmarks less (of 16 pictures by 0.58 px at most instead of 0.74).
        squares = ex.calibration_squares(data, width)
        return to_int8_tflite(model, squares, float_output=True, before="whole")
    return to_int8_tflite(model, ex.calibration_scenes(data, height, width), float_output=False)


def _measure(kind: Kind, out: Path, data: Path, model: Any) -> dict[str, Any]:
    from facegate.training.export import FloatNetwork

    before = FloatNetwork(model)
    measure = {
        Kind.DETECTOR: _measure_detector,
        Kind.REFINER: _measure_refiner,
        Kind.EMBEDDER: _measure_embedder,
    }
    return measure[kind](out, data, before)


def _measure_detector(out: Path, data: Path, before: FloatNetwork) -> dict[str, Any]:
    """Measure a detector by itself: its candidates."""
    from facegate.training.data import read_scenes, val_scenes
    from facegate.training.quantisation import QUANTISED_PICTURES, head_report
    from facegate.vision.detector import TFLiteFaceDetector
    from facegate.vision.preprocess import letterbox

    scenes = read_scenes(val_scenes(data))
    detector = TFLiteFaceDetector(out)
    pictures = [letterbox(s.pixels, *before.canvas_px)[0] for s in scenes[:QUANTISED_PICTURES]]
    return {
        "figures": _found(detector, before, scenes),
        "quantisation": head_report(detector, before, pictures),
    }


def _measure_refiner(out: Path, data: Path, before: FloatNetwork) -> dict[str, Any]:
    """Measure a refiner behind the detector in use: what the door finds."""
    from facegate.training.data import read_scenes, val_scenes
    from facegate.training.quantisation import QUANTISED_PICTURES, head_report
    from facegate.vision.refiner import TFLiteFaceRefiner, shown

    scenes = read_scenes(val_scenes(data))
    settings = load_config(None)
    detector, refiner = parts.load_detector(settings), TFLiteFaceRefiner(out)
    shipped, in_float = (parts.finder_of(settings, detector, r) for r in (refiner, before))
    squares = [
        shown(s.pixels, found[0].box, refiner.side_px)
        for s in scenes[:QUANTISED_PICTURES]
        if (found := detector.detect(s.pixels))
    ]
    return {
        "figures": {
            "detector": detector.model.card.model_id,
            **_found(shipped, in_float, scenes),
        },
        "quantisation": head_report(refiner, before, squares),
    }


def _found(shipped: Limited, in_float: Limited, scenes: list[Scene]) -> dict[str, Any]:
    """Measure what is found, before and after quantisation, and where seeing is hard."""
    from facegate.training import detection
    from facegate.training.conditions import under_conditions
    from facegate.training.quantisation import equal_alarms

    looked = detection.look_at(shipped, scenes, progress)
    compared = ("recall", "false_alarms_per_image", "false_alarms_with_faces", "landmark_nme")
    exact = detection.detector_on_scenes(in_float, scenes, progress)
    return {
        **detection.figures(looked),
        "min_score": shipped.min_score,
        "float": {k: exact[k] for k in compared},
        "at_equal_alarms": equal_alarms(shipped, in_float, scenes),
        "conditions": under_conditions(shipped, looked, progress),
    }


def _measure_embedder(out: Path, data: Path, before: FloatNetwork) -> dict[str, Any]:
    import numpy as np

    from facegate.training import verification
    from facegate.training.data import read_pairs, val_pairs
    from facegate.training.fidelity import fidelity
    from facegate.training.measure import measure_embedder
    from facegate.vision.embedder import TFLiteFaceEmbedder

    embedder = TFLiteFaceEmbedder(out)
    settings = load_config(None)
    reader = parts.reader_for(settings, embedder)
    measured, vectors, crops = measure_embedder(
        reader, embedder, parts.gate_settings(settings), data, progress, say
    )
    used = {
        "detector": read_card(parts.detector_path(settings), "detector").model_id,
        "refiner": read_card(parts.refiner_path(settings), "refiner").model_id,
    }
    measured["landmark_cost"] = used | measured["landmark_cost"]
    measured["figures"] |= portrait_figures(reader)
    unit = np.stack([before.embed(c) for c in progress(crops, len(crops), "in float")])
    pairs = read_pairs(val_pairs(data), len(crops))
    in_float = verification.figures(verification.verification(unit, pairs))
    measured["figures"]["float"] = {k: in_float[k] for k in ("accuracy", "eer", "tar_at_far")}
    measured["figures"]["fidelity"] = fidelity(unit, vectors, pairs)
    return measured


def _lines(card: dict[str, Any], format_: Format, out: Path) -> list[str]:
    from facegate.training.calibration import LEAST_PEOPLE
    from facegate.training.fidelity import fidelity_lines

    f = card["figures"]
    lines = [f"{card['bytes']:,} bytes, {card['xnnpack_partitions']} XNNPACK partition(s)"]
    if card["kind"] != Kind.EMBEDDER:
        equal = f["at_equal_alarms"]
        return [
            *lines,
            f"recall {f['recall']}, false alarms {f['false_alarms_per_image']:.4f}",
            f"at {equal['false_alarms']} false alarms: recall {equal['int8']:.4f}, "
            f"in float {equal['float']:.4f}",
            *[
                f"{head:<13} {_scale(q['scale'])}  signal over error {q['sqnr_db']:.1f} dB  "
                f"greatest error {q['max_error']:.3f}"
                for head, q in card["quantisation"].items()
            ],
        ]
    lines += [
        f"accuracy {f['accuracy']:.4f} ± {f['accuracy_std']:.4f}, TAR {f['tar_at_far']}",
        *fidelity_lines(f["fidelity"], format_.value),
    ]
    if card["calibration"] is None:
        command = shlex.join(["facegate", "calibrate", "--model", str(out), "--images", "PEOPLE"])
        lines.append(
            f"no door opens by it until: {command} ({LEAST_PEOPLE} people or more, two pictures "
            "each, nobody that it was trained on)"
        )
    return lines


def _scale(scale: float) -> str:
    return f"scale {scale:.5f}" if scale else "in float     "
