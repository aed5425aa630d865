"""What a person may be called, and when two names are the same."""

from __future__ import annotations

import unicodedata

from facegate.errors import InputError

MAX_NAME_CHARS = 64

JOINERS = "\u200c\u200d"
"""Zero-width (non-)joiner: invisible, but spelling in Persian and several Indic scripts."""
_FORBIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Unicode categories: control, format (text direction and the like), surrogate, line separators."""


def clean_name(name: str) -> str:
    """Give the name as it is kept: normalised (NFC), without spaces around.

    Raises:
        InputError: it is empty, too long, or has control characters.
    """
    cleaned = unicodedata.normalize("NFC", name).strip()
    if any(unicodedata.category(c) in _FORBIDDEN and c not in JOINERS for c in cleaned):
        raise InputError(f"{name!a}: a name has no control characters; type it again")
    if not cleaned.strip(JOINERS):
        raise InputError("the name is empty; give one")
    if len(cleaned) > MAX_NAME_CHARS:
        raise InputError(
            f"{cleaned[:20]}…: a name has at most {MAX_NAME_CHARS} characters, not {len(cleaned)}"
        )
    return cleaned


def same_name_key(name: str) -> str:
    """Give what two names share when they count as one: case and joiners make no difference."""
    bare = "".join(c for c in name if c not in JOINERS)
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", bare).casefold())
