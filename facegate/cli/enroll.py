"""`enroll`: somebody who may come in from now on."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Protocol

import typer

from facegate import parts
from facegate.access.enrolment import EnrolmentSession, check_looks, name_to_enrol
from facegate.access.matcher import Matcher
from facegate.access.person import Person
from facegate.access.store import Store
from facegate.cli.options import (
    CameraSource,
    ConfigFile,
    back_up,
    daemon_of,
    look_to_enrol,
    offline_store,
    record,
)
from facegate.cli.output import AsJson, emit
from facegate.cli.people import Name
from facegate.config import Config, load_config
from facegate.control.client import ControlClient
from facegate.types import F32


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
    """Enrol a person, from pictures or with the camera; of many looks ten that differ are kept."""
    settings = load_config(config)
    client = daemon_of(settings)
    if camera and (image or client):
        owner = "--image" if image else "the daemon, which looks through its own camera"
        raise typer.BadParameter(f"--camera has no use with {owner}; leave it out")
    if client and not image:
        timeout_s = settings.enrolment.timeout_s
        person = client.enrol(name, allow_duplicate, timeout_s, _say_progress, more)
    else:
        if not client:  # before networks are loaded and pictures looked at
            with offline_store(settings) as store:
                name = name_to_enrol(store, name, more)
        vision = parts.load_vision(settings)
        vectors = (
            _from_pictures(vision, image) if image else _from_camera(settings, vision, name, camera)
        )
        with enrolling(settings, vision, client) as enrol:
            person = enrol(name, vectors, allow_duplicate, more)
    emit(
        asdict(person), as_json, [f"{person.name} is enrolled with {person.templates} template(s)."]
    )


def _say_progress(captured: int, guidance: str) -> None:
    typer.echo(f"{captured} captured; {guidance}", err=True)


def _from_pictures(vision: parts.Vision, pictures: list[Path]) -> list[F32]:
    return [look_to_enrol(vision.reader, path) for path in pictures]


def _from_camera(config: Config, vision: parts.Vision, name: str, source: str | None) -> list[F32]:
    """Collect looks with a camera of our own: no daemon is running."""
    with parts.camera_from(config, source) as camera:
        session = EnrolmentSession(
            name,
            parts.enrolment_settings(config),
            vision.calibration.midpoint,
            time.monotonic(),
        )
        said = ""
        for frame in camera.frames(threading.Event()):
            if session.done or session.expired(time.monotonic()):
                break
            if not session.wants(frame.captured_at_s):
                continue
            found = vision.reader.find(frame.pixels, frame.small)
            seen = vision.reader.sole_embedding(frame.pixels, found)
            session.offer(seen, frame.captured_at_s)
            if session.guidance != said:
                said = session.guidance
                _say_progress(session.captured, said)
    if not session.done:
        raise session.too_few
    return session.vectors()


class Enrol(Protocol):
    """Enrols from embeddings."""

    def __call__(
        self, name: str, vectors: list[F32], allow_duplicate: bool = False, more: bool = False
    ) -> Person:
        """Enrol a person, or add to the looks of one."""
        ...


@contextmanager
def enrolling(
    config: Config, vision: parts.Vision, client: ControlClient | None
) -> Iterator[Enrol]:
    """Give what enrols: the daemon, or the store itself where none runs, copied at the end."""
    if client:
        yield partial(_add_by, client, vision.model_id)
        return
    with parts.open_store(config, vision.model_id) as store:
        try:
            yield partial(_add_to, store, config, vision)
        finally:
            back_up(config, store)


def _add_by(
    client: ControlClient,
    model_id: str,
    name: str,
    vectors: list[F32],
    allow_duplicate: bool = False,
    more: bool = False,
) -> Person:
    return client.add(name, vectors, model_id, allow_duplicate, more)


def _add_to(
    store: Store,
    config: Config,
    vision: parts.Vision,
    name: str,
    vectors: list[F32],
    allow_duplicate: bool = False,
    more: bool = False,
) -> Person:
    gallery = store.gallery()
    check_looks(
        name,
        vectors,
        Matcher(gallery),
        gallery.names,
        parts.threshold_for(config, vision.calibration, len(gallery.names)),
        vision.calibration.midpoint,
        store.person(name) if more else None,
        allow_duplicate,
    )
    person = (store.extend if more else store.add)(name, vectors)
    facts = {"looks": len(vectors), "templates": person.templates, "revision": store.revision}
    record(config, "enrolled", f"{person.name} is enrolled", person, **facts)
    return person
