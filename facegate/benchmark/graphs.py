"""Small TFLite graphs made here: one dense INT8 product, or one operator out of a network.

The interpreter that runs the networks runs these too, so that what is compared differs in nothing
but the graph. The schema comes with `ai_edge_litert`.

Source: the TFLite schema, and its INT8 quantisation specification
(https://ai.google.dev/edge/litert/models/quantization_spec).
"""

from __future__ import annotations

import copy
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from facegate.errors import ModelError

IDENTIFIER = b"TFL3"
MATRIX_OPERATORS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")

_OPERATORS = {
    value: name for name, value in vars(schema.BuiltinOperator).items() if not name.startswith("_")
}


@dataclass(frozen=True)
class Layer:
    """One operator of a network as a graph of its own.

    Attributes:
        kind: the operator, with the kernel's size where it has one, as CONV_2D 3×3.
        macs: multiply-adds of one run; 0 where it multiplies no weights.
        output: shape of what it makes.
        content: the graph, a TFLite file.
    """

    kind: str
    macs: int
    output: tuple[int, ...]
    content: bytes


def dense(side: int, channels: int, layers: int) -> tuple[bytes, int]:
    """Make a chain of dense INT8 convolutions 1×1: matrix products and nothing else.

    Args:
        side: pixels of the square picture, the rows of the product being `side ** 2`.
        channels: in and out of every layer.
        layers: how many.

    Returns:
        The TFLite file and its multiply-adds.
    """
    rng = np.random.default_rng(0)
    model = schema.ModelT()
    model.version = 3
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CONV_2D
    code.version = 3
    model.operatorCodes = [code]
    model.buffers = [schema.BufferT()]
    graph = schema.SubGraphT()
    graph.tensors = [_tensor([1, side, side, channels], schema.TensorType.INT8, 0, [1 / 128], [-1])]
    graph.operators = []
    for _ in range(layers):
        weights = rng.integers(-127, 128, (channels, 1, 1, channels), dtype=np.int8)
        scales = [1 / (128 * channels**0.5)] * channels
        source = len(graph.tensors) - 1 if graph.operators else 0
        model.buffers += [_buffer(weights), _buffer(np.zeros(channels, np.int32))]
        filled = len(model.buffers)
        graph.tensors += [
            _tensor(weights.shape, schema.TensorType.INT8, filled - 2, scales, [0] * channels),
            _tensor(
                [channels],
                schema.TensorType.INT32,
                filled - 1,
                [s / 128 for s in scales],
                [0] * channels,
            ),
            _tensor([1, side, side, channels], schema.TensorType.INT8, 0, [1 / 128], [-1]),
        ]
        top = len(graph.tensors)
        step = schema.OperatorT()
        step.opcodeIndex = 0
        step.inputs, step.outputs = [source, top - 3, top - 2], [top - 1]
        step.builtinOptionsType = schema.BuiltinOptions.Conv2DOptions
        options = schema.Conv2DOptionsT()
        options.padding = schema.Padding.SAME
        options.strideW = options.strideH = options.dilationWFactor = options.dilationHFactor = 1
        step.builtinOptions = options
        graph.operators.append(step)
    graph.inputs, graph.outputs = [0], [len(graph.tensors) - 1]
    model.subgraphs = [graph]
    return _packed(model), layers * side * side * channels * channels


def layers_of(path: Path) -> Iterator[Layer]:
    """Take a network apart: each operator, in order, as a graph of its own.

    Raises:
        ModelError: the file cannot be read.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}") from error
    if content[4:8] != IDENTIFIER:
        raise ModelError(f"{path}: no TFLite file; `facegate export` makes one")
    try:
        whole = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    except (struct.error, IndexError, ValueError, TypeError) as error:  # flatbuffers checks nothing
        raise ModelError(f"{path}: damaged or cut short; take it from where it was made") from error
    graph = whole.subgraphs[0]
    for step in graph.operators:
        code = whole.operatorCodes[step.opcodeIndex]
        name = _OPERATORS[max(code.builtinCode, code.deprecatedBuiltinCode)]
        tensors = [graph.tensors[t] for t in step.inputs if t >= 0]
        weights = [t for t in tensors[1:] if len(t.shape) > 1 and _is_constant(whole, t)]
        output = tuple(int(n) for n in graph.tensors[step.outputs[0]].shape)
        macs, kind = 0, name
        if name in MATRIX_OPERATORS and weights:
            shape = [int(n) for n in weights[0].shape]
            macs = int(np.prod(output)) * int(np.prod(shape[1:]))
            if name == "DEPTHWISE_CONV_2D":
                macs = int(np.prod(output)) * shape[1] * shape[2]
            if len(shape) == 4:
                kind = f"{name} {shape[1]}×{shape[2]}"
        yield Layer(kind, macs, output, _alone(whole, step))


def _alone(whole: Any, step: Any) -> bytes:
    """Give a file with one operator of a network, its weights, and nothing else."""
    graph = whole.subgraphs[0]
    model = schema.ModelT()
    model.version = whole.version
    model.operatorCodes = whole.operatorCodes
    model.buffers = [schema.BufferT()]
    part = schema.SubGraphT()
    part.tensors, numbers = [], {-1: -1}
    for index in [*step.inputs, *step.outputs]:
        if int(index) in numbers:
            continue
        tensor = copy.copy(graph.tensors[index])
        if _is_constant(whole, tensor):
            model.buffers.append(whole.buffers[tensor.buffer])
            tensor.buffer = len(model.buffers) - 1
        else:
            tensor.buffer = 0
        numbers[int(index)] = len(part.tensors)
        part.tensors.append(tensor)
    alone = copy.copy(step)
    alone.inputs = [numbers[int(i)] for i in step.inputs]
    alone.outputs = [numbers[int(i)] for i in step.outputs]
    part.operators = [alone]
    part.inputs = [n for n, t in enumerate(part.tensors) if t.buffer == 0 and n in alone.inputs]
    part.outputs = alone.outputs
    model.subgraphs = [part]
    return _packed(model)


def _is_constant(whole: Any, tensor: Any) -> bool:
    data = whole.buffers[tensor.buffer].data
    return data is not None and len(data) > 0


def _tensor(shape: Any, kind: int, buffer: int, scales: list[float], zeros: list[int]) -> Any:
    tensor = schema.TensorT()
    tensor.shape, tensor.type, tensor.buffer = list(shape), kind, buffer
    quantisation = schema.QuantizationParametersT()
    quantisation.scale, quantisation.zeroPoint = scales, zeros
    quantisation.quantizedDimension = 0
    tensor.quantization = quantisation
    return tensor


def _buffer(values: Any) -> Any:
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(values.tobytes(), np.uint8)
    return buffer


def _packed(model: Any) -> bytes:
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), file_identifier=IDENTIFIER)
    return bytes(builder.Output())
