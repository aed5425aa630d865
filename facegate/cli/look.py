"""`detect`, `identify` and `verify`: what facegate sees in pictures."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from facegate import parts
from facegate.access.matcher import Matcher
from facegate.access.policy import identity_of
from facegate.cli.options import ConfigFile, Pictures, daemon_of, offline_store, only_face
from facegate.cli.output import AsJson, emit
from facegate.config import Config, load_config
from facegate.errors import InputError
from facegate.types import F32, U8, Identity
from facegate.vision.faces import Face
from facegate.vision.pictures import GREEN, RED, draw_face, read_picture, write_picture

Draw = Annotated[
    Path | None, typer.Option(help="Write the (first) picture with the faces drawn in.")
]


def detect(
    images: Pictures, draw: Draw = None, config: ConfigFile = None, as_json: AsJson = False
) -> None:
    """Find faces as the gate does: boxes, landmarks and scores."""
    settings = load_config(config)
    finder = parts.load_finder(settings)
    result, lines = [], []
    for number, path in enumerate(images):
        pixels = read_picture(path)
        started = time.perf_counter()
        found = finder.detect(pixels)
        took_ms = (time.perf_counter() - started) * 1000
        faces = [
            {
                "box": np.round(d.box, 1).tolist(),
                "landmarks": np.round(d.landmarks, 1).tolist(),
                "score": round(d.score, 4),
            }
            for d in found
        ]
        result.append({"image": str(path), "faces": faces, "milliseconds": round(took_ms, 2)})
        lines.append(f"{path}: {len(found)} face(s), {took_ms:.0f} ms")
        lines += [f"  {d.score:.2f}  box {_numbers(d.box)}" for d in found]
        if draw and number == 0:
            canvas = pixels.copy()
            for d in found:
                draw_face(canvas, d, f"{d.score:.2f}")
            write_picture(draw, canvas)
    emit(result, as_json, lines)


def identify(
    images: Pictures, draw: Draw = None, config: ConfigFile = None, as_json: AsJson = False
) -> None:
    """Say who is in a picture, among the people enrolled."""
    settings = load_config(config)
    pictures = [(path, read_picture(path)) for path in images]
    vision = parts.load_vision(settings)
    seen_in = [_looks(vision, path, pixels) for path, pixels in pictures]
    looks = [look for here in seen_in for look in here]
    vectors = [look.vector for look in looks]
    if client := daemon_of(settings):
        identities = client.identify(vectors, vision.model_id)
    else:
        identities = _identify_offline(settings, vision, vectors)
    seen = list(zip(looks, identities, strict=True))
    result = [
        {
            "image": str(look.path),
            "name": identity.name,
            "between": list(identity.between),
            "distance": None if identity.distance is None else round(identity.distance, 4),
            "confidence": round(identity.confidence, 4),
            "box": np.round(look.face.detection.box, 1).tolist(),
            "milliseconds": round(look.milliseconds, 2),
            "quality": list(look.face.quality.reasons),
        }
        for look, identity in seen
    ]
    if draw:
        canvas = pictures[0][1].copy()
        for look, identity in seen[: len(seen_in[0])]:
            colour = GREEN if identity.name else RED
            draw_face(canvas, look.face.detection, _who(identity), colour)
        write_picture(draw, canvas)
    lines = []
    rest = iter(seen)
    for path, here in zip(images, seen_in, strict=True):
        told = [_line(look, identity) for look, identity in islice(rest, len(here))]
        lines += told or [f"{path}: no face found"]
    emit(result, as_json, lines)


@dataclass(frozen=True)
class _Look:
    """A face in a picture, embedded, and how long aligning and embedding took."""

    path: Path
    face: Face
    vector: F32
    milliseconds: float


def _looks(vision: parts.Vision, path: Path, pixels: U8) -> list[_Look]:
    looks = []
    for detection in vision.reader.find(pixels):
        started = time.perf_counter()
        face, embedding = vision.reader.read_poor(vision.reader.look(pixels, detection))
        looks.append(_Look(path, face, embedding.vector, (time.perf_counter() - started) * 1000))
    return looks


def _identify_offline(settings: Config, vision: parts.Vision, vectors: list[F32]) -> list[Identity]:
    with offline_store(settings) as store:
        gallery = store.gallery()
    limits = parts.policy_settings(settings, vision.calibration, len(gallery.names))
    matcher, probability = Matcher(gallery), vision.calibration.probability
    return [identity_of(matcher.match(v), gallery.names, limits, probability) for v in vectors]


def _who(identity: Identity) -> str:
    return identity.name or " or ".join(identity.between) or "unknown"


def _line(look: _Look, identity: Identity) -> str:
    if identity.distance is None:
        return f"{look.path}: unknown; nobody is enrolled, start with: facegate enroll NAME"
    poor = ", ".join(look.face.quality.reasons)
    told = (
        "the door does not decide between them: `facegate enroll NAME --more` for both"
        if identity.between
        else f"confidence {identity.confidence:.0%}"
    )
    return (
        f"{look.path}: {_who(identity)}  distance {identity.distance:.3f} "
        f"(threshold {identity.threshold:.3f})  {told}"
        f"{f'  (the door passes over it: {poor})' if poor else ''}"
    )


def verify(
    a: Annotated[Path, typer.Argument(help="A picture of one person.", show_default=False)],
    b: Annotated[Path, typer.Argument(help="Another picture.", show_default=False)],
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Say whether two pictures show one person; exit status 1 when they do not."""
    settings = load_config(config)
    for path in (a, b):
        if not path.exists():
            raise InputError(f"{path}: no such file")
    vision = parts.load_vision(settings)
    first, second = (
        vision.reader.embed(only_face(vision.reader, path, allow_poor=True)[1]).vector
        for path in (a, b)
    )
    distance = float(np.linalg.norm(first - second))
    limit = parts.threshold_for(settings, vision.calibration, 1)
    same = distance <= limit
    confidence = vision.calibration.probability(distance)
    answer = {
        "same": same,
        "distance": round(distance, 4),
        "threshold": round(limit, 4),
        "confidence": round(confidence, 4),
    }
    word = "one person" if same else "not shown to be one person"
    emit(
        answer,
        as_json,
        [f"{word}: distance {distance:.3f} (threshold {limit:.3f}), confidence {confidence:.0%}"],
    )
    if not same:
        raise typer.Exit(1)


def _numbers(values: Any) -> str:
    return " ".join(f"{float(v):.0f}" for v in values)
