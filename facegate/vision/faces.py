"""From a picture to faces that can be embedded, the same for the daemon and every command."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from facegate.types import U8, Detection, Embedding, Quality
from facegate.vision.closer import look_closer
from facegate.vision.detector import FaceDetector
from facegate.vision.embedder import FaceEmbedder
from facegate.vision.preprocess import align
from facegate.vision.quality import QualityLimits, assess, assess_again
from facegate.vision.tiling import find_in_tiles, merge


def find_faces(
    detector: FaceDetector, pixels: U8, small: U8 | None = None, tiles: int = 1
) -> list[Detection]:
    """Find the faces in a picture.

    Args:
        detector: the network.
        pixels: uint8 (H, W, 3), the main picture.
        small: the same view in fewer pixels, to search instead.
        tiles: more than 1 also searches so many times so many parts of the main picture.

    Returns:
        Detections in the coordinates of `pixels`, best first.
    """
    if small is None:
        found = detector.detect(pixels)
    else:
        (height, width), (small_height, small_width) = pixels.shape[:2], small.shape[:2]
        steps = np.array([width / small_width, height / small_height] * 2, np.float32)
        found = [
            Detection(d.box * steps, d.landmarks * steps[:2], d.score)
            for d in detector.detect(small)
        ]
    if tiles > 1:
        found = merge(found + find_in_tiles(detector, pixels, tiles))
    return found


@dataclass(frozen=True)
class Face:
    """A detected face, cut out and judged; `aligned` is uint8 (160, 160, 3)."""

    detection: Detection
    aligned: U8
    quality: Quality


class FaceReader:
    """Detector, alignment, quality gate and embedder in one hand.

    Args:
        detector, embedder: the networks.
        limits: of the quality gate.
        tiles: more than 1 also searches so many times so many parts of the main picture, for far
            faces; each costs as much as the whole.
        closer: a detector for a second look at far faces, never used by two threads at once; none
            leaves the first look's landmarks.
    """

    def __init__(
        self,
        detector: FaceDetector,
        embedder: FaceEmbedder,
        limits: QualityLimits,
        tiles: int = 1,
        closer: FaceDetector | None = None,
    ) -> None:
        self._tiles, self._closer = tiles, closer
        self._detector, self._embedder, self._limits = detector, embedder, limits

    def find(self, pixels: U8, small: U8 | None = None) -> list[Detection]:
        """Find faces.

        Args:
            pixels: uint8 (H, W, 3), the main picture.
            small: the same view in fewer pixels, to search instead.

        Returns:
            Detections in the coordinates of `pixels`, best first.
        """
        return find_faces(self._detector, pixels, small, self._tiles)

    def look(self, pixels: U8, detection: Detection) -> Face:
        """Cut a detected face out of its picture and judge it; a far one is looked at closer."""
        if self._closer is not None:
            detection = look_closer(self._closer, pixels, detection)
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
        embedding = self.embed(face)
        quality = assess_again(face.quality, embedding, self._limits)
        return replace(face, quality=quality), embedding if quality.passed else None
