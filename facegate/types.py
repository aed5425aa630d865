"""What the stages hand to each other. Arrays inside are read-only by contract.

Pixels are RGB uint8, boxes x1 y1 x2 y2, coordinates in pixels of the picture they belong to. Times
with `_s` are monotonic seconds unless the name says `wall`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np

F32 = np.ndarray[Any, np.dtype[np.float32]]
U8 = np.ndarray[Any, np.dtype[np.uint8]]
I8 = np.ndarray[Any, np.dtype[np.int8]]
I64 = np.ndarray[Any, np.dtype[np.int64]]

EMBEDDING_FLOATS = 128
"""Numbers in an embedding of the shipped network, and of any whose card does not say."""

MAX_PULSE_S = 30.0
"""No setting lets one pulse release the strike for longer."""

MAX_KEPT_UNLOCKED_S = 12 * 3600.0
"""No command keeps the door unlocked for longer; more is for unlock hours."""


HEAD_TURN = 0.45
"""So far, in distances of the eyes, the nose moves against eyes and mouth when a head is turned by
25° to either side; what `access.liveness: head_turn` asks for (`facegate.access.liveness`)."""

LENGTH_POWER = 1 / 3
"""Exponent of the length of the mean of a person's looks, which is compared with
(`facegate.access.matcher`). With the shipped network and 3 or 5 different pictures each of 80
people, false matches are at most 0.9 times as frequent as with one (`facegate evaluate embedder`).
"""


@dataclass(frozen=True)
class Frame:
    """One picture from a camera.

    Attributes:
        pixels: uint8 (H, W, 3) RGB, the main stream.
        captured_at_s: monotonic time of capture, seconds.
        seq: number of the frame since the camera opened; gaps are frames never delivered.
        small: uint8 (h, w, 3) RGB, the same instant from the low-resolution stream, or None.
    """

    pixels: U8
    captured_at_s: float
    seq: int
    small: U8 | None = None


@dataclass(frozen=True)
class Detection:
    """One face in a picture.

    Attributes:
        box: float32 (4,), x1 y1 x2 y2, pixels.
        landmarks: float32 (5, 2), x y in pixels: left eye, right eye, nose, left and right mouth
            corner as seen in the picture.
        score: confidence in [0, 1].
    """

    box: F32
    landmarks: F32
    score: float

    @property
    def size_px(self) -> float:
        """Width of the box in pixels."""
        return float(self.box[2] - self.box[0])


@dataclass(frozen=True)
class Track:
    """The same face over several frames: its number, newest detection and age in frames."""

    track_id: int
    detection: Detection
    hits: int
    first_seen_s: float


@dataclass(frozen=True)
class Quality:
    """What the quality gate measured and why it refused; no reasons means it passed.

    Attributes:
        size_px: face width in the source picture.
        sharpness: variance of the Laplacian of the aligned grey face (levels squared).
        brightness: mean grey level of the aligned face, 0 to 255.
        yaw: horizontal nose offset over the eye distance, 0 frontal, about ±0.5 in half profile.
        roll_deg: tilt of the eye line, degrees.
        reasons: machine-readable names, in the order of `vision.quality.ADVICE`.
    """

    size_px: float
    sharpness: float
    brightness: float
    yaw: float
    roll_deg: float
    reasons: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether the face may be embedded."""
        return not self.reasons


@dataclass(frozen=True)
class Embedding:
    """A face as a point.

    Attributes:
        vector: float32 (D,), unit L2 norm; D is 128 for the shipped network.
        model_id: the model and preprocessing that made it; only equal ids may be compared.
        length: norm before normalising; short means the network saw little of a face.
    """

    vector: F32
    model_id: str
    length: float


@dataclass(frozen=True)
class Match:
    """The nearest enrolled person.

    Attributes:
        person_id: the nearest person, or None when nobody is enrolled.
        distance: `sqrt(2 - 2 s)`, `s` the product of the vectors, 0 to 2 (`access.matcher`).
        margin: how much farther the nearest other person is; infinite when there is none.
        runner_up: that other person, or None.
    """

    person_id: int | None
    distance: float
    margin: float
    runner_up: int | None = None


@dataclass(frozen=True)
class Identity:
    """Who a single look shows, without the votes that a door asks for.

    Attributes:
        name: of the nearest person, or None when they are too far, nobody is enrolled, or the
            runner-up is too near for the door to decide.
        distance: to the nearest person, 0 to 2; None when nobody is enrolled.
        threshold: the greatest distance that names somebody.
        confidence: probability that it is the nearest person, in [0, 1].
        between: the two, the nearest first, between whom the door would not decide; else nobody.
    """

    name: str | None
    distance: float | None
    threshold: float
    confidence: float
    between: tuple[str, ...] = ()


class Verdict(Enum):
    """What the policy says about a track."""

    GRANT = "grant"
    DENY = "deny"
    UNKNOWN = "unknown"
    SPOOF = "spoof"
    WAIT = "wait"


@dataclass(frozen=True)
class Decision:
    """The answer for one track.

    Attributes:
        verdict: what to do.
        reason: stable machine-readable name of why.
        track_id: the face.
        person_id, name: who it is, when known.
        distance: of the deciding match; NaN when there was none.
        confidence: probability that it is that person, in [0, 1].
        captured_at_s, seq: of the frame that settled it.
        runner_up, runner_up_name: who is nearly as near, where it is a DENY for that.
    """

    verdict: Verdict
    reason: str
    track_id: int
    person_id: int | None
    name: str | None
    distance: float
    confidence: float
    captured_at_s: float
    seq: int
    runner_up: int | None = None
    runner_up_name: str | None = None
