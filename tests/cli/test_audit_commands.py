import csv
import errno
import json
import os
import time
from contextlib import contextmanager

import pytest

from facegate.access import audit
from facegate.access.audit import AuditTrail, read
from facegate.access.keys import load_key
from facegate.access.store import Store


@pytest.fixture
def happened(facegate, eileen):
    """Enrol, rename and remove somebody without a daemon."""
    assert facegate("enroll", "Eileen", "--image", eileen).code == 0
    assert facegate("people", "role", "Eileen", "admin").code == 0
    assert facegate("people", "rename", "Eileen", "Collins").code == 0
    assert facegate("people", "remove", "Collins", "--yes").code == 0
    return facegate


def test_what_was_done_without_the_daemon_is_recorded_too(happened):
    done = happened("audit", "verify", "--json")
    assert json.loads(done.out) == {"records": 4, "problem": None, "removed": 0}
    events = [r["event"] for r in json.loads(happened("audit", "show", "--json").out)]
    assert events == ["enrolled", "role_changed", "person_renamed", "person_removed"]
    assert "Eileen" not in happened("audit", "show").out


def test_filters_and_exports(happened, tmp_path):
    only = happened("audit", "show", "--event", "enrolled", "--person", 1, "--json")
    assert len(json.loads(only.out)) == 1
    assert json.loads(happened("audit", "show", "--since", "2999-01-01", "--json").out) == []
    for name in ("trail.csv", "trail.json"):
        assert happened("audit", "export", tmp_path / name).code == 0
    with (tmp_path / "trail.csv").open() as file:
        assert next(row["event"] for row in csv.DictReader(file)) == "enrolled"
    assert len(json.loads((tmp_path / "trail.json").read_text())) == 4


def test_what_a_clock_that_was_behind_recorded_since_is_shown(
    facegate, eileen, tmp_path, monkeypatch
):
    """After a power cut the clock goes on from when the power failed."""
    facegate("enroll", "Eileen", "--image", eileen)
    (path,) = tmp_path.rglob("audit.jsonl")
    key = load_key(path.with_name("key"))
    monkeypatch.setattr(audit, "BOOT_ID", tmp_path / "boot_id")
    (tmp_path / "boot_id").write_text("another")
    with AuditTrail.open(path, key) as trail:
        happened = (("started", 3e9, 1.0), ("door_forced_open", 3e9, 2.0), ("granted", 6e9, 3.0))
        for event, wall_s, mono_s in happened:
            trail.append(event, {}, wall_s=wall_s, mono_s=mono_s)
    since = ("--since", "2128-01-01", "--json")  # 4,985,280,000 s
    shown = [r["event"] for r in json.loads(facegate("audit", "show", *since).out)]
    assert shown == ["started", "door_forced_open", "granted"]


def test_a_changed_trail_is_exit_code_one_and_says_where(happened, tmp_path):
    (path,) = tmp_path.rglob("audit.jsonl")
    path.write_text(path.read_text().replace("role_changed", "enrolled", 1))
    done = happened("audit", "verify")
    assert done.code == 1
    assert "line 2: record 2 was changed" in done.out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("export", "trail.txt"), ".csv or .json"),
        (("show", "--since", "yesterday"), "--since yesterday"),
    ],
)
def test_wrong_options_are_told(happened, words, told):
    assert told in happened("audit", *words).misuse


def test_an_event_that_is_none_is_one_line(happened):
    done = happened("audit", "show", "--event", "grantd")
    assert done.code == 3
    assert "grantd: no event is called so" in done.complaint


def test_before_anything_happened(facegate):
    done = facegate("audit", "show")
    assert done.code == 5
    assert "nothing was recorded" in done.complaint


def test_an_export_that_fails_leaves_what_was_there(happened, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    out = tmp_path / "trail.csv"
    out.write_text("as it was")
    monkeypatch.setattr(os, "fsync", full)
    done = happened("audit", "export", out)
    assert done.code == 3
    assert f"{out}: cannot be written: No space left on device" in done.complaint
    assert out.read_text() == "as it was"
    assert [p.name for p in tmp_path.glob("*trail*")] == ["trail.csv"]


FORGED = {
    "seq": 5,
    "wall_s": 1e300,
    "mono_s": 1.0,
    "boot": "=HYPERLINK(1)",
    "event": "granted",
    "facts": {"by": "\x1b]0;pwned\x07", "person": 1, "track": [1]},
    "hash": "-1",
}


def test_forged_records_are_shown_as_such_and_command_nothing(happened, tmp_path):
    (path,) = tmp_path.rglob("audit.jsonl")
    with path.open("a") as file:
        file.write(json.dumps(FORGED) + "\n")
    shown = happened("audit", "show")
    assert shown.code == 1
    assert "the trail was changed: line 5: record 5 was changed" in shown.err
    assert r"\x1b]0;pwned\x07" in shown.out
    assert "\x1b" not in shown.out
    out = tmp_path / "trail.csv"
    assert happened("audit", "export", out).code == 1
    with out.open() as file:
        last = list(csv.DictReader(file))[-1]
    assert (last["boot"], last["hash"]) == ("'=HYPERLINK(1)", "'-1")
    assert b"\x1b" not in out.read_bytes()
    assert happened("audit", "report").code == 1


def test_a_change_of_key_that_was_broken_off_is_said(happened, tmp_path):
    (path,) = tmp_path.rglob("audit.jsonl")
    key = path.with_name("key")
    with AuditTrail.open(path, key.read_bytes()) as trail:
        trail.rotate(key.read_bytes(), bytes(32))
    path.with_name("key.next").write_bytes(bytes(32))
    path.with_name("key.next").chmod(0o600)
    with sealed_under(path.with_name("people.db"), key.read_bytes(), bytes(32)):
        done = happened("audit", "verify")
        assert (done.code, "change of the key was broken off" in done.out) == (1, True)
        assert "all in order" in happened("audit", "renew", "--yes").complaint
        assert happened("audit", "verify").code == 0


@contextmanager
def sealed_under(path, old, new):
    with Store.open(path, old, None, alone=True) as store:
        store.rekey(new)
    yield


def test_a_trail_that_is_not_whole_can_be_put_aside(happened, tmp_path):
    assert "all in order" in happened("audit", "renew", "--yes").complaint
    (path,) = tmp_path.rglob("audit.jsonl")
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:2]))
    assert happened("audit", "verify").code == 1
    assert "--yes" in happened("audit", "renew").complaint
    done = happened("audit", "renew", "--yes")
    assert done.code == 0, done.err
    assert len(list(path.parent.glob("audit-*.jsonl"))) == 1
    assert happened("audit", "verify").code == 0
    (record,) = json.loads(happened("audit", "show", "--json").out)
    assert "cut off" in record["facts"]["problem"]


@pytest.fixture
def visited(facegate, eileen, tmp_path, monkeypatch):
    """Eileen, enrolled, came twice; the second time she was taken for nobody at first."""
    assert facegate("enroll", "Eileen", "--image", eileen).code == 0
    (path,) = tmp_path.rglob("audit.jsonl")
    monkeypatch.setattr(audit, "BOOT_ID", tmp_path / "none")
    with AuditTrail.open(path, path.with_name("key").read_bytes()) as trail:
        trail.append("granted", {"person": 1, "track": 1, "distance": 0.6}, wall_s=4e9)
        trail.append("unknown", {"track": 2}, wall_s=5e9)
        trail.append("granted", {"person": 1, "track": 2, "distance": 0.8}, wall_s=5e9)
        trail.append("granted", {"person": 7, "track": 3, "distance": 0.7}, wall_s=5e9)
    return facegate


def test_who_came_and_who_struggled(visited):
    first, other = json.loads(visited("audit", "report", "--names", "--json").out)
    assert (first["person"], first["name"], other["name"]) == (1, "Eileen", None)
    assert (first["visits"], first["refused_first"], first["distance"]) == (2, 1, 0.7)
    assert first["first"].startswith("2096-10-")
    (late,) = json.loads(
        visited("audit", "report", "--person", "eileen", "--since", "2100-01-01", "--json").out
    )
    assert (late["visits"], late["refused_first"]) == (1, 1)
    said = visited("audit", "report").out.splitlines()
    assert len(said) == 3
    assert "1 (50%)" in said[1]
    assert "Eileen" not in said[1]
    named = visited("audit", "report", "--names").out.splitlines()
    assert named[1].endswith("  Eileen")
    assert named[2].endswith("  (forgotten)")
    said = visited("audit", "report", "--since", "2999-01-01").out
    assert said == "Nobody was let in or denied.\n"


def test_who_is_denied_and_who_did_not_come_is_listed(visited, grace, tmp_path):
    assert visited("enroll", "Grace", "--image", grace).code == 0
    (path,) = tmp_path.rglob("audit.jsonl")
    later = ("audit", "report", "--since", "2158-01-01")
    with AuditTrail.open(path, path.with_name("key").read_bytes()) as trail:
        for track in (4, 5):
            denied = {"person": 7, "track": track, "runner_up": 1}
            trail.append("denied", denied, wall_s=6e9)
    eileen, grace, other = json.loads(visited(*later, "--names", "--json").out)
    assert [eileen[k] for k in ("name", "visits", "denied")] == ["Eileen", 0, 2]
    assert [grace[k] for k in ("name", "visits", "denied", "first")] == ["Grace", 0, 0, None]
    assert [other[k] for k in ("name", "visits", "denied")] == [None, 0, 2]
    assert eileen["first"].startswith("2160-")
    head, *named = visited(*later, "--names").out.splitlines()
    assert [line.split()[:4] for line in named] == [
        ["1", "0", "-", "2"],
        ["2", "0", "-", "0"],
        ["7", "0", "-", "2"],
    ]
    found = zip(named, ("Eileen", "Grace", "(forgotten)"), strict=True)
    assert {line.index(name) for line, name in found} == {head.index("name")}
    said = visited(*later).out
    assert len(said.splitlines()) == 3
    assert "Eileen" not in said
    assert "Grace" not in said


def test_the_one_who_was_nearly_as_near_is_found_too(visited, tmp_path):
    (path,) = tmp_path.rglob("audit.jsonl")
    with AuditTrail.open(path, path.with_name("key").read_bytes()) as trail:
        trail.append("denied", {"person": 7, "track": 4, "runner_up": 1}, wall_s=6e9)
    shown = json.loads(visited("audit", "show", "--person", "Eileen", "--json").out)
    assert shown[-1]["event"] == "denied"
    told = json.loads(visited("people", "report", "Eileen", "--json").out)
    assert told["records"]["denied"] == 1


def test_a_person_is_found_by_name_or_number(visited):
    for named in ("Eileen", "1"):
        shown = visited("audit", "show", "--person", named, "--json")
        assert len(json.loads(shown.out)) == 3
    assert "Zoe: nobody" in visited("audit", "show", "--person", "Zoe").complaint


def test_what_is_older_than_it_may_be_is_trimmed_by_command(visited, tmp_path, monkeypatch):
    (path,) = tmp_path.rglob("audit.jsonl")
    assert "Nothing is older than 365 days" in visited("audit", "trim").out
    monkeypatch.setattr(time, "time", lambda: 5e9 + 1e6)
    told = visited("audit", "trim").complaint
    assert "--yes" in told
    done = visited("audit", "trim", "--yes")
    assert "2 records and 0 trails put aside are older than 365 days" in done.out
    assert json.loads(visited("audit", "verify", "--json").out) == {
        "records": 6,
        "problem": None,
        "removed": 2,
    }
    cut = list(read(path))[-1]
    assert (cut.event, cut.facts["by"]) == ("audit_cut", f"uid {os.getuid()}")
    assert "Nothing is older" in visited("audit", "trim").out


def test_where_records_are_kept_for_ever_none_is_trimmed(visited, tmp_path):
    settings = tmp_path / "for-ever.yaml"
    settings.write_text("audit: {keep_days: null}\n", encoding="utf-8")
    done = visited("audit", "trim", "--yes", "--config", settings)
    assert done.code == 3
    assert "audit.keep_days" in done.complaint


def test_without_a_trail_trim_makes_none(facegate, tmp_path):
    done = facegate("audit", "trim", "--yes")
    assert done.code == 5
    assert not list(tmp_path.rglob("audit.jsonl"))
