"""Who gets what: strangers nothing, the group what its routes allow, root all of it."""

import grp
import json
import os
import pwd
from dataclasses import replace

import numpy as np
import pytest
from knocking import LOOSE, ask, send_raw, unit
from users import as_user

from facegate.control import peers
from facegate.control.routes import ROUTES

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")

STRANGER = 65_534
STATUS_ASKED = b"GET /v1/status HTTP/1.1\r\n\r\n"
SOMEBODY = pwd.getpwnam("daemon").pw_uid


@pytest.fixture
def open_path(client):
    """Open the way to the socket to everybody, so that only the server itself stands there."""
    open_to_all(client)
    return client


def open_to_all(client):
    os.chmod(client.path, 0o666)
    for folder in client.path.parents:
        if "pytest" in str(folder):
            os.chmod(folder, 0o755)


@pytest.fixture
def group(monkeypatch):
    """Let a group that every system has stand for `facegate`; gives its number."""
    monkeypatch.setattr(peers, "GROUP", "daemon")
    return grp.getgrnam("daemon").gr_gid


def bodies():
    vector = unit(np.ones(128)).tolist()
    return {
        "NewPerson": {"name": "Ben", "vectors": [vector], "model_id": "m1"},
        "Templates": {"vectors": [vector], "model_id": "m1"},
        "NewEnrolment": {"name": "Ben"},
        "NewName": {"name": "Ben"},
        "NewRole": {"role": "admin"},
        "NewGroup": {"group": "staff"},
        "NewEnd": {"until_wall": 1.8e9},
        "NewNote": {"note": "lost her badge"},
        "Unlocking": {"for_s": 600.0},
        "Lockdown": {"on": True},
        "Pin": {"pin": "4829"},
        "Nothing": {},
    }


def test_a_stranger_gets_not_one_byte(open_path, gate):
    for request in (b"GET /v1/status HTTP/1.1\r\n\r\n", b"", b"x" * 100_000):
        assert as_user(STRANGER, STRANGER, lambda r=request: send_raw(open_path, r)) == b""
    unlock = b"POST /v1/door/unlock HTTP/1.1\r\n\r\n"
    assert as_user(STRANGER, STRANGER, lambda: send_raw(open_path, unlock)) == b""
    assert not hasattr(gate, "unlocked")


def test_a_stranger_is_not_let_as_far_as_the_socket(client):
    def work():
        return send_raw(client, b"GET /v1/status HTTP/1.1\r\n\r\n")

    for folder in client.path.parents:
        if "pytest" in str(folder):
            os.chmod(folder, 0o755)
    assert b"PermissionError" in as_user(STRANGER, STRANGER, work)


@pytest.mark.parametrize("route", ROUTES, ids=lambda r: f"{r.method} {r.path}")
def test_a_member_of_the_group_gets_what_the_rule_says(open_path, group, gate, reports, route):
    takes = {**bodies()}.get(route.takes.__name__) if route.takes else None
    if route.takes and takes is None:
        pytest.fail(f"say in bodies() what {route.takes.__name__} looks like")
    path = route.path.replace("{name}", "Ann")

    def work():
        return b"%d" % ask(open_path, route.method, path, takes).status

    status = int(as_user(SOMEBODY, group, work))
    if route.rule is peers.Rule.OWNER:
        assert status == 403
        assert reports[0][0] == "command_refused"
        assert reports[0][2] == {"by": f"uid {SOMEBODY}"}
    else:
        assert status in (200, 503)  # 503: removing Ann meets a full disk, not a rule
    assert ask(open_path, route.method, path, takes).status in (200, 503, 404)


def test_how_near_people_are_is_for_root(open_path, group):
    def asked():
        return ask(open_path, "GET", "/v1/likenesses").text.encode()

    for_root, for_members = json.loads(asked()), json.loads(as_user(SOMEBODY, group, asked))
    assert (for_root[0]["spread"], for_root[0]["distance"]) == (0.4, 0.6)
    assert for_members == [{**one, "spread": None, "distance": None} for one in for_root]
    assert for_members[0]["too_near"]


def test_a_member_cannot_flood_the_audit_trail(serve, group, gate, reports):
    path = serve(replace(LOOSE, changes_burst=5, changes_per_s=0.001, changes_kept=2))
    open_to_all(path)

    def work():
        note, role = {"note": "x"}, {"role": "admin"}
        notes = [ask(path, "PUT", "/v1/people/Ann/note", note).status for _ in range(2)]
        refused = [ask(path, "PUT", "/v1/people/Ann/role", role).status for _ in range(2)]
        looks = ask(path, "GET", "/v1/people").status
        locks = ask(path, "POST", "/v1/door/lockdown", {"on": True}).status
        pins = ask(path, "POST", "/v1/door/pin", {"pin": "1111"}).status  # a mashed keypad
        unlocks = ask(path, "POST", "/v1/door/unlock").status
        return json.dumps([*notes, *refused, looks, locks, pins, unlocks]).encode()

    assert json.loads(as_user(SOMEBODY, group, work)) == [200, 200, 403, 429, 200, 200, 429, 200]
    said = ["commanded", "commanded", "command_refused", "commanded", "commanded"]
    assert [r[0] for r in reports] == said
    for _ in range(5):  # root may remove the trail as well
        assert ask(path, "PUT", "/v1/people/Ann/note", {"note": "x"}).status == 200


def test_who_may_be_an_administrator_is_said_to_whoever_enrols(open_path, group, gate):
    def work():
        statuses = [ask(open_path, "POST", "/v1/people", bodies()["NewPerson"]).status]
        statuses += [ask(open_path, "POST", "/v1/enrolments", {"name": "Ben"}).status]
        return json.dumps(statuses).encode()

    assert json.loads(as_user(SOMEBODY, group, work)) == [200, 200]
    assert not gate.added[-1][-1]
    assert not gate.admins
    work()
    assert gate.added[-1][-1]
    assert gate.admins


def test_only_root_forgets_an_administrator(open_path, group, gate):
    def work():
        return b"%d" % ask(open_path, "DELETE", "/v1/people/root").status

    assert as_user(SOMEBODY, group, work) == b"403"
    assert "Root" in gate.rows
    assert ask(open_path, "DELETE", "/v1/people/Root").status == 200


def test_only_root_renames_an_administrator(open_path, group, gate):
    """Else one who waits for templates could be given the name of whoever is enrolled just now."""

    def work():
        return b"%d" % ask(open_path, "PATCH", "/v1/people/root", {"name": "Mallory"}).status

    assert as_user(SOMEBODY, group, work) == b"403"
    assert ask(open_path, "PATCH", "/v1/people/Root", {"name": "Superuser"}).status == 200


def test_only_root_ends_an_administrators_pass(open_path, group, gate):
    def work():
        return b"%d" % ask(open_path, "PUT", "/v1/people/root/until", {"until_wall": 0.0}).status

    assert as_user(SOMEBODY, group, work) == b"403"
    assert ask(open_path, "PUT", "/v1/people/Root/until", {"until_wall": 0.0}).status == 200


def test_only_root_enrols_as_an_administrator(open_path, group, gate):
    """One whose templates a new model made useless waits for new ones; the role is not given."""

    def work():
        new = {**bodies()["NewPerson"], "name": "ROOT"}
        camera = ask(open_path, "POST", "/v1/enrolments", {"name": " root"})
        return b"%d %s" % (ask(open_path, "POST", "/v1/people", new).status, camera.text.encode())

    answer = as_user(SOMEBODY, group, work)
    assert answer.startswith(b"403")
    assert b"only root may enrol an administrator" in answer
    assert gate.added == []


def test_a_user_of_another_group_is_a_stranger(open_path, group):
    def work():
        return send_raw(open_path, b"GET /v1/status HTTP/1.1\r\n\r\n")

    assert as_user(pwd.getpwnam("games").pw_uid, STRANGER, work) == b""


@pytest.mark.parametrize("uid", [STRANGER, 61_234], ids=["nobody", "in no file"])
def test_a_process_in_the_group_is_a_member_whoever_its_user_is(open_path, group, uid):
    """As a service with SupplementaryGroups=facegate is, or one with DynamicUser."""

    def work():
        return send_raw(open_path, STATUS_ASKED)

    for groups in ([group], [*range(70_000, 70_255), group]):
        assert as_user(uid, STRANGER, work, groups).startswith(b"HTTP/1.1 200 ")
    assert as_user(uid, STRANGER, work, [group + 70_000, 70_001]) == b""
    assert as_user(uid, STRANGER, work, [70_001] * 300) == b""


def test_whoever_the_group_file_lists_need_not_log_in_anew(open_path, monkeypatch):
    user = pwd.getpwuid(SOMEBODY).pw_name
    listed = grp.struct_group(("facegate", "x", 70_000, [user]))
    monkeypatch.setattr(peers.grp, "getgrnam", lambda _: listed)

    def work():
        return send_raw(open_path, STATUS_ASKED)

    assert as_user(SOMEBODY, STRANGER, work).startswith(b"HTTP/1.1 200 ")
    assert as_user(pwd.getpwnam("games").pw_uid, STRANGER, work) == b""


def test_without_the_group_everybody_is_a_stranger(open_path, monkeypatch):
    monkeypatch.setattr(peers, "GROUP", "no-such-group")

    def work():
        return send_raw(open_path, STATUS_ASKED)

    assert as_user(SOMEBODY, STRANGER, work, [STRANGER]) == b""
