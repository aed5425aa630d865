"""What the turn of a head is worth: how often photographs pass for one, and heads do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np

from facegate.errors import InputError
from facegate.training.heads import (
    EMPTY,
    FLAT,
    HEAD,
    WIDTH_PX,
    Body,
    Photo,
    Pose,
    bent,
    creased,
    noisy,
    photograph,
    show,
)
from facegate.training.intervals import wilson
from facegate.training.named_pairs import main_face
from facegate.training.progress import Progress
from facegate.types import F32, U8
from facegate.vision.faces import Face, FaceReader

FPS, SECONDS = 5.0, 8.0
"""Of each film: about what a Pi 4 looks at one face in, and what a visitor has the patience for."""

MOST_YAW = 0.12
"""A photograph is used whose face looks at the camera."""

EYES_PX = (35.0, 110.0)
"""Distance of the eyes in the frame: somebody two metres away to one at arm's length."""


class Turn(Protocol):
    """What takes the looks at one face, as `access.liveness.HeadTurn` does."""

    def look(self, yaw: float, at_s: float) -> None:
        """Take a look."""

    @property
    def turned(self) -> float:
        """How far it turned, in distances of the eyes."""

    @property
    def seen(self) -> bool:
        """Whether it turned far enough."""


@dataclass(frozen=True)
class Act:
    """One way of standing before the camera.

    Attributes:
        name: of its row in the report.
        body: what is held.
        sway: greatest yaw, pitch and roll of its wandering, degrees.
        shake: degrees to either side, every four seconds, of a head that says no.
        taken_from: degrees from which the photographs were taken that follow each other, a second
            each; empty for the one there is.
    """

    name: str
    body: Body
    sway: tuple[float, float, float]
    shake: float = 0.0
    taken_from: tuple[float, ...] = ()

    @property
    def live(self) -> bool:
        """Whether it ought to pass."""
        return self.shake > 0


ACTS = (
    Act("photo, held still", FLAT, (4, 4, 4)),
    Act("photo, waved", FLAT, (50, 30, 25)),
    Act("photo bent to a radius of 13 cm, waved", bent(2.0), (50, 25, 20)),
    Act("photo bent to a radius of 8 cm, waved", bent(1.2), (45, 25, 20)),
    Act("photos from both sides in turn", FLAT, (10, 10, 10), taken_from=(-25, 25)),
    Act("photos from three sides in turn", FLAT, (10, 10, 10), taken_from=(-25, 0, 25)),
    Act("head that looks at the camera", HEAD, (4, 4, 4)),
    Act("head shaken by 20° to each side", HEAD, (0, 5, 4), shake=20),
    Act("head shaken by 30° to each side", HEAD, (0, 6, 5), shake=30),
    Act("head shaken by 40° to each side", HEAD, (0, 6, 5), shake=40),
    Act("photo creased along the nose by 50°, waved", creased(50), (40, 20, 15)),
    Act("photos from five sides in turn", FLAT, (5, 5, 5), taken_from=(-30, -15, 0, 15, 30)),
)


@dataclass(frozen=True)
class Played:
    """What came of one act with one photograph.

    Attributes:
        passed: whether its head was ever taken for turned.
        turn: the greatest, in distances of the eyes.
        counted: the share of looks that counted, 0 to 1.
    """

    passed: bool
    turn: float
    counted: float


def usable(reader: FaceReader, pictures: Iterable[U8]) -> Iterator[Photo]:
    """Give the photographs whose one large face is good, whole, and looks at the camera."""
    for pixels in pictures:
        face = _face(reader, pixels)
        if face is None:
            continue
        if face.quality.passed and abs(face.quality.yaw) <= MOST_YAW and _has_room(face, pixels):
            yield Photo(pixels, face.detection.landmarks[0], face.detection.landmarks[1])


def turn_rates(
    reader: FaceReader,
    threshold: float,
    new_turn: Callable[[], Turn],
    photos: list[Photo],
    progress: Progress[Any],
    acts: tuple[Act, ...] = ACTS,
) -> dict[str, Any]:
    """Play every act with every photograph, and see whose head is taken for turned.

    Whoever is shown is enrolled with the photograph itself: the best that an impostor can hope for,
    and better than an honest visitor is enrolled. Tracker, votes and continuity are left out.

    Args:
        reader: the shipped way from picture to embedding.
        threshold: greatest distance, 0 to 2, of a look that counts.
        new_turn: makes the judge of a film.
        photos: with faces.
        progress: around what takes long.
        acts: what is played.

    Returns:
        By act: how many passed of how many films, the rate with its 95 % interval, the median and
        the greatest turn in distances of the eyes, and the share of looks that counted.

    Raises:
        InputError: no photograph, or one without a face.
    """
    if not photos:
        raise InputError(
            "no usable picture: one with a face of 60 px or more that looks at the camera, with "
            "room around it, is needed"
        )
    played: dict[str, list[Played]] = {act.name: [] for act in acts}
    order_of = {act.name: order for order, act in enumerate(ACTS)}
    for number, photo in enumerate(progress(photos, len(photos), "photographs")):
        face = _face(reader, photo.pixels)
        if face is None:
            raise InputError("one of the photographs has no face")
        enrolled = reader.embed(face).vector
        for act in acts:
            rng = np.random.default_rng((number, order_of.get(act.name, 0)))
            shown = film(photo, act, rng)
            played[act.name].append(_play(shown, reader, enrolled, threshold, new_turn()))
    return {act.name: {"live": act.live, **_rates(played[act.name])} for act in acts}


def _play(
    shown: Iterable[tuple[float, U8]],
    reader: FaceReader,
    enrolled: F32,
    threshold: float,
    turn: Turn,
) -> Played:
    """Show a film to the judge; looks that are not of whoever is enrolled do not count."""
    looks, frames = 0, 0
    best, passed = 0.0, False
    for at_s, frame in shown:
        frames += 1
        look = _look(reader, frame)
        if look is None or float(np.linalg.norm(look[1] - enrolled)) > threshold:
            continue
        looks += 1
        turn.look(look[0], at_s)
        best, passed = max(best, turn.turned), passed or turn.seen
    return Played(passed, best, looks / frames)


def _rates(played: list[Played]) -> dict[str, Any]:
    passed, films = sum(one.passed for one in played), len(played)
    return {
        "passed": passed,
        "films": films,
        "rate": passed / films,
        "rate_95": list(wilson(passed, films)),
        "median_turn": float(np.median([one.turn for one in played])),
        "greatest_turn": float(np.max([one.turn for one in played])),
        "looks_counted": float(np.mean([one.counted for one in played])),
    }


def film(photo: Photo, act: Act, rng: np.random.Generator) -> Iterator[tuple[float, U8]]:
    """Film an act: seconds, and uint8 (720, 1280, 3) RGB, frame by frame."""
    count = round(FPS * SECONDS)
    photos = [photograph(photo, yaw) for yaw in act.taken_from] or [photo]
    eyes_px = float(np.exp(rng.uniform(*np.log(EYES_PX))))
    yaws, pitches, rolls, nearer, aside = _wandering(count, (*act.sway, 0.2, 60.0), rng)
    for number in range(count):
        at_s = number / FPS
        pose = Pose(
            yaw=yaws[number] + act.shake * np.sin(np.pi * at_s / 2),
            pitch=pitches[number],
            roll=rolls[number],
            eyes_px=eyes_px * np.exp(nearer[number]),
            x=WIDTH_PX / 2 + aside[number],
        )
        shown = photos[int(at_s) % len(photos)]
        yield at_s, noisy(show(shown, act.body, pose, EMPTY), rng)


def sheet(photo: Photo) -> U8:
    """Draw eight moments of every act, a row each; uint8 (H, W, 3), RGB."""
    rows = []
    for order, act in enumerate(ACTS):
        frames = [frame for _, frame in film(photo, act, np.random.default_rng((0, order)))]
        row = np.hstack([frame[:, 280:1000][::4, ::4] for frame in frames[2::5]])
        cv2.putText(row, act.name, (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (20, 20, 20))
        rows.append(row)
    return np.vstack(rows)


def _wandering(count: int, most: tuple[float, ...], rng: np.random.Generator) -> list[F32]:
    """Draw smooth ways between minus and plus `most`, which each reaches."""
    ways = []
    for reach in most:
        rate, start = rng.uniform(0.5, 1.5, (3, 1)), rng.uniform(0, 2 * np.pi, (3, 1))
        waves = np.sin(3 * np.pi * rate * np.arange(count) / count + start)
        way = rng.dirichlet(np.ones(3)) @ waves
        ways.append((reach * way / np.abs(way).max()).astype(np.float32))
    return ways


def _has_room(face: Face, pixels: U8) -> bool:
    left, right = face.detection.landmarks[:2]
    eyes, middle = float(np.hypot(*(right - left))), (left + right) / 2
    low, high = middle - 1.5 * eyes, middle + np.array([1.5, 2.2]) * eyes
    return bool((low >= 0).all() and (high <= pixels.shape[1::-1]).all())


def _face(reader: FaceReader, pixels: U8) -> Face | None:
    found = main_face(reader.find(pixels), pixels.shape[1], pixels.shape[0])
    return None if found is None else reader.look(pixels, found)


def _look(reader: FaceReader, frame: U8) -> tuple[float, F32] | None:
    """Give the yaw and the embedding of the face in a frame, if it is good enough."""
    face = _face(reader, frame)
    if face is None:
        return None
    face, embedding = reader.read(face)
    return None if embedding is None else (face.quality.yaw, embedding.vector)
