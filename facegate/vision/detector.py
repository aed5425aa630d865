"""Find faces and their five landmarks in a picture."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Protocol

import numpy as np

from facegate.errors import ModelError
from facegate.types import F32, I64, U8, Detection
from facegate.vision.preprocess import letterbox
from facegate.vision.tflite import TFLiteModel

STRIDES = (8, 16, 32)
HEADS = {"score": 1, "box": 4, "landmarks": 10}
NMS_IOU = 0.4

MIN_SEEN_SHARE = 0.25
"""A box of which less lies inside the picture is no face that anybody could know."""


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
        names = self.model.card.raw.get("outputs", {})
        wanted = {f"{k}_{s}" for k in HEADS for s in STRIDES}
        if set(names) != wanted or set(names.values()) != set(self.model.output_shapes):
            raise ModelError(f"{path}: its card does not name the outputs {sorted(wanted)}")
        self._names: dict[str, str] = names
        self._canvas: U8 = np.empty((self._height, self._width, 3), np.uint8)
        self._ends = np.cumsum([(self._height // s) * (self._width // s) for s in STRIDES])

    def detect(self, pixels: U8) -> list[Detection]:
        """Find the faces in a picture.

        Nothing is allocated but the results, and what holds for the few cells that answer.

        Args:
            pixels: uint8 (H, W, 3), RGB, any size.

        Returns:
            Detections, best first, in the coordinates of `pixels`. Boxes may reach over its border,
            which cuts faces off; what lies outside of it for the most part is none, and of two
            boxes only the parts inside say whether they show one face.
        """
        _, scale = letterbox(pixels, self._width, self._height, self._canvas)
        self.model.feed(self._canvas)
        logits = np.concatenate([self._output("score", s).ravel() for s in STRIDES])
        cells = answering(logits, self.min_score)
        if not len(cells):
            return []
        boxes, landmarks = decode(
            self._at(cells, "box"),
            self._at(cells, "landmarks"),
            self._centres[cells],
            self._strides[cells],
        )
        height, width = pixels.shape[:2]
        seen, share = within(boxes, width * scale, height * scale)
        inside = np.flatnonzero(share >= MIN_SEEN_SHARE)
        best = inside[np.argsort(-logits[cells[inside]], kind="stable")]
        keep = best[suppress(seen[best], NMS_IOU)]
        return detections(boxes[keep] / scale, landmarks[keep] / scale, logits[cells[keep]])

    def heads(self, canvas: U8) -> dict[str, F32]:
        """Run on a picture of the input's size: head (`score_8` …) → float32 (h, w, channels)."""
        self.model.feed(canvas)
        return {head: self.model.output(name) for head, name in self._names.items()}

    @property
    def head_scales(self) -> dict[str, float]:
        """Head → quantisation scale of its output."""
        scales = self.model.output_scales
        return {head: scales[name] for head, name in self._names.items()}

    def _output(self, kind: str, stride: int, rows: I64 | None = None) -> F32:
        return self.model.output(self._names[f"{kind}_{stride}"], rows)

    def _at(self, cells: I64, kind: str) -> F32:
        """Give what a kind of head says at some cells, rising: float32 (K, channels)."""
        start = taken = 0
        parts = []
        for stride, end, until in zip(
            STRIDES, self._ends, cells.searchsorted(self._ends), strict=True
        ):
            if until > taken:
                parts.append(self._output(kind, stride, cells[taken:until] - start))
            start, taken = end, until
        return np.concatenate(parts)


def cell_centres(height: int, width: int) -> tuple[F32, F32]:
    """Give the centre (M, 2) of every output cell, pixels, and its stride (M,)."""
    centres, strides = [], []
    for stride in STRIDES:
        ys, xs = np.mgrid[0 : height // stride, 0 : width // stride]
        centres.append(np.stack([xs.ravel() + 0.5, ys.ravel() + 0.5], axis=1) * stride)
        strides.append(np.full(xs.size, stride))
    return np.concatenate(centres).astype(np.float32), np.concatenate(strides).astype(np.float32)


def answering(logits: F32, min_score: float) -> I64:
    """Give the cells (K,) of all (M,), rising, whose score is at least `min_score`."""
    return np.flatnonzero(logits >= math.log(min_score / (1 - min_score)))


def decode(offsets: F32, points: F32, centres: F32, strides: F32) -> tuple[F32, F32]:
    """Turn what the heads say at some cells into boxes and landmarks.

    A box's centre lies `offsets[:2]` strides from the cell's centre, its sides are
    `exp(offsets[2:])` strides; landmarks lie `points` strides from the cell's centre.

    Args:
        offsets: float32 (K, 4). points: (K, 10). centres: (K, 2). strides: (K,).

    Returns:
        Boxes (K, 4) and landmarks (K, 5, 2), canvas pixels.
    """
    stride = strides[:, None]
    middle = centres + offsets[:, :2] * stride
    half = np.exp(np.clip(offsets[:, 2:], -4, 6)) * stride / 2
    boxes = np.concatenate([middle - half, middle + half], axis=1)
    landmarks = centres[:, None] + points.reshape(-1, 5, 2) * stride[:, :, None]
    return boxes.astype(np.float32), landmarks.astype(np.float32)


def detections(boxes: F32, landmarks: F32, logits: F32) -> list[Detection]:
    """Put rows of boxes (K, 4), landmarks (K, 5, 2) and logits (K,) together."""
    scores = (1 / (1 + np.exp(-logits))).tolist()
    return [Detection(*face) for face in zip(boxes, landmarks, scores, strict=True)]


def within(boxes: F32, width: float, height: float) -> tuple[F32, F32]:
    """Give the part of each box (K, 4) inside a picture, and the share (K,) that it is."""
    seen = np.minimum(np.maximum(boxes, 0), np.array([width, height] * 2, np.float32))
    share = _areas(seen) / np.maximum(_areas(boxes), np.float32(1e-6))
    return seen.astype(np.float32, copy=False), share.astype(np.float32, copy=False)


def _areas(boxes: F32) -> F32:
    sides = boxes[:, 2:] - boxes[:, :2]
    return np.asarray(sides[:, 0] * sides[:, 1], np.float32)


def suppress(boxes: F32, max_iou: float) -> list[int]:
    """Keep each box that overlaps no better one by more than `max_iou`.

    Args:
        boxes: float32 (K, 4), x1 y1 x2 y2, best first.

    Returns:
        The rows kept.

    Source: greedy non-maximum suppression, Felzenszwalb et al. 2010, section 3.
    """
    # Plain numbers: a frame shows so few faces that numpy's calls would cost more than the sums.
    sides = boxes.tolist()
    kept: list[int] = []
    for row, box in enumerate(sides):
        if all(_iou(box, sides[better]) <= max_iou for better in kept):
            kept.append(row)
    return kept


def _iou(a: list[float], b: list[float]) -> float:
    across, down = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if across <= 0 or down <= 0:
        return 0.0
    shared = across * down
    areas = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return shared / max(areas - shared, 1e-9)
