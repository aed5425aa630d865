"""Somebody else's embedder: read, converted, measured, and given a card that the daemon accepts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from facegate.errors import InputError, ModelError
from facegate.training import identity_folder, named_pairs, verification
from facegate.training.calibration import calibrate_people
from facegate.training.card_file import card_head
from facegate.training.chatter import hushed
from facegate.training.partitions import interpreter_of, partitions
from facegate.training.progress import Progress, quietly
from facegate.training.sampling import labels_of
from facegate.vision.embedder import FaceEmbedder
from facegate.vision.faces import FaceReader
from facegate.vision.network_input import NetworkInput

KERAS_SUFFIXES = (".h5", ".keras")


def read_foreign(path: Path, half: bool = True) -> bytes:
    """Give a network as TFLite, whatever it came as.

    Args:
        path: `.tflite`, or a whole Keras model as `.keras` or `.h5`.
        half: store the weights of a Keras model in 16 bits.

    Raises:
        InputError: there is no such file, or it is no model.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if path.suffix == ".tflite":
        content = path.read_bytes()
    elif path.suffix in KERAS_SUFFIXES and not path.name.endswith(".weights.h5"):
        content = _converted(path, half)
    else:
        raise InputError(
            f"{path}: give a .tflite, or a whole model as .keras or .h5; weights alone "
            "(.weights.h5) say nothing of the layers they belong to"
        )
    try:
        interpreter_of(content)
    except (ValueError, RuntimeError) as error:
        raise InputError(f"{path}: not a model that the interpreter takes: {error}") from error
    return content


def _converted(path: Path, half: bool) -> bytes:
    import keras

    from facegate.training.conversion import to_float_tflite

    try:
        with hushed():  # warnings of metrics and optimisers, which are not needed
            model = keras.saving.load_model(path, compile=False)
    except (ValueError, OSError, KeyError, TypeError, ImportError) as error:
        raise InputError(
            f"{path}: not a whole Keras model: {str(error).splitlines()[0]}"
        ) from error
    shape = model.input_shape
    if not isinstance(shape, tuple) or len(shape) != 4 or None in shape[1:]:
        raise InputError(f"{path}: its input is {shape}; needed: one of a fixed size, (h, w, 3)")
    one = keras.Input(batch_shape=(1, *shape[1:]))
    fixed = keras.Model(one, model(one, training=False))
    try:
        return to_float_tflite(fixed, half)
    except Exception as error:  # the converter raises whatever its passes do
        raise InputError(f"{path}: cannot be converted: {str(error).splitlines()[0]}") from error


def describe(path: Path, came_as: str, normalisation: str, command: str) -> dict[str, Any]:
    """Write the card of an imported network, without figures.

    Args:
        path: the TFLite file.
        came_as: the name of the file that was given.
        normalisation: what the network wants pixels to be, one of `NORMALISATIONS`.
        command: the import's own.

    Raises:
        InputError: it is no face embedder: not one square picture in, one vector out.
    """
    interpreter = interpreter_of(path)
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    if len(inputs) != 1 or len(outputs) != 1:
        raise InputError(
            f"{came_as}: {len(inputs)} inputs and {len(outputs)} outputs; a face embedder takes "
            "one picture and gives one vector"
        )
    wants = NetworkInput.of(inputs[0], normalisation)
    try:
        wants.check(came_as)
    except ModelError as error:
        raise InputError(str(error)) from error
    if wants.shape[1] != wants.shape[2]:
        raise InputError(f"{came_as}: its input is {list(wants.shape)}; aligned faces are square")
    gives = [int(n) for n in outputs[0]["shape"]]
    if len(gives) != 2 or gives[0] != 1 or gives[1] < 2:
        raise InputError(f"{came_as}: gives {gives}; a face embedder gives one vector, [1, n]")
    return {
        "kind": "embedder",
        "architecture": Path(came_as).stem,
        "imported_from": came_as,
        **card_head(path),
        "input": {
            "shape": list(wants.shape),
            "dtype": wants.dtype.name,
            "scale": wants.scale,
            "zero_point": wants.zero_point,
            "normalisation": normalisation,
        },
        "output": {"floats": gives[1], "dtype": np.dtype(outputs[0]["dtype"]).name},
        "data": {"licence": "Not known to facegate: ask whoever made this network."},
        "commands": [command],
        "xnnpack_partitions": partitions(path),
    }


def measure_on_data(
    embedder: FaceEmbedder, data: Path, progress: Progress[Any] = quietly
) -> dict[str, Any]:
    """Measure on `faces-val.parquet` with `val-pairs.csv`: the card's figures and calibration."""
    figures, _, vectors, crops = verification.embedder_on_data(embedder, data, progress)
    return {
        "figures": figures,
        "calibration": calibrate_people(vectors, labels_of(crops.identity), crops.source),
    }


def measure_on_images(
    reader: FaceReader,
    images: Path,
    pairs: Path | None,
    progress: Progress[Any] = quietly,
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Measure on a folder of people, with a file of pairs or pairs that are drawn.

    Raises:
        DataError: a file is missing or wrong, no face is found, or too few to calibrate on.
    """
    paths, named = identity_folder.read_to_compare(images, pairs, say=say)
    seen = named_pairs.see_pictures(reader, paths, progress, say)
    return {
        "figures": verification.figures(named_pairs.verify_pictures(seen, named)),
        "calibration": calibrate_people(seen.faces, labels_of(seen.people)),
    }
