"""A whole Debian with facegate installed by its installer: boot, readiness, watchdog, restarts.

One container is built and booted once; a probe inside it tries everything and writes what it saw.
"""

import json
import os
import shutil
import sys
from pathlib import Path

import pytest
from debian import boot, build, inside, needs_root_and, run

pytestmark = pytest.mark.appliance
ROOT = Path(__file__).parents[2]
PACKAGES = (
    "systemd,systemd-sysv,dbus,passwd,python3,python3-venv,python3-systemd,python3-numpy,"
    "libgl1,libglib2.0-0"
)
SETTINGS = """
camera: {source: "file:/srv/door.jpg", loop: true, fps: 5}
gpio: {driver: fake}
access: {votes_needed: 1}
"""
PROBE = r"""
import json, os, signal, subprocess, time

def sh(*words):
    return subprocess.run(words, capture_output=True, text=True)

def show(name):
    return sh("systemctl", "show", "-P", name, "facegate").stdout.strip()

def until(condition, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.2)
    return False

def events(name):
    lines = sh("journalctl", "-u", "facegate", "-o", "json", f"FACEGATE_EVENT={name}").stdout
    return [json.loads(line) for line in lines.splitlines()]

def restarted(before):
    return until(lambda: int(show("NRestarts")) > before and show("ActiveState") == "active", 60)

seen = {}
seen["active"] = until(lambda: show("ActiveState") == "active", 60)
seen["ready_events"] = len(events("ready"))
enrolled = sh("facegate", "enroll", "Eileen", "--image", "/srv/door.jpg", "--config",
              "/etc/facegate/config.yaml")
seen["enroll"] = [enrolled.returncode, enrolled.stdout + enrolled.stderr]
seen["granted"] = until(lambda: events("granted"), 20)
if seen["granted"]:
    entry = events("granted")[0]
    seen["entry"] = {k: entry.get(k) for k in ("MESSAGE_ID", "FACEGATE_LATENCY_MS", "MESSAGE")}
seen["explained"] = "Subject: Somebody was let in" in sh(
    "journalctl", "-x", "-u", "facegate").stdout
seen["status"] = until(lambda: "1 people" in show("StatusText"), 10)
seen["status_text"] = show("StatusText")
outsider = sh("runuser", "-u", "nobody", "--", "facegate", "status", "--config",
              "/etc/facegate/config.yaml")
seen["outsider"] = [outsider.returncode, outsider.stderr]
seen["state_mode"] = oct(os.stat("/var/lib/facegate").st_mode & 0o777)
for name, number in (("segv", signal.SIGSEGV), ("kill", signal.SIGKILL)):
    before = int(show("NRestarts"))
    os.kill(int(show("MainPID")), number)
    seen[name] = restarted(before)
before = int(show("NRestarts"))
os.kill(int(show("MainPID")), signal.SIGSTOP)
seen["watchdog"] = restarted(before)
began = time.monotonic()
sh("systemctl", "stop", "facegate")
seen["stop_s"] = time.monotonic() - began
seen["result"] = show("Result")
seen["stopped_events"] = len(events("stopped"))
audit = sh("facegate", "audit", "verify", "--json", "--config", "/etc/facegate/config.yaml")
seen["audit"] = json.loads(audit.stdout)
recorded = sh("facegate", "audit", "show", "--json", "--last", "1000",
              "--config", "/etc/facegate/config.yaml")
seen["recorded"] = [record["event"] for record in json.loads(recorded.stdout)]
with open("/srv/seen.json", "w") as file:
    json.dump(seen, file)
"""
PROBE_UNIT = """
[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/usr/bin/python3 /srv/probe.py
ExecStopPost=/usr/bin/systemctl exit 0
TimeoutStartSec=240
[Install]
WantedBy=default.target
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory, request):
    """A bookworm tree with facegate installed from wheels, without a network."""
    needs_root_and("systemd-nspawn", "mmdebstrap")
    import cv2

    walkup = pytest.importorskip("facegate.demo.walkup", reason="needs facegate[demo]")
    pytest.importorskip("skimage", reason="the portraits need facegate[demo]")
    folder = tmp_path_factory.mktemp("appliance")
    tree = folder / "tree"
    build(tree, "bookworm", PACKAGES)
    source = tree / "root/source"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(".*", "runs", "facegate-demo"))
    wheels = tree / "root/wheels"
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    machine = os.uname().machine
    run(
        str(ROOT / "deploy/wheels.sh"),
        str(wheels),
        "3.11",
        machine,
        env=os.environ | {"PATH": path},
    )
    friend, _ = walkup.portraits()
    cv2.imwrite(str(tree / "srv/door.jpg"), cv2.cvtColor(friend.pixels, cv2.COLOR_RGB2BGR))
    yield tree
    shutil.rmtree(folder, ignore_errors=True)


def install(tree, *options):
    return inside(
        tree, "/root/source/deploy/install.sh", "--no-apt", "--wheels", "/root/wheels", *options
    )


@pytest.fixture(scope="module")
def seen(tree):
    """What the probe saw during one boot."""
    settings = tree / "etc/facegate/config.yaml"
    settings.parent.mkdir(parents=True)
    settings.write_text(SETTINGS)
    install(tree)
    inside(tree, "/usr/bin/systemctl", "enable", "facegate.service")
    (tree / "srv/probe.py").write_text(PROBE)
    (tree / "etc/systemd/system/probe.service").write_text(PROBE_UNIT)
    inside(tree, "/usr/bin/systemctl", "enable", "probe.service")
    console = boot(tree, timeout_s=300)
    result = tree / "srv/seen.json"
    assert result.exists(), console[-3000:]
    return json.loads(result.read_text())


def test_it_boots_into_a_working_gate(seen):
    assert seen["active"]
    assert seen["ready_events"] == 1
    assert seen["enroll"][0] == 0, seen["enroll"]
    assert seen["granted"]
    assert "1 people" in seen["status_text"]


def test_the_journal_holds_its_fields_and_explains_them(seen):
    from facegate.events import EVENTS

    assert seen["entry"]["MESSAGE_ID"] == EVENTS["granted"].message_id
    assert float(seen["entry"]["FACEGATE_LATENCY_MS"]) > 0
    assert "Eileen" in seen["entry"]["MESSAGE"]
    assert seen["explained"]


@pytest.mark.parametrize("end", ["segv", "kill", "watchdog"])
def test_systemd_brings_it_back(seen, end):
    assert seen[end]


def test_it_stops_cleanly_within_two_seconds(seen):
    assert seen["stop_s"] < 2
    assert seen["result"] == "success"
    assert seen["stopped_events"] == 1


def test_the_trail_holds_through_kills_and_restarts(seen):
    assert seen["audit"]["problem"] is None
    assert seen["audit"]["records"] == len(seen["recorded"])
    assert seen["recorded"].count("started") == 4
    assert {"enrolled", "granted", "door_unlocked"} <= set(seen["recorded"])
    assert seen["recorded"][-1] == "stopped"


def test_others_get_nothing(seen):
    assert seen["outsider"][0] != 0
    assert seen["state_mode"] == "0o700"


def test_an_upgrade_keeps_settings_and_people(seen, tree):
    people = (tree / "var/lib/facegate/people.db").read_bytes()
    before = os.readlink(tree / "opt/facegate/venv")
    told = install(tree)
    assert "kept" in told
    assert os.readlink(tree / "opt/facegate/venv") != before
    assert (tree / "etc/facegate/config.yaml").read_text() == SETTINGS
    assert (tree / "var/lib/facegate/people.db").read_bytes() == people


def test_a_version_that_fails_its_check_is_not_switched_to(seen, tree):
    before = os.readlink(tree / "opt/facegate/venv")
    settings = tree / "etc/facegate/config.yaml"
    settings.write_text("no_such_section: {}\n")
    with pytest.raises(AssertionError, match="nothing was switched"):
        install(tree)
    settings.write_text(SETTINGS)
    assert os.readlink(tree / "opt/facegate/venv") == before


def test_uninstalling_keeps_what_it_says(seen, tree):
    inside(tree, "/root/source/deploy/install.sh", "--uninstall")
    assert not (tree / "opt/facegate").exists()
    assert not (tree / "etc/systemd/system/facegate.service").exists()
    assert (tree / "var/lib/facegate/people.db").exists()
    assert (tree / "etc/facegate/config.yaml").exists()
