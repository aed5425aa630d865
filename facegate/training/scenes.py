"""Pictures for the detector: placement, mosaic, light and noise, and what to predict where."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from facegate.training.data import Scene
from facegate.types import F32, U8
from facegate.vision.decoding import STRIDES
from facegate.vision.preprocess import LETTERBOX_GREY, between_centres

# Each stride learns faces of these sizes (square root of the box's area, canvas pixels); the ranges
# overlap so that a face between two strides is found by either.
SIZE_RANGES = ((6.0, 52.0), (32.0, 112.0), (76.0, 1e9))
CENTRE_RADIUS = 1.0  # strides; cells this near a face's centre are positive
MIRRORED = (1, 0, 2, 4, 3)  # landmarks after a left-right flip
MIN_FACE_PX, MAX_FACE_PX = 9.0, 230.0
BACKLIT_SHARE = 0.1
TILTED_SHARE = 0.4  # of the pictures are turned by up to 35 degrees, the others by up to 10
MASKED_SHARE = 0.12  # of the faces get their lower half covered


@dataclass(frozen=True)
class Canvas:
    """A training picture: u8 (H, W, 3), boxes (K, 4), landmarks (K, 5, 2), ignore (K,) bool."""

    pixels: U8
    boxes: F32
    landmarks: F32
    ignore: np.ndarray


def compose(scenes: list[Scene], height: int, width: int, rng: np.random.Generator) -> Canvas:
    """Place one scene, or four side by side, on a canvas, each in random size, tilt and mirror."""
    canvas = np.full((height, width, 3), LETTERBOX_GREY, np.uint8)
    if rng.random() < 0.2:
        canvas[:] = rng.integers(0, 256, 3, dtype=np.uint8)
    if len(scenes) == 1:
        cells = [(0, 0, width, height)]
    else:
        x = int(width * rng.uniform(0.3, 0.7))
        y = int(height * rng.uniform(0.3, 0.7))
        cells = [(0, 0, x, y), (x, 0, width, y), (0, y, x, height), (x, y, width, height)]
    placed = [_place(s, canvas, c, rng) for s, c in zip(scenes, cells, strict=True)]
    boxes = np.concatenate([p[0] for p in placed])
    if rng.random() < BACKLIT_SHARE:
        canvas = backlight(canvas, boxes, rng)
    pixels = light(canvas, rng)
    return Canvas(
        pixels,
        boxes,
        np.concatenate([p[1] for p in placed]),
        np.concatenate([p[2] for p in placed]),
    )


def _place(
    scene: Scene, canvas: U8, cell: tuple[int, int, int, int], rng: np.random.Generator
) -> tuple[F32, F32, np.ndarray]:
    x1, y1, x2, y2 = cell
    cell_w, cell_h = x2 - x1, y2 - y1
    height, width = scene.pixels.shape[:2]
    sure = np.flatnonzero(scene.scores >= 0.5)
    fit = min(cell_w / width, cell_h / height)
    anchor = np.array([width, height]) * rng.uniform(0.3, 0.7, 2)
    if len(sure) and rng.random() < 0.8:
        box = scene.boxes[rng.choice(sure)]
        size = float(np.sqrt(max(1.0, (box[2] - box[0]) * (box[3] - box[1]))))
        largest = min(MAX_FACE_PX, 0.9 * min(cell_w, cell_h))
        wanted = float(np.exp(rng.uniform(np.log(MIN_FACE_PX), np.log(largest))))
        scale = min(wanted / size, 2.0)
        anchor = (box[:2] + box[2:]) / 2
    else:
        scale = fit * float(np.exp(rng.uniform(np.log(0.6), np.log(2.2))))
    angle = np.radians(
        rng.uniform(-35, 35) if rng.random() < TILTED_SHARE else rng.uniform(-10, 10)
    )
    flip = rng.random() < 0.5
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    linear = np.array([[cos, -sin], [sin, cos]]) @ np.diag([-1.0 if flip else 1.0, 1.0])
    # The anchor lands anywhere in the cell, but a small picture stays inside it when it can.
    target = np.array([cell_w, cell_h]) * rng.uniform(0.15, 0.85, 2)
    matrix = np.concatenate([linear, (target - linear @ anchor)[:, None]], axis=1)
    source, warp = scene.pixels, matrix
    if scale < 0.5:  # average first, or small faces alias
        factor = int(1 / scale)
        small = (max(1, width // factor), max(1, height // factor))
        source = cv2.resize(source, small, interpolation=cv2.INTER_AREA)
        warp = matrix @ np.diag([width / small[0], height / small[1], 1.0])
    warp = between_centres(warp)
    view = canvas[y1:y2, x1:x2]
    border = cv2.BORDER_TRANSPARENT if rng.random() < 0.7 else cv2.BORDER_REFLECT_101
    if border == cv2.BORDER_REFLECT_101 and len(scene.boxes):
        border = cv2.BORDER_TRANSPARENT  # a mirrored face would be a face without a label
    if len(sure):
        source = _cover_some(source, scene, sure, source.shape[1] / width, rng)
    patch = np.ascontiguousarray(view)
    view[:] = cv2.warpAffine(
        source, warp, (cell_w, cell_h), dst=patch, flags=cv2.INTER_LINEAR, borderMode=border
    )
    if not len(scene.boxes):
        return np.zeros((0, 4), np.float32), np.zeros((0, 5, 2), np.float32), np.zeros(0, bool)
    centres = (scene.boxes[:, :2] + scene.boxes[:, 2:]) / 2
    sizes = (scene.boxes[:, 2:] - scene.boxes[:, :2]) * scale
    centres = centres @ matrix[:, :2].T + matrix[:, 2]
    landmarks = scene.landmarks @ matrix[:, :2].T + matrix[:, 2]
    if flip:
        landmarks = landmarks[:, MIRRORED]
    boxes = np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=1)
    seen = np.clip(boxes, 0, (cell_w, cell_h, cell_w, cell_h))
    # What the annotator saw is the part inside the picture: a face that the picture itself cuts off
    # is to be found, one that only this view cuts off is nobody's fault.
    inside = np.clip(scene.boxes, 0, (width, height, width, height))
    given = np.prod(inside[:, 2:] - inside[:, :2], axis=1) * scale**2
    share = np.prod(seen[:, 2:] - seen[:, :2], axis=1) / np.maximum(given, 1e-6)
    ignore = (scene.scores < 0.5) | (share < 0.6) | (np.sqrt(np.prod(sizes, axis=1)) < 7)
    keep = share > 0.05
    shift = np.array([x1, y1], np.float32)
    boxes = np.where(share[:, None] < 0.6, seen, boxes) + np.tile(shift, 2)
    landmarks = landmarks + shift
    return boxes[keep].astype(np.float32), landmarks[keep].astype(np.float32), ignore[keep]


def _cover_some(
    pixels: U8, scene: Scene, rows: np.ndarray, zoom: float, rng: np.random.Generator
) -> U8:
    """Cover the lower half of some faces as a mask or scarf would.

    Args:
        pixels: the scene's, `zoom` times its annotated size; not changed.
        rows: the faces to choose from.
    """
    covered = pixels
    for row in rows:
        if rng.random() >= MASKED_SHARE:
            continue
        if covered is pixels:
            covered = pixels.copy()
        cover_lower_face(covered, scene.landmarks[row] * zoom, rng)
    return covered


def cover_lower_face(pixels: U8, landmarks: F32, rng: np.random.Generator) -> None:
    """Draw a mask or scarf over a face, in place.

    Args:
        landmarks: float32 (5, 2), pixels, in the template's order.
    """
    eyes = landmarks[:2].mean(0)
    across = landmarks[1] - landmarks[0]
    down = landmarks[3:].mean(0) - eyes
    top = eyes + down * rng.uniform(0.3, 0.6)
    chin = eyes + down * rng.uniform(1.6, 1.9)
    half = across * rng.uniform(0.75, 1.0)
    outline = [top - half, top - down * 0.1, top + half, chin + half * 0.5, chin - half * 0.5]
    colour = (
        rng.integers(0, 256, 3).tolist()
        if rng.random() < 0.5
        else [int(rng.integers(150, 256))] * 3
    )
    cv2.fillPoly(pixels, [np.asarray(outline).astype(np.int32)], colour, cv2.LINE_AA)


def backlight(pixels: U8, boxes: F32, rng: np.random.Generator) -> U8:
    """Let people stand before a bright window or door: they are dark, what is around them glares.

    Args:
        boxes: float32 (K, 4), of the faces.

    Returns:
        uint8 (H, W, 3).
    """
    height, width = pixels.shape[:2]
    people = np.zeros((height, width), np.float32)
    for x1, y1, x2, y2 in boxes:
        middle = (round(float(x1 + x2) / 2), round(float(y1 + y2) / 2))
        radii = (max(1, round(float(x2 - x1) * 0.6)), max(1, round(float(y2 - y1) * 0.6)))
        cv2.ellipse(people, middle, radii, 0, 0, 360, 1.0, -1)
        # Shoulders: nobody's head hangs in the air.
        below = (middle[0], round(float(y2) + radii[1]))
        cv2.ellipse(people, below, (2 * radii[0], radii[1]), 0, 0, 360, 1.0, -1)
    people = cv2.GaussianBlur(people, (0, 0), max(1.5, 0.01 * width))[..., None]
    dark, glare = rng.uniform(0.15, 0.5), rng.uniform(1.2, 2.2)
    lit = pixels.astype(np.float32)
    around = lit * glare + rng.uniform(20, 90)
    veil = rng.uniform(0, 25)  # light that strays inside the lens
    return np.clip(people * (lit * dark + veil) + (1 - people) * around, 0, 255).astype(np.uint8)


def light(pixels: U8, rng: np.random.Generator) -> U8:
    """Low light, cast, grey, blur, noise and JPEG, each on some pictures."""
    levels = np.arange(256, dtype=np.float32)
    gain = np.exp(rng.normal(0, 0.25)) * (rng.uniform(0.12, 0.6) if rng.random() < 0.25 else 1.0)
    gamma = np.exp(rng.normal(0, 0.2))
    table = 255 * (levels / 255) ** gamma * gain + rng.normal(0, 8)
    cast = 1 + rng.normal(0, 0.08, 3)
    lut = np.clip(table[:, None] * cast, 0, 255).astype(np.uint8)
    pixels = cv2.LUT(pixels, lut[None])
    if rng.random() < 0.15:
        pixels = cv2.cvtColor(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    if rng.random() < 0.15:
        pixels = cv2.GaussianBlur(pixels, (0, 0), rng.uniform(0.5, 1.6))
    if rng.random() < 0.35:
        height, width = pixels.shape[:2]
        field = _noise_field(height * 2, width * 2)
        y, x = rng.integers(0, height), rng.integers(0, width)
        noise = cv2.convertScaleAbs(field[y : y + height, x : x + width], alpha=rng.uniform(1, 16))
        pixels = cv2.add(cv2.subtract(pixels, noise[..., :3]), noise[..., 3:])
    if rng.random() < 0.2:
        quality = int(rng.integers(25, 80))
        _, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
        pixels = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    return pixels.astype(np.uint8, copy=False)


@cache
def _noise_field(height: int, width: int) -> F32:
    """Give Gaussian noise of unit deviation, its negative half in channels 0 to 2: (H, W, 6)."""
    noise = np.random.default_rng(0).normal(0, 1, (height, width, 3)).astype(np.float32)
    return np.concatenate([np.maximum(-noise, 0), np.maximum(noise, 0)], axis=2)


def assign(canvas: Canvas, centres: F32, strides: F32) -> np.ndarray:
    """Decide what every cell should predict.

    Returns:
        int64 (M,): the row of the face a cell answers for, -1 for background, -2 to ignore it.
    """
    answer = np.full(len(centres), -1, np.int64)
    if not len(canvas.boxes):
        return answer
    boxes = canvas.boxes
    sizes = np.sqrt(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1))
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    for row in np.flatnonzero(canvas.ignore):
        x1, y1, x2, y2 = boxes[row]
        inside = (
            (centres[:, 0] > x1)
            & (centres[:, 0] < x2)
            & (centres[:, 1] > y1)
            & (centres[:, 1] < y2)
        )
        answer[inside] = -2
    for row in np.argsort(-sizes):  # the smallest face is written last and keeps the cell
        if canvas.ignore[row]:
            continue
        near = np.abs(centres - middle[row]).max(1) < CENTRE_RADIUS * strides
        for stride, (low, high) in zip(STRIDES, SIZE_RANGES, strict=True):
            if low <= sizes[row] < high:
                answer[near & (strides == stride)] = row
    return answer
