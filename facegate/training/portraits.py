"""Two portraits that everybody may use: figures of a card that can be checked without its data."""

from __future__ import annotations

import numpy as np

from facegate.types import F32, U8
from facegate.vision.faces import FaceReader

DIM = 0.4


def portrait_distances(reader: FaceReader, first: U8, second: U8) -> dict[str, float]:
    """Take two portraits the whole shipped way.

    Args:
        reader: the shipped detector with the embedder under test.
        first, second: uint8 (H, W, 3) pictures of two people.

    Returns:
        Distances of the first person to herself in dim light, and to the second person; NaN where
        no face is found.
    """

    def embed(pixels: U8) -> F32:
        found = reader.find(pixels)
        if not found:
            return np.full(1, np.nan, np.float32)
        return reader.embed(reader.look(pixels, found[0])).vector

    plain = embed(first)
    dim = embed((first * DIM).astype(np.uint8))
    return {
        "in_dim_light": float(np.linalg.norm(plain - dim)),
        "two_people": float(np.linalg.norm(plain - embed(second))),
    }
