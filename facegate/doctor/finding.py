"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "bad"]

INSTALL = "from the checkout: sudo deploy/install.sh"
"""A mend; the installer is no part of the wheel."""


@dataclass(frozen=True)
class Finding:
    """One check.

    Attributes:
        check: its name.
        state: `warning` lets the gate work, but should be looked at; `bad` does not let it work.
        found: what is there.
        mend: what to do; empty when all is well.
    """

    check: str
    state: State
    found: str
    mend: str = ""


def ok(check: str, found: str) -> Finding:
    """Say that all is well."""
    return Finding(check, "ok", found)


def warning(check: str, found: str, mend: str) -> Finding:
    """Say what should be looked at."""
    return Finding(check, "warning", found, mend)


def bad(check: str, found: str, mend: str) -> Finding:
    """Say what keeps the gate from working."""
    return Finding(check, "bad", found, mend)
