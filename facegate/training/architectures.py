"""The networks in one place, each defined once in backend-neutral Keras 3.

The embedders are in `inception_resnet`; what all are built of is in `blocks`. The detector is an
anchor-free single-stage network with three strides, the refiner one that sees a single candidate.

Sources: Wu et al. 2023, "YuNet: A Tiny Millisecond-level Face Detector"; Zhang et al. 2016, "Joint
Face Detection and Alignment Using Multi-task Cascaded Convolutional Networks".
"""

from __future__ import annotations

from collections.abc import Callable

import keras
from keras import layers

from facegate.training.blocks import conv
from facegate.training.inception_resnet import (
    EMBEDDERS,
    inception_resnet_lite,
    inception_resnet_v1,
    inception_resnet_v2,
)
from facegate.vision.decoding import HEADS, STRIDES

__all__ = [
    "BY_KIND",
    "EMBEDDERS",
    "inception_resnet_lite",
    "inception_resnet_v1",
    "inception_resnet_v2",
    "multiply_adds",
    "onet_like",
    "yunet_like",
]


def yunet_like(
    height_px: int = 256, width_px: int = 320, batch_size: int | None = None
) -> keras.Model:
    """Build the face detector.

    Args:
        height_px, width_px: input size, multiples of 32.
        batch_size: fixed batch for export (1), or None while training.

    Returns:
        Model from (N, height_px, width_px, 3) float32 in [-1, 1] to nine maps: for each stride s of
        `STRIDES` a score logit (N, H/s, W/s, 1), box offsets (…, 4) and landmark offsets
        (…, 10), in units of the stride (`facegate.vision.decoding.faces_in` says how).
    """
    inputs = keras.Input(batch_shape=(batch_size, height_px, width_px, 3), name="picture")
    x = conv(inputs, 16, 3, "stem_1", stride=2)
    x = conv(x, 24, 3, "stem_2", stride=2)
    x = conv(x, 24, 3, "stage_2a")
    x = conv(x, 32, 3, "stage_3_down", stride=2)
    x = _detector_block(x, 16, "stage_3a")
    c3 = _detector_block(x, 16, "stage_3b")
    x = conv(c3, 48, 3, "stage_4_down", stride=2)
    x = _detector_block(x, 24, "stage_4a")
    c4 = _detector_block(x, 24, "stage_4b")
    x = conv(c4, 64, 3, "stage_5_down", stride=2)
    x = _detector_block(x, 32, "stage_5a")
    c5 = _detector_block(x, 32, "stage_5b")

    p5 = conv(c5, 32, 1, "neck_5")
    up5 = layers.UpSampling2D(2, name="neck_5_up")(p5)
    p4 = layers.Add(name="neck_4_add")([conv(c4, 32, 1, "neck_4"), up5])
    up4 = layers.UpSampling2D(2, name="neck_4_up")(p4)
    p3 = layers.Add(name="neck_3_add")([conv(c3, 32, 1, "neck_3"), up4])

    outputs = {}
    for stride, p in zip(STRIDES, (p3, p4, p5), strict=True):
        h = conv(p, 32, 3, f"head_{stride}")
        for kind, channels in (("score", 1), ("box", 4), ("landmarks", 10)):
            bias = keras.initializers.Constant(-4.6 if kind == "score" else 0.0)
            outputs[f"{kind}_{stride}"] = layers.Conv2D(
                channels, 1, bias_initializer=bias, name=f"{kind}_{stride}"
            )(h)
    return keras.Model(inputs, outputs, name="yunet_like")


def onet_like(side_px: int = 64, batch_size: int | None = None) -> keras.Model:
    """Build the refiner.

    Args:
        side_px: side of its input, a multiple of 16.
        batch_size: fixed batch for export (1), or None while training.

    Returns:
        Model from (N, side_px, side_px, 3) float32 in [-1, 1] to `score`, log-odds (N, 1, 1, 1),
        `box` (N, 1, 1, 4) and `landmarks` (N, 1, 1, 10), from the middle in units of the side
        (`facegate.vision.refiner.refined` says how).
    """
    inputs = keras.Input(batch_shape=(batch_size, side_px, side_px, 3), name="square")
    x = conv(inputs, 16, 3, "stem_1", stride=2)
    x = conv(x, 24, 3, "stem_2")
    x = conv(x, 32, 3, "stage_2_down", stride=2)
    x = _detector_block(x, 32, "stage_2a")
    x = conv(x, 64, 3, "stage_3_down", stride=2)
    x = _detector_block(x, 48, "stage_3a")
    x = _detector_block(x, 48, "stage_3b")
    x = conv(x, 96, 3, "stage_4_down", stride=2)
    x = _detector_block(x, 64, "stage_4a")
    x = conv(x, 48, 1, "narrow")
    x = conv(x, 128, side_px // 16, "whole", padding="valid")
    outputs = {head: layers.Conv2D(channels, 1, name=head)(x) for head, channels in HEADS.items()}
    return keras.Model(inputs, outputs, name="onet_like")


def _detector_block(x: keras.KerasTensor, inner: int, name: str) -> keras.KerasTensor:
    y = conv(x, inner, 1, f"{name}_a")
    y = conv(y, x.shape[-1], 3, f"{name}_b", activation=False)
    x = layers.Add(name=f"{name}_add")([x, y])
    return layers.ReLU(name=f"{name}_relu")(x)


def multiply_adds(model: keras.Model) -> int:
    """Count the multiply-adds of one forward pass over one picture (convolutions and Dense)."""
    total = 0
    for layer in model.layers:
        if isinstance(layer, layers.Conv2D):
            kh, kw, cin, cout = layer.kernel.shape
            _, h, w, _ = layer.output.shape
            total += kh * kw * cin * cout * h * w
        elif isinstance(layer, layers.Dense):
            total += layer.kernel.shape[0] * layer.kernel.shape[1]
    return int(total)


BY_KIND: dict[str, dict[str, Callable[..., keras.Model]]] = {
    "embedder": {**EMBEDDERS},
    "detector": {"yunet_like": yunet_like},
    "refiner": {"onet_like": onet_like},
}
"""Kind of network → its architectures by name."""
