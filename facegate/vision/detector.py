"""Find faces and their five landmarks in a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from facegate.errors import ModelError
from facegate.types import F32, U8, Detection
from facegate.vision.preprocess import letterbox
from facegate.vision.tflite import TFLiteModel

STRIDES = (8, 16, 32)
NMS_IOU = 0.4


class FaceDetector(Protocol):
    """What finds faces."""

    def detect(self, pixels: U8) -> list[Detection]:
        """Find the faces in an RGB picture, best first, in its own pixel coordinates."""
        ...


class TFLiteFaceDetector:
    """The shipped detector.

    Args:
        path: the `.tflite` file.
        min_score: faces below this confidence are not reported.
        threads: interpreter threads.

    Raises:
        ModelError: the model cannot be used, or has other outputs than a detector's.
    """

    def __init__(self, path: Path, min_score: float = 0.5, threads: int = 1) -> None:
        self.model = TFLiteModel(path, "detector", threads)
        self.min_score = min_score
        self._height, self._width, _ = self.model.input_shape
        self._centres, self._strides = cell_centres(self._height, self._width)
        self._names = self.model.card.raw.get("outputs", {})
        wanted = {f"{k}_{s}" for k in ("score", "box", "landmarks") for s in STRIDES}
        if set(self._names) != wanted:
            raise ModelError(f"{path}: its card does not name the outputs {sorted(wanted)}")

    def detect(self, pixels: U8) -> list[Detection]:
        """Find the faces in a picture.

        Args:
            pixels: uint8 (H, W, 3), RGB, any size.

        Returns:
            Detections, best first, in the coordinates of `pixels`; boxes may reach over its border.
        """
        canvas, scale = letterbox(pixels, self._width, self._height)
        outputs = self.model.run(canvas)

        def join(kind: str, width: int) -> F32:
            parts = [outputs[self._names[f"{kind}_{s}"]].reshape(-1, width) for s in STRIDES]
            return np.concatenate(parts)

        scores, boxes, landmarks = decode(
            join("score", 1)[:, 0],
            join("box", 4),
            join("landmarks", 10),
            self._centres,
            self._strides,
            self.min_score,
        )
        keep = suppress(boxes, scores, NMS_IOU)
        return [Detection(boxes[k] / scale, landmarks[k] / scale, float(scores[k])) for k in keep]


def cell_centres(height: int, width: int) -> tuple[F32, F32]:
    """Give the centre (M, 2) of every output cell, pixels, and its stride (M,)."""
    centres, strides = [], []
    for stride in STRIDES:
        ys, xs = np.mgrid[0 : height // stride, 0 : width // stride]
        centres.append(np.stack([xs.ravel() + 0.5, ys.ravel() + 0.5], axis=1) * stride)
        strides.append(np.full(xs.size, stride))
    return np.concatenate(centres).astype(np.float32), np.concatenate(strides).astype(np.float32)


def decode(
    logits: F32, offsets: F32, points: F32, centres: F32, strides: F32, min_score: float
) -> tuple[F32, F32, F32]:
    """Turn raw outputs into faces above `min_score`.

    A box's centre lies `offsets[:2]` strides from the cell's centre, its sides are
    `exp(offsets[2:])` strides; landmarks lie `points` strides from the cell's centre.

    Args:
        logits: float32 (M,). offsets: (M, 4). points: (M, 10). centres: (M, 2). strides: (M,).

    Returns:
        Scores (K,), boxes (K, 4) and landmarks (K, 5, 2), best first, in canvas pixels.
    """
    limit = np.log(min_score / (1 - min_score))
    chosen = np.flatnonzero(logits >= limit)
    chosen = chosen[np.argsort(-logits[chosen], kind="stable")]
    centre, stride = centres[chosen], strides[chosen, None]
    middle = centre + offsets[chosen, :2] * stride
    half = np.exp(np.clip(offsets[chosen, 2:], -4, 6)) * stride / 2
    boxes = np.concatenate([middle - half, middle + half], axis=1)
    landmarks = centre[:, None] + points[chosen].reshape(-1, 5, 2) * stride[:, :, None]
    scores = 1 / (1 + np.exp(-logits[chosen]))
    return scores.astype(np.float32), boxes.astype(np.float32), landmarks.astype(np.float32)


def suppress(boxes: F32, scores: F32, max_iou: float) -> list[int]:
    """Keep, best first, each box that overlaps no better one by more than `max_iou`.

    Args:
        boxes: float32 (K, 4), x1 y1 x2 y2. scores: float32 (K,).

    Source: greedy non-maximum suppression; OpenCV's, on corners turned into sides.
    """
    if not len(boxes):
        return []
    sides = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    kept = cv2.dnn.NMSBoxes(sides.tolist(), scores.tolist(), 0.0, max_iou)
    return [int(k) for k in np.asarray(kept).ravel()]
