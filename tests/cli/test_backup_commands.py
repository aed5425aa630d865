"""Backup, restore, another key, another network, and forgetting, as an administrator does it."""

import json
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest

from facegate.access.audit import AuditTrail
from facegate.access.keys import load_key
from facegate.access.rolling import RollingBackups
from facegate.access.store import Store
from facegate.cli.elsewhere import NIGHTLY
from facegate.errors import StoreError


@pytest.fixture
def enrolled(facegate, eileen):
    assert facegate("enroll", "Eileen", "--image", eileen).code == 0
    assert facegate("people", "role", "Eileen", "admin").code == 0
    return facegate


@pytest.fixture
def passphrase(tmp_path):
    path = tmp_path / "passphrase"
    path.write_text("twelve letters\n")
    return ("--passphrase-file", path)


def listed(facegate):
    return json.loads(facegate("people", "list", "--json").out)


def test_an_empty_machine_is_restored_with_settings_and_trail(
    enrolled, passphrase, tmp_path, monkeypatch, eileen
):
    settings = tmp_path / "config.yaml"
    settings.write_text("door: {pulse_s: 3.0}\n")
    out, before = tmp_path / "gate.fgbackup", listed(enrolled)
    done = enrolled("backup", out, "--config", settings, *passphrase, "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["people"] == 1
    assert b"Eileen" not in out.read_bytes()
    assert out.stat().st_mode & 0o777 == 0o600
    assert enrolled("backup", out, *passphrase).code == 3, "a file that is there stays"

    (tmp_path / "new").mkdir()
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "new"))
    again = tmp_path / "again.yaml"
    done = enrolled("restore", out, "--settings", again, *passphrase)
    assert done.code == 0, done.err
    assert listed(enrolled) == before
    assert again.read_text() == settings.read_text()
    assert json.loads(enrolled("identify", eileen, "--json").out)[0]["name"] == "Eileen"
    assert json.loads(enrolled("audit", "verify", "--json").out)["problem"] is None
    events = [r["event"] for r in json.loads(enrolled("audit", "show", "--json").out)]
    assert events == ["enrolled", "role_changed", "backup_restored"]


def test_people_are_backed_up_although_the_network_is_another_or_gone(
    enrolled, passphrase, tmp_path
):
    settings, out = tmp_path / "config.yaml", tmp_path / "gate.fgbackup"
    settings.write_text("models: {embedder: /nowhere/face.tflite}\n")
    assert enrolled("people", "list", "--config", settings).code != 0
    done = enrolled("backup", out, "--config", settings, *passphrase, "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["people"] == 1


def test_a_damaged_store_is_restored_from_its_own_copies(enrolled, tmp_path):
    (store,) = tmp_path.rglob("people.db")
    before = listed(enrolled)
    store.write_bytes(store.read_bytes()[:5000])
    refused = enrolled("people", "list")
    assert (refused.code, "facegate restore --latest" in refused.complaint) == (5, True)
    assert enrolled("restore", "--latest").code == 5
    done = enrolled("restore", "--latest", "--replace")
    assert done.code == 0, done.err
    assert listed(enrolled) == before


def test_forgetting_prints_what_was_searched(enrolled, passphrase, tmp_path):
    assert enrolled("backup", tmp_path / "elsewhere", *passphrase).code == 0
    done = enrolled("people", "forget", "eileen", "--yes")
    assert done.code == 0, done.err
    assert "people.db:" in done.out
    assert ".fgbackup, opened:" in done.out
    assert "no name or template of Eileen is left in /" in done.out
    assert "nothing" not in done.out
    assert f"until you delete them: 1 in {tmp_path}; the nightly ones lie in /var" in done.out
    kept = "kept up to 16 MB, and about 365 days if the clock can be believed."
    assert f"4 record(s) of number 1 stay in the audit trail, without a name, {kept}" in done.out
    assert listed(enrolled) == []
    assert enrolled("people", "forget", "eileen", "--yes").code == 3


def test_whoever_was_removed_is_forgotten_by_what_the_removal_says(enrolled):
    done = enrolled("people", "remove", "Eileen", "--yes")
    assert "Eileen is removed." in done.out
    (command,) = re.findall(r"`sudo facegate (.*)`", done.out)
    done = enrolled(*shlex.split(command), "--yes")
    assert done.code == 0, done.err
    assert re.search(r"people.db: .* 0 traces before, 0 now", done.out)
    assert re.search(r"fgbackup, opened: .* [1-9]\d* traces before, (0|and gone) now", done.out)
    assert "no name or template of Eileen is left" in done.out
    (record,) = json.loads(enrolled("audit", "show", "--event", "person_forgotten", "--json").out)
    assert (record["facts"]["person"], record["facts"]["found"]) == (1, 0)
    again = enrolled(*shlex.split(command), "--yes")
    assert (again.code, "the copies in" in again.complaint) == (3, True)


def test_all_of_one_name_are_recorded_by_number(enrolled, eileen):
    assert enrolled("people", "remove", "Eileen", "--yes").code == 0
    assert enrolled("enroll", "Eileen", "--image", eileen).code == 0
    done = enrolled("people", "forget", "Eileen", "--yes")
    assert done.code == 0, done.err
    assert "all of them erased: number 2, 1." in done.out
    shown = enrolled("audit", "show", "--event", "person_forgotten", "--json")
    assert [r["facts"]["person"] for r in json.loads(shown.out)] == [2, 1]


def test_something_left_is_exit_code_one(enrolled, tmp_path):
    (store,) = tmp_path.rglob("people.db")
    shutil.copy(store, store.with_name("a-copy"))
    done = enrolled("people", "forget", "Eileen", "--yes")
    assert done.code == 1
    assert "Eileen is not wholly erased" in done.out


def test_a_forgetting_that_stops_half_way_is_recorded_and_told(enrolled, monkeypatch):
    def full(_self, _store):
        raise StoreError("no space left")

    monkeypatch.setattr(RollingBackups, "make", full)
    done = enrolled("people", "forget", "Eileen", "--yes")
    assert done.code == 5
    assert "Eileen is out of the store" in done.complaint
    assert "no space left" in done.complaint
    assert listed(enrolled) == []
    shown = enrolled("audit", "show", "--event", "person_forgotten", "--json")
    assert json.loads(shown.out)[0]["facts"]["files"] == 0


def test_a_forgetting_that_cannot_be_recorded_is_told_to_be_done(enrolled, tmp_path):
    (trail,) = tmp_path.rglob("audit.jsonl")
    trail.unlink()
    trail.mkdir()
    done = enrolled("people", "forget", "Eileen", "--yes")
    assert done.code == 5
    assert "Eileen is out of the store, but" in done.complaint
    assert "audit.jsonl" in done.complaint


@pytest.fixture
def full_trail(monkeypatch):
    """An audit trail that takes nothing."""

    def full(*_):
        raise StoreError("audit.jsonl: no space left")

    monkeypatch.setattr(AuditTrail, "append", full)


@pytest.mark.parametrize(
    ("words", "done"),
    [
        (("people", "remove", "Eileen", "--yes"), "Eileen is removed"),
        (("people", "role", "Eileen", "admin"), "Eileen is changed"),
        (("people", "forget", "Eileen", "--yes"), "Eileen is out of the store"),
        (("restore", "--latest", "--replace"), "1 people are back"),
    ],
    ids=lambda words: words[1] if isinstance(words, tuple) else "",
)
def test_what_is_done_is_said_though_it_cannot_be_recorded(enrolled, full_trail, words, done):
    result = enrolled(*words)
    assert result.code == 5
    assert f"{done}, but that is not recorded: audit.jsonl: no space left" in result.complaint


def test_an_enrolment_is_told_though_it_cannot_be_recorded(facegate, full_trail, eileen):
    done = facegate("enroll", "Eileen", "--image", eileen)
    assert done.code == 5
    assert "Eileen is enrolled, but that is not recorded: " in done.complaint
    assert listed(facegate) != []


@pytest.mark.parametrize("word", ["remove", "forget"])
def test_whoever_is_out_of_the_store_is_recorded_before_anything_else(enrolled, monkeypatch, word):
    with monkeypatch.context() as patched:
        patched.setattr(Store, "tidy", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        assert enrolled("people", word, "Eileen", "--yes").code == 130
    assert listed(enrolled) == []
    (record,) = json.loads(enrolled("audit", "show", "--event", "person_removed", "--json").out)
    assert (record["facts"]["person"], record["facts"]["revision"]) == (1, 3)


def test_another_key_and_a_passphrase(enrolled, passphrase, tmp_path, monkeypatch):
    (path,) = tmp_path.rglob("state_directory/key")
    old, before = load_key(path), listed(enrolled)
    assert enrolled("key", "rotate").code == 0
    assert load_key(path) != old
    assert enrolled("key", "protect", *passphrase).code == 0
    assert "as the systemd credential facegate-passphrase" in enrolled("people", "list").complaint
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "facegate-passphrase").write_text("twelve letters\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    assert listed(enrolled) == before
    assert enrolled("key", "rotate").code == 0
    assert enrolled("key", "unprotect").code == 0
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    assert listed(enrolled) == before
    assert json.loads(enrolled("audit", "verify", "--json").out)["problem"] is None


def test_another_network_keeps_people_and_asks_for_new_looks(enrolled, eileen, tmp_path):
    (path,) = tmp_path.rglob("people.db")
    key = load_key(path.with_name("key"))
    with Store.open(path, key, "another-model", take_on=True) as store:
        store.add("Eileen", [np.eye(128, dtype=np.float32)[0]])
    refused = enrolled("people", "list")
    assert (refused.code, "facegate people migrate" in refused.complaint) == (5, True)
    done = enrolled("people", "migrate", "--yes")
    assert done.code == 0, done.err
    assert "1 to enrol again" in done.out
    (person,) = listed(enrolled)
    assert (person["templates"], person["role"]) == (0, "admin")
    assert "to enrol again" in enrolled("people", "list").out
    assert enrolled("enroll", "Eileen", "--image", eileen).code == 0
    (again,) = listed(enrolled)
    assert (again["person_id"], again["role"], again["templates"]) == (1, "admin", 1)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("restore", "nothing.fgbackup"), 3, "cannot be read"),
        (("restore", "--latest"), 5, "no key"),
        (("backup", "out"), 3, "no terminal to ask for the passphrase"),
        (("key", "protect"), 5, "no key"),
        (("people", "forget", "Nemo", "--yes"), 3, "nobody of this name"),
    ],
)
def test_wrong_input_is_one_line(facegate, words, code, said):
    done = facegate(*words)
    assert done.code == code
    assert said in done.complaint


@pytest.mark.parametrize("words", [(), ("some.fgbackup", "--latest")])
def test_one_backup_is_put_back(facegate, words):
    assert "give a FILE, or --latest" in facegate("restore", *words).misuse


def test_a_short_passphrase_and_a_wrong_one(enrolled, tmp_path, passphrase):
    short = tmp_path / "short"
    short.write_text("short")
    done = enrolled("backup", tmp_path / "b", "--passphrase-file", short)
    assert (done.code, "at least 12" in done.complaint) == (3, True)
    assert enrolled("backup", tmp_path / "b", *passphrase).code == 0
    short.write_text("not these letters")
    done = enrolled("restore", tmp_path / "b", "--passphrase-file", short)
    assert (done.code, "does not open it" in done.complaint) == (5, True)


def test_settings_that_cannot_be_written_leave_everybody_as_they_were(
    enrolled, passphrase, tmp_path
):
    settings, out = tmp_path / "config.yaml", tmp_path / "gate.fgbackup"
    settings.write_text("door: {pulse_s: 3.0}\n")
    assert enrolled("backup", out, "--config", settings, *passphrase).code == 0
    assert enrolled("people", "rename", "Eileen", "Collins").code == 0
    before, where = listed(enrolled), tmp_path / "none" / "again.yaml"
    done = enrolled("restore", out, "--replace", "--settings", where, *passphrase)
    assert done.code == 3
    assert f"{where}: cannot be written" in done.complaint
    assert listed(enrolled) == before


@pytest.mark.parametrize(("names", "told"), [(False, "number 1 only"), (True, "still names them")])
def test_forgetting_says_what_the_journal_knows(enrolled, tmp_path, names, told):
    settings = tmp_path / "config.yaml"
    settings.write_text(f"journal: {{names: {str(names).lower()}}}\n")
    done = enrolled("people", "forget", "Eileen", "--yes", "--config", settings)
    assert done.code == 0
    assert told in done.out


def test_without_another_network_nothing_is_dropped_and_nothing_recorded(enrolled):
    done = enrolled("people", "migrate", "--yes")
    assert done.code == 0
    assert "Nobody has to be enrolled again" in done.out
    events = [r["event"] for r in json.loads(enrolled("audit", "show", "--json").out)]
    assert "templates_dropped" not in events
    assert listed(enrolled)[0]["templates"] == 1


def test_forgetting_says_that_the_settings_name_them_still(enrolled, tmp_path):
    settings = tmp_path / "config.yaml"
    settings.write_text("schedule: {groups: [{people: [Eileen]}]}\n", encoding="utf-8")
    done = enrolled("people", "forget", "1", "--yes", "--config", settings)
    (verdict,) = (line for line in done.out.splitlines() if line.startswith("no name or template"))
    assert "but schedule.groups in the settings names them" in verdict


def test_only_backups_that_are_there_still_are_counted(enrolled, passphrase, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("kept", "deleted"):
        assert enrolled("backup", f"{name}.fgbackup", *passphrase).code == 0
    (tmp_path / "deleted.fgbackup").unlink()
    (path,) = tmp_path.rglob("audit.jsonl")
    with AuditTrail.open(path, path.with_name("key").read_bytes()) as trail:
        trail.append("backup_made", {"people": 1})  # as before there was a place in it
    done = enrolled("people", "forget", "1", "--yes", "--json")
    found = json.loads(done.out)["backups"]
    assert found == {"files": [str(tmp_path / "kept.fgbackup")], "gone": 1, "unknown": 1}


def test_the_nightly_backups_lie_where_forgetting_says():
    unit = Path(__file__).parents[2] / "systemd/facegate-backup.service"
    assert f"\nEnvironment=BACKUPS={NIGHTLY} " in unit.read_text(encoding="utf-8")


@pytest.mark.parametrize("alone", [False, True])
def test_who_was_forgotten_and_comes_back_by_a_backup_is_named(
    enrolled, passphrase, grace, tmp_path, alone
):
    """Where nobody else is enrolled, the backup's trail takes the place of the one that knows."""
    out = tmp_path / "gate.fgbackup"
    if not alone:
        assert enrolled("enroll", "Grace", "--image", grace).code == 0
    assert enrolled("backup", out, *passphrase).code == 0
    untold = enrolled("restore", out, "--replace", *passphrase, "--json")
    assert (untold.err, json.loads(untold.out)["forgotten"]) == ("", [])
    assert enrolled("people", "forget", "1", "--yes").code == 0
    done = enrolled("restore", out, "--replace", *passphrase, "--json")
    assert (done.code, json.loads(done.out)["forgotten"]) == (0, [1])
    assert "Eileen, number 1, was forgotten, and is back" in done.complaint
    assert "`sudo facegate people forget 1`" in done.complaint
    *_, told = json.loads(enrolled("audit", "show", "--event", "backup_restored", "--json").out)
    assert told["facts"]["forgotten"] == "1"
    assert enrolled("people", "forget", "1", "--yes").code == 0
