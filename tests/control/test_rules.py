"""Which routes are root's alone, urgent, or change nothing: named here once more, one by one."""

import os
import socket

import pytest

from facegate.control import peers
from facegate.control.peers import Rule, peer_of
from facegate.control.routes import ROUTES

OWNERS_ALONE = {
    "PUT /v1/people/{name}/role",  # makes an administrator
    "PUT /v1/people/{name}/group",  # opens other hours
    "PUT /v1/door/pin",
    "POST /v1/identities",  # some hundred distances give a template away
}
URGENT = {"POST /v1/door/unlock", "POST /v1/door/lock", "POST /v1/door/lockdown"}
LOOKING = {
    "GET /v1/status",
    "GET /v1/events",
    "GET /v1/people",
    "GET /v1/likenesses",
    "GET /v1/openapi.json",
}


def names(wanted):
    return {f"{r.method} {r.path}" for r in ROUTES if wanted(r)}


def test_what_root_alone_may_is_named_route_by_route():
    """The other tests go by the routes' own word: one rule less would be tested as such."""
    assert names(lambda r: r.rule is Rule.OWNER) == OWNERS_ALONE
    assert names(lambda r: r.urgent) == URGENT
    assert names(lambda r: not r.changes) == LOOKING


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to be root")
def test_root_is_an_owner_though_the_daemon_is_another_user(monkeypatch):
    monkeypatch.setattr(peers.os, "geteuid", lambda: 1234)
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        peer = peer_of(ours)
    assert peer is not None
    assert (peer.uid, peer.rule) == (0, Rule.OWNER)
