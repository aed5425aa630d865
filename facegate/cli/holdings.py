"""`people report`: what is kept of a person, and where, for whoever has a right to know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from facegate import parts
from facegate.access.audit_file import all_trails, read_all
from facegate.access.erasure import copies_with, nobody_in, removed_in
from facegate.access.person import Person, meant
from facegate.access.rolling import copies_in
from facegate.access.visits import visits
from facegate.cli.elsewhere import Elsewhere, elsewhere
from facegate.cli.options import directory, named_among
from facegate.cli.people import hours_name, moment, pass_told
from facegate.config import Config, load_config
from facegate.errors import NotEnrolledError, StoreError
from facegate.vision.card import read_card


@dataclass(frozen=True)
class Holdings:
    """What is kept of one person.

    Attributes:
        person: as enrolled.
        numbers: in each template.
        network: which made the templates.
        store: the file with name and templates.
        copies: files beside it that may hold it as it was, the oldest first.
        backups: whole ones that were written since they were enrolled, or at all where the record
            of that is gone.
        trails: the audit trail's file, and those that were put aside.
        records: in them, by event.
        first_wall, last_wall: when the first and the last of these were written.
        visits: at which they were let in.
        trail_keep_days: after which a record is taken out; None is never.
        journal_names: whether the system journal calls people by name.
        hours_name: whether `schedule.groups` in the settings names them.
    """

    person: Person
    numbers: int
    network: str
    store: str
    copies: tuple[str, ...]
    backups: Elsewhere
    trails: tuple[str, ...]
    records: dict[str, int]
    first_wall: float | None
    last_wall: float | None
    visits: int
    trail_keep_days: float | None
    journal_names: bool
    hours_name: bool


def holdings(name: str, config: Path | None) -> Holdings:
    """Find what is kept of somebody.

    Raises:
        NotEnrolledError: nobody is called so; says what copies hold of who was removed.
        StoreError: the store, or a trail that is there, cannot be read.
    """
    settings = load_config(config)
    with directory(config) as people:
        everybody = people.people()
    try:
        person = named_among(everybody, name)
    except NotEnrolledError as error:
        raise NotEnrolledError(f"{error}; {_left_in_copies(name, everybody, settings)}") from None
    number, records = person.person_id, list(read_all(settings.audit_path))
    own = [r for r in records if number in r.people]
    enrolled = next((k for k, r in enumerate(records) if r.event == "enrolled" and r in own), 0)
    card = read_card(parts.embedder_path(settings), "embedder")
    return Holdings(
        person=person,
        numbers=card.embedding_floats,
        network=card.architecture,
        store=str(settings.store_path),
        copies=tuple(map(str, copies_in(settings.backup_folder))),
        backups=elsewhere(records[enrolled:]),
        trails=tuple(map(str, all_trails(settings.audit_path))),
        records=dict(Counter(r.event for r in own).most_common()),
        first_wall=min((r.wall_s for r in own), default=None),
        last_wall=max((r.wall_s for r in own), default=None),
        visits=sum(v.times for v in visits(records) if v.person == number),
        trail_keep_days=settings.audit.keep_days,
        journal_names=settings.journal.names,
        hours_name=hours_name(person.name, settings),
    )


def _left_in_copies(name: str, enrolled: list[Person], settings: Config) -> str:
    """Say who of that name was removed and is in copies still, or that nobody is found there."""
    try:
        backups = parts.rolling_backups(settings)
    except StoreError as error:
        return f"the copies in {settings.backup_folder} cannot be searched: {error}"
    left = {p.person_id: p for p in meant(name, removed_in(backups, enrolled))}
    return "; ".join(
        f"{person.name} was removed, and number {number} is still in "
        f"{', '.join(copies_with(backups, person))}: `sudo facegate people forget {number}` erases "
        f"them there; each record of the audit trail: {_export(number)}"
        for number, person in left.items()
    ) or nobody_in(backups)


def _export(number: int) -> str:
    return f"`sudo facegate audit export records.json --person {number}`"


def told(h: Holdings, config: Config) -> Iterator[str]:
    """Say it in lines that may be handed to the person."""
    p, zone = h.person, config.schedule.zone
    since = moment(p.created_at_wall, zone)
    yield f"{p.name}, person {p.person_id}, {p.role}; enrolled since {since}"
    yield f"group: {p.group or 'none'}; {pass_told(p, zone) or 'no end'}"
    yield f"note: {p.note or 'none'}"
    yield (
        f"templates: {p.templates} of {h.numbers} numbers each, made by {h.network}; with the "
        f"name, encrypted, in {h.store}. No picture is kept."
    )
    yield (
        f"copies: {len(h.copies)} of that file, encrypted, some maybe older, in "
        f"{config.backup_folder}; whole backups since then: {h.backups.told}"
    )
    if h.first_wall is not None and h.last_wall is not None:
        events = ", ".join(f"{event} {count}" for event, count in h.records.items())
        yield (
            f"audit trail: {h.visits} visit(s); {sum(h.records.values())} record(s) by number, "
            f"from {moment(h.first_wall, zone)} to {moment(h.last_wall, zone)}, kept "
            f"{kept(config)}, in " + ", ".join(h.trails)
        )
        yield f"  {events}"
    else:
        yield f"audit trail: nothing, in {', '.join(h.trails) or 'no file'}"
    own = f"FACEGATE_PERSON={p.person_id} + FACEGATE_RUNNER_UP={p.person_id}"
    yield (
        f"system journal: by {'name' if h.journal_names else 'number'}; each entry: "
        f"`sudo journalctl {own}`"
    )
    if h.hours_name:
        yield "settings: schedule.groups names them"
    yield f"each record of the audit trail: {_export(p.person_id)}"
    yield f"to erase: `sudo facegate people forget {p.person_id}`"


def kept(config: Config) -> str:
    """Say how long records stay."""
    days = config.audit.keep_days
    said = f"up to {config.audit.max_mb:g} MB"
    return said + (
        "" if days is None else f", and about {days:g} days if the clock can be believed"
    )
