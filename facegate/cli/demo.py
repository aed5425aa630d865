"""`demo`: the whole way from a film to the relay, on a machine without a Pi."""

from __future__ import annotations

import tempfile
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import typer

from facegate import parts
from facegate.cli.output import AsJson, emit
from facegate.config import Config, parse_config
from facegate.daemon import Gate
from facegate.errors import InputError
from facegate.hardware.fake import FakeOutput
from facegate.journal import ConsoleSink, Event, Journal


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the two pictures.")] = Path("facegate-demo"),
    as_json: AsJson = False,
) -> None:
    """Show a gate at work: one person is enrolled and let in, the other is not.

    Exit status 0 only if exactly that happened.
    """
    from facegate.demo import show, walkup

    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out}: cannot be made: {error.strerror}") from error

    def say(text: str) -> None:
        typer.echo(text, err=as_json)

    with tempfile.TemporaryDirectory(prefix="facegate-") as scratch:
        config = _config(Path(scratch))
        vision = parts.load_vision(config)
        friend, stranger = walkup.portraits()
        acts = walkup.script(friend, stranger)
        starts = walkup.write_film(Path(scratch) / "walkup.avi", acts)
        with parts.open_store(config, vision.model_id) as store:
            walkup.enrol(vision.reader, store, friend)
            say(f"{friend.name} is enrolled, {stranger.name} is not. The film begins.\n")
            relay = FakeOutput("relay")
            events: list[tuple[float, Event]] = []
            began_s = time.monotonic()
            sinks: list[Any] = [lambda e: events.append((time.monotonic() - began_s, e))]
            if not as_json:
                sinks.append(ConsoleSink())
            with parts.camera_from(config) as camera:
                album = show.Album(began_s)
                lines = parts.Lines(relay, {}, {})
                gate = Gate(config, vision, store, camera, lines, Journal(*sinks), album)
                gate.run(threading.Event())
            ended_s = time.monotonic() - began_s
            counts = {name: c.counts for name, c in gate.channels.items()}
    edges = [(e.at_s - began_s, e.active) for e in relay.edges]
    sheet, chart = out / "contact-sheet.png", out / "timeline.png"
    album.contact_sheet(sheet)
    show.timeline(chart, album, events, starts, edges, ended_s)

    granted = [e.message.split(":")[0] for _, e in events if e.name == "granted"]
    strangers = sum(e.name == "unknown" for _, e in events)
    passed = friend.name in granted and set(granted) == {friend.name} and strangers > 0
    passed = passed and not (edges and edges[-1][1])
    pulses = [(a[0], b[0]) for a, b in pairwise(edges) if a[1] and not b[1]]
    result = {
        "passed": passed,
        "granted": granted,
        "unknown": strangers,
        "relay_pulses_s": [[round(a, 3), round(b, 3)] for a, b in pulses],
        "frames": counts["frames"].put,
        "dropped": {name: c.dropped for name, c in counts.items()},
        "contact_sheet": str(sheet),
        "timeline": str(chart),
    }
    text = ["", "Relay edges:"]
    text += [f"  {a:7.3f} s  released   {b:7.3f} s  held again" for a, b in pulses]
    text += [
        f"Let in: {len(granted)} × {friend.name}. Unknown: {strangers}.",
        f"{counts['frames'].put} frames, {counts['frames'].dropped} dropped before the detector.",
        f"See {sheet} and {chart}.",
        "The enrolled person was let in and the other was not."
        if passed
        else "This is not what should have happened.",
    ]
    emit(result, as_json, text)
    if not passed:
        raise typer.Exit(1)


def _config(scratch: Path) -> Config:
    return parse_config(
        {
            "camera": {"source": f"file:{scratch / 'walkup.avi'}"},
            "state": {"folder": str(scratch / "state")},
            "gpio": {"driver": "fake"},
            "door": {"pulse_s": 2.0},
        },
        "demo",
    )
