"""The message catalog: what `journalctl -x` shows below each kind of entry.

`python -m facegate.catalog > systemd/facegate.catalog` writes it; a test holds the two equal.

Source: systemd's catalog format, https://www.freedesktop.org/wiki/Software/systemd/catalog.
"""

from __future__ import annotations

import textwrap

from facegate.events import EVENTS

WIDTH = 79


def catalog() -> str:
    """Give the catalog file's text."""
    entries = []
    for name, kind in EVENTS.items():
        lines = [
            f"-- {kind.message_id}",
            f"Subject: {kind.subject}",
            "Defined-By: facegate",
            "",
            f"@MESSAGE@ (event {name})",
        ]
        if kind.advice:
            lines += ["", *textwrap.wrap(kind.advice, WIDTH)]
        entries.append("\n".join(lines) + "\n")
    return "\n".join(entries)


if __name__ == "__main__":
    print(catalog(), end="")
