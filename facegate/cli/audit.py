"""`audit`: check, show and export the trail of what happened at the door."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
import time
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from facegate import parts
from facegate.access.audit import Record, all_trails, read
from facegate.access.audit import verify as verify_trail
from facegate.access.audit_age import DAY_S, overdue
from facegate.access.audit_file import dated
from facegate.access.custody import settled_key
from facegate.access.files import write_whole
from facegate.access.keys import load_key
from facegate.access.visits import Visits, visits
from facegate.cli.options import ConfigFile, Yes, check_events, confirm, directory, person_number
from facegate.cli.output import AsJson, emit, spelled_out
from facegate.config import Config, load_config
from facegate.errors import InputError, StoreError

app = typer.Typer(help="Check, show and export the audit trail.", no_args_is_help=True)

Event = Annotated[list[str] | None, typer.Option(help="Only this event; repeat for more.")]
OfPerson = Annotated[str | None, typer.Option("--person", "-p", help="Only this person.")]
Names = Annotated[bool, typer.Option("--names", help="Say who has which number now.")]
Since = Annotated[str | None, typer.Option(help="Not before, as 2026-11-24 or 2026-11-24T18:00.")]


VISITS_HEAD = (
    f"{'person':>6}  {'visits':>6}  {'refused first':>13}  denied  distance  {'first':<19}  last"
    + 15 * " "
)
NOBODY = ["Nobody was let in or denied."]


@app.command()
def verify(config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Say whether the trail is whole; exit code 1 where it was changed, cut or reordered."""
    settings = load_config(config)
    finding = verify_trail(settings.audit_path, load_key(settings.key_path))
    if finding.problem is None:
        lines = [f"{finding.records} records, all in order."]
        if finding.removed:
            lines += [f"The first {finding.removed} were taken out, as the signed cut says."]
    else:
        lines = [f"{finding.records} records are sound, then: {finding.problem}"]
        lines += _key_hint(settings)
    emit(asdict(finding), as_json, lines)
    if finding.problem is not None:
        raise typer.Exit(1)


@app.command()
def renew(
    yes: Yes = False,
    config: ConfigFile = None,
) -> None:
    """Put a trail that is not whole aside, and begin one that tells of it.

    Then `verify` speaks of what is new again. Only once it is known what happened.
    """
    settings = load_config(config)
    key = settled_key(parts.places(settings))  # a change of it that was broken off is no problem
    problem = verify_trail(settings.audit_path, key).problem
    if problem is None:
        raise InputError(f"{settings.audit_path}: all in order; nothing was done")
    confirm(f"{problem}. Begin a new trail?", yes)
    with parts.open_audit(settings) as trail:
        aside = trail.renew(problem, f"uid {os.getuid()}")
    typer.echo(f"A new trail was begun; the old one is {aside}.")


@app.command()
def trim(yes: Yes = False, config: ConfigFile = None) -> None:
    """Take out now what is older than audit.keep_days; for whoever knows that the clock is right.

    A gate does it by itself, but only by a clock that it can believe, and that nobody set for half
    a day of running or a week of use.
    """
    settings = load_config(config)
    days, path, now_s = settings.audit.keep_days, settings.audit_path, time.time()
    if days is None:
        raise InputError("audit.keep_days is null: records are kept for ever")
    before_s = now_s - days * DAY_S
    if not (old := overdue(path, before_s, now_s)):
        typer.echo(f"Nothing is older than {days:g} days. It is {_clock(now_s)}.")
        return
    what = f"{old} are older than {days:g} days"
    confirm(f"It is {_clock(now_s)}, and {what}. Is that the time, and shall they go?", yes)
    with parts.open_audit(settings) as trail:
        trail.trim(f"uid {os.getuid()}", now_s)
    typer.echo(f"{what}: taken out.")


@app.command()
def show(
    event: Event = None,
    person: OfPerson = None,
    since: Since = None,
    last: Annotated[int, typer.Option(min=1, help="At most so many, the newest.")] = 50,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Show what happened; exit code 1 where the trail is not whole.

    With --person also from the trails that `renew` put aside.
    """
    settings = load_config(config)
    number = person_number(person, config)
    records = _records(settings, event, number, since)[-last:]
    whole = _is_whole(settings)
    emit([asdict(r) for r in records], as_json, [_line(r) for r in records])
    if not whole:
        raise typer.Exit(1)


@app.command()
def export(
    out: Annotated[Path, typer.Argument(help="A .csv or .json file.", show_default=False)],
    event: Event = None,
    person: OfPerson = None,
    since: Since = None,
    config: ConfigFile = None,
) -> None:
    """Write the trail into a file; exit code 1 where it is not whole.

    With --person each record of theirs, also from the trails that `renew` put aside.
    """
    if out.suffix not in (".csv", ".json"):
        raise typer.BadParameter(f"{out}: say by its ending what to write: .csv or .json")
    settings = load_config(config)
    number = person_number(person, config)
    records = _records(settings, event, number, since)
    whole = _is_whole(settings)
    text = io.StringIO(newline="")
    if out.suffix == ".json":
        json.dump([asdict(r) for r in records], text, indent=1)
    else:
        writer = csv.writer(text)
        writer.writerow(["seq", "time", "event", "facts", "boot", "mono_s", "hash"])
        for r in records:
            facts = json.dumps(r.facts)
            what, boot = _cell(r.event), _cell(r.boot)
            writer.writerow([r.seq, _clock(r.wall_s), what, facts, boot, r.mono_s, _cell(r.hash)])
    try:
        write_whole(out, text.getvalue().encode())
    except OSError as error:
        raise InputError(f"{out}: cannot be written: {error.strerror}") from error
    print(f"{len(records)} records in {out}", file=sys.stderr)
    if not whole:
        raise typer.Exit(1)


@app.command()
def report(
    person: OfPerson = None,
    since: Since = None,
    names: Names = False,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Say who was let in how often, whom the gate knew only at a second look, and who was denied.

    Whose visits often begin with a refusal wants more looks: facegate enroll NAME --more. So does
    who is denied for being too near to another; a visit denied counts for both. With --names it
    lists whoever is enrolled and did not come, too. Exit code 1 where the trail is not whole.
    """
    settings = load_config(config)
    number = person_number(person, config)
    known: dict[int, str] = {}
    if names:
        with directory(config) as people:
            known = {p.person_id: p.name for p in people.people()}
    came = {v.person: v for v in visits(_records(settings, None, None, since))}
    everybody = {n: came.get(n, Visits(n)) for n in sorted(came.keys() | known.keys())}
    found = [v for v in everybody.values() if number in (None, v.person)]
    whole = _is_whole(settings)
    result = [
        {
            "person": v.person,
            **({"name": known.get(v.person)} if names else {}),
            "visits": v.times,
            "refused_first": v.hesitant,
            "denied": v.denied,
            "distance": v.distance,
            "first": _clock(v.span[0]) if v.span else None,
            "last": _clock(v.span[1]) if v.span else None,
        }
        for v in found
    ]
    lines = [_visits_line(v, known.get(v.person, "") if names else None) for v in found]
    emit(result, as_json, [VISITS_HEAD + ("  name" if names else ""), *lines] if lines else NOBODY)
    if not whole:
        raise typer.Exit(1)


def _visits_line(v: Visits, name: str | None) -> str:
    share = f"{v.hesitant} ({v.hesitant / v.times:.0%})" if v.times else "-"
    distance = "" if v.distance is None else f"{v.distance:.3f}"
    line = f"{v.person:>6}  {v.times:>6}  {share:>13}  {v.denied:>6}  {distance:>8}  "
    line += "  ".join(map(_clock, v.span)) if v.span else f"{'-':<19}  {'-':<19}"
    return line if name is None else f"{line}  {name or '(forgotten)'}"


def _is_whole(settings: Config) -> bool:
    """Say on stderr what is wrong with the trail; without its key nobody can tell."""
    try:
        problem = verify_trail(
            settings.audit_path, load_key(settings.key_path, _no_passphrase)
        ).problem
    except StoreError as error:
        print(f"facegate: not verified: {error}", file=sys.stderr)
        return True
    if problem is not None:
        print(f"facegate: the trail was changed: {problem}", *_key_hint(settings), file=sys.stderr)
    return problem is None


def _key_hint(settings: Config) -> list[str]:
    if not parts.places(settings).next_key.exists():
        return []
    return ["A change of the key was broken off: facegate key rotate, or a start, ends it."]


def _no_passphrase() -> str:
    raise StoreError("its key is under a passphrase; facegate audit verify asks for it")


def _cell(text: str) -> str:
    """Give a text that no spreadsheet takes for a formula."""
    text = spelled_out(text)
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def _records(
    settings: Config, events: list[str] | None, person: int | None, since: str | None
) -> list[Record]:
    """Give the records asked for; when each was written is said by the clock once it was right."""
    check_events(events or [])
    try:
        from_s = float("-inf") if since is None else datetime.fromisoformat(since).timestamp()
    except ValueError:
        raise typer.BadParameter(f"--since {since}: write 2026-11-24 or 2026-11-24T18:00") from None
    own = [settings.audit_path]
    trails = own if person is None else all_trails(settings.audit_path) or own
    found = [record for trail in trails for record in read(trail)]
    return [
        record
        for record, written_s in zip(found, dated(found), strict=True)
        if written_s >= from_s
        and (not events or record.event in events)
        and (person is None or person in record.people)
    ]


def _clock(wall_s: float) -> str:
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(wall_s))
    except (OverflowError, ValueError, OSError):  # whoever wrote that was not facegate
        return f"{wall_s:g} s"


def _line(record: Record) -> str:
    facts = "  ".join(f"{k}={v}" for k, v in record.facts.items())
    return f"{record.seq:>6}  {_clock(record.wall_s)}  {record.event:<20} {facts}"
