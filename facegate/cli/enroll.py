"""`enroll`: somebody who may come in from now on."""

from __future__ import annotations

import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from facegate import parts
from facegate.access.enrolment import EnrolmentSession, check_newcomer, check_returning
from facegate.access.matcher import Matcher
from facegate.access.person import Person
from facegate.cli.options import (
    CameraSource,
    ConfigFile,
    back_up,
    daemon_of,
    only_face,
    record,
)
from facegate.cli.output import AsJson, emit
from facegate.cli.people import Name
from facegate.config import Config, load_config
from facegate.errors import InputError
from facegate.types import F32, Match
from facegate.vision.quality import ADVICE


def enroll(
    name: Name,
    image: Annotated[
        list[Path] | None, typer.Option(help="A picture of them; repeat for more. Else the camera.")
    ] = None,
    allow_duplicate: Annotated[
        bool, typer.Option("--allow-duplicate", help="Even if this face is enrolled already.")
    ] = False,
    more: Annotated[
        bool, typer.Option("--more", help="Add looks to somebody enrolled: glasses, a beard.")
    ] = False,
    config: ConfigFile = None,
    camera: CameraSource = None,
    as_json: AsJson = False,
) -> None:
    """Enrol a person, from pictures or with the camera; the best looks that differ are kept."""
    settings = load_config(config)
    client = daemon_of(settings)
    if client and not image:
        timeout_s = settings.enrolment.timeout_s
        person = client.enrol(name, allow_duplicate, timeout_s, _say_progress, more)
    else:
        vision = parts.load_vision(settings)
        vectors = (
            _from_pictures(vision, image) if image else _from_camera(settings, vision, name, camera)
        )
        if client:
            person = client.add(name, vectors, vision.model_id, allow_duplicate, more)
        else:
            person = _add_offline(settings, vision, name, vectors, allow_duplicate, more)
    emit(
        asdict(person), as_json, [f"{person.name} is enrolled with {person.templates} template(s)."]
    )


def _say_progress(captured: int, guidance: str) -> None:
    typer.echo(f"{captured} captured; {guidance}", err=True)


def _from_pictures(vision: parts.Vision, pictures: list[Path]) -> list[F32]:
    faces = [only_face(vision.reader, path)[1] for path in pictures]
    return [vision.reader.embed(face).vector for face in faces]


def _from_camera(config: Config, vision: parts.Vision, name: str, source: str | None) -> list[F32]:
    """Collect looks with a camera of our own: no daemon is running."""
    stopping = threading.Event()
    with parts.camera_from(config, source) as camera:
        session = EnrolmentSession(
            name,
            parts.enrolment_settings(config),
            vision.calibration.midpoint,
            time.monotonic(),
        )
        said = ""
        for frame in camera.frames(stopping):
            if session.done or session.expired(time.monotonic()):
                break
            if not session.wants(frame.captured_at_s):
                continue
            found = vision.reader.find(frame.pixels, frame.small)
            if len(found) != 1:
                session.refuse("one person at a time" if found else "nobody to be seen")
            else:
                face, embedding = vision.reader.read(vision.reader.look(frame.pixels, found[0]))
                if embedding is not None:
                    session.offer(embedding, frame.captured_at_s)
                else:
                    session.refuse(ADVICE[face.quality.reasons[0]])
            if session.guidance != said:
                said = session.guidance
                _say_progress(session.captured, said)
    if not session.done:
        raise InputError(
            f"{name}: only {session.captured} good looks ({session.guidance}); nobody was enrolled"
        )
    return session.vectors()


def _add_offline(
    config: Config,
    vision: parts.Vision,
    name: str,
    vectors: list[F32],
    allow_duplicate: bool,
    more: bool,
) -> Person:
    with parts.open_store(config, vision.model_id) as store:
        gallery = store.gallery()
        matcher = Matcher(gallery)
        matches: list[Match] = [matcher.match(v) for v in vectors]
        if more:
            known = store.person(name)
            check_returning(known.person_id, name, matches, vision.calibration.midpoint)
            matches = [m for m in matches if m.person_id != known.person_id]
        if allow_duplicate:
            matches = []
        limit = parts.threshold_for(config, vision.calibration, len(gallery.names))
        check_newcomer(name, vectors, matches, gallery.names, limit, vision.calibration.midpoint)
        person = (store.extend if more else store.add)(name, vectors)
        back_up(config, store)
        revision = store.revision
    record(config, "enrolled", person, revision=revision)
    return person
