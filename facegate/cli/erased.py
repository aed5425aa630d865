"""`people forget`: what was searched for a person, and what the search proves, in lines."""

from __future__ import annotations

from collections.abc import Iterator

from facegate.access.erasure import Erasure


def told(erasure: Erasure, elsewhere: int, journal_names: bool) -> Iterator[str]:
    """Say what became of a person.

    Args:
        erasure: of them.
        elsewhere: backups that were written to other places.
        journal_names: whether the system journal calls people by name.
    """
    before, kept = {s.where: s.found for s in erasure.before}, {s.where for s in erasure.after}
    for s in erasure.after:
        traces = f"{before.get(s.where, 0)} traces before, {s.found} now"
        yield f"{s.where}: {s.size} bytes searched, {traces}"
    for s in erasure.before:
        if s.found and s.where not in kept:
            yield f"{s.where}: {s.size} bytes searched, {s.found} traces before, and gone now"
    name, numbers = erasure.person.name, f"number {erasure.person.person_id}"
    if erasure.namesakes:
        numbers = ", ".join([numbers, *(str(p.person_id) for p in erasure.namesakes)])
        yield f"{name} is the name of several, all of them erased: {numbers}."
    verdict = f"nothing of {name} is left" if erasure.clean else f"{name} is not wholly erased"
    yield f"{verdict}: {erasure.traces} byte strings, plain and sealed, were looked for."
    if journal_names:
        yield "The system journal still names them until it is rotated: journalctl --vacuum-time."
    else:
        yield (
            f"The system journal knows them as {numbers} only, unless journal.names was on before."
        )
    if elsewhere:
        yield (
            f"{elsewhere} backup(s) were written elsewhere by `facegate backup`: delete those that "
            f"hold {name} yourself."
        )
