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
    return Peer(uid, Rule.MEMBER) if _in_group(uid, gid) else None


def _in_group(uid: int, gid: int) -> bool:
    try:
        group = grp.getgrnam(GROUP)
        user = pwd.getpwuid(uid).pw_name
    except KeyError:
        return False
    return gid == group.gr_gid or user in group.gr_mem
