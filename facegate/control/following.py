"""Events for whoever follows them: what was missed, then each as it happens."""

from __future__ import annotations

import time

from facegate.control import schemas
from facegate.control.peers import Rule
from facegate.control.route import Call

QUIET_S = 15.0
"""Something is sent at least so often: to a peer that is gone it cannot be."""
LOOK_S = 1.0
"""A peer that hung up is noticed within so long."""


def follow(_: object, call: Call) -> schemas.Quiet:
    """Send events until the peer hangs up or the server ends.

    Whoever reads too slowly misses what is not kept any longer; one who reads nothing is let go.
    """
    seq = call.feed.begin(call.query.after, call.query.start)
    quiet = schemas.Quiet(start=call.feed.start)
    call.send(quiet)  # from here on nothing is missed
    sent_s, more = time.monotonic(), True
    owner = call.peer.fulfils(Rule.OWNER)
    while more:
        more = call.go_on()  # what came before the end is still sent
        entries = call.feed.after(seq, LOOK_S if more else 0.0)
        for entry in entries:
            call.send(schemas.Happened.of(entry, all_facts=owner))
            seq = entry.seq
        if not entries and time.monotonic() - sent_s >= QUIET_S:
            call.send(quiet)
            sent_s = time.monotonic()
        elif entries:
            sent_s = time.monotonic()
    return quiet
