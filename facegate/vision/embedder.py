"""Turn an aligned face into an embedding."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from facegate.errors import ModelError, NoEmbeddingError
from facegate.types import U8, Embedding
from facegate.vision.preprocess import FACE_PX
from facegate.vision.tflite import TFLiteModel


class FaceEmbedder(Protocol):
    """What makes embeddings."""

    def embed(self, face: U8) -> Embedding:
        """Embed an aligned face, uint8 (160, 160, 3) RGB."""
        ...


class TFLiteFaceEmbedder:
    """A network that makes a vector of a face, and the unit norm.

    The shipped one is an INT8 trunk whose last Dense layer is float; an imported one may be float,
    and of another size.

    Args:
        path: the `.tflite` file.
        threads: interpreter threads.

    Raises:
        ModelError: the model cannot be used, wants no square picture, or gives another vector than
            its card says.
    """

    def __init__(self, path: Path, threads: int = 1) -> None:
        self.model = TFLiteModel(path, "embedder", threads)
        height, width, _ = self.model.input_shape
        if height != width:
            raise ModelError(f"{path}: wants {width}×{height} pixels, aligned faces are square")
        self.floats = self.model.card.embedding_floats
        if (gives := [*self.model.output_shapes.values()]) != [(self.floats,)]:
            raise ModelError(f"{path}: gives {gives}, its card says {self.floats} numbers")
        (self._output,) = self.model.output_shapes
        self.model_id = self.model.card.model_id

    def fitted(self, face: U8) -> U8:
        """Give an aligned face the size that the network takes."""
        side = self.model.input_shape[0]
        if side == FACE_PX:
            return face
        method = cv2.INTER_AREA if side < FACE_PX else cv2.INTER_LINEAR
        return cv2.resize(face, (side, side), interpolation=method).astype(np.uint8, copy=False)

    def embed(self, face: U8) -> Embedding:
        """Embed an aligned face.

        Args:
            face: uint8 (160, 160, 3), RGB, from `preprocess.align`.

        Returns:
            A unit vector, and the length it had.

        Raises:
            NoEmbeddingError: the network answered with zeros or non-numbers.
        """
        self.model.feed(self.fitted(face))
        raw = self.model.output(self._output)
        length = math.sqrt(float(raw @ raw))
        if not math.isfinite(length) or length < 1e-6:
            path = self.model.card.path
            raise NoEmbeddingError(f"{path}: the network gave no usable embedding (zeros or NaN)")
        return Embedding(raw / np.float32(length), self.model_id, length)
