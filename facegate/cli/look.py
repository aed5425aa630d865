"""`detect`, `identify` and `verify`: what facegate sees in pictures."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from facegate import parts
from facegate.access.matcher import Matcher
from facegate.cli.options import ConfigFile, Pictures, offline_store, only_face
from facegate.cli.output import AsJson, emit
from facegate.config import load_config
from facegate.errors import InputError
from facegate.vision.pictures import GREEN, RED, draw_face, read_picture, write_picture

Draw = Annotated[
    Path | None, typer.Option(help="Write the (first) picture with the faces drawn in.")
]


def detect(
    images: Pictures, draw: Draw = None, config: ConfigFile = None, as_json: AsJson = False
) -> None:
    """Find faces: boxes, landmarks and scores."""
    detector = parts.load_detector(load_config(config))
    result, lines = [], []
    for number, path in enumerate(images):
        pixels = read_picture(path)
        started = time.perf_counter()
        found = detector.detect(pixels)
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
    with offline_store(settings) as store:
        gallery = store.gallery()
    matcher = Matcher(gallery)
    limit = parts.threshold_for(settings, vision.calibration, len(gallery.names))
    result: list[dict[str, Any]] = []
    lines = []
    for number, (path, pixels) in enumerate(pictures):
        canvas = pixels.copy()
        found = vision.reader.find(pixels)
        if not found:
            lines.append(f"{path}: no face found")
        for detection in found:
            started = time.perf_counter()
            face = vision.reader.look(pixels, detection)
            match = matcher.match(vision.reader.embed(face).vector)
            took_ms = (time.perf_counter() - started) * 1000
            known = match.person_id is not None and match.distance <= limit
            name = gallery.names[match.person_id] if known and match.person_id else None
            confidence = vision.calibration.probability(match.distance)
            result.append(
                {
                    "image": str(path),
                    "name": name,
                    "distance": None if match.person_id is None else round(match.distance, 4),
                    "confidence": 0.0 if match.person_id is None else round(confidence, 4),
                    "box": np.round(detection.box, 1).tolist(),
                    "milliseconds": round(took_ms, 2),
                    "quality": list(face.quality.reasons),
                }
            )
            poor = f"  ({', '.join(face.quality.reasons)})" if face.quality.reasons else ""
            lines.append(
                f"{path}: {name or 'unknown'}  distance {match.distance:.3f} "
                f"(threshold {limit:.3f})  confidence {confidence:.0%}{poor}"
            )
            draw_face(canvas, detection, name or "unknown", GREEN if name else RED)
        if draw and number == 0:
            write_picture(draw, canvas)
    if not gallery.names:
        typer.echo("Nobody is enrolled. Start with: facegate enroll NAME", err=True)
    emit(result, as_json, lines)


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
