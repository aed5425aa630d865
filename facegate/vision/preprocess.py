"""From pixels to network input: letterbox, alignment, and the one way pixels become numbers.

Training, calibration, evaluation and the daemon all use these functions; a golden-array test pins
them. `PREPROCESS_VERSION` enters every `model_id`, so a store made under other rules is refused.
"""

from __future__ import annotations

import math
from functools import cache

import cv2
import numpy as np

from facegate.types import F32, I8, U8

PREPROCESS_VERSION = "1"

FACE_PX = 160
"""Side of an aligned face."""

PIXEL_MEAN, PIXEL_SCALE = 127.5, 128.0
"""`(pixel - 127.5) / 128` lies in [-1, 1); Source: the public FaceNet re-implementations."""

TEMPLATE: F32 = (
    np.array(
        [
            (38.2946, 51.6963),
            (73.5318, 51.5014),
            (56.0252, 71.7366),
            (41.5493, 92.3655),
            (70.7299, 92.2041),
        ],
        np.float32,
    )
    * (FACE_PX / 112)
).astype(np.float32)
"""Where the five landmarks lie in an aligned face, pixels. Source: insightface, `arcface_dst`."""

LETTERBOX_GREY = 128

MARGIN_PX = 2
"""Around what a square shows, so that the crop's border is never mixed into it."""


def similarity_transform(source: F32, target: F32) -> F32:
    """Find the rotation, uniform scale and shift that map points onto points best.

    Args:
        source, target: float32 (K, 2), K ≥ 2 points.

    Returns:
        float32 (2, 3) matrix for `cv2.warpAffine`; the identity scale 0 case (all source points
        equal) gives a matrix that maps everything to the targets' mean.

    Source: Umeyama 1991, "Least-squares estimation of transformation parameters".
    """
    # Plain numbers: for five points numpy's calls would cost more than the sums.
    points, wanted = source.tolist(), target.tolist()
    x, y = (sum(axis) / len(points) for axis in zip(*points, strict=True))
    u, v = (sum(axis) / len(wanted) for axis in zip(*wanted, strict=True))
    spread = along = around = 0.0
    for (px, py), (wu, wv) in zip(points, wanted, strict=True):
        dx, dy, du, dv = px - x, py - y, wu - u, wv - v
        spread += dx * dx + dy * dy
        along += dx * du + dy * dv
        around += dx * dv - dy * du
    if spread < 1e-9:
        return np.array([[0, 0, u], [0, 0, v]], np.float32)
    # In two dimensions, without reflection, the SVD has a closed form.
    a, b = along / spread, around / spread
    return np.array([[a, -b, u - a * x + b * y], [b, a, v - b * x - a * y]], np.float32)


def align(pixels: U8, landmarks: F32) -> U8:
    """Cut an aligned face out of a picture.

    Args:
        pixels: uint8 (H, W, 3), RGB.
        landmarks: float32 (5, 2), pixels, in the template's order.

    Returns:
        uint8 (160, 160, 3), RGB; the landmarks lie on `TEMPLATE` as near as a similarity can.
    """
    matrix = similarity_transform(landmarks, TEMPLATE)
    if not (matrix[0, 0] or matrix[1, 0]):
        return np.zeros((FACE_PX, FACE_PX, 3), np.uint8)
    return cut(pixels, matrix, FACE_PX)


def cut(pixels: U8, matrix: F32, side_px: int, around: int = 0) -> U8:
    """Cut a square out of a picture, turned and scaled on the way.

    Args:
        pixels: uint8 (H, W, 3).
        matrix: float32 (2, 3), a similarity from the picture to the square, as `cv2.warpAffine`
            takes it: pixel 0 lies at 0.
        side_px: the square's side.
        around: grey level of what lies outside of the picture.

    Returns:
        uint8 (side_px, side_px, 3).
    """
    scale = math.hypot(matrix[0, 0], matrix[1, 0])
    crop, matrix = _crop(pixels, matrix, side_px)
    if scale < 0.5:  # shrinking more than twofold: average first, or edges alias
        crop, matrix = _shrink(crop, matrix, int(1 / scale))
    # OpenCV warps four channels at once, but three one after the other: this is twice as fast.
    four = cv2.cvtColor(crop, cv2.COLOR_RGB2RGBA)
    square = cv2.warpAffine(
        four,
        matrix,
        (side_px, side_px),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(around, around, around),
    )
    return cv2.cvtColor(square, cv2.COLOR_RGBA2RGB).astype(np.uint8, copy=False)


def between_centres(matrix: np.ndarray) -> F32:
    """Turn a map of coordinates, pixel 0 from 0 to 1, into OpenCV's, whose pixel 0 lies at 0.

    Without it a mirrored picture lies one pixel beside its annotations.

    Args:
        matrix: (2, 3).
    """
    moved: F32 = np.asarray(matrix, np.float32).copy()
    moved[:, 2] += matrix[:, :2] @ (0.5, 0.5) - 0.5
    return moved


def _crop(pixels: U8, matrix: F32, side_px: int) -> tuple[U8, F32]:
    """Give the part of a picture that a square cut out of it shows, and the matrix from there."""
    (a, b, u), (c, d, v) = cv2.invertAffineTransform(matrix).tolist()
    xs = [u + a * x + b * y for x in (0, side_px) for y in (0, side_px)]
    ys = [v + c * x + d * y for x in (0, side_px) for y in (0, side_px)]
    height, width = pixels.shape[:2]
    left = min(max(math.floor(min(xs)) - MARGIN_PX, 0), width - 1)
    top = min(max(math.floor(min(ys)) - MARGIN_PX, 0), height - 1)
    right = max(min(math.ceil(max(xs)) + MARGIN_PX, width), left + 1)
    bottom = max(min(math.ceil(max(ys)) + MARGIN_PX, height), top + 1)
    return pixels[top:bottom, left:right], _before(matrix, 1, 1, left, top)


def _shrink(crop: U8, matrix: F32, factor: int) -> tuple[U8, F32]:
    height, width = crop.shape[:2]
    size = (max(1, width // factor), max(1, height // factor))
    small = cv2.resize(crop, size, interpolation=cv2.INTER_AREA)
    step_x, step_y = width / size[0], height / size[1]
    # A pixel's centre lies half a pixel inside it: u_full = (u_small + 0.5) * step - 0.5.
    centred = _before(matrix, step_x, step_y, 0.5 * step_x - 0.5, 0.5 * step_y - 0.5)
    return small.astype(np.uint8, copy=False), centred


def _before(matrix: F32, step_x: float, step_y: float, left: float, top: float) -> F32:
    """Give the matrix for points that have to be stretched and then shifted before it."""
    rows = [(a * step_x, b * step_y, a * left + b * top + shift) for a, b, shift in matrix.tolist()]
    return np.array(rows, np.float32)


def fit(pixels: U8, room: U8) -> tuple[U8, float]:
    """Shrink or enlarge a picture to the greatest size that fits, keeping its proportions.

    Args:
        pixels: uint8 (H, W, 3).
        room: uint8 (H', W', 3), what it has to fit into, and where it is drawn.

    Returns:
        uint8 (h, w, 3), the top left corner of `room`, or the picture itself where it fits already;
        and the scale, pixels of the room per picture pixel.
    """
    (height, width), (height_px, width_px) = pixels.shape[:2], room.shape[:2]
    scale = min(width_px / width, height_px / height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    if size == (width, height):
        return pixels, scale
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    drawn = cv2.resize(pixels, size, room[: size[1], : size[0]], interpolation=method)
    return drawn.astype(np.uint8, copy=False), scale


def letterbox(pixels: U8, width_px: int, height_px: int) -> tuple[U8, float]:
    """Draw a picture, as large as it fits, into the top left corner of a grey canvas.

    Args:
        pixels: uint8 (H, W, 3).

    Returns:
        The canvas uint8 (height_px, width_px, 3), and the scale: canvas pixels per picture pixel.
    """
    canvas = np.full((height_px, width_px, 3), LETTERBOX_GREY, np.uint8)
    inside, scale = fit(pixels, canvas)
    canvas[: inside.shape[0], : inside.shape[1]] = inside
    return canvas, scale


def to_float(pixels: U8) -> F32:
    """Give the float32 network input for uint8 pixels of any shape."""
    return _float_table()[pixels]


def to_int8(pixels: U8) -> I8:
    """Give the INT8 network input: `pixel - 128`, `to_float` at scale 1/128, zero point -1."""
    return np.bitwise_xor(pixels, 0x80).view(np.int8)


@cache
def _float_table() -> F32:
    table: F32 = ((np.arange(256, dtype=np.float32) - PIXEL_MEAN) / PIXEL_SCALE).astype(np.float32)
    return table
