"""`events`: what the journal and the audit trail may tell, how bad it is, and what to do then."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from facegate.cli.entries import PRIORITIES
from facegate.cli.options import check_events
from facegate.cli.output import AsJson, emit
from facegate.events import EVENTS, EventName

WORDS = {number: str(severity) for severity, number in PRIORITIES.items()}


def events(
    name: Annotated[
        str | None, typer.Argument(help="One event, with what to do.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List every event, with its severity and what it means."""
    check_events([] if name is None else [name])
    told = [_told(event) for event in EVENTS if name in (None, event)]
    lines = [f"{t['word']:<8}{t['severity']}  {t['event']:<23} {t['meaning']}" for t in told]
    if name is None:
        emit(told, as_json, lines)
    else:
        emit(told[0], as_json, [*lines, *filter(None, [told[0]["advice"]])])


def _told(event: EventName) -> dict[str, Any]:
    kind = EVENTS[event]
    return {
        "event": event,
        "severity": kind.priority,
        "word": WORDS[kind.priority],
        "meaning": kind.subject,
        "advice": kind.advice,
        "message_id": kind.message_id,
    }
