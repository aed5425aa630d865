"""The networks, one definition each, in backend-neutral Keras 3.

Embedders are Inception-ResNets in the shape of FaceNet: a stem, residual Inception blocks A, B and
C with their reductions, global average pooling, Dense 512 with ReLU, Dense 128. The unit norm that
follows is not part of the graph: the last Dense layer and the norm run in float32
(`facegate.vision.embedder`), because an INT8 scale on the raw 128 values ruins weak faces.

The detector is an anchor-free single-stage network in the family of YuNet with three strides.

Only Conv, BatchNorm, ReLU, pooling, concatenation, addition, nearest up-sampling and Dense occur,
so that the exported graph is one XNNPACK partition. PReLU and depthwise convolutions are absent on
purpose: they cost speed and INT8 accuracy.

Source: Szegedy et al. 2016, "Inception-v4, Inception-ResNet and the Impact of Residual Connections
on Learning" (figures 3, 7, 10 to 21); Schroff et al. 2015, "FaceNet"; Wu et al. 2023, "YuNet".
"""

from __future__ import annotations

from collections.abc import Callable

import keras
from keras import layers

from facegate.vision.detector import STRIDES

EMBEDDING_SIZE = 128
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


def _residual(
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


def block_a(x: keras.KerasTensor, width: int, name: str) -> keras.KerasTensor:
    """Inception-ResNet-A: 1×1, 1×1–3×3 and 1×1–3×3–3×3 branches of `width` filters each."""
    b0 = conv(x, width, 1, f"{name}_b0")
    b1 = conv(x, width, 1, f"{name}_b1a")
    b1 = conv(b1, width, 3, f"{name}_b1b")
    b2 = conv(x, width, 1, f"{name}_b2a")
    b2 = conv(b2, width, 3, f"{name}_b2b")
    b2 = conv(b2, width, 3, f"{name}_b2c")
    return _residual(x, [b0, b1, b2], name)


def block_b(x: keras.KerasTensor, width: int, name: str) -> keras.KerasTensor:
    """Inception-ResNet-B: 1×1 and 1×1–1×7–7×1 branches of `width` filters each."""
    b0 = conv(x, width, 1, f"{name}_b0")
    b1 = conv(x, width, 1, f"{name}_b1a")
    b1 = conv(b1, width, (1, 7), f"{name}_b1b")
    b1 = conv(b1, width, (7, 1), f"{name}_b1c")
    return _residual(x, [b0, b1], name)


def block_c(x: keras.KerasTensor, width: int, name: str) -> keras.KerasTensor:
    """Inception-ResNet-C: 1×1 and 1×1–1×3–3×1 branches of `width` filters each."""
    b0 = conv(x, width, 1, f"{name}_b0")
    b1 = conv(x, width, 1, f"{name}_b1a")
    b1 = conv(b1, width, (1, 3), f"{name}_b1b")
    b1 = conv(b1, width, (3, 1), f"{name}_b1c")
    return _residual(x, [b0, b1], name)


def _reduction_a(x: keras.KerasTensor, direct: int, inner: int, last: int) -> keras.KerasTensor:
    b0 = conv(x, direct, 3, "reduction_a_b0", stride=2)
    b1 = conv(x, inner, 1, "reduction_a_b1a")
    b1 = conv(b1, inner, 3, "reduction_a_b1b")
    b1 = conv(b1, last, 3, "reduction_a_b1c", stride=2)
    pool = layers.MaxPooling2D(3, strides=2, padding="same", name="reduction_a_pool")(x)
    return layers.Concatenate(name="reduction_a")([b0, b1, pool])


def _reduction_b(x: keras.KerasTensor, inner: int, last: int) -> keras.KerasTensor:
    b0 = conv(x, inner, 1, "reduction_b_b0a")
    b0 = conv(b0, last, 3, "reduction_b_b0b", stride=2)
    b1 = conv(x, inner, 1, "reduction_b_b1a")
    b1 = conv(b1, inner, 3, "reduction_b_b1b", stride=2)
    pool = layers.MaxPooling2D(3, strides=2, padding="same", name="reduction_b_pool")(x)
    return layers.Concatenate(name="reduction_b")([b0, b1, pool])


def _embedding_head(x: keras.KerasTensor) -> keras.KerasTensor:
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dense(BOTTLENECK_SIZE, use_bias=False, name="bottleneck_dense")(x)
    x = layers.BatchNormalization(momentum=0.95, epsilon=1e-3, name="bottleneck_bn")(x)
    x = layers.ReLU(name="bottleneck_relu")(x)
    return layers.Dense(EMBEDDING_SIZE, use_bias=False, name="embedding")(x)


def inception_resnet_lite(
    input_px: int = 160, width: float = 1.0, batch_size: int | None = None
) -> keras.Model:
    """Build the narrow Inception-ResNet for a Pi 4 or Zero 2 W.

    Args:
        input_px: side of the square input; any multiple of 32.
        width: multiplies every filter count (rounded to multiples of 8).
        batch_size: fixed batch for export (1), or None while training.

    Returns:
        Model from (N, input_px, input_px, 3) float32 in [-1, 1] to (N, 128), not normalised.
    """

    def w(filters: int) -> int:
        return max(8, round(filters * width / 8) * 8)

    inputs = keras.Input(batch_shape=(batch_size, input_px, input_px, 3), name="face")
    x = conv(inputs, w(32), 3, "stem_1", stride=2)
    x = conv(x, w(48), 3, "stem_2", stride=2)
    x = conv(x, w(64), 3, "stem_3")
    x = conv(x, w(128), 3, "stem_4", stride=2)
    for i in range(3):
        x = block_a(x, w(32), f"a{i + 1}")
    x = _reduction_a(x, direct=w(96), inner=w(64), last=w(96))
    for i in range(5):
        x = block_b(x, w(64), f"b{i + 1}")
    x = _reduction_b(x, inner=w(128), last=w(192))
    for i in range(3):
        x = block_c(x, w(96), f"c{i + 1}")
    return keras.Model(inputs, _embedding_head(x), name="inception_resnet_lite")


EMBEDDERS: dict[str, Callable[..., keras.Model]] = {
    "inception_resnet_lite": inception_resnet_lite,
}


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
        (…, 10), in units of the stride (`facegate.vision.detector.decode` says how).
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
