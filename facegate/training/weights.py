"""Weights from a file into a network: Keras' own formats, or a TFLite file that was exported.

A shipped model is INT8 with its BatchNorms folded into the convolutions. Its kernels and biases are
dequantised, and each BatchNorm is made to compute exactly what was folded. `settle` then gives the
BatchNorms the statistics of real pictures, so that training can go on from there.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import torch
from torch import nn

from facegate.errors import InputError
from facegate.training.architectures import EMBEDDERS
from facegate.training.card_file import RUN_FILE
from facegate.training.loop import evaluating
from facegate.training.partitions import interpreter_of
from facegate.training.torch_twin import TorchTwin
from facegate.types import F32

CONVOLUTIONS = ("CONV_2D", "FULLY_CONNECTED")
LAYER_NAME = re.compile(r"/(\w+?)(?:_conv|_bn|_dense)(?:_\d+)?/")


def load_weights(model: keras.Model, path: Path) -> None:
    """Fill a network with the weights of a file.

    Args:
        model: the network; its weights are replaced.
        path: `.weights.h5`, `.keras`, `.h5`, or a `.tflite` that was exported from this
            architecture (quantised or not).

    Raises:
        InputError: there is no such file, it cannot be read, or its weights do not fit.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; train first")
    try:
        if path.suffix == ".tflite":
            _from_tflite(model, path)
        elif path.suffix == ".keras":
            model.set_weights(keras.saving.load_model(path, compile=False).get_weights())
        else:
            with warnings.catch_warnings():
                # Keras only warns of layers that it leaves at random weights.
                warnings.simplefilter("error", UserWarning)
                model.load_weights(path)
    except (ValueError, OSError, KeyError, TypeError, UserWarning) as error:
        found = "not every layer is in it" if isinstance(error, UserWarning) else str(error)
        raise InputError(
            f"{path}: these weights do not fit {model.name} with {model.count_params():,} "
            f"parameters: {found.splitlines()[0]}{_hint(model, path)}"
        ) from error


def _hint(model: keras.Model, path: Path) -> str:
    """Say why weights of an embedder may not fit."""
    if model.name not in EMBEDDERS or path.suffix == ".tflite":
        return ""
    told = (path.parent / RUN_FILE).is_file()
    lost = "" if told else f" {RUN_FILE}, which tells the blocks, does not lie beside them"
    return f"; have they another --width or other --blocks?{lost}"


def grow(model: keras.Model, smaller: keras.Model) -> None:
    """Fill a network from one with fewer blocks; it then computes what the smaller one does.

    Layers are matched by name. What only the larger one has are whole residual blocks behind the
    others of their kind; the last scale and shift of each are put to zero, so that it adds
    nothing until it has learned something.

    Args:
        model: the larger network; its weights are replaced.
        smaller: the same architecture, equally wide.

    Raises:
        InputError: the smaller one has layers that the larger one lacks, or of another size.

    Source: Chen et al. 2016, "Net2Net: Accelerating Learning via Knowledge Transfer", section 2.4
    (here for residual blocks, after Goyal et al. 2017, section 5.1: a last gamma of zero).
    """
    known = {layer.name: layer for layer in model.layers}
    for layer in smaller.layers:
        mine = known.pop(layer.name, None)
        weights = layer.get_weights()
        shapes = [tuple(w.shape) for w in weights]
        if mine is None or [tuple(w.shape) for w in mine.weights] != shapes:
            raise InputError(
                f"these weights do not fit: {layer.name} of the network they are of is not in the "
                "one to train, or of another size; a network can only grow by blocks"
            )
        mine.set_weights(weights)
    for name, layer in known.items():
        if name.endswith("_up_bn"):
            for weight in (layer.gamma, layer.beta):
                weight.assign(np.zeros(weight.shape, np.float32))


def _from_tflite(model: keras.Model, path: Path) -> None:
    """Dequantise kernels and biases, and undo the folding of the BatchNorms."""
    weighted = [x for x in model.layers if isinstance(x, keras.layers.Conv2D | keras.layers.Dense)]
    names = {x.name: x.name.removesuffix("_conv").removesuffix("_dense") for x in weighted}
    found = _folded(path, [name for name in names if names[name] == name])
    for layer in weighted:
        name = names[layer.name]
        if name not in found:
            raise ValueError(f"it has no layer {name}")
        kernel, bias = found[name]
        kernel = kernel.transpose(1, 2, 3, 0) if kernel.ndim == 4 else kernel.T
        if kernel.shape != tuple(layer.kernel.shape):
            raise ValueError(
                f"layer {name} is {kernel.shape} in it, {tuple(layer.kernel.shape)} here"
            )
        if name == layer.name:  # no BatchNorm follows
            layer.kernel.assign(kernel)
            if layer.use_bias:
                layer.bias.assign(bias)
        else:
            _unfold(layer, model.get_layer(f"{name}_bn"), kernel, bias)


def _unfold(layer: Any, norm: Any, kernel: F32, bias: F32) -> None:
    """Share a folded kernel out between the layer and the BatchNorm after it.

    The kernel gets the size that a fresh one has, or the learning rate would mean something else
    for every channel; gamma takes the rest.
    """
    usual = np.sqrt(2 / np.prod(kernel.shape[:-1]))
    size = np.sqrt((kernel**2).mean(axis=tuple(range(kernel.ndim - 1))))
    scale = np.where(size > 0, size / usual, 1.0).astype(np.float32)
    layer.kernel.assign(kernel / scale)
    norm.gamma.assign(scale)
    norm.beta.assign(bias)
    norm.moving_mean.assign(np.zeros_like(bias))
    norm.moving_variance.assign(np.full_like(bias, 1 - norm.epsilon))


def _folded(path: Path, bare: list[str]) -> dict[str, tuple[F32, F32]]:
    """Read each layer's kernel (out first) and bias from a TFLite file, in float32.

    The converter keeps the names of the Keras layers in those of the tensors, except that of an
    embedder's last layer.

    Args:
        path: the file.
        bare: names of the layers that no BatchNorm follows.
    """
    interpreter = interpreter_of(path, every_tensor=True)
    details = {d["index"]: d for d in interpreter.get_tensor_details()}
    steps = interpreter._get_ops_details()
    # In a file with FP16 weights each kernel is widened by a step of its own.
    widened = {s["outputs"][0]: s["inputs"][0] for s in steps if s["op_name"] == "DEQUANTIZE"}

    def values(index: int) -> F32:
        detail = details[widened.get(index, index)]
        raw = interpreter.get_tensor(detail["index"]).astype(np.float32)
        scales = detail["quantization_parameters"]["scales"]
        return raw * scales.reshape(-1, *[1] * (raw.ndim - 1)) if len(scales) else raw

    heads = re.compile(rf"/({'|'.join(map(re.escape, bare))})(?:_\d+)?/")
    found: dict[str, tuple[F32, F32]] = {}
    for step in steps:
        if step["op_name"] not in CONVOLUTIONS:
            continue
        _, kernel, *rest = (int(i) for i in step["inputs"])
        said = ";".join(
            details[i]["name"] for i in (kernel, *rest, int(step["outputs"][0])) if i >= 0
        )
        match = LAYER_NAME.search(f"/{said}") or heads.search(said)
        weights = values(kernel)
        bias = values(rest[0]) if rest and rest[0] >= 0 else np.zeros(len(weights), np.float32)
        found[match[1] if match else "embedding"] = (weights, bias)
    return found


def settle(trunk: TorchTwin, batches: Sequence[torch.Tensor]) -> None:
    """Give every BatchNorm the statistics of real pictures; the function stays the same.

    Args:
        trunk: the network.
        batches: equally large, float32 (N, 3, H, W), network input.
    """
    norms = [m for m in trunk.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    sums: dict[nn.Module, list[torch.Tensor]] = {}

    def count(norm: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        axes = [0, 2, 3] if inputs[0].ndim == 4 else [0]
        variance, mean = (v.double() for v in torch.var_mean(inputs[0], axes, correction=0))
        now = [mean, variance + mean * mean]
        sums[norm] = [a + b for a, b in zip(sums[norm], now, strict=True)] if norm in sums else now

    hooks = [norm.register_forward_pre_hook(count) for norm in norms]
    with evaluating(trunk):
        for batch in batches:
            trunk(batch)
        for norm in norms:
            mean, square = (s / len(batches) for s in sums[norm])
            variance = (square - mean * mean).clamp(min=0)
            old = torch.sqrt(norm.running_var.double() + norm.eps)
            slope = norm.weight.double() / old
            norm.bias.add_((slope * (mean - norm.running_mean)).to(norm.bias.dtype))
            norm.weight.copy_(slope * torch.sqrt(variance + norm.eps))
            norm.running_mean.copy_(mean)
            norm.running_var.copy_(variance)
    for hook in hooks:
        hook.remove()
