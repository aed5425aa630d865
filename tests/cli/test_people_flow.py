"""A person's way through the commands: enrolled, recognised in other light, renamed, removed."""

import json
import re
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

VIEWS = {
    "as enrolled": lambda p: p,
    "dim": lambda p: cv2.convertScaleAbs(p, alpha=0.45),
    "bright": lambda p: cv2.convertScaleAbs(p, alpha=1.2, beta=15),
    "smaller": lambda p: cv2.resize(p, None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA),
    "larger": lambda p: cv2.resize(p, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR),
    "soft": lambda p: cv2.GaussianBlur(p, (0, 0), 1.0),
    "mirrored": lambda p: np.ascontiguousarray(p[:, ::-1]),
}


@pytest.fixture
def enrolled(facegate, eileen):
    done = facegate("enroll", "Eileen", "--image", eileen, "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["templates"] == 1


@pytest.mark.parametrize("view", VIEWS)
def test_she_is_known_in_another_view(facegate, enrolled, write, portraits, view):
    picture = write(view.replace(" ", "-"), VIEWS[view](portraits[0][:320, 80:400]))
    (found,) = json.loads(facegate("identify", picture, "--json").out)
    assert set(found) >= {"name", "distance", "confidence", "box", "milliseconds"}
    assert found["name"] == "Eileen"
    assert 0 <= found["distance"] < 1
    assert found["confidence"] > 0.9
    assert found["milliseconds"] > 0
    x1, y1, x2, y2 = found["box"]
    assert x1 < x2
    assert y1 < y2


def test_somebody_else_is_not(facegate, enrolled, grace):
    (found,) = json.loads(facegate("identify", grace, "--json").out)
    assert found["name"] is None
    assert found["distance"] > 0.8


@pytest.fixture
def alike(facegate, enrolled, eileen):
    """Eileen, and Grace with the same face."""
    done = facegate("enroll", "Grace", "--image", eileen, "--allow-duplicate")
    assert done.code == 0, done.err


def test_between_two_people_enrolled_alike_it_decides_no_more_than_the_door(
    facegate, alike, eileen
):
    (found,) = json.loads(facegate("identify", eileen, "--json").out)
    assert (found["name"], sorted(found["between"])) == (None, ["Eileen", "Grace"])
    said = facegate("identify", eileen).out
    assert " or ".join(found["between"]) in said
    assert "the door does not decide between them: `facegate enroll NAME --more` for both" in said
    assert "100%" not in said


def test_who_is_too_near_to_another_is_shown(facegate, enrolled, write, portraits, eileen):
    shown = json.loads(facegate("people", "show", "Eileen", "--json").out)
    assert (shown["spread"], shown["nearest"], shown["distance"]) == (None, None, None)
    assert not shown["too_near"]
    assert shown["last_look_wall"] >= shown["created_at_wall"]
    dim = write("dim", VIEWS["dim"](portraits[0][:320, 80:400]))
    looks = ("--image", eileen, "--image", dim)
    assert facegate("enroll", "Grace", *looks, "--allow-duplicate").code == 0
    shown = json.loads(facegate("people", "show", "eileen", "--json").out)
    assert (shown["nearest"], shown["too_near"]) == ("Grace", True)
    assert 0 < shown["distance"] < shown["threshold"]
    assert 0 < json.loads(facegate("people", "show", "Grace", "--json").out)["spread"] < 1
    said = facegate("people", "show", "Eileen").out
    for part in ("last look  2", "spread     -", "nearest    Grace, distance 0.", "too near: the"):
        assert part in said
    assert "`facegate enroll NAME --more` for both" in said


def test_who_is_like_nobody_else_is_not_too_near(facegate, enrolled, grace):
    assert facegate("enroll", "Grace", "--image", grace).code == 0
    shown = json.loads(facegate("people", "show", "Eileen", "--json").out)
    assert (shown["nearest"], shown["too_near"]) == ("Grace", False)
    assert "too near" not in facegate("people", "show", "Eileen").out


def test_nobody_is_known_where_nobody_is_enrolled(facegate, eileen):
    (found,) = json.loads(facegate("identify", eileen, "--json").out)
    assert (found["name"], found["distance"], found["confidence"]) == (None, None, 0.0)
    assert "facegate enroll" in facegate("identify", eileen).out


def test_people_are_listed_renamed_and_removed(facegate, enrolled, eileen):
    assert facegate("people", "rename", "eileen", "Col. Collins").code == 0
    shown = json.loads(facegate("people", "show", "col. collins", "--json").out)
    assert (shown["name"], shown["templates"]) == ("Col. Collins", 1)
    (found,) = json.loads(facegate("identify", eileen, "--json").out)
    assert found["name"] == "Col. Collins"
    done = facegate("people", "remove", "Col. Collins", "--yes")
    assert done.code == 0
    assert done.out.startswith("Col. Collins is removed.\nCopies of the store may still hold them")
    assert "`sudo facegate people forget 1`" in done.out
    assert "orget" not in facegate("api").out
    assert json.loads(facegate("people", "list", "--json").out) == []


def test_more_looks_are_added_to_the_one_who_is_enrolled(
    facegate, enrolled, write, portraits, grace
):
    dim = write("dim", cv2.convertScaleAbs(portraits[0][:320, 80:400], alpha=0.5))
    done = facegate("enroll", "eileen", "--more", "--image", dim, "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["templates"] == 2
    other = facegate("enroll", "Eileen", "--more", "--image", grace)
    assert (other.code, "does not resemble the ones enrolled" in other.complaint) == (3, True)
    assert facegate("enroll", "Grace", "--more", "--image", grace).code == 3
    (eileen,) = json.loads(facegate("people", "list", "--json").out)
    assert eileen["templates"] == 2


def test_a_pass_ends_and_is_given_again(facegate, enrolled):
    done = facegate("people", "until", "eileen", "2999-12-31")
    assert (done.code, done.out.strip()) == (0, "Eileen: pass until 2999-12-31.")
    assert "pass until 2999-12-31" in facegate("people", "list").out
    assert "pass ended 2001-02-03" in facegate("people", "until", "Eileen", "2001-02-03").out
    assert facegate("people", "until", "Eileen", "now").out.strip() == "Eileen: blocked."
    assert facegate("people", "until", "Eileen").out.strip() == "Eileen: blocked."
    assert "blocked" in facegate("people", "show", "Eileen").out
    (eileen,) = json.loads(facegate("people", "list", "--json").out)
    assert eileen["until_wall"] == 0
    lifted = facegate("people", "until", "Eileen", "never")
    assert lifted.out.strip() == "Eileen: let in without end."
    told = json.loads(facegate("audit", "show", "--event", "pass_changed", "--json").out)
    ends = ["2999-12-31", "2001-02-03", "now", "never"]
    assert [r["facts"]["until"] for r in told] == ends


def test_a_name_that_cannot_be_had_is_refused_before_the_camera_is_opened(facegate, enrolled):
    nowhere = ("--camera", "file:/nowhere.avi")
    assert "no such" in facegate("enroll", "Grace", *nowhere).complaint
    taken = facegate("enroll", "eileen", *nowhere)
    assert (taken.code, "is enrolled already; --more" in taken.complaint) == (3, True)
    nobody = facegate("enroll", "Grace", "--more", *nowhere)
    assert (nobody.code, "nobody of this name" in nobody.complaint) == (3, True)


def test_a_camera_beside_pictures_is_of_no_use(facegate, eileen):
    done = facegate("enroll", "Eileen", "--image", eileen, "--camera", "v4l2")
    assert "--camera has no use with --image" in done.misuse


def test_without_a_daemon_the_camera_is_looked_through(facegate, tmp_path, eileen, grace):
    config = tmp_path / "c.yaml"
    config.write_text(
        "camera: {pacing: fast, loop: true}\n"
        "enrolment: {captures: 2, interval_s: 0.05, timeout_s: 20.0}\n"
    )
    for name, picture in (("Eileen", eileen), ("Grace", grace)):
        seen = ("--config", config, "--camera", f"file:{picture}")
        done = facegate("enroll", name, *seen, "--json")
        assert done.code == 0, done.err
        assert json.loads(done.out)["templates"] == 2
        assert "1 captured; 1 more: turn your head a little" in done.err
    again = facegate("enroll", "Somebody", *seen)
    assert again.code == 3
    assert "this is already Grace" in again.err
    blank = tmp_path / "blank.png"
    cv2.imwrite(str(blank), np.zeros((240, 320, 3), np.uint8))
    config.write_text("camera: {pacing: fast}\nenrolment: {captures: 1, timeout_s: 0.5}\n")
    nobody = facegate("enroll", "Nobody", "--config", config, "--camera", f"file:{blank}")
    assert nobody.code == 3
    assert "only 0 good looks (nobody to be seen)" in nobody.err


def test_two_pictures_are_compared(facegate, write, portraits, eileen, grace):
    dim = write("dim", cv2.convertScaleAbs(portraits[0][:320, 80:400], alpha=0.5))
    same, other = (facegate("verify", eileen, p, "--json") for p in (dim, grace))
    assert (same.code, other.code) == (0, 1)
    assert json.loads(same.out)["same"]
    answer = json.loads(other.out)
    assert not answer["same"]
    assert answer["distance"] > answer["threshold"]


def test_faces_are_drawn_on_request(facegate, tmp_path, eileen):
    out = tmp_path / "drawn.png"
    done = facegate("detect", eileen, "--draw", out, "--json")
    (picture,) = json.loads(done.out)
    (face,) = picture["faces"]
    assert len(face["landmarks"]) == 5
    assert cv2.imread(str(out)).shape == cv2.imread(str(eileen)).shape
    assert not np.array_equal(cv2.imread(str(out)), cv2.imread(str(eileen)))


def test_detect_looks_into_the_tiles_that_the_settings_ask_for(
    facegate, tmp_path, write, portraits
):
    picture = np.full((1080, 1920, 3), 110, np.uint8)
    far = cv2.resize(portraits[0][20:320, 90:370], (56, 60), interpolation=cv2.INTER_AREA)
    picture[900:960, 1700:1756] = far
    path, config = write("far", picture), tmp_path / "c.yaml"
    config.write_text("detection: {tiles: 3}\n")
    whole, tiled = (
        json.loads(facegate("detect", path, *more, "--json").out)[0]["faces"]
        for more in ((), ("--config", config))
    )
    assert whole == []
    assert len(tiled) == 1
    x1, y1, x2, y2 = tiled[0]["box"]
    assert 1700 < x1 < x2 < 1756
    assert 895 < y1 < y2 < 960


def test_doctor_and_config_check_print_one_document(facegate, eileen, tmp_path):
    config = tmp_path / "c.yaml"
    config.write_text("gpio: {driver: fake}\n")
    done = facegate("doctor", "--config", config, "--camera", f"file:{eileen}", "--json")
    assert done.code == 0, done.out
    findings = json.loads(done.out)
    assert all(f["ok"] for f in findings)
    assert {f["check"] for f in findings} >= {
        "python", "packages", "detector", "refiner", "embedder", "store", "gpio", "camera",
    }  # fmt: skip
    checked = json.loads(facegate("config", "check", config, "--json").out)
    assert checked["gpio"]["driver"] == "fake"


def test_doctor_names_the_mend_of_what_is_amiss(facegate):
    done = facegate("doctor", "--camera", "file:/nowhere.avi", "--json")
    assert done.code == 1
    amiss = {f["check"]: f for f in json.loads(done.out) if not f["ok"]}
    assert "camera" in amiss
    assert all(f["mend"] for f in amiss.values())


def test_doctor_makes_no_store_to_look_for_passes(facegate, tmp_path):
    config = tmp_path / "c.yaml"
    config.write_text(f"state: {{folder: {tmp_path}/own}}\n")
    (tmp_path / "own").mkdir()
    facegate("doctor", "--config", config)
    assert list((tmp_path / "own").iterdir()) == []


def test_doctor_finds_that_a_pin_is_wanted_and_none_is_set(facegate, tmp_path):
    config = tmp_path / "c.yaml"
    config.write_text(
        f"gpio: {{driver: fake}}\nstate: {{folder: {tmp_path}}}\n"
        "door: {second_factor: pin, lockout_attempts: 9}\n"
    )
    for there in (False, True):
        done = facegate("doctor", "--config", config, "--camera", "file:/none", "--json")
        (pin,) = [f for f in json.loads(done.out) if f["check"] == "pin"]
        assert pin["ok"] is there, pin
        (tmp_path / "pin").touch()


def test_a_name_is_found_however_its_accents_are_spelt(facegate, enrolled):
    assert facegate("people", "rename", "Eileen", "\u00c4nnchen").code == 0
    shown = json.loads(facegate("people", "show", "A\u0308nnchen", "--json").out)
    assert shown["name"] == "\u00c4nnchen"


@pytest.mark.parametrize("words", [("remove", "Eileen"), ("forget", "Eileen"), ("migrate",)])
def test_without_a_terminal_nothing_is_lost_unless_yes_is_said(facegate, enrolled, words):
    done = facegate("people", *words)
    assert done.code == 3
    assert "--yes" in done.complaint
    (person,) = json.loads(facegate("people", "list", "--json").out)
    assert person["templates"] == 1


def test_a_name_is_shown_as_it_is_spelt(facegate, enrolled):
    name = "\u0639\u0644\u06cc\u200c\u0631\u0636\u0627"
    assert facegate("people", "rename", "Eileen", name).code == 0
    assert name in facegate("people", "list").out


def test_a_picture_given_twice_is_told_twice(facegate, enrolled, eileen, noise_picture):
    said = facegate("identify", eileen, noise_picture, eileen).out.splitlines()
    assert [line.split(":")[0] for line in said] == [
        str(p) for p in (eileen, noise_picture, eileen)
    ]
    assert "no face found" in said[1]


@pytest.fixture
def noise_picture(write):
    rng = np.random.default_rng(0)
    return write("noise", rng.integers(0, 256, (240, 320, 3), dtype=np.uint8))


def test_what_is_kept_of_somebody_is_reported(facegate, enrolled, tmp_path, grace):
    facegate("people", "note", "Eileen", "mission 93")
    facegate("people", "until", "Eileen", "2999-12-31")
    secret = tmp_path / "secret"
    secret.write_text("correct horse battery\n")
    made = facegate("backup", tmp_path / "gate.fgbackup", "--passphrase-file", secret)
    assert made.code == 0, made.err
    told = json.loads(facegate("people", "report", "eileen", "--json").out)
    assert (told["person"]["name"], told["numbers"]) == ("Eileen", 128)
    assert told["records"] == {"enrolled": 1, "note_changed": 1, "pass_changed": 1}
    backup = {"files": [str(tmp_path / "gate.fgbackup")], "gone": 0, "unknown": 0}
    assert (told["visits"], told["backups"]) == (0, backup)
    assert len(told["copies"]) == 3
    said = facegate("people", "report", "Eileen").out
    assert f"whole backups since then: 1 in {tmp_path}\n" in said
    for kept in ("templates: 1 of 128", "mission 93", "2999-12-31", "by number", told["store"]):
        assert kept in said
    own = "FACEGATE_PERSON=1 + FACEGATE_RUNNER_UP=1"
    assert f"system journal: by number; each entry: `sudo journalctl {own}`" in said
    assert "schedule.groups" not in said
    nobody = facegate("people", "report", "Grace")
    assert (nobody.code, "Grace: nobody is called so" in nobody.complaint) == (3, True)
    assert "hold nobody removed of this name or number either" in nobody.complaint
    trail = Path(told["store"]).parent / "audit.jsonl"
    records = trail.read_bytes()
    trail.write_bytes(records.replace(b"mission", b"version") + b"{}\n")  # as somebody might
    assert facegate("audit", "renew", "--yes").code == 0
    again = json.loads(facegate("people", "report", "Eileen", "--json").out)
    assert (again["records"], again["backups"]) == (told["records"], backup)
    (tmp_path / "gate.fgbackup").unlink()
    said_again = facegate("people", "report", "Eileen").out
    assert "whole backups since then: 1 not where written any more\n" in said_again
    assert len(again["trails"]) == 2
    (export,) = re.findall(r"`sudo facegate (audit export .*)`", said)
    for number in range(60):
        assert facegate("people", "note", "Eileen", f"mission {number}").code == 0
    facegate("enroll", "Grace", "--image", grace)
    out = tmp_path / "records.json"
    assert facegate(*export.replace("records.json", str(out)).split()).code == 0
    records = Counter(r["event"] for r in json.loads(out.read_text(encoding="utf-8")))
    assert records == {"enrolled": 1, "note_changed": 61, "pass_changed": 1}
    shown = json.loads(facegate("audit", "show", "--person", "1", "--last", "100", "--json").out)
    assert len(shown) == 63
    for path in again["trails"]:
        Path(path).unlink()
    assert "audit trail: nothing, in no file" in facegate("people", "report", "Eileen").out


def test_the_report_says_that_the_settings_name_somebody(facegate, enrolled, tmp_path):
    config = tmp_path / "hours.yaml"
    config.write_text("schedule: {groups: [{people: [EILEEN]}]}\n", encoding="utf-8")
    said = facegate("people", "report", "Eileen", "--config", config).out
    assert "settings: schedule.groups names them" in said


@pytest.mark.parametrize("named", ["eileen", "1"])
def test_of_who_was_removed_the_report_names_the_copies(facegate, enrolled, named):
    assert facegate("people", "remove", "Eileen", "--yes").code == 0
    done = facegate("people", "report", named)
    assert done.code == 3
    assert "Eileen was removed, and number 1 is still in /" in done.complaint
    assert "people-000001.fgbackup: `sudo facegate people forget 1` erases" in done.complaint
    assert "people-000002" not in done.complaint
    assert facegate("people", "forget", "1", "--yes").code == 0
    assert "hold nobody removed" in facegate("people", "report", named).complaint


@pytest.fixture
def masked(portraits):
    """A face with something before its mouth."""
    pixels = portraits[0][:320, 80:400].copy()
    pixels[125:186, 95:194] = 60, 90, 150
    return pixels


def test_of_a_face_that_the_door_would_not_compare_that_is_said(facegate, enrolled, write, masked):
    picture = write("masked", masked)
    assert "the door passes over it: " in facegate("identify", picture).out
    (found,) = json.loads(facegate("identify", picture, "--json").out)
    assert found["quality"] in (["occluded"], ["short_embedding"])


def test_a_picture_that_the_door_would_not_compare_enrols_nobody(facegate, write, masked, tmp_path):
    (tmp_path / "team" / "Masked").mkdir(parents=True)
    picture = write("team/Masked/masked", masked)
    done = facegate("enroll", "Masked", "--image", picture)
    assert done.code == 3
    assert "masked.png: the face is" in done.complaint
    assert "nothing before your face" in done.complaint
    done = facegate("people", "import", tmp_path / "team")
    assert done.code == 3
    assert "nothing before your face" in done.out
    assert facegate("people", "list").out.startswith("Nobody is enrolled.")


def test_hours_given_by_name_are_not_lost_in_silence(facegate, enrolled, tmp_path):
    config = tmp_path / "hours.yaml"
    config.write_text("schedule: {groups: [{name: staff, people: [EILEEN]}]}\n")
    on = ("--config", config)
    assert facegate("people", "rename", "Eileen", "eileen", *on).err == ""
    told = facegate("people", "rename", "eileen", "Ellen", *on)
    assert (told.code, "schedule.groups in the settings names eileen; write Ellen" in told.err) == (
        0,
        True,
    )
    assert facegate("people", "remove", "Ellen", "--yes", *on).err == ""


def test_who_is_removed_leaves_no_hours_to_the_next_in_silence(facegate, enrolled, tmp_path):
    config = tmp_path / "hours.yaml"
    config.write_text("schedule: {groups: [{people: [Eileen]}]}\n")
    told = facegate("people", "remove", "Eileen", "--yes", "--config", config)
    assert (told.code, "names Eileen; take it out there" in told.err) == (0, True)


def test_looks_that_were_added_are_told_from_an_enrolment(facegate, enrolled, eileen):
    assert facegate("enroll", "Eileen", "--more", "--image", eileen, "--image", eileen).code == 0
    recorded = json.loads(facegate("audit", "show", "--event", "enrolled", "--json").out)
    facts = [(r["facts"]["looks"], r["facts"]["templates"]) for r in recorded]
    assert facts == [(1, 1), (2, 3)]


def test_every_command_takes_a_number_too(facegate, enrolled):
    for words in (("role", "1", "admin"), ("group", "1", "staff"), ("note", "1", "of 1991")):
        done = facegate("people", *words)
        assert done.code == 0, done.err
    assert facegate("people", "until", "1", "2999-12-31").out == "Eileen: pass until 2999-12-31.\n"
    assert facegate("people", "until", " 1").out == "Eileen: pass until 2999-12-31.\n"
    shown = json.loads(facegate("people", "show", "1", "--json").out)
    assert [shown[k] for k in ("role", "group", "note")] == ["admin", "staff", "of 1991"]
    assert facegate("people", "report", "1").out.startswith("Eileen, person 1, admin;")
    assert facegate("people", "rename", "1", "Ellen").out == "Eileen is now Ellen.\n"
    assert "2: nobody is called so" in facegate("people", "remove", "2", "--yes").complaint
    assert facegate("people", "remove", "1", "--yes").out.startswith("Ellen is removed.")


def test_a_name_that_is_a_number_goes_before_the_number(facegate, enrolled, grace):
    assert facegate("enroll", "1", "--image", grace).code == 0
    assert facegate("people", "note", "1", "Hopper").out.split()[:2] == ["2", "1"]
    assert facegate("people", "forget", "1", "--yes").code == 0
    (left,) = json.loads(facegate("people", "list", "--json").out)
    assert left["name"] == "Eileen"
    assert facegate("people", "forget", "1", "--yes").code == 0
    assert json.loads(facegate("people", "list", "--json").out) == []
