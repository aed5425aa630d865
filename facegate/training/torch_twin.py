"""A Keras graph run by torch, for the training loop.

The architectures are defined once, in Keras. Training walks that graph and runs each layer with
torch's own fused kernels, in channels-last memory and bfloat16: several times faster than the
Keras layers on the same processor, and the same loop runs on a GPU. `store` writes the trained
weights back into the Keras model, which is what is saved and exported.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from facegate.training.fake_quantisation import FakeActivations, fake_weights


def _conv(layer: keras.layers.Conv2D) -> nn.Module:
    kh, kw, cin, cout = layer.kernel.shape
    stride = layer.strides[0]
    same = layer.padding == "same"
    # TensorFlow's "same" with stride 2 pads the far side of an even picture; torch pads both.
    padding = (kh // 2, kw // 2) if same and stride == 1 else (0, 0)
    module = nn.Conv2d(cin, cout, (kh, kw), stride, padding, bias=layer.use_bias)
    return _PadFar(module, kh) if same and stride == 2 and kh > 1 else module


class _PadFar(nn.Module):
    """Pad as TensorFlow's "same" does for stride 2 and even sizes, then apply `inner`."""

    def __init__(self, inner: nn.Module, kernel: int, value: float = 0.0) -> None:
        super().__init__()
        self.inner, self.kernel, self.value = inner, kernel, value

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pads = []
        for size in (x.shape[3], x.shape[2]):
            total = max((-(-size // 2) - 1) * 2 + self.kernel - size, 0)
            pads += [total // 2, total - total // 2]
        result: torch.Tensor = self.inner(F.pad(x, pads, value=self.value))
        return result


def _max_pool(layer: keras.layers.MaxPooling2D) -> nn.Module:
    stride, same = layer.strides[0], layer.padding == "same"
    module = nn.MaxPool2d(3, stride, padding=1 if same and stride == 1 else 0)
    return _PadFar(module, 3, value=-1e4) if same and stride == 2 else module


def _module(layer: Any) -> nn.Module | None:
    kind = layer.__class__.__name__
    if kind == "Conv2D":
        return _conv(layer)
    if kind == "Dense":
        return nn.Linear(layer.kernel.shape[0], layer.kernel.shape[1], bias=layer.use_bias)
    if kind == "BatchNormalization":
        width = layer.gamma.shape[0]
        dims = len(layer.input.shape)
        make = nn.BatchNorm2d if dims == 4 else nn.BatchNorm1d
        return make(width, eps=layer.epsilon, momentum=1.0 - layer.momentum)
    if kind == "MaxPooling2D":
        return _max_pool(layer)
    return None


@dataclass(frozen=True)
class _Shared:
    """The Keras model, which copies of a twin share.

    Keras copies a model by writing and reading it whole, and imports TensorFlow to do so. Where
    Keras runs on torch a model is a torch module too: in here it is no part of the twin.
    """

    model: keras.Model

    def __deepcopy__(self, memo: dict[int, Any]) -> _Shared:
        return self


class TorchTwin(nn.Module):
    """Run a functional Keras model with torch.

    Args:
        model: functional model made of the layers of `architectures`.
        fake_quantised: round weights and activations as INT8 will; the last layer stays in float.

    The input is (N, 3, H, W), channels-last in memory; outputs keep torch's (N, C, H, W) order and
    come as the Keras model's: one tensor or a dict of tensors. Any H, W the graph allows will do.

    Raises:
        NotImplementedError: a layer kind this twin does not know.
    """

    def __init__(self, model: keras.Model, fake_quantised: bool = False) -> None:
        super().__init__()
        self._keras = _Shared(model)
        self.parts = nn.ModuleDict()
        self.steps: list[tuple[str, str, list[int], int]] = []
        slots: dict[int, int] = {}

        def slot(tensor: Any) -> int:
            return slots.setdefault(id(tensor), len(slots))

        self.input_slot = slot(model.inputs[0])
        for layer in model.operations:
            kind = layer.__class__.__name__
            if kind == "InputLayer":
                continue
            node = layer._inbound_nodes[0]
            sources = [slot(t) for t in node.arguments.keras_tensors]
            part = _module(layer)
            if part is not None:
                self.parts[layer.name] = part
            elif kind not in _FUNCTIONS:
                raise NotImplementedError(f"layer {layer.name}: no torch twin for a {kind}")
            self.steps.append((kind, layer.name, sources, slot(node.output_tensors[0])))
        outputs = model.output
        self.output_slots = (
            {k: slot(t) for k, t in outputs.items()} if isinstance(outputs, dict) else slot(outputs)
        )
        self.ranges = nn.ModuleDict()
        self._rounded: set[str] = set()
        if fake_quantised:
            self._quantise()
        self.load()

    def _quantise(self) -> None:
        """Choose what is rounded: as the converter does, after what is fused was fused."""
        outputs = self.output_slots
        ends = set(outputs.values()) if isinstance(outputs, dict) else {outputs}
        readers: dict[int, list[str]] = {}
        for kind, _, sources, _ in self.steps:
            for source in sources:
                readers.setdefault(source, []).append(kind)
        for kind, name, _, target in self.steps:
            follow = set(readers.get(target, ()))
            if target in ends:
                continue
            if kind in _WEIGHTED:
                self._rounded.add(name)
            # A ReLU is fused with what is before it; a concatenation has one scale for all parts.
            elif kind not in _SAME_SCALE and follow not in ({"ReLU"}, {"Concatenate"}):
                self.ranges[name] = FakeActivations()

    def forward(self, x: torch.Tensor) -> Any:
        """Run the graph."""
        values = {self.input_slot: x}
        for kind, name, sources, target in self.steps:
            inputs = [values[s] for s in sources]
            function = _FUNCTIONS.get(kind)
            values[target] = function(inputs) if function else self._part(name, inputs[0])
            if name in self.ranges:
                values[target] = self.ranges[name](values[target])
        if isinstance(self.output_slots, dict):
            return {k: values[s] for k, s in self.output_slots.items()}
        return values[self.output_slots]

    def _part(self, name: str, x: torch.Tensor) -> torch.Tensor:
        part = self.parts[name]
        if name not in self._rounded:
            return part(x)
        padded = isinstance(part, _PadFar)
        weight = (part.inner if padded else part).weight
        key = "inner.weight" if padded else "weight"
        return torch.func.functional_call(part, {key: fake_weights(weight)}, (x,))

    def load(self) -> None:
        """Copy the Keras model's weights into the twin."""
        with torch.no_grad():
            for name, part in self.parts.items():
                layer = self._keras.model.get_layer(name)
                part = part.inner if isinstance(part, _PadFar) else part
                if isinstance(part, nn.Conv2d | nn.Linear):
                    kernel = torch.from_numpy(np.array(layer.kernel))
                    order = (3, 2, 0, 1) if isinstance(part, nn.Conv2d) else (1, 0)
                    part.weight.copy_(kernel.permute(order))
                    if part.bias is not None:
                        part.bias.copy_(torch.from_numpy(np.array(layer.bias)))
                elif isinstance(part, nn.BatchNorm2d | nn.BatchNorm1d):
                    for ours, theirs in _BATCH_NORM:
                        getattr(part, ours).copy_(
                            torch.from_numpy(np.array(getattr(layer, theirs)))
                        )

    def store(self) -> keras.Model:
        """Copy the twin's weights into the Keras model and return that."""
        for name, part in self.parts.items():
            layer = self._keras.model.get_layer(name)
            part = part.inner if isinstance(part, _PadFar) else part
            if isinstance(part, nn.Conv2d | nn.Linear):
                order = (2, 3, 1, 0) if isinstance(part, nn.Conv2d) else (1, 0)
                layer.kernel.assign(part.weight.detach().float().permute(order).cpu().numpy())
                if part.bias is not None:
                    layer.bias.assign(part.bias.detach().float().cpu().numpy())
            elif isinstance(part, nn.BatchNorm2d | nn.BatchNorm1d):
                for ours, theirs in _BATCH_NORM:
                    getattr(layer, theirs).assign(
                        getattr(part, ours).detach().float().cpu().numpy()
                    )
        return self._keras.model


_BATCH_NORM = (
    ("weight", "gamma"),
    ("bias", "beta"),
    ("running_mean", "moving_mean"),
    ("running_var", "moving_variance"),
)

_WEIGHTED = ("Conv2D", "Dense")
_SAME_SCALE = ("MaxPooling2D", "UpSampling2D")
"""What passes values on with the scale they came with."""

_FUNCTIONS = {
    "ReLU": lambda v: F.relu(v[0]),
    "Add": lambda v: v[0] + v[1],
    "Concatenate": lambda v: torch.cat(v, dim=1),
    "GlobalAveragePooling2D": lambda v: v[0].mean((2, 3)),
    "UpSampling2D": lambda v: F.interpolate(v[0], scale_factor=2, mode="nearest"),
}
