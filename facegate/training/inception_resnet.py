"""The embedders: Inception-ResNets in the shape of FaceNet.

A stem, residual Inception blocks A, B and C with their reductions, global average pooling, Dense
512 with ReLU, Dense 128. The unit norm that follows is not part of the graph: the last Dense layer
and the norm run in float32 (`facegate.vision.embedder`), because an INT8 scale on the raw 128
values ruins weak faces.

Source: Schroff et al. 2015, "FaceNet"; Szegedy et al. 2016, "Inception-v4, Inception-ResNet and the
Impact of Residual Connections on Learning" (figures 3, 7, 10 to 21).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import keras
from keras import KerasTensor as Tensor
from keras import layers

from facegate.training.blocks import chain, conv, embedding_head, max_pool, residual

Widths = Callable[[int], int]
Branch = tuple[int, ...]
"""Filters of one branch's convolutions, in their order."""


@dataclass(frozen=True)
class Shape:
    """What makes one Inception-ResNet differ from another.

    Attributes:
        stem: builds everything before the blocks.
        blocks: how many of A, B and C, where nothing else is asked for.
        a: three branches: 1×1, 1×1–3×3, 1×1–3×3–3×3.
        b: two branches: 1×1, 1×1–1×7–7×1.
        c: two branches: 1×1, 1×1–1×3–3×1.
        reduction_a: branches beside the pooling: the first of 3×3, the others begin with 1×1.
        reduction_b: branches beside the pooling, each beginning with 1×1.
        closing: blocks C beyond the number said; the public FaceNet has 5/10/5 and one more.
        padding: of the reductions.
        last: filters of a 1×1 convolution after the blocks, or none.
        smallest_px: the side of input below which nothing is left to reduce.
    """

    stem: Callable[[Tensor, Widths], Tensor]
    blocks: tuple[int, int, int]
    a: tuple[Branch, Branch, Branch]
    b: tuple[Branch, Branch]
    c: tuple[Branch, Branch]
    reduction_a: tuple[Branch, ...]
    reduction_b: tuple[Branch, ...]
    closing: int = 0
    padding: str = "valid"
    last: int | None = None
    smallest_px: int = 96


def _stem_lite(x: Tensor, w: Widths) -> Tensor:
    x = conv(x, w(32), 3, "stem_1", stride=2)
    x = conv(x, w(48), 3, "stem_2", stride=2)
    x = conv(x, w(64), 3, "stem_3")
    return conv(x, w(128), 3, "stem_4", stride=2)


def _stem_start(x: Tensor, w: Widths) -> Tensor:
    x = conv(x, w(32), 3, "stem_1", stride=2, padding="valid")
    x = conv(x, w(32), 3, "stem_2", padding="valid")
    x = conv(x, w(64), 3, "stem_3")
    x = max_pool(x, "stem_pool_1", 2, "valid")
    x = conv(x, w(80), 1, "stem_4")
    return conv(x, w(192), 3, "stem_5", padding="valid")


def _stem_v1(x: Tensor, w: Widths) -> Tensor:
    return conv(_stem_start(x, w), w(256), 3, "stem_6", stride=2, padding="valid")


def _stem_v2(x: Tensor, w: Widths) -> Tensor:
    """Build the stem of `keras.applications`, whose one average pooling is a max pooling here.

    XNNPACK leaves a quantised average of 3×3 to others, which would cut the graph.
    """
    x = max_pool(_stem_start(x, w), "stem_pool_2", 2, "valid")
    b0 = conv(x, w(96), 1, "stem_b0")
    b1 = chain(x, "stem_b1", (w(48), 1), (w(64), 5))
    b2 = chain(x, "stem_b2", (w(64), 1), (w(96), 3), (w(96), 3))
    b3 = conv(max_pool(x, "stem_pool_3", 1, "same"), w(64), 1, "stem_b3")
    return layers.Concatenate(name="stem_mixed")([b0, b1, b2, b3])


LITE = Shape(
    stem=_stem_lite,
    blocks=(3, 5, 3),
    a=((32,), (32, 32), (32, 32, 32)),
    b=((64,), (64, 64, 64)),
    c=((96,), (96, 96, 96)),
    reduction_a=((96,), (64, 64, 96)),
    reduction_b=((128, 192), (128, 128)),
    padding="same",
    smallest_px=32,
)
V1 = Shape(
    stem=_stem_v1,
    blocks=(5, 10, 5),
    a=((32,), (32, 32), (32, 32, 32)),
    b=((128,), (128, 128, 128)),
    c=((192,), (192, 192, 192)),
    reduction_a=((384,), (192, 192, 256)),
    reduction_b=((256, 384), (256, 256), (256, 256, 256)),
    closing=1,
)
V2 = Shape(
    stem=_stem_v2,
    blocks=(10, 20, 10),
    a=((32,), (32, 32), (32, 48, 64)),
    b=((192,), (128, 160, 192)),
    c=((192,), (192, 224, 256)),
    reduction_a=((384,), (256, 256, 384)),
    reduction_b=((256, 384), (256, 288), (256, 288, 320)),
    last=1536,
)
KERNELS: dict[str, tuple[int | tuple[int, int], ...]] = {
    "a": (1, 3, 3),
    "b": (1, (1, 7), (7, 1)),
    "c": (1, (1, 3), (3, 1)),
}


def _build(
    shape: Shape,
    name: str,
    input_px: int,
    width: float,
    blocks: tuple[int, int, int] | None,
    batch_size: int | None,
) -> keras.Model:
    def w(filters: int) -> int:
        return max(8, round(filters * width / 8) * 8)

    def block(x: Tensor, kind: str, number: int, branches: tuple[Branch, ...]) -> Tensor:
        own = f"{kind}{number + 1}"
        made = [
            chain(x, f"{own}_b{k}", *zip(map(w, branch), KERNELS[kind], strict=False))
            for k, branch in enumerate(branches)
        ]
        return residual(x, made, own)

    def reduction(x: Tensor, own: str, branches: tuple[Branch, ...]) -> Tensor:
        made = [
            chain(
                x, f"{own}_b{k}",
                *zip(map(w, branch), (3,) if len(branch) == 1 else (1, 3, 3), strict=False),
                stride=2, padding=shape.padding,
            )
            for k, branch in enumerate(branches)
        ]  # fmt: skip
        pooled = max_pool(x, f"{own}_pool", 2, shape.padding)
        return layers.Concatenate(name=own)([*made, pooled])

    count_a, count_b, count_c = blocks or shape.blocks
    inputs = keras.Input(batch_shape=(batch_size, input_px, input_px, 3), name="face")
    x = shape.stem(inputs, w)
    for i in range(count_a):
        x = block(x, "a", i, shape.a)
    x = reduction(x, "reduction_a", shape.reduction_a)
    for i in range(count_b):
        x = block(x, "b", i, shape.b)
    x = reduction(x, "reduction_b", shape.reduction_b)
    for i in range(count_c + shape.closing):
        x = block(x, "c", i, shape.c)
    if shape.last is not None:
        x = conv(x, w(shape.last), 1, "last")
    return keras.Model(inputs, embedding_head(x), name=name)


@dataclass(frozen=True)
class Architecture:
    """An embedder that can be built.

    Attributes:
        name: what commands and cards call it.
        shape: of which blocks it is made.
    """

    name: str
    shape: Shape = field(repr=False)

    def __call__(
        self,
        input_px: int = 160,
        width: float = 1.0,
        blocks: tuple[int, int, int] | None = None,
        batch_size: int | None = None,
    ) -> keras.Model:
        """Build the network.

        Args:
            input_px: side of the square input.
            width: multiplies every filter count (rounded to multiples of 8).
            blocks: how many blocks A, B and C; the architecture's own numbers if None.
            batch_size: fixed batch for export (1), or None while training.

        Returns:
            Model from (N, input_px, input_px, 3) float32 in [-1, 1] to (N, 128), not normalised.
        """
        return _build(self.shape, self.name, input_px, width, blocks, batch_size)


inception_resnet_lite = Architecture("inception_resnet_lite", LITE)
"""The narrow one for a Pi 4 or Zero 2 W."""
inception_resnet_v1 = Architecture("inception_resnet_v1", V1)
"""The size of the original FaceNet."""
inception_resnet_v2 = Architecture("inception_resnet_v2", V2)
"""The reference: 10/20/10 blocks as `keras.applications` builds it; the paper draws 5/10/5."""

EMBEDDERS = {a.name: a for a in (inception_resnet_lite, inception_resnet_v1, inception_resnet_v2)}
