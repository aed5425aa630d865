"""A short film of a corridor: two people approach, turn, leave, come back, come together.

The people are public-domain portraits that come inside well-known packages: Eileen Collins (NASA,
scikit-image's `data.astronaut`) and Grace Hopper (US Navy, matplotlib's sample data).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from facegate.access.store import Store
from facegate.errors import HardwareError, InputError
from facegate.types import F32, U8
from facegate.vision.faces import FaceReader

WIDTH_PX, HEIGHT_PX, FPS = 1280, 720, 15.0
NOISE_FIELDS = 4


@dataclass(frozen=True)
class Portrait:
    """A person to walk through the film: RGB pixels, the face's middle and width in them."""

    name: str
    pixels: U8
    face_x: float
    face_y: float
    face_px: float


@dataclass(frozen=True)
class Actor:
    """A portrait in a scene: where its face is as the scene goes from 0 to 1.

    Attributes:
        x: middle of the face, share of the picture's width.
        size_px: width of the face.
        turn: turn of the head, -1 to 1; 0 looks at the camera.
    """

    portrait: Portrait
    x: Callable[[float], float]
    size_px: Callable[[float], float]
    turn: Callable[[float], float] = lambda _t: 0.0


@dataclass(frozen=True)
class Act:
    """A part of the film."""

    title: str
    seconds: float
    actors: tuple[Actor, ...] = ()
    light: float = 1.0


def portraits() -> tuple[Portrait, Portrait]:
    """Load Eileen Collins and Grace Hopper.

    Raises:
        InputError: the packages that carry the pictures are not installed.
    """
    try:
        import matplotlib.cbook
        import skimage.data
    except ImportError as error:
        raise InputError(
            f"the demo's portraits come with {error.name}: pip install 'facegate[demo]'"
        ) from error
    sample = matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)
    data = np.fromfile(str(sample), np.uint8)
    hopper = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR_RGB), np.uint8)
    collins = np.asarray(skimage.data.astronaut(), np.uint8)
    return (
        Portrait("Eileen Collins", collins, 222, 118, 98),
        Portrait("Grace Hopper", hopper, 266, 172, 158),
    )


def script(friend: Portrait, stranger: Portrait) -> tuple[Act, ...]:
    """Give the film: `friend` is enrolled, `stranger` is not."""

    def approach(to_px: float) -> Callable[[float], float]:
        return lambda t: 36 + (to_px - 36) * min(1.0, 1.6 * t) ** 1.5

    return (
        Act("empty corridor", 1.2),
        Act(
            "a stranger approaches",
            3.6,
            (Actor(stranger, lambda t: 0.62 - 0.12 * t, approach(150)),),
        ),
        Act("and leaves", 1.2, (Actor(stranger, lambda t: 0.5 - 0.75 * t, lambda _t: 150.0),)),
        Act("empty again", 0.8),
        Act(
            "the enrolled person approaches",
            3.6,
            (Actor(friend, lambda t: 0.36 + 0.14 * t, approach(140)),),
        ),
        Act(
            "turns her head",
            1.8,
            (
                Actor(
                    friend,
                    lambda _t: 0.5,
                    lambda _t: 140.0,
                    lambda t: float(np.sin(2 * np.pi * t)),
                ),
            ),
        ),
        Act("and leaves", 1.4, (Actor(friend, lambda t: 0.5 + 0.8 * t, lambda _t: 140.0),)),
        Act("the light goes down", 2.6, (), 0.4),
        Act(
            "she comes back in dim light",
            3.6,
            (Actor(friend, lambda t: 0.62 - 0.1 * t, approach(150)),),
            0.4,
        ),
        Act("the light goes on", 3.0),
        Act(
            "both come together",
            4.2,
            (
                Actor(stranger, lambda t: 0.26 + 0.05 * t, approach(130)),
                Actor(friend, lambda t: 0.74 - 0.05 * t, approach(130)),
            ),
        ),
        Act("nobody left", 1.6),
    )


def frame_count(act: Act) -> int:
    """Give how many frames an act has."""
    return round(act.seconds * FPS)


def film(acts: tuple[Act, ...], seed: int = 0) -> Iterator[tuple[Act, U8]]:
    """Give the film frame by frame: the act it belongs to, and uint8 (720, 1280, 3) RGB."""
    rng = np.random.default_rng(seed)
    corridor = _corridor(rng)
    grain = rng.normal(0, 3, (NOISE_FIELDS, HEIGHT_PX, WIDTH_PX, 1)).astype(np.int8)
    noise = np.repeat(grain, 3, axis=3)
    shown = 0
    for act in acts:
        count = frame_count(act)
        for number in range(count):
            t = number / max(1, count - 1)
            picture = corridor.copy()
            for actor in act.actors:
                _place(picture, actor, t)
            lit = cv2.convertScaleAbs(picture, alpha=act.light)
            shown += 1
            noisy = cv2.add(lit, noise[shown % NOISE_FIELDS], dtype=cv2.CV_8U)
            yield act, np.asarray(noisy, np.uint8)


def write_film(path: Path, acts: tuple[Act, ...]) -> list[tuple[float, str]]:
    """Write the film as a video; returns each act's start, seconds, and its title.

    Raises:
        HardwareError: this OpenCV cannot write videos, or there is no space for it.
    """
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), FPS, (WIDTH_PX, HEIGHT_PX))
    if not writer.isOpened():
        raise HardwareError(f"{path}: this OpenCV cannot write the film")
    starts: list[tuple[float, str]] = []
    last, frames = None, sum(map(frame_count, acts))
    try:
        for number, (act, pixels) in enumerate(film(acts)):
            if act is not last:
                starts.append((number / FPS, act.title))
                last = act
            writer.write(cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    finally:
        writer.release()
    # OpenCV says nothing of a disk that is full; the index, written last, is then missing.
    written = cv2.VideoCapture(str(path))
    whole = written.get(cv2.CAP_PROP_FRAME_COUNT) == frames
    written.release()
    if not whole:
        raise HardwareError(f"{path}: no space in {path.parent}; set TMPDIR to another folder")
    return starts


def enrol(reader: FaceReader, store: Store, who: Portrait) -> None:
    """Enrol somebody from their portrait, as `enroll --image` does.

    Raises:
        InputError: the detector finds no face in it.
    """
    found = reader.find(who.pixels)
    if not found:
        raise InputError(f"the detector finds no face in the portrait of {who.name}")
    store.add(who.name, [reader.embed(reader.look(who.pixels, found[0])).vector])


def _corridor(rng: np.random.Generator) -> U8:
    """Paint walls, floor and a far door: something to look at without a face in it."""
    picture = np.zeros((HEIGHT_PX, WIDTH_PX, 3), np.float32)
    picture[:] = (172, 168, 158)
    far = np.array([(500, 210), (780, 210), (780, 500), (500, 500)])
    corners = np.array([(0, 0), (WIDTH_PX, 0), (WIDTH_PX, HEIGHT_PX), (0, HEIGHT_PX)])
    for a, b, colour in (
        (0, 1, (198, 196, 190)),
        (1, 2, (160, 152, 140)),
        (2, 3, (118, 104, 92)),
        (3, 0, (150, 146, 138)),
    ):
        side = np.array([corners[a], corners[b], far[b], far[a]], np.int32)
        cv2.fillPoly(picture, [side], colour)
    cv2.rectangle(picture, (500, 210), (780, 500), (140, 132, 122), -1)
    cv2.rectangle(picture, (585, 290), (695, 500), (92, 78, 66), -1)
    cv2.circle(picture, (680, 400), 5, (200, 180, 90), -1)
    grain = cv2.resize(rng.normal(0, 5, (90, 160)).astype(np.float32), (WIDTH_PX, HEIGHT_PX))
    return np.clip(picture + grain[:, :, None], 0, 255).astype(np.uint8)


def _place(picture: U8, actor: Actor, t: float) -> None:
    """Blend a portrait into the picture, its face at the actor's place, size and turn."""
    p = actor.portrait
    height, width = p.pixels.shape[:2]
    scale = actor.size_px(t) / p.face_px
    turn = actor.turn(t)
    middle = np.array([actor.x(t) * WIDTH_PX, HEIGHT_PX * 0.4])
    reach = 1.9 * p.face_px  # how much of the portrait around the face walks along
    box = np.array([(-1, -0.85), (1, -0.85), (1, 1.6), (-1, 1.6)]) * reach
    source = box + np.array((p.face_x, p.face_y))
    # A turned head: the far side shrinks in height, the whole in width.
    squeeze = np.array([1 + 0.16 * turn * side for side in (-1, 1, 1, -1)])
    target = box * np.stack([np.full(4, np.cos(0.7 * turn)), squeeze], axis=1) * scale + middle
    low = np.clip(np.floor(target.min(0)), 0, (WIDTH_PX, HEIGHT_PX)).astype(int)
    high = np.clip(np.ceil(target.max(0)), 0, (WIDTH_PX, HEIGHT_PX)).astype(int)
    if (high <= low).any():
        return  # outside the picture
    target = target - low
    matrix = cv2.getPerspectiveTransform(source.astype(np.float32), target.astype(np.float32))
    pixels = p.pixels
    if scale < 0.5:
        pixels = cv2.GaussianBlur(pixels, (0, 0), 0.4 / scale)
    size = (int(high[0] - low[0]), int(high[1] - low[1]))
    layer = cv2.warpPerspective(pixels, matrix, size).astype(np.float32)
    alpha = cv2.warpPerspective(_mask(height, width, p, reach), matrix, size)[:, :, None]
    view = picture[low[1] : high[1], low[0] : high[0]]
    view[:] = (view + alpha * (layer - view)).astype(np.uint8)


def _mask(height: int, width: int, p: Portrait, reach: float) -> F32:
    """Head and shoulders, with a soft edge; 1 inside."""
    mask = np.zeros((height, width), np.float32)
    head = (round(p.face_x), round(p.face_y))
    cv2.ellipse(mask, head, (round(0.52 * reach), round(0.66 * reach)), 0, 0, 360, 1.0, -1)
    body = (round(p.face_x), round(p.face_y + 1.5 * reach))
    cv2.ellipse(mask, body, (round(0.95 * reach), round(1.05 * reach)), 0, 0, 360, 1.0, -1)
    mask[:, : max(2, round(p.face_x - 0.97 * reach))] = 0
    return cv2.GaussianBlur(mask, (0, 0), 0.05 * reach).astype(np.float32)
