"""Whole backups that `facegate backup` wrote: how many, where, and which are there still."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from facegate.access.audit import Record

NIGHTLY = "/var/backups/facegate"
"""Where facegate-backup.service writes them, unless its BACKUPS= says otherwise."""


@dataclass(frozen=True)
class Elsewhere:
    """What the audit trail knows of whole backups.

    Attributes:
        files: those that are there still.
        gone: how many are not where they were written: deleted, or carried away.
        unknown: how many were written by a version that did not record where.
    """

    files: tuple[str, ...]
    gone: int
    unknown: int

    @property
    def count(self) -> int:
        """How many there may be."""
        return len(self.files) + self.unknown

    @property
    def told(self) -> str:
        """Folders with how many each; of those that are gone, too."""
        folders = Counter(str(Path(file).parent) for file in self.files)
        found = [f"{count} in {folder}" for folder, count in folders.items()]
        found += [f"{self.unknown} nobody knows where"] * bool(self.unknown)
        found += [f"{self.gone} not where written any more"] * bool(self.gone)
        return ", ".join(found) or "none is recorded"


def elsewhere(records: Iterable[Record]) -> Elsewhere:
    """Look which of the backups that these records tell of are there."""
    made = [r.facts.get("file") for r in records if r.event == "backup_made"]
    known = [file for file in made if isinstance(file, str)]
    files = tuple(dict.fromkeys(file for file in known if _is_there(file)))
    gone = len({*known} - {*files})
    return Elsewhere(files, gone, len(made) - len(known))


def _is_there(file: str) -> bool:
    """Whether a file is there; one that may not be looked for counts as that."""
    try:
        os.stat(file)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError):
        return True
    return True
