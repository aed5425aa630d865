"""Whole Debian systems with facegate installed by its installer, from fresh system to removal.

Both systems that Raspberry Pi OS is made of are built and booted at the same time; inside each,
appliance_probe.py tries everything and writes what it saw. These tests judge it.
"""

import json
import shutil
import subprocess
import sys

import pytest
from debian import PYTHONS, ROOT
from lives import SETTINGS

pytestmark = pytest.mark.appliance
KEPT = ("/etc/facegate", "/var/lib/facegate", "/var/backups/facegate")
NUMPYS = {"bookworm": "1.24.2", "trixie": "2.2.4"}


@pytest.fixture(params=PYTHONS)
def suite(request):
    return request.param


@pytest.fixture
def seen(lives, suite):
    seen = lives[suite].result().seen
    assert "error" not in seen, seen["error"]
    return seen


def test_a_fresh_system_without_a_camera_is_told_what_to_do(seen):
    assert seen["fresh"]["code"] == 0, seen["fresh"]["said"]
    assert "does not start yet" in seen["fresh"]["said"]
    assert seen["set_up"]


def test_it_boots_into_a_working_gate(seen):
    gate = seen["gate"]
    assert gate["active"]
    assert gate["ready_events"] == 1
    assert gate["enroll"][0] == 0, gate["enroll"]
    assert gate["granted"]
    assert "1 people" in gate["status_text"]
    assert "Eileen" not in gate["status_text"], "everybody may read it"


def test_it_runs_next_to_debians_numpy(seen, suite):
    version, file, delegate = seen["gate"]["imports"]
    assert version == NUMPYS[suite]
    assert file.startswith("/usr/lib/python3/dist-packages/")
    assert delegate == "XNNPACK"
    assert seen["gate"]["pip_check"] == "No broken requirements found.\n"


def test_the_journal_holds_its_fields_and_explains_them(seen):
    from facegate.events import EVENTS

    entry = seen["gate"]["entry"]
    assert entry["MESSAGE_ID"] == EVENTS["granted"].message_id
    assert float(entry["FACEGATE_LATENCY_MS"]) > 0
    assert (entry["MESSAGE"], entry["FACEGATE_PERSON"]) == ("person 1: come in", "1")
    assert seen["gate"]["explained"]


def test_it_is_watched_live_until_ctrl_c(seen):
    lines, code, complaint = seen["gate"]["watched"]
    first = json.loads(lines[0])
    assert (first["event"], first["message"]) == ("granted", "person 1: come in")
    assert first["facts"]["person"] == "1"
    assert {json.loads(line)["event"] for line in lines} == {"granted"}
    assert code == 130, complaint
    assert "Traceback" not in complaint


def test_what_concerns_one_person_is_found_by_the_name(seen):
    code, said, complaint = seen["gate"]["watched_since"]
    assert code == 0, complaint
    found = [json.loads(line) for line in said.splitlines()]
    assert {"enrolled", "granted"} <= {entry["event"] for entry in found}
    assert {entry["facts"]["person"] for entry in found} == {"1"}


def test_a_reload_reads_the_settings_again(seen):
    assert seen["gate"]["reload"] == ""
    assert seen["gate"]["reloaded"]


def test_others_get_nothing(seen):
    assert seen["gate"]["outsider"] != 0
    assert seen["gate"]["state_mode"] == "0o700"


@pytest.mark.parametrize("signal", ["SEGV", "KILL", "STOP"])
def test_systemd_brings_it_back(seen, signal):
    assert seen["failures"][signal]


def test_it_stops_cleanly_within_two_seconds(seen):
    failures = seen["failures"]
    assert failures["stop_s"] < 2
    assert failures["result"] == "success", failures["told"]
    assert failures["stopped_events"] == 1


def test_the_trail_holds_through_kills_and_restarts(seen):
    failures = seen["failures"]
    assert failures["audit"]["problem"] is None
    assert failures["audit"]["records"] == len(failures["recorded"])
    assert failures["recorded"].count("started") == 5
    assert {"enrolled", "granted", "door_unlocked"} <= set(failures["recorded"])
    assert failures["recorded"][-1] == "stopped"


def test_the_key_can_be_bound_to_the_machine(seen):
    sealed = seen["sealed"]
    assert sealed["active"], sealed["encrypted"]
    assert [p["name"] for p in sealed["people"]] == ["Eileen"]


def test_the_trail_is_verified_by_a_timer_and_one_changed_or_removed_fails_its_unit(seen):
    assert seen["sealed"]["timer"] == "active"
    assert seen["sealed"]["verified"] == 0
    assert seen["sealed"]["spoiled"] != 0
    assert seen["sealed"]["removed"] != 0


def test_a_full_backup_is_made_once_there_is_a_passphrase(seen):
    backup = seen["backup"]
    assert backup["without"] == []
    assert backup["code"] == 0, backup["told"]
    assert backup["made"] == [["0o600", "facegate"]]
    assert "1 people, verified" in backup["told"]
    assert not backup["secret_told"]


def test_figures_are_written_for_node_exporter_as_the_manual_says(seen):
    from prometheus_client.parser import text_string_to_metric_families

    metrics = seen["metrics"]
    assert "Read-only file system" in metrics["refusal"], "without the drop-in nothing is written"
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(metrics["text"])
        for sample in family.samples
    }
    assert samples["facegate_camera_up",] == 1
    assert samples["facegate_people_enrolled",] == 1
    assert samples["facegate_events_total", "granted"] >= 1


def test_somebody_is_told_what_is_bad_also_of_the_time_in_between(seen):
    telling = seen["telling"]
    assert telling["without"] == "inactive", "without a program it waits"
    assert telling["shown"] == 0, "what the manual shows is no program"
    assert telling["active"]
    assert "camera_lost" in telling["live"], telling["complaint"]
    assert "camera_lost" in telling["later"], telling["complaint"]
    assert telling["place"]


def test_an_upgrade_keeps_settings_and_people(seen):
    upgrades, good = seen["upgrades"], seen["upgrades"]["good"]
    assert good["code"] == 0, good["said"]
    assert good["active"] == "active"
    assert good["release"] != upgrades["before"]
    assert upgrades["settings"] == SETTINGS
    assert [p["name"] for p in upgrades["people"]] == ["Eileen"]
    assert upgrades["people_after"] == upgrades["people"]


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("unchecked", "nothing was switched"),
        ("broken_off", "broken off; back to"),
        ("unknown", "another face network"),
    ],
)
def test_an_upgrade_that_comes_to_nothing_leaves_the_old_version_at_work(seen, what, said):
    upgrade = seen["upgrades"][what]
    assert upgrade["code"] == 1
    assert said in upgrade["said"]
    assert upgrade["active"] == "active"
    assert upgrade["release"] == seen["upgrades"]["good"]["release"]


def test_a_version_that_does_not_start_gives_way_to_the_old_one(seen):
    upgrades = seen["upgrades"]
    assert upgrades["unstarted"]["code"] == 1
    assert "back to" in upgrades["unstarted"]["said"]
    assert upgrades["unstarted"]["active"] == "active"
    assert upgrades["unstarted"]["release"] == upgrades["good"]["release"]
    assert upgrades["unit_back"]
    assert upgrades["people_back"] == upgrades["people"], "what it did to the store is undone"
    assert len(upgrades["releases"]) == 2, "the old one and the one before; no failed one"


def test_uninstalling_leaves_what_it_says(seen):
    removal = seen["removal"]
    assert removal["uninstall"]["code"] == 0, removal["uninstall"]["said"]
    assert "Kept: /etc/facegate" in removal["uninstall"]["said"]
    kept = {"/etc/facegate", "/etc/facegate/config.yaml", "/var/lib/facegate/people.db"}
    users = {f"/etc/{n}{m}" for n in ("passwd", "group", "shadow", "gshadow") for m in ("", "-")}
    users.add("/etc/.pwd.lock")
    left = set(removal["left"])
    assert kept <= left
    assert {p for p in left - users if not p.startswith(KEPT)} == set()
    assert set(removal["left_after_purge"]) <= users
    assert "0 unit files listed" in removal["units"]


def test_a_wheel_that_was_tampered_with_is_refused(lives, suite, tmp_path):
    wheels = shutil.copytree(lives[suite].result().tree / "root/wheels", tmp_path / "wheels")
    (spoiled,) = wheels.glob("typer-*.whl")
    spoiled.write_bytes(spoiled.read_bytes() + b"\0")
    done = subprocess.run(
        [
            sys.executable, "-m", "pip", "download", "--no-index", "--no-deps",
            "--require-hashes", "--only-binary=:all:", "--find-links", str(wheels),
            "--dest", str(tmp_path / "out"), "--python-version", PYTHONS[suite],
            "-r", str(ROOT / f"deploy/locked/{PYTHONS[suite]}.txt"),
        ],
        capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.returncode != 0
    assert "DO NOT MATCH THE HASHES" in done.stderr
    assert spoiled.name in done.stderr
