"""`people`: who may come in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facegate.access.directory import Directory
from facegate.access.names import same_name_key
from facegate.access.passes import barred, read_end, said
from facegate.access.person import Person
from facegate.cli.options import (
    ConfigFile,
    Yes,
    back_up,
    confirm,
    directory,
    embedder_model,
    name_of,
    named_among,
    named_person,
    record,
)
from facegate.cli.output import AsJson, emit, spelled_out
from facegate.config import Config, load_config
from facegate.errors import InputError, StoreError

if TYPE_CHECKING:
    from facegate.access.erasure import Erasure
    from facegate.access.likeness import Likeness

app = typer.Typer(
    help="List, show, rename and remove people; give roles, groups and passes.",
    no_args_is_help=True,
)

TOO_NEAR = "the door may not decide between them; `facegate enroll NAME --more` for both"
ROOT_KNOWS = "(only root is told)"

Name = Annotated[str, typer.Argument(help="The person's name.", show_default=False)]
Who = Annotated[
    str,
    typer.Argument(
        help="The person's name; or their number, where nobody is called so.",
        show_default=False,
    ),
]

HOURS_LEFT = "take it out there, or whoever is called so next has these hours"


@app.command("list")
def list_people(config: ConfigFile = None, as_json: AsJson = False) -> None:
    """List everybody who is enrolled."""
    with directory(config) as people:
        everybody = people.people()
    zone = load_config(config).schedule.zone
    lines = [_line(p, zone) for p in everybody] or [
        "Nobody is enrolled. Start with: facegate enroll NAME"
    ]
    emit([asdict(p) for p in everybody], as_json, lines)


@app.command()
def show(name: Who, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Show one person: their looks, and who else is near; distances only where root asks."""
    with directory(config) as people:
        everybody, likenesses = people.people(), people.likenesses()
    person = named_among(everybody, name)
    found = next((one for one in likenesses if one.person_id == person.person_id), None)
    near = next((p for p in everybody if found and p.person_id == found.nearest), None)
    result = asdict(person) | {
        "spread": _rounded(found.spread) if found else None,
        "nearest": near.name if near else None,
        "distance": _rounded(found.distance) if found else None,
        "threshold": _rounded(found.threshold) if found else None,
        "too_near": found is not None and found.too_near,
    }
    zone = load_config(config).schedule.zone
    emit(result, as_json, [_line(person, zone), *_likeness_lines(person, found, near, zone)])


@app.command()
def report(name: Who, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Say what is kept of a person and where: for themselves, when they ask."""
    from facegate.cli.holdings import holdings, told

    found = holdings(name, config)
    emit(asdict(found), as_json, told(found, load_config(config)))


def hours_name(name: str, settings: Config) -> bool:
    """Whether the settings give hours to somebody by name."""
    people = [n for group in settings.schedule.groups for n in group.people or ()]
    return same_name_key(name) in map(same_name_key, people)


def _say_if_hours_name(name: str, mend: str, config: Path | None) -> None:
    """Say it where the settings give hours to a name that nobody will have."""
    if hours_name(name, load_config(config)):
        typer.echo(f"facegate: schedule.groups in the settings names {name}; {mend}", err=True)


@app.command()
def rename(
    old: Who,
    new: Annotated[str, typer.Argument(help="The new name.", show_default=False)],
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Give a person another name."""
    old = name_of(old, config)
    if same_name_key(new) != same_name_key(old):
        _say_if_hours_name(old, f"write {new} there, or these hours hold for them no more", config)
    _change(
        old, lambda d, n: d.rename(n, new), lambda p: f"{old} is now {p.name}.", config, as_json
    )


@app.command()
def role(
    name: Who,
    role: Annotated[str, typer.Argument(help="member, admin or duress.", show_default=False)],
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Give a person another role: an admin arms the enrolment button, duress raises an alert."""
    _change(
        name,
        lambda d, n: d.set_role(n, role),
        lambda p: f"{p.name} is now {p.role}.",
        config,
        as_json,
    )


@app.command()
def group(
    name: Who,
    group: Annotated[
        str, typer.Argument(help="As in schedule.groups; empty for none.", show_default=False)
    ] = "",
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Put a person into a group, whose hours then hold for them."""
    known = [g.name for g in load_config(config).schedule.groups if g.name is not None]
    if group and known and same_name_key(group) not in map(same_name_key, known):
        why = f"no group of schedule.groups is called {group}, so it lets nobody in"
        typer.echo(f"facegate: {why}; there are: {', '.join(known)}", err=True)
    _change(
        name,
        lambda d, n: d.set_group(n, group or None),
        lambda p: f"{p.name} is now in {p.group or 'no group'}.",
        config,
        as_json,
    )


@app.command()
def until(
    name: Who,
    end: Annotated[
        str | None,
        typer.Argument(
            help="The last day, 2026-12-31; with a time, 2026-12-31T17:00; now; or never.",
            show_default=False,
        ),
    ] = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Say until when a person is let in; `now` blocks them, without removing them.

    Without an end it tells the one there is.
    """
    zone = load_config(config).schedule.zone
    if end is None:
        person = named_person(name, config)
        emit(asdict(person), as_json, [_pass_line(person, zone)])
        return
    until_wall = read_end(end, zone)
    _change(
        name,
        lambda d, n: d.set_until(n, until_wall),
        lambda p: _pass_line(p, zone),
        config,
        as_json,
    )


@app.command()
def note(
    name: Who,
    note: Annotated[str, typer.Argument(help="One line; empty for none.", show_default=False)],
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Write something down about a person."""
    zone = load_config(config).schedule.zone
    _change(name, lambda d, n: d.set_note(n, note), lambda p: _line(p, zone), config, as_json)


@app.command()
def remove(
    name: Who,
    yes: Yes = False,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Remove a person and all their templates; copies of the store keep them until `forget`."""
    name = name_of(name, config)
    confirm(f"Remove {name}?", yes)
    _say_if_hours_name(name, HOURS_LEFT, config)
    _change(name, lambda d, n: d.remove(n), _removed, config, as_json)


@app.command()
def forget(
    name: Who,
    yes: Yes = False,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Erase a person from store, log and backups, and prove it by searching every file.

    Who was removed is erased from the backups. Exit code 1 where something of them is still found.
    """
    from facegate import parts
    from facegate.access.erasure import forget as erase
    from facegate.cli.erased import left_of, told

    settings = load_config(config)
    with parts.open_store(settings, embedder_model(settings)) as store:
        trouble: list[str] = []

        def agreed(found: list[Person]) -> None:
            who = ", ".join(f"{p.name}, number {p.person_id}" for p in found)
            confirm(f"Erase {who}, from the store and from every backup beside it?", yes)
            _say_if_hours_name(found[0].name, HOURS_LEFT, config)

        def removed(person: Person) -> None:
            with suppress(StoreError):  # `tell` says that nothing can be recorded
                record(settings, "person_removed", "", person, revision=store.revision)

        def tell(e: Erasure) -> None:
            facts = {"files": len(e.after), "found": e.found, "revision": store.revision}
            try:
                for person in (e.person, *e.namesakes):
                    done = f"{person.name} is out of the store"
                    record(settings, "person_forgotten", done, person, **facts)
            except StoreError as error:
                trouble.append(str(error))

        backups = parts.rolling_backups(settings)
        erasure = erase(store, backups, name, settings.state_folder, tell, removed, agreed)
    if erasure.trouble is not None:
        trouble.insert(0, f"{erasure.person.name} is out of the store, but {erasure.trouble}")
    if trouble:
        raise StoreError("; ".join(trouble))
    left = left_of(erasure, settings)
    result = {**asdict(erasure), "clean": erasure.clean, **asdict(left)}
    emit(result, as_json, told(erasure, left, settings))
    if not erasure.clean:
        raise typer.Exit(1)


@app.command("import")
def import_folder(
    folder: Annotated[
        Path, typer.Argument(help="One folder a person: FOLDER/NAME/*.jpg.", show_default=False)
    ],
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Enrol everybody whose pictures lie in a folder, by the names of the folders in it.

    Whoever is enrolled under such a name already is passed over, and the pictures not looked at.
    Exit code 3 where somebody was refused; the others are enrolled nevertheless.
    """
    from facegate.cli.bulk import Imported, import_people

    found: list[Imported] = []
    unsaid: list[OSError] = []

    def say(line: str) -> None:
        try:
            if not unsaid:
                typer.echo(spelled_out(line), err=as_json)
        except OSError as error:  # nobody reads on; the others are enrolled nevertheless
            unsaid.append(error)

    try:
        found.extend(import_people(folder, config, say))
    finally:  # what was done is said, whatever ends it
        if as_json:
            emit([asdict(one) for one in found], True, [])
    if unsaid:
        raise unsaid[0]
    if refused := sum(one.outcome == "refused" for one in found):
        raise InputError(f"{folder}: {refused} of {len(found)} people were refused")


@app.command()
def migrate(
    yes: Yes = False,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """After a change of the network: keep people, roles and groups, drop the old templates.

    Everybody is then enrolled again at their next visit, by an administrator.
    """
    from facegate import parts

    settings = load_config(config)
    confirm("Drop all templates of the old network? People stay.", yes)
    with parts.open_store(settings, embedder_model(settings), take_on=True) as store:
        waiting = [p for p in store.people() if not p.templates]
        number, model, revision = len(waiting), store.model_id, store.revision
        done = f"{number} have to be enrolled again"
        try:
            if waiting:
                record(
                    settings, "templates_dropped", done, waiting=number, model=model,
                    revision=revision,
                )  # fmt: skip
        finally:
            back_up(settings, store)
    lines = ["Nobody has to be enrolled again: the store is of this network."]
    if waiting:
        lines = [
            f"{len(waiting)} to enrol again, each with: facegate enroll NAME",
            *(_line(p, settings.schedule.zone) for p in waiting),
        ]
    emit([asdict(p) for p in waiting], as_json, lines)


def _change(
    typed: str,
    change: Callable[[Directory, str], Person],
    say: Callable[[Person], str],
    config: Path | None,
    as_json: bool,
) -> None:
    """Change a person, by the daemon or in the store itself, and print who they are now."""
    name = name_of(typed, config)
    with directory(config) as people:
        person = change(people, name)
    emit(asdict(person), as_json, [say(person)])


def _removed(person: Person) -> str:
    erase = f"sudo facegate people forget {person.person_id}"  # sudo logs it: no name
    return (
        f"{person.name} is removed.\n"
        f"Copies of the store may still hold them: `{erase}` erases those too."
    )


def _pass_line(person: Person, zone: tzinfo) -> str:
    return f"{person.name}: {pass_told(person, zone) or 'let in without end'}."


def moment(wall_s: float, zone: tzinfo) -> str:
    """Tell a moment as the clock on the wall shows it at the door."""
    try:
        return datetime.fromtimestamp(wall_s, zone).strftime("%Y-%m-%d %H:%M")
    except (OverflowError, ValueError, OSError):  # whoever wrote that was not facegate
        return f"{wall_s:g} s"


def pass_told(person: Person, zone: tzinfo) -> str:
    """Tell of the end of somebody's pass, if it has one."""
    why = barred(person.until_wall, datetime.now(UTC), sure=True)
    if person.until_wall is None or why == "blocked":
        return why or ""
    return f"pass {'ended' if why == 'pass_ended' else 'until'} {said(person.until_wall, zone)}"


def _rounded(distance: float | None) -> float | None:
    return None if distance is None else round(distance, 4)


def _likeness_lines(
    person: Person, found: Likeness | None, near: Person | None, zone: tzinfo
) -> Iterator[str]:
    when = "-" if person.last_look_wall is None else moment(person.last_look_wall, zone)
    yield f"       last look  {when}"
    if found is None:
        return
    kept = "-" if person.templates < 2 else ROOT_KNOWS
    spread = kept if found.spread is None else f"{found.spread:.3f}"
    yield f"       spread     {spread}"
    if near is None:
        yield "       nearest    -"
        return
    distance = ROOT_KNOWS if found.distance is None else f"{found.distance:.3f}"
    yield f"       nearest    {near.name}, distance {distance} (threshold {found.threshold:.3f})"
    if found.too_near:
        yield f"                  too near: {TOO_NEAR}"


def _line(person: Person, zone: tzinfo) -> str:
    since = moment(person.created_at_wall, zone)
    kept = f"{person.templates} template(s)" if person.templates else "to enrol again"
    more = "".join(
        f"  {text}" for text in (person.group, pass_told(person, zone), person.note) if text
    )
    return (
        f"{person.person_id:>5}  {person.name:<24} {person.role:<8} {kept:<15} since {since}{more}"
    )
