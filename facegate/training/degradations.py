"""What a door does to a face: deterministic degradations of an aligned crop.

Each takes uint8 (160, 160, 3) RGB, aligned to the template, and the crop's number, which seeds what
is random in it; the same crop and number give the same picture. They are made apart from the
trainer's augmentation, so that a network is not judged by the very strokes it was shown.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from facegate.types import U8
from facegate.vision.preprocess import FACE_PX, TEMPLATE

LIGHT, READ_NOISE = 0.25, 5.0
BLUR_SIGMA_PX = 2.5
JPEG_QUALITY = 30
SMALL_FACE_PX = 40
FACE_OVER_EYES = 2.17
"""Width of a face's box over the distance of its eyes: the median of frontal `scenes-val`."""
ROLL_DEG = 15.0
MASK_RGB, FRAME_RGB = (150, 190, 215), (35, 30, 30)

LEFT_EYE, RIGHT_EYE, NOSE, LEFT_MOUTH, RIGHT_MOUTH = TEMPLATE
EYES_PX = float(np.linalg.norm(RIGHT_EYE - LEFT_EYE))


def clean(crop: U8, _number: int) -> U8:
    """Leave it as it is."""
    return crop


def low_light(crop: U8, number: int) -> U8:
    """Show a quarter of the light, about the least the quality gate takes, with noise."""
    rng = np.random.default_rng(number)
    dark = crop.astype(np.float32) * LIGHT + rng.normal(0, READ_NOISE, crop.shape)
    return np.clip(np.round(dark), 0, 255).astype(np.uint8)


def blur(crop: U8, _number: int) -> U8:
    """Blur by a Gaussian of 2.5 px, a twentieth of the distance of the eyes: out of focus."""
    return np.asarray(cv2.GaussianBlur(crop, (0, 0), BLUR_SIGMA_PX), np.uint8)


def jpeg_30(crop: U8, _number: int) -> U8:
    """Compress as JPEG of quality 30."""
    _, data = cv2.imencode(".jpg", crop[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR_RGB), np.uint8)


def face_40_px(crop: U8, _number: int) -> U8:
    """Show a face that was 40 px wide in its picture: shrunk by averaging, enlarged again."""
    side = round(FACE_PX * SMALL_FACE_PX / (FACE_OVER_EYES * EYES_PX))
    small = cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA)
    large = cv2.resize(small, (FACE_PX, FACE_PX), interpolation=cv2.INTER_LINEAR)
    return np.asarray(large, np.uint8)


def roll_15(crop: U8, number: int) -> U8:
    """Turn by 15 degrees, to the left for even numbers and to the right for odd ones."""
    angle = ROLL_DEG if number % 2 == 0 else -ROLL_DEG
    matrix = cv2.getRotationMatrix2D((FACE_PX / 2, FACE_PX / 2), angle, 1.0)
    turned = cv2.warpAffine(crop, matrix, (FACE_PX, FACE_PX), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(turned, np.uint8)


def mask(crop: U8, _number: int) -> U8:
    """Cover nose, mouth and chin with a pale surgical mask, its folds and ear loops."""
    covered = crop.copy()
    top, low = float(NOSE[1]) - 8, FACE_PX + 4.0
    left, right = float(LEFT_EYE[0]) - 26, float(RIGHT_EYE[0]) + 26
    middle = float(NOSE[0])
    edge = [
        (left, top + 6), (middle - 22, top), (middle, top - 6), (middle + 22, top),
        (right, top + 6), (right - 6, top + 36), (middle + 24, low), (middle - 24, low),
        (left + 6, top + 36),
    ]  # fmt: skip
    cv2.fillPoly(covered, [_fixed(edge)], MASK_RGB, cv2.LINE_AA, shift=4)
    darker = tuple(int(0.85 * c) for c in MASK_RGB)
    for fold in (18, 30, 42):
        line = _fixed([(left + 8, top + fold), (middle, top + fold + 3), (right - 8, top + fold)])
        cv2.polylines(covered, [line], False, darker, 1, cv2.LINE_AA, shift=4)
    for x, outside in ((left, 0.0), (right, float(FACE_PX))):
        loop = _fixed([(x, top + 6), (outside, float(LEFT_EYE[1]) + 12)])
        cv2.polylines(covered, [loop], False, (235, 235, 235), 2, cv2.LINE_AA, shift=4)
    return covered


def glasses(crop: U8, _number: int) -> U8:
    """Put on glasses: dark frames, a bridge, and lenses that reflect a little."""
    worn = crop.copy()
    lens = (round(0.44 * EYES_PX), round(0.34 * EYES_PX))
    for eye, outside in ((LEFT_EYE, 0), (RIGHT_EYE, FACE_PX)):
        at = (round(float(eye[0])), round(float(eye[1])) + 2)
        shine = worn.copy()
        cv2.ellipse(shine, at, lens, 0, 0, 360, (225, 230, 235), -1, cv2.LINE_AA)
        worn = np.asarray(cv2.addWeighted(shine, 0.25, worn, 0.75, 0), np.uint8)
        cv2.ellipse(worn, at, lens, 0, 0, 360, FRAME_RGB, 3, cv2.LINE_AA)
        edge = at[0] + (lens[0] if outside else -lens[0])
        cv2.line(worn, (edge, at[1] - 4), (outside, at[1] - 8), FRAME_RGB, 3, cv2.LINE_AA)
    y = round(float(LEFT_EYE[1]))
    inner = (round(float(LEFT_EYE[0])) + lens[0], round(float(RIGHT_EYE[0])) - lens[0])
    cv2.line(worn, (inner[0], y), (inner[1], y), FRAME_RGB, 3, cv2.LINE_AA)
    return worn


def _fixed(points: list[tuple[float, float]]) -> np.ndarray:
    """Give points in sixteenths of a pixel, as OpenCV's `shift=4` wants them."""
    return np.round(np.array(points) * 16).astype(np.int32)


DEGRADATIONS: dict[str, Callable[[U8, int], U8]] = {
    "low_light": low_light,
    "blur": blur,
    "jpeg_30": jpeg_30,
    "face_40_px": face_40_px,
    "roll_15": roll_15,
    "mask": mask,
    "glasses": glasses,
}
