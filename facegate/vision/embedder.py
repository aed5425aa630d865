"""Turn an aligned face into an embedding."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np

from facegate.errors import ModelError
from facegate.types import U8, Embedding
from facegate.vision.preprocess import FACE_PX
from facegate.vision.tflite import TFLiteModel


class FaceEmbedder(Protocol):
    """What makes embeddings."""

    def embed(self, face: U8) -> Embedding:
        """Embed an aligned face, uint8 (160, 160, 3) RGB."""
        ...


class TFLiteFaceEmbedder:
    """The shipped embedder: an INT8 trunk whose last Dense layer is float, and the unit norm.

    Args:
        path: the `.tflite` file.
        threads: interpreter threads.

    Raises:
        ModelError: the model cannot be used, wants another input than 160×160, or gives no vector.
    """

    def __init__(self, path: Path, threads: int = 1) -> None:
        self.model = TFLiteModel(path, "embedder", threads)
        if self.model.input_shape != (FACE_PX, FACE_PX, 3):
            raise ModelError(f"{path}: wants {self.model.input_shape}, aligned faces are 160×160×3")
        self.model_id = self.model.card.model_id

    def embed(self, face: U8) -> Embedding:
        """Embed an aligned face.

        Args:
            face: uint8 (160, 160, 3), RGB, from `preprocess.align`.

        Returns:
            A unit vector, and the length it had.

        Raises:
            ModelError: the network answered with zeros or non-numbers.
        """
        (raw,) = self.model.run(face).values()
        length = float(np.linalg.norm(raw))
        if not np.isfinite(length) or length < 1e-6:
            raise ModelError(f"{self.model.card.path}: the network gave no usable embedding")
        return Embedding((raw / length).astype(np.float32), self.model_id, length)
