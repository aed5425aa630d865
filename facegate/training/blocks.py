"""What the networks are built of: Keras layers that the exported graph runs in one piece.

Only Conv, BatchNorm, ReLU, max and global average pooling, concatenation, addition, nearest
up-sampling and Dense occur, so that a quantised graph is one XNNPACK partition. PReLU and depthwise
convolutions are absent on purpose: they cost speed and INT8 accuracy.

Source: Szegedy et al. 2016, "Inception-v4, Inception-ResNet and the Impact of Residual Connections
on Learning" (figures 3, 7, 10 to 21).
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from facegate.types import EMBEDDING_FLOATS

BOTTLENECK_SIZE = 512

# Residual branches are scaled down before they are added, or training becomes unstable.
# Source: Szegedy et al. 2016, section 3.3 (0.1 to 0.3).
RESIDUAL_SCALE = 0.2


def conv(
    x: keras.KerasTensor,
    filters: int,
    kernel: int | tuple[int, int],
    name: str,
    stride: int = 1,
    padding: str = "same",
    activation: bool = True,
) -> keras.KerasTensor:
    """Convolution without bias, BatchNorm, ReLU."""
    x = layers.Conv2D(
        filters, kernel, strides=stride, padding=padding, use_bias=False,
        kernel_initializer="he_normal", name=f"{name}_conv",
    )(x)  # fmt: skip
    x = layers.BatchNormalization(momentum=0.95, epsilon=1e-3, name=f"{name}_bn")(x)
    return layers.ReLU(name=f"{name}_relu")(x) if activation else x


def residual(
    x: keras.KerasTensor, branches: list[keras.KerasTensor], name: str
) -> keras.KerasTensor:
    """Concatenate the branches, bring them back to the width of `x`, scale, add, ReLU.

    The scale is the initial gamma of the closing BatchNorm, so it costs nothing at run time.
    """
    mixed = layers.Concatenate(name=f"{name}_mixed")(branches)
    width = x.shape[-1]
    up = layers.Conv2D(
        width, 1, use_bias=False, kernel_initializer="he_normal", name=f"{name}_up_conv"
    )(mixed)
    up = layers.BatchNormalization(
        momentum=0.95, epsilon=1e-3, name=f"{name}_up_bn",
        gamma_initializer=keras.initializers.Constant(RESIDUAL_SCALE),
    )(up)  # fmt: skip
    x = layers.Add(name=f"{name}_add")([x, up])
    return layers.ReLU(name=f"{name}_relu")(x)


def chain(
    x: keras.KerasTensor, name: str, *steps: tuple[int, int | tuple[int, int]], **last: Any
) -> keras.KerasTensor:
    """Put convolutions one after another, named `name` with a, b, c; options go to the last.

    Args:
        steps: filters and kernel of each.
    """
    for number, (filters, kernel) in enumerate(steps):
        own = name if len(steps) == 1 else name + "abc"[number]
        x = conv(x, filters, kernel, own, **(last if number == len(steps) - 1 else {}))
    return x


def max_pool(x: keras.KerasTensor, name: str, stride: int, padding: str) -> keras.KerasTensor:
    """Take the greatest of 3×3."""
    return layers.MaxPooling2D(3, strides=stride, padding=padding, name=name)(x)


def embedding_head(x: keras.KerasTensor) -> keras.KerasTensor:
    """Average over the picture, Dense 512 with BatchNorm and ReLU, Dense 128."""
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dense(BOTTLENECK_SIZE, use_bias=False, name="bottleneck_dense")(x)
    x = layers.BatchNormalization(momentum=0.95, epsilon=1e-3, name="bottleneck_bn")(x)
    x = layers.ReLU(name="bottleneck_relu")(x)
    return layers.Dense(EMBEDDING_FLOATS, name="embedding")(x)
