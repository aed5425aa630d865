"""From pixels to network input: letterbox, alignment, and the one way pixels become numbers.

Training, calibration, evaluation and the daemon all use these functions; a golden-array test pins
them. `PREPROCESS_VERSION` enters every `model_id`, so a store made under other rules is refused.
"""

from __future__ import annotations

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


def similarity_transform(source: F32, target: F32) -> F32:
    """Find the rotation, uniform scale and shift that map points onto points best.

    Args:
        source, target: float32 (K, 2), K ≥ 2 points.

    Returns:
        float32 (2, 3) matrix for `cv2.warpAffine`; the identity scale 0 case (all source points
        equal) gives a matrix that maps everything to the targets' mean.

    Source: Umeyama 1991, "Least-squares estimation of transformation parameters".
    """
    mean_s, mean_t = source.mean(0), target.mean(0)
    s, t = (source - mean_s).astype(np.float64), (target - mean_t).astype(np.float64)
    spread = float((s * s).sum())
    if spread < 1e-9:
        return np.array([[0, 0, mean_t[0]], [0, 0, mean_t[1]]], np.float32)
    # In two dimensions, without reflection, the SVD has a closed form.
    a = float((s * t).sum()) / spread
    b = float((s[:, 0] * t[:, 1] - s[:, 1] * t[:, 0]).sum()) / spread
    linear = np.array([[a, -b], [b, a]])
    shift = mean_t - linear @ mean_s
    return np.concatenate([linear, shift[:, None]], axis=1).astype(np.float32)


def align(pixels: U8, landmarks: F32) -> U8:
    """Cut an aligned face out of a picture.

    Args:
        pixels: uint8 (H, W, 3), RGB.
        landmarks: float32 (5, 2), pixels, in the template's order.

    Returns:
        uint8 (160, 160, 3), RGB; the landmarks lie on `TEMPLATE` as near as a similarity can.
    """
    matrix = similarity_transform(landmarks.astype(np.float32), TEMPLATE)
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    if 0 < scale < 0.5:  # shrinking more than twofold: average first, or edges alias
        matrix, pixels = _shrink_first(pixels, matrix, scale)
    face = cv2.warpAffine(
        pixels, matrix, (FACE_PX, FACE_PX), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT
    )
    return face.astype(np.uint8, copy=False)


def _shrink_first(pixels: U8, matrix: F32, scale: float) -> tuple[F32, U8]:
    corners = np.array([(0, 0), (FACE_PX, 0), (0, FACE_PX), (FACE_PX, FACE_PX)], np.float32)
    inverse = cv2.invertAffineTransform(matrix).astype(np.float32)
    inside = corners @ inverse[:, :2].T + inverse[:, 2]
    height, width = pixels.shape[:2]
    x1, y1 = np.clip(np.floor(inside.min(0)).astype(int), 0, (width - 1, height - 1))
    x2, y2 = np.clip(np.ceil(inside.max(0)).astype(int), (x1 + 1, y1 + 1), (width, height))
    factor = int(1 / scale)
    crop = pixels[y1:y2, x1:x2]
    small_size = (max(1, (x2 - x1) // factor), max(1, (y2 - y1) // factor))
    small = cv2.resize(crop, small_size, interpolation=cv2.INTER_AREA)
    step_x, step_y = (x2 - x1) / small_size[0], (y2 - y1) / small_size[1]
    # A pixel's centre lies half a pixel inside it: u_full = (u_small + 0.5) * step - 0.5 + offset.
    to_full = np.array(
        [[step_x, 0, x1 + 0.5 * step_x - 0.5], [0, step_y, y1 + 0.5 * step_y - 0.5], [0, 0, 1]]
    )
    combined = np.vstack([matrix, [0, 0, 1]]) @ to_full
    return combined[:2].astype(np.float32), small.astype(np.uint8, copy=False)


def letterbox(
    pixels: U8, width_px: int, height_px: int, canvas: U8 | None = None
) -> tuple[U8, float]:
    """Shrink or enlarge a picture into the top left of a grey canvas, keeping its proportions.

    Args:
        pixels: uint8 (H, W, 3).
        canvas: uint8 (height_px, width_px, 3) to draw into, instead of a new one.

    Returns:
        The canvas uint8 (height_px, width_px, 3), and the scale: canvas pixels per picture pixel.
    """
    height, width = pixels.shape[:2]
    scale = min(width_px / width, height_px / height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    if canvas is None:
        canvas = np.empty((height_px, width_px, 3), np.uint8)
    canvas[size[1] :] = LETTERBOX_GREY
    canvas[: size[1], size[0] :] = LETTERBOX_GREY
    inside = canvas[: size[1], : size[0]]
    drawn = cv2.resize(pixels, size, dst=inside, interpolation=method)
    if not np.may_share_memory(drawn, inside):
        inside[:] = drawn
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
