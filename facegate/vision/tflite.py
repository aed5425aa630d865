"""The one place that knows a TFLite interpreter.

Takes `ai_edge_litert` where it is installed, `tflite_runtime` elsewhere. A model is only run when
its card and hash fit, and either `pixel ^ 0x80` is its input or the card says what is.
"""

from __future__ import annotations

import importlib
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from facegate.errors import ModelError
from facegate.types import F32, I64, U8
from facegate.vision.card import ModelCard, read_card
from facegate.vision.network_input import NetworkInput
from facegate.vision.preprocess import LETTERBOX_GREY, letterbox

INTERPRETERS = ("ai_edge_litert.interpreter", "tflite_runtime.interpreter")


def model_folder() -> Path:
    """Find the shipped models: inside an installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "models"
    return inside if inside.is_dir() else package.parent / "models"


def load_interpreter() -> tuple[Any, str]:
    """Import the interpreter class and say which package it came from.

    Raises:
        ModelError: neither package is installed.
    """
    for name in INTERPRETERS:
        try:
            return importlib.import_module(name).Interpreter, name.split(".")[0]
        except ImportError:
            continue
    raise ModelError("no TFLite interpreter: pip install ai-edge-litert")


class TFLiteModel:
    """A model with fixed batch 1.

    Args:
        path: the `.tflite` file; its card lies beside it.
        kind: `detector`, `refiner` or `embedder`.
        threads: interpreter threads.

    Raises:
        ModelError: the card, hash, file or input does not fit, or there is no interpreter.

    Attributes:
        delegate: who runs the graph.
        cpu_s: CPU seconds that the calling thread spent inside the network so far.

    Not safe for two threads at once: each pipeline stage owns its model.
    """

    def __init__(self, path: Path, kind: str, threads: int = 1) -> None:
        self.card: ModelCard = read_card(path, kind)
        interpreter, self.runtime = load_interpreter()
        try:
            with quietly():
                self._interpreter = interpreter(model_path=str(path), num_threads=threads)
                self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ModelError(f"{path}: the interpreter refuses it: {error}") from error
        self.delegate = _delegate_of(self._interpreter)
        self.cpu_s = 0.0
        taken = self._interpreter.get_input_details()[0]
        self._wants = NetworkInput.of(taken, self.card.normalisation)
        self._wants.check(str(path))
        self._input = self._interpreter.tensor(taken["index"])
        self._outputs = {
            given["name"]: (self._interpreter.tensor(given["index"]), given["quantization"])
            for given in self._interpreter.get_output_details()
        }

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of the input."""
        _, height, width, channels = self._wants.shape
        return height, width, channels

    def encode(self, pixels: U8) -> np.ndarray:
        """Turn a picture, uint8 of `input_shape`, into what the network takes."""
        return self._wants.encode(pixels)

    def run(self, pixels: U8) -> dict[str, F32]:
        """Run the model on one picture.

        Args:
            pixels: uint8, `input_shape`, RGB.

        Returns:
            Output name → float32 array without the batch axis, dequantised.
        """
        self.feed(pixels)
        return {name: self.output(name) for name in self._outputs}

    def feed(self, pixels: U8) -> None:
        """Run the model on one picture; `output` then gives what it answered.

        Args:
            pixels: uint8 (h, w, 3), RGB, of `input_shape` or smaller: what it leaves free at the
                right and at the bottom is grey.
        """
        self._give(pixels)
        self._invoke()

    def output(self, name: str, rows: I64 | None = None) -> F32:
        """Give an output of the last run, dequantised.

        Args:
            name: of the output.
            rows: which positions, counted over all axes but the last; all, if not given.

        Returns:
            float32 without the batch axis; (len(rows), channels) where rows were asked for.
        """
        view, (scale, zero_point) = self._outputs[name]
        raw = view()[0]
        chosen = raw if rows is None else raw.reshape(-1, raw.shape[-1])[rows]
        values: F32 = chosen.astype(np.float32)
        if raw.dtype != np.float32:
            values -= np.float32(zero_point)
            values *= np.float32(scale)
        return values

    def _give(self, pixels: U8) -> None:
        # A view of the interpreter's own memory: it must not outlive this method.
        given = self._input()[0]
        if not self._wants.is_xor:
            height, width, _ = self.input_shape
            given[...] = self.encode(letterbox(pixels, width, height)[0])
            return
        height, width = pixels.shape[:2]
        levels = given.view(np.uint8)
        np.bitwise_xor(pixels, 0x80, out=levels[:height, :width])
        levels[height:] = levels[:height, width:] = LETTERBOX_GREY ^ 0x80

    def _invoke(self) -> None:
        began_s = time.thread_time()
        self._interpreter.invoke()
        self.cpu_s += time.thread_time() - began_s

    @property
    def output_scales(self) -> dict[str, float]:
        """Output name → its quantisation scale; 0 for a float output."""
        return {name: float(scale) for name, (_, (scale, _)) in self._outputs.items()}

    @property
    def output_shapes(self) -> dict[str, tuple[int, ...]]:
        """Output name → its shape without the batch axis."""
        return {name: tuple(view().shape[1:]) for name, (view, _) in self._outputs.items()}


def _delegate_of(interpreter: Any) -> str:
    """Say who runs the graph: XNNPACK is the one delegate that is loaded unasked."""
    operators = {step["op_name"] for step in interpreter._get_ops_details()}
    return "XNNPACK" if "DELEGATE" in operators else "built-in kernels"


@contextmanager
def quietly() -> Iterator[None]:
    """Keep native chatter, written to file descriptor 2 past Python, off people's terminals."""
    sys.stderr.flush()
    saved, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
