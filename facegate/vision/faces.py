"""From a picture to faces that can be embedded, the same for the daemon and every command."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from facegate.types import U8, Detection, Embedding, Quality
from facegate.vision.embedder import FaceEmbedder
from facegate.vision.finder import FaceFinder
from facegate.vision.preprocess import align
from facegate.vision.quality import ADVICE, QualityLimits, assess, assess_again


@dataclass(frozen=True)
class Face:
    """A detected face, cut out and judged; `aligned` is uint8 (160, 160, 3)."""

    detection: Detection
    aligned: U8
    quality: Quality


class FaceReader:
    """Finder, alignment, quality gate and embedder in one hand.

    Args:
        finder: finds faces.
        embedder: the network.
        limits: of the quality gate.
    """

    def __init__(self, finder: FaceFinder, embedder: FaceEmbedder, limits: QualityLimits) -> None:
        self._finder, self._embedder, self._limits = finder, embedder, limits

    def find(self, pixels: U8, small: U8 | None = None) -> list[Detection]:
        """Find faces.

        Args:
            pixels: uint8 (H, W, 3), the main picture.
            small: the same view in fewer pixels, to search instead.

        Returns:
            Detections in the coordinates of `pixels`, best first.
        """
        return self._finder.detect(pixels, small)

    def look(self, pixels: U8, detection: Detection) -> Face:
        """Cut a detected face out of its picture and judge it."""
        aligned = align(pixels, detection.landmarks)
        return Face(detection, aligned, assess(pixels, detection, aligned, self._limits))

    def embed(self, face: Face) -> Embedding:
        """Embed a face."""
        return self._embedder.embed(face.aligned)

    def read(self, face: Face) -> tuple[Face, Embedding | None]:
        """Embed a face, unless it is too poor for that, or turns out to be.

        Returns:
            The face with the last word about its quality, and the embedding if that word is good.
        """
        if not face.quality.passed:
            return face, None
        face, embedding = self.read_poor(face)
        return face, embedding if face.quality.passed else None

    def read_poor(self, face: Face) -> tuple[Face, Embedding]:
        """Embed a face however poor it is, and have the last word about its quality."""
        embedding = self.embed(face)
        return replace(face, quality=assess_again(face.quality, embedding, self._limits)), embedding

    def sole_embedding(self, pixels: U8, detections: Sequence[Detection]) -> Embedding | str:
        """Embed the only face of a picture, or say what the person before it should do first."""
        if len(detections) != 1:
            return "one person at a time" if detections else "nobody to be seen"
        face, embedding = self.read(self.look(pixels, detections[0]))
        return ADVICE[face.quality.reasons[0]] if embedding is None else embedding
