"""`people forget`: what was searched for a person, and what the search proves, in lines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from facegate.access.audit_file import read_all
from facegate.access.erasure import Erasure
from facegate.cli.elsewhere import NIGHTLY, Elsewhere, elsewhere
from facegate.cli.holdings import kept
from facegate.cli.people import HOURS_LEFT, hours_name
from facegate.config import Config


@dataclass(frozen=True)
class Left:
    """What stays after somebody was erased, because it is not for `people forget` to take out.

    Attributes:
        records: in the audit trails, by number.
        backups: whole ones, which may hold them.
        hours_name: whether `schedule.groups` in the settings names them.
    """

    records: int
    backups: Elsewhere
    hours_name: bool


def left_of(erasure: Erasure, config: Config) -> Left:
    """Find what stays of somebody.

    Raises:
        StoreError: an audit trail cannot be read.
    """
    numbers = {p.person_id for p in (erasure.person, *erasure.namesakes)}
    records = list(read_all(config.audit_path))
    return Left(
        records=sum(not numbers.isdisjoint(r.people) for r in records),
        backups=elsewhere(records),
        hours_name=hours_name(erasure.person.name, config),
    )


def told(erasure: Erasure, left: Left, config: Config) -> Iterator[str]:
    """Say what became of a person.

    Args:
        erasure: of them.
        left: what stays.
        config: settings.
    """
    before, now = {s.where: s.found for s in erasure.before}, {s.where for s in erasure.after}
    for s in erasure.after:
        traces = f"{before.get(s.where, 0)} traces before, {s.found} now"
        yield f"{s.where}: {s.size} bytes searched, {traces}"
    for s in erasure.before:
        if s.found and s.where not in now:
            yield f"{s.where}: {s.size} bytes searched, {s.found} traces before, and gone now"
    name, numbers = erasure.person.name, f"number {erasure.person.person_id}"
    if erasure.namesakes:
        numbers = ", ".join([numbers, *(str(p.person_id) for p in erasure.namesakes)])
        yield f"{name} is the name of several, all of them erased: {numbers}."
    clean = f"no name or template of {name} is left in {config.state_folder}"
    verdict = clean if erasure.clean else f"{name} is not wholly erased"
    if left.hours_name:
        verdict += f", but schedule.groups in the settings names them ({HOURS_LEFT})"
    yield f"{verdict}: {erasure.traces} byte strings, plain and sealed, were looked for."
    yield (
        f"{left.records} record(s) of {numbers} stay in the audit trail, without a name, kept "
        f"{kept(config)}."
    )
    if config.journal.names:
        yield "The system journal still names them until it is rotated: journalctl --vacuum-time."
    else:
        yield (
            f"The system journal knows them as {numbers} only, unless journal.names was on before, "
            "or a command was given by sudo with the name in it."
        )
    yield (
        f"Whole backups hold {name} until you delete them: {left.backups.told}; the nightly ones "
        f"lie in {NIGHTLY}, unless facegate-backup.service says otherwise."
    )
