"""Picture files that are there twice, byte for byte: of two names one at least is wrong."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class KnownFile:
    """A picture file.

    Attributes:
        name: what it is called in a report, such as its path; person: whose it is said to be.
        digest: SHA-256 of its content.
    """

    name: str
    person: str
    digest: str


def doubles(files: Iterable[KnownFile]) -> dict[str, str]:
    """Say of files why they are of no use: of doubles under two names all, else all but the first.

    Returns:
        The names of such files, and for each the reason.
    """
    same: dict[str, list[KnownFile]] = defaultdict(list)
    for file in files:
        same[file.digest].append(file)
    why = {}
    for copies in same.values():
        for one in copies:
            others = sorted({c.person for c in copies} - {one.person})
            if others:
                why[one.name] = f"the same file is under {others[0]}"
            elif one is not copies[0]:
                why[one.name] = f"the same file as {copies[0].name}"
    return why
