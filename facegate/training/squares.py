"""Training squares for the refiner: a candidate cut out of its picture, turned, lit, coarsened."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from facegate.training.data import Scene
from facegate.training.scenes import (
    MASKED_SHARE,
    MIRRORED,
    backlight,
    cover_lower_face,
    light,
)
from facegate.types import F32, U8
from facegate.vision.preprocess import LETTERBOX_GREY, between_centres, cut
from facegate.vision.refiner import AROUND, region

SHIFT, ZOOM = 0.04, 0.08
"""Deviations of the square's middle, in its sides, and of the logarithm of its side."""

TILTED_SHARE = 0.7
"""Of the squares are turned by up to 35 degrees, the others by up to 10: a network that is shown
few tilted heads underrates the tilt."""

BACKLIT_SHARE = 0.06
COARSE_SHARE = 0.35
COARSE_FACE_PX = (9.0, 36.0)
"""Most faces are near in the pictures to learn from, and far at the door."""


FRAMED_SHARE = 0.15
FRAME = (-0.1, 0.35)
"""A picture may end close to the face: from where to where its sides lie beyond the box, in sides
of the box. Passport photos and cut-out portraits do, with grey or smeared pixels around them."""


@dataclass(frozen=True)
class Square:
    """What the refiner is shown, and what it should say.

    Attributes:
        pixels: uint8 (side, side, 3).
        box, landmarks: float32 (4,) and (10,), from the middle in units of the side; zeros where
            there is no face.
    """

    pixels: U8
    box: F32
    landmarks: F32


def square(scene: Scene, box: F32, face: int, side_px: int, rng: np.random.Generator) -> Square:
    """Cut a candidate out.

    Args:
        scene: its picture.
        box: float32 (4,), the candidate.
        face: the row of the face it shows, or -1.
        side_px: the square's side.
        rng: of everything random.
    """
    x, y, side = region(box)
    x, y = (at + side * rng.normal(0, SHIFT) for at in (x, y))
    side *= math.exp(rng.normal(0, ZOOM))
    tilted = rng.random() < TILTED_SHARE
    angle = math.radians(rng.uniform(-35, 35) if tilted else rng.uniform(-10, 10))
    flip = rng.random() < 0.5
    matrix = _matrix((x, y), side_px / side, angle, flip, side_px)
    picture, corner = scene.pixels, np.zeros(2)
    if rng.random() < FRAMED_SHARE:
        picture, corner = _framed(scene.pixels, box if face < 0 else scene.boxes[face], rng)
    onto = np.concatenate([matrix[:, :2], matrix[:, 2:] + matrix[:, :2] @ corner[:, None]], axis=1)
    pixels = cut(picture, between_centres(onto), side_px, LETTERBOX_GREY)
    target: np.ndarray = np.zeros(4)
    landmarks: np.ndarray = np.zeros((5, 2))
    if face >= 0:
        landmarks = scene.landmarks[face] @ matrix[:, :2].T + matrix[:, 2]
        if flip:
            landmarks = landmarks[list(MIRRORED)]
        sides = (scene.boxes[face, 2:] - scene.boxes[face, :2]) * side_px / side
        middle = (scene.boxes[face, :2] + scene.boxes[face, 2:]) / 2
        middle = middle @ matrix[:, :2].T + matrix[:, 2]
        target = np.concatenate([middle - sides / 2, middle + sides / 2])
        if rng.random() < MASKED_SHARE:
            cover_lower_face(pixels, landmarks, rng)
        if rng.random() < BACKLIT_SHARE:
            pixels = backlight(pixels, target[None], rng)
        landmarks = landmarks / side_px - 0.5
        target = target / side_px - 0.5
    if rng.random() < COARSE_SHARE:
        pixels = _coarsened(pixels, rng)
    return Square(
        light(pixels, rng),
        target.astype(np.float32),
        landmarks.astype(np.float32).ravel(),
    )


def _framed(pixels: U8, box: F32, rng: np.random.Generator) -> tuple[U8, np.ndarray]:
    """Let a picture end close to a box: the part of it, and where its corner was, float64 (2,).

    What lies outside is grey, or the outermost pixels smeared.
    """
    height, width = pixels.shape[:2]
    sides = np.tile(box[2:] - box[:2], 2) * (-1, -1, 1, 1)
    far = box + sides * rng.uniform(*FRAME, 4)
    left, top = np.clip(np.floor(far[:2]), 0, (width - 1, height - 1)).astype(int).tolist()
    right, bottom = np.ceil(far[2:]).astype(int).tolist()
    part = pixels[top : max(top + 1, bottom), left : max(left + 1, right)]
    if rng.random() < 0.5:
        return part, np.array([left, top], float)
    around = round(1.2 * max(part.shape[:2]))
    smeared = cv2.copyMakeBorder(part, around, around, around, around, cv2.BORDER_REPLICATE)
    return smeared.astype(np.uint8, copy=False), np.array([left - around, top - around], float)


def _matrix(
    middle: tuple[float, float], scale: float, angle: float, flip: bool, side_px: int
) -> np.ndarray:
    """Give the map from the picture to the square, float64 (2, 3)."""
    cos, sin = scale * math.cos(angle), scale * math.sin(angle)
    linear = np.array([[cos, -sin], [sin, cos]]) @ np.diag([-1.0 if flip else 1.0, 1.0])
    shift = np.full(2, side_px / 2) - linear @ np.array(middle)
    return np.concatenate([linear, shift[:, None]], axis=1)


def _coarsened(pixels: U8, rng: np.random.Generator) -> U8:
    """Let a face have as few pixels as one that is far away."""
    side_px = len(pixels)
    face_px = math.exp(rng.uniform(*np.log(COARSE_FACE_PX)))
    few = max(1, round(face_px * AROUND))
    if few >= side_px:
        return pixels
    small = cv2.resize(pixels, (few, few), interpolation=cv2.INTER_AREA)
    whole = cv2.resize(small, (side_px, side_px), interpolation=cv2.INTER_LINEAR)
    return whole.astype(np.uint8, copy=False)
