"""Everybody of a folder is enrolled at once."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture
def team(tmp_path, eileen, grace):
    """Two people, one of them with a file that is no picture, and three who cannot be enrolled."""
    folder = tmp_path / "team"
    for name, files in {
        "Eileen": [eileen],
        "Grace Hopper": [grace],
        "Twin of Grace": [grace],
        "Two people": [eileen, grace],
        "Nobody": [],
        ".trash": [eileen],
    }.items():
        (folder / name).mkdir(parents=True)
        for number, file in enumerate(files):
            shutil.copy(file, folder / name / f"{number}.png")
    (folder / "Eileen" / "notes.txt").write_text("her best side")
    (folder / "Eileen" / ".DS_Store").write_text("x")
    (folder / "readme.txt").write_text("x")
    return folder


def test_who_can_be_is_enrolled_and_each_other_told_why(facegate, team, grace):
    done = facegate("people", "import", team)
    assert done.code == 3
    assert "3 of 5 people were refused" in done.complaint
    said = dict(line.split(": ", 1) for line in done.out.splitlines() if "passed" not in line)
    assert said["Eileen"] == said["Grace Hopper"] == "enrolled, 1 template(s)"
    assert said["Nobody"] == "REFUSED: no picture of use"
    assert "this is already Grace Hopper" in said["Twin of Grace"]
    alone = "two people, `facegate enroll 'Twin of Grace' --allow-duplicate`"
    assert said["Twin of Grace"].endswith(alone)
    assert "do not look like one person" in said["Two people"]
    assert "notes.txt: not a picture" in done.out
    listed = json.loads(facegate("people", "list", "--json").out)
    assert [p["name"] for p in listed] == ["Eileen", "Grace Hopper"]
    (found,) = json.loads(facegate("identify", grace, "--json").out)
    assert found["name"] == "Grace Hopper"
    recorded = json.loads(facegate("audit", "show", "--event", "enrolled", "--json").out)
    assert [r["facts"]["person"] for r in recorded] == [1, 2]


def test_a_second_time_goes_on_where_the_first_ended(facegate, team):
    for name in ("Nobody", "Two people", "Twin of Grace"):
        away = team.parent / name
        (team / name).rename(away)
    assert facegate("people", "import", team, "--json").code == 0
    (team.parent / "Twin of Grace").rename(team / "Twin")
    again = facegate("people", "import", team, "--json")
    assert again.code == 3
    outcomes = {one["name"]: one["outcome"] for one in json.loads(again.out)}
    assert outcomes == {
        "Eileen": "enrolled before",
        "Grace Hopper": "enrolled before",
        "Twin": "refused",
    }


def test_files_that_are_no_pictures_take_no_place(facegate, tmp_path, eileen, monkeypatch):
    monkeypatch.setattr("facegate.cli.bulk.MOST_NUMBERS", 128)
    own = tmp_path / "team" / "Eileen"
    own.mkdir(parents=True)
    for number in range(60):
        (own / f"{number:03}.xmp").write_text("x")
    for name in ("a", "b"):
        shutil.copy(eileen, own / f"{name}.png")
    done = facegate("people", "import", own.parent, "--json")
    assert done.code == 0, done.err
    (one,) = json.loads(done.out)
    assert (one["templates"], len(one["passed_over"])) == (1, 61)
    assert "after the first 1 usable" in one["passed_over"][-1]


def test_a_folder_that_cannot_be_read_stops_nobody_else(facegate, team, monkeypatch):
    for name in ("Nobody", "Two people", "Twin of Grace"):
        (team / name).rename(team.parent / name)
    iterdir = Path.iterdir

    def closed(folder):
        if folder.name == "Eileen":
            raise PermissionError(13, "Permission denied", str(folder))
        return iterdir(folder)

    monkeypatch.setattr(Path, "iterdir", closed)
    done = facegate("people", "import", team, "--json")
    outcomes = {one["name"]: one["why"] for one in json.loads(done.out)}
    assert outcomes["Grace Hopper"] is None
    assert outcomes["Eileen"] == "its folder cannot be read: Permission denied"


def test_what_was_done_is_told_though_the_store_fails(facegate, team, monkeypatch):
    from facegate.access.store import Store
    from facegate.errors import StoreError

    add = Store.add

    def full(self, name, *more, **named):
        if name != "Eileen":
            raise StoreError("the disk is full")
        return add(self, name, *more, **named)

    monkeypatch.setattr(Store, "add", full)
    done = facegate("people", "import", team, "--json")
    assert done.code == 5
    assert [one["name"] for one in json.loads(done.out)] == ["Eileen"]


def test_two_folders_of_one_name_are_two_people(facegate, tmp_path, eileen, grace):
    for name, picture in (("Max", eileen), ("max", grace)):
        (tmp_path / "team" / name).mkdir(parents=True)
        shutil.copy(picture, tmp_path / "team" / name)
    done = facegate("people", "import", tmp_path / "team")
    assert (done.code, "Max and max are one name" in done.complaint) == (3, True)
    assert json.loads(facegate("people", "list", "--json").out) == []


def test_a_folder_that_holds_no_folders_is_told(facegate, tmp_path, eileen):
    flat = tmp_path / "flat"
    flat.mkdir()
    shutil.copy(eileen, flat)
    for folder, why in ((tmp_path / "nowhere", "no such folder"), (flat, "flat/NAME/*.jpg")):
        done = facegate("people", "import", folder)
        assert (done.code, why in done.complaint) == (3, True)
    assert json.loads(facegate("people", "list", "--json").out) == []


@pytest.mark.parametrize(("output", "code"), [("closed", 141), ("full", 3)])
def test_everybody_is_enrolled_though_nobody_reads_what_is_said(facegate, team, output, code):
    for name in ("Nobody", "Two people", "Twin of Grace"):
        (team / name).rename(team.parent / name)
    reading, writing = os.pipe()
    os.close(reading)
    if output == "full":
        os.close(writing)
        if not Path("/dev/full").exists():
            pytest.skip("this machine has no /dev/full")
        writing = os.open("/dev/full", os.O_WRONLY)
    words = (sys.executable, "-m", "facegate", "people", "import", str(team))
    done = subprocess.run(words, stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    listed = json.loads(facegate("people", "list", "--json").out)
    assert [p["name"] for p in listed] == ["Eileen", "Grace Hopper"]
