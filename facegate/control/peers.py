"""Who is at the other end of the socket, by the kernel's word, and what they may ask."""

from __future__ import annotations

import grp
import os
import pwd
import socket
import struct
from dataclasses import dataclass
from enum import Enum

GROUP = "facegate"
_CREDENTIALS = struct.Struct("3i")
"""pid, uid, gid. Source: unix(7), SO_PEERCRED."""
_SO_PEERGROUPS = 59
"""Source: asm-generic/socket.h; Python has no name for it."""
_MOST_GROUPS_BYTES = 1024
"""Groups of 4 bytes each; the most that Python's getsockopt takes."""


class Rule(Enum):
    """Who may use a route; each rule also admits those of the rules after it."""

    MEMBER = "member"
    """Members of the group `facegate`."""
    OWNER = "owner"
    """root, and the user that the daemon runs as."""


@dataclass(frozen=True)
class Peer:
    """A user at the other end.

    Attributes:
        uid: of the process that connected.
        rule: the strictest rule that it fulfils.
    """

    uid: int
    rule: Rule

    def fulfils(self, rule: Rule) -> bool:
        """Whether it may use a route of this rule."""
        return self.rule is Rule.OWNER or rule is Rule.MEMBER


def peer_of(connection: socket.socket) -> Peer | None:
    """Say who connected; None for a stranger, who gets no answer at all."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, uid, gid = _CREDENTIALS.unpack(raw)
    if uid in (0, os.geteuid()):
        return Peer(uid, Rule.OWNER)
    try:
        group = grp.getgrnam(GROUP)
    except KeyError:
        return None
    member = group.gr_gid in (gid, *_other_groups(connection)) or _is_listed(uid, group.gr_mem)
    return Peer(uid, Rule.MEMBER) if member else None


def _other_groups(connection: socket.socket) -> tuple[int, ...]:
    """Give the supplementary groups that the process had when it connected.

    A service may have them of its manager, without any file that lists its user. Of a process in
    more than 256 groups none is told.
    """
    try:
        raw = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _MOST_GROUPS_BYTES)
    except OSError:
        return ()
    return struct.unpack(f"{len(raw) // 4}I", raw)


def _is_listed(uid: int, members: list[str]) -> bool:
    """Whether a user is among these, also one who has not logged in since they were listed."""
    try:
        return pwd.getpwuid(uid).pw_name in members
    except KeyError:
        return False
