"""`facegate watch` on journal files as journald writes them, read by the real journalctl."""

import json
import shutil

import pytest
from journal_files import BEGAN_US, entry, write_journal

from facegate.events import EVENTS

pytestmark = pytest.mark.host


@pytest.fixture
def journal(tmp_path):
    """A folder with one journal: a day at the door."""
    return write_journal(
        tmp_path / "journal",
        entry(0, "looking through file", "ready", people=2),
        entry(1, "Ann: come in", "granted", person=1, distance="0.412", seq=17),
        entry(2, "nobody enrolled looks like this", "unknown", distance="1.310"),
        entry(3, "Ben: come in", "granted", person=2, distance="0.388"),
        entry(4, "Traceback (most recent call last):", priority=6),
        entry(5, "/dev/video0: the cable is off", "camera_lost"),
    )


def watched(facegate, journal, *words):
    done = facegate("watch", "--directory", journal, *words, "--json")
    assert done.code == 0, done.err
    return [json.loads(line) for line in done.out.splitlines()]


def test_it_shows_what_happened_in_order_one_line_each(facegate, journal):
    done = facegate("watch", "--directory", journal)
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert "granted" in lines[1]
    assert "Ann: come in" in lines[1]
    assert "distance=0.412" in lines[1]
    assert "seq" not in lines[1]
    assert "Traceback" in lines[4]
    assert EVENTS["camera_lost"].advice in lines[6]
    assert "\x1b[" not in done.out  # no colours where nobody looks


def test_json_has_every_fact(facegate, journal):
    granted = watched(facegate, journal)[1]
    assert granted["event"] == "granted"
    assert granted["severity"] == 6
    assert granted["facts"] == {"person": "1", "distance": "0.412", "seq": "17"}
    assert granted["at"].startswith("2026-09-21T")


@pytest.mark.parametrize(
    ("words", "events"),
    [
        (("--event", "granted"), ["granted", "granted"]),
        (("-e", "unknown", "-e", "ready"), ["ready", "unknown"]),
        (("--person", "2"), ["granted"]),
        (("--severity", "notice"), ["unknown", "camera_lost"]),
        (("--severity", "err"), ["camera_lost"]),
        (("--event", "granted", "--person", "1"), ["granted"]),
    ],
)
def test_filters(facegate, journal, words, events):
    assert [e["event"] for e in watched(facegate, journal, *words)] == events


def test_since(facegate, journal):
    late = watched(facegate, journal, "--since", f"@{BEGAN_US // 1_000_000 + 3}")
    assert late[0]["message"] == "Ben: come in"
    assert len(late) == 3


def test_a_since_that_is_no_time_is_told_with_what_to_write(facegate, journal):
    done = facegate("watch", "--directory", journal, "--since", "never ever")
    assert "--since: Failed to parse timestamp: never ever; write" in done.misuse


def test_an_event_that_does_not_exist(facegate):
    done = facegate("watch", "--event", "grantd")
    assert done.code == 3
    assert "no event is called so" in done.complaint


def test_whoever_was_nearly_as_near_is_concerned_too(facegate, tmp_path):
    denied = entry(1, "Ann: not let in, too near to Ben", "denied", person=1, runner_up=2)
    journal = write_journal(tmp_path / "journal", denied)
    for person, events in (("1", ["denied"]), ("2", ["denied"]), ("3", [])):
        found = watched(facegate, journal, "--person", person)
        assert [line["event"] for line in found] == events


def test_a_person_that_does_not_exist(facegate):
    done = facegate("watch", "--person", "Nobody")
    assert done.code == 3
    assert "Nobody" in done.complaint


def test_a_machine_without_a_journal(facegate, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    done = facegate("watch")
    assert done.code == 7
    assert "facegate run" in done.complaint


def test_a_folder_that_is_not_there(facegate, tmp_path):
    if shutil.which("journalctl") is None:
        pytest.skip("this machine has no journalctl")
    assert facegate("watch", "--directory", tmp_path / "none").code == 3


def test_no_journal_files_are_told_from_a_quiet_gate(facegate, journal, tmp_path):
    (tmp_path / "none").mkdir()
    done = facegate("watch", "--directory", tmp_path / "none")
    assert done.code == 7
    assert f"{tmp_path / 'none'}: no journal files" in done.complaint
    done = facegate("watch", "--directory", journal, "--since", "2027-01-01")
    assert (done.code, done.out, done.err) == (0, "", "")


@pytest.mark.parametrize("row", ["", '{"PRIORITY": "6", "MESSAGE": "ready"}'])
def test_whoever_sees_only_their_own_messages_is_told_where_nothing_comes(
    facegate, tmp_path, monkeypatch, row
):
    tool = tmp_path / "bin" / "journalctl"
    tool.parent.mkdir()
    hint = "Hint: You are currently not seeing messages from other users and the system."
    tool.write_text(f"#!/bin/sh\ncase $* in *json*) echo '{row}' ;; *) echo '{hint}' >&2 ;; esac\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tool.parent), prepend=":")
    done = facegate("watch", "--no-follow")
    assert done.code == 0
    assert ("systemd-journal" in done.err) == (not row)
    assert "systemd-journal" in facegate("watch").err, "silence would look like a quiet door"
