"""How far an INT8 scale reaches: not to the greatest value seen, but to where it errs least.

Eight bits that hold a rare peak are coarse for everything below it. Each activation's range is
drawn in while what is lost by clipping is less than what finer steps win.

Source: Nagel et al. 2021, "A White Paper on Neural Network Quantization", section 3.1 (ranges by
least error); an exponent above 2, by which a far miss counts more than several near ones, after
Nahshan et al. 2021, "Loss Aware Post-training Quantization".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from facegate.training.partitions import interpreter_of
from facegate.types import F32, U8
from facegate.vision.preprocess import to_float

REACHES = np.arange(1.0, 0.29, -0.05)
"""Parts of the calibrated range that are tried."""

EXPONENT = 2.4
VALUES = 20_000
"""So many of an activation's values are looked at in a picture, at most."""

PICTURES = 100


def drawn_in(calibrated: bytes, pictures: U8) -> bytes:
    """Draw in the ranges of a calibrated graph that is not quantised yet.

    Args:
        calibrated: TFLite file in float whose tensors carry the least and the greatest value seen.
        pictures: uint8 (N, H, W, 3), what it was calibrated on; the first `PICTURES` are looked at.

    Returns:
        The same graph, narrower ranges. The input's stays: a pixel takes every value.
    """
    from tensorflow.lite.tools import flatbuffer_utils

    graph = flatbuffer_utils.convert_bytearray_to_object(bytearray(calibrated))
    part = graph.subgraphs[0]
    ranges = {
        number: tensor.quantization
        for number, tensor in enumerate(part.tensors)
        if number not in part.inputs and _has_range(tensor.quantization)
    }
    error = {number: np.zeros(len(REACHES)) for number in ranges}
    for values in _activations(calibrated, pictures[:PICTURES], list(ranges)):
        for number, seen in values.items():
            error[number] += errors(seen, ranges[number].min[0], ranges[number].max[0])
    for number, quantization in ranges.items():
        reach = float(REACHES[error[number].argmin()])
        quantization.min = [reach * v for v in quantization.min]
        quantization.max = [reach * v for v in quantization.max]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(graph))


def errors(values: F32, least: float, greatest: float) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Say what rounding to 256 steps costs: float64 (len(REACHES),), over the range's length.

    Args:
        values: float32 (N,), of one activation.
        least, greatest: of the whole range; 0 belongs to it.
    """
    least, greatest = min(least, 0.0), max(greatest, 0.0)
    if least == greatest:
        return np.zeros(len(REACHES))
    cost = []
    for reach in REACHES:
        step = reach * (greatest - least) / 255
        zero = np.round(-reach * least / step)
        rounded = (np.clip(np.round(values / step) + zero, 0, 255) - zero) * step
        cost.append((np.abs(values - rounded) / (greatest - least)) ** EXPONENT)
    return np.asarray(np.sum(cost, axis=1, dtype=np.float64))


def _has_range(quantization: Any) -> bool:
    return quantization is not None and quantization.max is not None and len(quantization.max) == 1


def _activations(graph: bytes, pictures: U8, numbers: list[int]) -> Iterator[dict[int, F32]]:
    """Give, for each picture, some values of each of the tensors."""
    interpreter = interpreter_of(graph, every_tensor=True)
    entry = interpreter.get_input_details()[0]["index"]
    for picture in pictures:
        interpreter.set_tensor(entry, to_float(picture[None]))
        interpreter.invoke()
        found = {}
        for number in numbers:
            values = interpreter.get_tensor(number).ravel()
            found[number] = values[:: -(-len(values) // VALUES)]
        yield found
