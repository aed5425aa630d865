"""From trained weights to a network as it is exported: what is quantised on, and its card."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from facegate.errors import DataError, ModelError, UsageError
from facegate.training import architectures
from facegate.training.card_file import card_head, made_by
from facegate.training.data import (
    OWN_PICTURES,
    read_crops,
    read_scenes,
    source_names,
    train_faces,
    train_scenes,
    val_faces,
    val_pairs,
    val_scenes,
)
from facegate.training.detection import SURE_SCORE
from facegate.training.partitions import interpreter_of
from facegate.training.weights import load_weights
from facegate.types import F32, U8, Detection
from facegate.vision.card import sha256_of
from facegate.vision.decoding import Canvas, faces_in
from facegate.vision.detector import CANDIDATE_SCORE
from facegate.vision.network_input import FIXED
from facegate.vision.preprocess import letterbox, to_float, to_int8
from facegate.vision.refiner import refined, shown

CALIBRATION_PICTURES = 300
LICENCE = (
    "Research use only: the training pictures come from public research sets whose terms do not "
    "allow commercial use. Train on your own data for anything else."
)
OWN_LICENCE = "Trained on pictures of one's own: whoever trained it knows what they allow."


@dataclass(frozen=True)
class Source:
    """Where a network comes from: its architecture with arguments, and the weights' file."""

    kind: str
    architecture: str
    arguments: dict[str, Any]
    weights: Path


def build(source: Source) -> keras.Model:
    """Build the network with fixed batch 1 and load its weights.

    Raises:
        InputError: the weights are missing or do not fit the architecture.
        UsageError: there is no architecture of that name.
    """
    known = architectures.BY_KIND[source.kind]
    if source.architecture not in known:
        raise UsageError(f"architecture {source.architecture}: known are {', '.join(known)}")
    model = known[source.architecture](batch_size=1, **source.arguments)
    load_weights(model, source.weights)
    return for_xnnpack(model)


@keras.saving.register_keras_serializable("facegate")
class Doubling(keras.layers.Layer):
    """Nearest up-sampling by two, of nothing but concatenation and reshaping.

    Keras' own becomes TILE, which XNNPACK leaves to others: it would cut the graph at every one.
    """

    def call(self, x: Any) -> Any:
        """Double (N, H, W, C) to (N, 2H, 2W, C)."""
        n, h, w, c = x.shape
        wide = keras.ops.reshape(keras.ops.concatenate([x, x], axis=3), (n, h, 1, 2 * w * c))
        return keras.ops.reshape(keras.ops.concatenate([wide, wide], axis=2), (n, 2 * h, 2 * w, c))


def for_xnnpack(model: keras.Model) -> keras.Model:
    """Give a network that computes the same with operators that XNNPACK takes."""

    def same_or_doubling(layer: Any) -> Any:
        if isinstance(layer, keras.layers.UpSampling2D):
            return Doubling(name=layer.name)
        return layer.__class__.from_config(layer.get_config())

    twin = keras.models.clone_model(model, clone_function=same_or_doubling)
    twin.set_weights(model.get_weights())
    return twin


def calibration_faces(data: Path) -> U8:
    """Draw training crops, some darkened: uint8 (N, 160, 160, 3)."""
    paths = train_faces(data)[:1]
    if not paths:
        raise DataError(
            f"{data}: no faces-train-*.parquet: INT8 gets its scales from such crops, and without "
            "them is not made; --format fp16 does not quantise"
        )
    crops = read_crops(paths).pixels
    rng = np.random.default_rng(0)
    chosen = crops[rng.choice(len(crops), min(CALIBRATION_PICTURES, len(crops)), replace=False)]
    return _darken_some(chosen, rng)


def calibration_scenes(data: Path, height: int, width: int) -> U8:
    """Draw training scenes, letterboxed, some darkened: uint8 (N, height, width, 3)."""
    scenes = read_scenes(train_scenes(data))
    rng = np.random.default_rng(0)
    rows = rng.choice(len(scenes), min(CALIBRATION_PICTURES, len(scenes)), replace=False)
    return _darken_some(
        np.stack([letterbox(scenes[r].pixels, width, height)[0] for r in rows]), rng
    )


def calibration_squares(data: Path, side_px: int) -> U8:
    """Draw what the refiner is shown of faces, some darkened: uint8 (N, side_px, side_px, 3).

    Of faces alone: what is none drives some activations ten times as high, and scales that hold
    them are too coarse to say where an eye is.
    """
    scenes = read_scenes(train_scenes(data))
    faced = [s for s in scenes if (s.scores >= SURE_SCORE).any()]
    if not faced:
        raise DataError(f"{data}: no picture in scenes-train.parquet has a face to calibrate on")
    rng = np.random.default_rng(0)
    rows = rng.choice(len(faced), min(CALIBRATION_PICTURES, len(faced)), replace=False)
    squares = []
    for scene in (faced[row] for row in rows):
        face = rng.choice(np.flatnonzero(scene.scores >= SURE_SCORE))
        squares.append(shown(scene.pixels, scene.boxes[face], side_px))
    return _darken_some(np.stack(squares), rng)


def _darken_some(pixels: U8, rng: np.random.Generator) -> U8:
    light = np.where(rng.random(len(pixels)) < 0.2, rng.uniform(0.2, 0.7, len(pixels)), 1.0)
    return (pixels * light[:, None, None, None]).astype(np.uint8)


class FloatNetwork:
    """A network before quantisation, answering for one picture at a time.

    Args:
        model: with fixed batch 1.

    Attributes:
        min_score: of a detector, below which it reports nothing.
    """

    def __init__(self, model: keras.Model) -> None:
        self.min_score = CANDIDATE_SCORE
        self._run: Callable[[Any], Any] = tf.function(lambda x: model(x, training=False))
        _, self._height, self._width, _ = model.inputs[0].shape

    def embed(self, face: U8) -> F32:
        """Embed an aligned face: uint8 (160, 160, 3) to a unit vector (128,)."""
        raw = np.asarray(self._run(to_float(face[None]))[0], np.float32)
        return np.asarray(raw / max(float(np.linalg.norm(raw)), 1e-12), np.float32)

    @property
    def canvas_px(self) -> tuple[int, int]:
        """Width and height of the input."""
        return self._width, self._height

    @property
    def side_px(self) -> int:
        """Side of a refiner's input."""
        return int(self._height)

    def refine(self, pixels: U8, candidate: Detection) -> Detection:
        """Judge a candidate as `TFLiteFaceRefiner.refine` does."""
        answers = self.heads(shown(pixels, candidate.box, self.side_px))
        return refined(candidate, {head: values.ravel() for head, values in answers.items()})

    def heads(self, canvas: U8) -> dict[str, F32]:
        """Run on a picture of the input's size: head → float32 (h, w, channels)."""
        return {k: np.asarray(v)[0] for k, v in self._run(to_float(canvas[None])).items()}

    def detect(self, pixels: U8) -> list[Detection]:
        """Find faces as `TFLiteFaceDetector.detect` does, above `min_score`."""
        shown, scale = letterbox(pixels, self._width, self._height)
        maps = {head: m.reshape(-1, m.shape[-1]) for head, m in self.heads(shown).items()}
        height, width = pixels.shape[:2]
        canvas = Canvas(self._width, self._height, (width, height), scale)
        return faces_in(
            lambda head, rows: maps[head] if rows is None else maps[head][rows],
            canvas,
            self.min_score,
        )


def name_outputs(model: keras.Model, content: bytes) -> dict[str, str]:
    """Find which TFLite output is which head, by shape and value on one picture."""
    interpreter = interpreter_of(content)
    rng = np.random.default_rng(0)
    shape = tuple(int(n) for n in interpreter.get_input_details()[0]["shape"])
    pixels = rng.integers(0, 256, shape, dtype=np.uint8)
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], to_int8(pixels))
    interpreter.invoke()
    wanted = {k: np.array(v) for k, v in model(to_float(pixels)).items()}
    names: dict[str, str] = {}
    for detail in interpreter.get_output_details():
        scale, zero = detail["quantization"]
        values = (interpreter.get_tensor(detail["index"]).astype(np.float32) - zero) * scale
        fits = {
            k: float(np.abs(v - values).mean())
            for k, v in wanted.items()
            if v.shape == values.shape
        }
        if fits:
            names[min(fits, key=lambda k: fits[k])] = detail["name"]
    if set(names) != set(wanted):
        raise ModelError("the exported network's outputs could not be told apart")
    return names


def describe(
    source: Source, model: keras.Model, path: Path, command: str, data: Path | None
) -> dict[str, Any]:
    """Start the card: what the network is and how it came to be.

    `run.json`, which training leaves beside its weights, gives the settings and the commands that
    led to them; `command` is the export's own.
    """
    details = interpreter_of(path).get_input_details()[0]
    scale, zero_point = details["quantization"]
    run = made_by(source.weights)
    commands = [*run.get("commands", []), command]
    sources = _sources(source.kind, data) if data is not None else []
    return {
        "kind": source.kind,
        "architecture": source.architecture,
        "arguments": source.arguments,
        **card_head(path),
        "parameters": int(model.count_params()),
        "multiply_adds": architectures.multiply_adds(model),
        "input": {
            "shape": [int(n) for n in details["shape"]],
            "dtype": np.dtype(details["dtype"]).name,
            "scale": float(scale),
            "zero_point": int(zero_point),
            # An INT8 input needs no word: its scale and zero point say it.
            **({"normalisation": FIXED} if details["dtype"] == np.float32 else {}),
        },
        "training": run.get("settings"),
        "data": {
            "files": _data_files(source.kind, data) if data is not None else {},
            "sources": sources,
            "licence": _licence(sources, commands),
        },
        "commands": commands,
    }


def _sources(kind: str, data: Path) -> list[str]:
    return source_names(train_faces(data) if kind == "embedder" else [train_scenes(data)])


def _licence(sources: list[str], commands: list[str]) -> str:
    """Say what the pictures allow; weights that a run began with bring their pictures along."""
    own = set(sources) == {OWN_PICTURES}
    return LICENCE if not own or any("--start-from" in c for c in commands) else OWN_LICENCE


def _data_files(kind: str, data: Path) -> dict[str, str]:
    """Name the files the network was trained and measured on, with their hashes."""
    files = (
        [*train_faces(data), val_faces(data), val_pairs(data)]
        if kind == "embedder"
        else [train_scenes(data), val_scenes(data)]
    )
    return {p.name: sha256_of(p) for p in files if p.is_file()}
