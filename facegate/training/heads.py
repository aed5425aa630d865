"""Films made of a single photograph: of the photograph as it is waved, and of a head that turns.

The head is a relief of ordinary proportions with the photograph's face on it: a simulation, good
for how its landmarks move, not for how it looks from the side. The photograph, flat or bent to a
part of a cylinder, is exact.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from facegate.types import F32, U8

Points = np.ndarray[Any, np.dtype[np.float64]]
"""float64; on the photograph and in space the unit is the distance of the eyes, the origin lies
between them, x to the right, y down, z towards the camera."""

HEIGHT_PX, WIDTH_PX = 720, 1280
FOCAL_PX = 1.0 * WIDTH_PX
"""53° from side to side, about a Pi camera's."""

EMPTY = np.full((HEIGHT_PX, WIDTH_PX, 3), 150, np.uint8)
"""A background without anything in it."""

NOISE = 4.0
"""Standard deviation of the sensor's noise, grey levels."""

SIDE, ABOVE, BELOW = 2.0, 1.8, 2.2
"""How much of the photograph is shown, around the point between the eyes."""

CORNERS = np.array([(-SIDE, -ABOVE), (SIDE, -ABOVE), (SIDE, BELOW), (-SIDE, BELOW)])

SKULL_X, SKULL_Y, SKULL_Z, SKULL_MIDDLE = 1.15, 1.75, 1.3, 0.35
NOSE_Z, NOSE_Y, NOSE_WIDE, NOSE_LONG = 0.3, 0.6, 0.2, 0.3
"""The relief: half an ellipsoid and a nose, chosen by eye. With 63 mm between the eyes the face is
145 mm wide, and the tip of the nose 29 mm nearer than the pupils."""

NECK = np.array([0.0, 0.5, -1.4])
"""The point about which a head turns."""

CREASE = 0.12
"""Radius, about, of a fold in paper, in distances of the eyes."""

ROUNDS, PACE = 14, 0.7
"""Of the search for the point of the photograph that a pixel shows."""


@dataclass(frozen=True)
class Photo:
    """A photograph with a face: uint8 (H, W, 3) RGB, and the eyes in it, pixels (x, y)."""

    pixels: U8
    left_eye: F32
    right_eye: F32

    @property
    def eyes_px(self) -> float:
        """Distance of the eyes, pixels."""
        return float(np.hypot(*(self.right_eye - self.left_eye)))


@dataclass(frozen=True)
class Pose:
    """How it is held before the camera.

    Attributes:
        yaw, pitch, roll: degrees.
        eyes_px: distance of the eyes in the frame when it is frontal.
        x, y: where the point between the eyes is then, pixels.
    """

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    eyes_px: float = 65.0
    x: float = WIDTH_PX / 2
    y: float = HEIGHT_PX * 0.42


@dataclass(frozen=True)
class Body:
    """What the photograph lies on.

    Attributes:
        surface: points of the photograph (..., 2) → points in space (..., 3).
        pivot: (3,), about which it turns.
        outline: points of the photograph → how much of them is there, 0 to 1.
    """

    surface: Callable[[Points], Points]
    pivot: Points
    outline: Callable[[Points], Points]


def _sheet(at: Points) -> Points:
    u, v = at[..., 0], at[..., 1]
    return ((np.abs(u) < SIDE) & (v > -ABOVE) & (v < BELOW)).astype(np.float64)


def _flat(at: Points) -> Points:
    return np.stack([at[..., 0], at[..., 1], np.zeros(at.shape[:-1])], -1)


def _relief(at: Points) -> Points:
    u, v = at[..., 0], at[..., 1]
    across = 1 - (u / SKULL_X) ** 2 - ((v - SKULL_MIDDLE) / SKULL_Y) ** 2
    nose = np.exp(-((u / NOSE_WIDE) ** 2) / 2 - ((v - NOSE_Y) / NOSE_LONG) ** 2 / 2)
    return np.stack([u, v, SKULL_Z * (np.sqrt(np.clip(across, 0, 1)) - 1) + NOSE_Z * nose], -1)


def _oval(at: Points) -> Points:
    away = np.hypot(at[..., 0] / 1.35, (at[..., 1] - 0.25) / 1.95)
    return np.clip((1 - away) * 8, 0, 1)


FLAT = Body(_flat, np.zeros(3), _sheet)
HEAD = Body(_relief, NECK, _oval)


def bent(radius: float) -> Body:
    """Bend the photograph around an upright cylinder of `radius` distances of the eyes."""

    def surface(at: Points) -> Points:
        angle = np.clip(at[..., 0] / radius, -np.pi / 2, np.pi / 2)
        return np.stack([radius * np.sin(angle), at[..., 1], radius * (np.cos(angle) - 1)], -1)

    return Body(surface, np.zeros(3), _sheet)


def creased(degrees: float) -> Body:
    """Fold the photograph upright along the nose: its halves lean back by so many degrees.

    It is printed as much wider, so that the face is as wide as before.
    """
    lean = np.tan(np.radians(degrees))

    def surface(at: Points) -> Points:
        back = np.sqrt(at[..., 0] ** 2 + CREASE**2) - CREASE
        return np.stack([at[..., 0], at[..., 1], -lean * back], -1)

    return Body(surface, np.zeros(3), _sheet)


def show(photo: Photo, body: Body, pose: Pose, onto: U8) -> U8:
    """Draw a photograph on a body before a background.

    Args:
        photo: the face.
        body: what it lies on.
        pose: how that is held.
        onto: uint8 (H, W, 3), the background; it stays as it is.

    Returns:
        uint8 (H, W, 3), RGB, without noise.
    """
    turn = _rotation(pose)
    sides = zip(CORNERS, np.roll(CORNERS, -1, axis=0), strict=True)
    edge = np.concatenate([np.linspace(a, b, 20) for a, b in sides])
    outline = _seen(body.surface(edge), body, turn, pose)
    height, width = onto.shape[:2]
    low = np.clip(np.floor(outline.min(0)) - 2, 0, (width, height)).astype(int)
    high = np.clip(np.ceil(outline.max(0)) + 2, 0, (width, height)).astype(int)
    if (high - low < 2).any():
        return onto
    pixels = np.stack(np.meshgrid(np.arange(low[0], high[0]), np.arange(low[1], high[1])), -1)
    at = _photographed(pixels.astype(np.float64), body, turn, pose)
    scale = photo.eyes_px / pose.eyes_px
    source = photo.pixels if scale <= 1 else cv2.GaussianBlur(photo.pixels, (0, 0), 0.4 * scale)
    across = (photo.right_eye - photo.left_eye).astype(np.float64)
    down = np.array([-across[1], across[0]])
    where = (photo.left_eye + photo.right_eye) / 2 + at[..., :1] * across + at[..., 1:] * down
    layer = cv2.remap(
        source, where.astype(np.float32), None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    cover = cv2.GaussianBlur(body.outline(at).astype(np.float32), (0, 0), 1.0)[..., None]
    frame = onto.copy()
    view = frame[low[1] : high[1], low[0] : high[0]]
    view[:] = (view + cover * (layer.astype(np.float32) - view)).astype(np.uint8)
    return frame


def photograph(photo: Photo, yaw: float) -> Photo:
    """Photograph the head of a photograph anew, turned by `yaw` degrees."""
    pose = Pose(yaw=yaw, eyes_px=photo.eyes_px)
    pixels = show(photo, HEAD, pose, EMPTY)
    eyes = _relief(np.array([(-0.5, 0.0), (0.5, 0.0)]))
    seen = _seen(eyes, HEAD, _rotation(pose), pose).astype(np.float32)
    return Photo(pixels, seen[0], seen[1])


def noisy(frame: U8, rng: np.random.Generator) -> U8:
    """Add the sensor's noise."""
    noise = NOISE * rng.standard_normal(frame.shape, np.float32)
    return np.asarray(cv2.add(frame, noise, dtype=cv2.CV_8U), np.uint8)


def _rotation(pose: Pose) -> Points:
    (cy, cp, cr), (sy, sp, sr) = (
        f(np.radians([pose.yaw, pose.pitch, pose.roll])) for f in (np.cos, np.sin)
    )
    yaw = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    pitch = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    roll = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return np.asarray(roll @ pitch @ yaw)


def _seen(points: Points, body: Body, turn: Points, pose: Pose) -> Points:
    """Project points in space (..., 3) to pixels (..., 2)."""
    turned = (points - body.pivot) @ turn.T + body.pivot
    scale = FOCAL_PX / (FOCAL_PX / pose.eyes_px - turned[..., 2:])
    return np.asarray(turned[..., :2] * scale + (pose.x, pose.y))


def _photographed(pixels: Points, body: Body, turn: Points, pose: Pose) -> Points:
    """Find the points of the photograph that pixels (..., 2) show, by going on from a flat one."""
    flat = _seen(_flat(CORNERS), body, turn, pose)
    back = cv2.getPerspectiveTransform(flat.astype(np.float32), CORNERS.astype(np.float32))
    at = cv2.perspectiveTransform(pixels.reshape(-1, 1, 2), back).reshape(pixels.shape)
    undo = np.linalg.inv(turn[:2, :2])
    for _ in range(ROUNDS):
        inside = np.clip(at, (-SIDE, -ABOVE), (SIDE, BELOW))
        off = (pixels - _seen(body.surface(inside), body, turn, pose)) / pose.eyes_px
        at = at + PACE * off @ undo.T
    return np.asarray(at)
