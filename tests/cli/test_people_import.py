"""Everybody of a folder is enrolled at once."""

import json
import shutil

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


def test_a_folder_that_holds_no_folders_is_told(facegate, tmp_path, eileen):
    flat = tmp_path / "flat"
    flat.mkdir()
    shutil.copy(eileen, flat)
    for folder, why in ((tmp_path / "nowhere", "no such folder"), (flat, "flat/NAME/*.jpg")):
        done = facegate("people", "import", folder)
        assert (done.code, why in done.complaint) == (3, True)
    assert json.loads(facegate("people", "list", "--json").out) == []
