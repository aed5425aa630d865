"""What happens inside the booted container: it installs, tries everything, writes what it saw.

Runs on the container's own Python, from probe.service; test_appliance.py judges /srv/seen.json.
The container boots twice: once to be installed, once with everything in place.
"""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path

SEEN = Path("/srv/seen.json")
SETTINGS = Path("/etc/facegate/config.yaml")
WORKING = Path("/srv/config.yaml")
CHANGING = (
    "/dev", "/proc", "/run", "/srv", "/root", "/sys", "/tmp", "/var/log", "/var/tmp",
    "/var/lib/systemd", "/var/lib/private", "/var/cache",
)  # fmt: skip
"""What a booted system writes to by itself."""


def sh(*words):
    return subprocess.run(words, capture_output=True, text=True)


def facegate(*words):
    done = sh("facegate", *words, "--config", str(SETTINGS))
    return done.returncode, done.stdout, done.stderr


def install(source, *options):
    wheels = () if "--uninstall" in options else ("--no-apt", "--wheels", "/root/wheels")
    done = sh(f"/root/{source}/deploy/install.sh", *wheels, *options)
    return {
        "code": done.returncode, "said": done.stdout + done.stderr, "active": show("ActiveState"),
        "release": os.path.realpath("/opt/facegate/venv"),
    }  # fmt: skip


def show(name):
    return sh("systemctl", "show", "-P", name, "facegate").stdout.strip()


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.2)
    return False


def events(name):
    lines = sh("journalctl", "-b", "-u", "facegate", "-o", "json", f"FACEGATE_EVENT={name}").stdout
    return [json.loads(line) for line in lines.splitlines()]


def active():
    return show("ActiveState") == "active"


def files():
    """Every path that stays, with what would change if it were written to."""
    found = {}
    for folder, folders, names in os.walk("/"):
        folders[:] = [f for f in folders if os.path.join(folder, f) not in CHANGING]
        for name in folders + names:
            path = os.path.join(folder, name)
            status = os.lstat(path)
            found[path] = None if name in folders else [status.st_size, status.st_mtime_ns]
    return found


def first_boot():
    """A fresh system is installed on; with the default settings it finds no camera."""
    before = files()
    seen = {"before": before, "fresh": install("source")}
    SETTINGS.write_bytes(WORKING.read_bytes())
    sh("systemctl", "reset-failed", "facegate")
    sh("systemctl", "restart", "facegate")
    seen["set_up"] = until(active)
    return seen


def gate():
    """The gate after a boot, at its work."""
    seen = {"active": until(active), "ready_events": len(events("ready"))}
    live = watching("--event", "granted")
    seen["enroll"] = facegate("enroll", "Eileen", "--image", "/srv/door.jpg")
    seen["granted"] = until(lambda: events("granted"), 20)
    seen["entry"] = events("granted")[0] if seen["granted"] else {}
    seen["watched"] = live()
    seen["watched_since"] = facegate(
        "watch", "--no-follow", "--since", "1 hour ago", "--person", "Eileen", "--json"
    )
    explained = sh("journalctl", "-x", "-u", "facegate").stdout
    seen["explained"] = "Subject: Somebody was let in" in explained
    until(lambda: "1 people" in show("StatusText"), 10)
    seen["status_text"] = show("StatusText")
    seen["reload"] = sh("systemctl", "reload", "facegate").stderr
    seen["reloaded"] = until(lambda: events("settings_reloaded"), 20)
    outsider = sh("runuser", "-u", "nobody", "--", "facegate", "status", "--config", str(SETTINGS))
    seen["outsider"] = outsider.returncode
    seen["state_mode"] = oct(os.stat("/var/lib/facegate").st_mode & 0o777)
    seen["imports"] = sh("/opt/facegate/venv/bin/python", "-c", IMPORTS).stdout.split()
    seen["pip_check"] = sh("/opt/facegate/venv/bin/pip", "check").stdout
    return seen


def watching(*words):
    """Begin to watch; calling the answer ends it by Ctrl-C and says what came, and how it ended."""
    told = Path("/srv/watched")
    with told.open("w") as out:
        watcher = subprocess.Popen(
            ["facegate", "watch", *words, "--json", "--config", str(SETTINGS)],
            stdout=out, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def ended():
        until(lambda: told.read_text().endswith("\n"), 20)
        watcher.send_signal(signal.SIGINT)
        complaint = watcher.communicate(timeout=20)[1]
        return told.read_text().splitlines(), watcher.returncode, complaint

    return ended


IMPORTS = """
import cv2, numpy, systemd.daemon
from facegate import parts
from facegate.config import Config
vision = parts.load_vision(Config())
print(numpy.__version__, numpy.__file__, vision.embedder.model.delegate)
"""


def failures():
    """It is killed in three ways, and stopped."""
    seen = {}
    for name in ("SEGV", "KILL", "STOP"):
        before = int(show("NRestarts"))
        os.kill(int(show("MainPID")), signal.Signals[f"SIG{name}"])
        seen[name] = until(lambda before=before: int(show("NRestarts")) > before and active())
    began = time.monotonic()
    sh("systemctl", "stop", "facegate")
    seen["stop_s"], seen["result"] = time.monotonic() - began, show("Result")
    seen["told"] = sh("journalctl", "-u", "facegate", "-o", "cat", "-n", "30").stdout
    seen["stopped_events"] = len(events("stopped"))
    seen["audit"] = json.loads(facegate("audit", "verify", "--json")[1])
    recorded = json.loads(facegate("audit", "show", "--json", "--last", "1000")[1])
    seen["recorded"] = [record["event"] for record in recorded]
    return seen


def sealed_key():
    """The key moves into a credential that only this machine reads; the timer checks the trail."""
    key, aside = Path("/var/lib/facegate/key"), Path("/srv/key")
    sealed = Path("/etc/credstore.encrypted/facegate-key")
    fresh = not sealed.parent.exists()
    sealed.parent.mkdir(mode=0o700, exist_ok=True)
    done = sh("systemd-creds", "encrypt", "--name=facegate-key", str(key), str(sealed))
    key.rename(aside)
    sh("systemctl", "start", "facegate")
    seen = {"encrypted": done.stderr, "active": until(active), "people": people()}
    sh("systemctl", "stop", "facegate")
    trail = Path("/var/lib/facegate/audit.jsonl")
    whole = trail.read_text()
    seen["verified"] = sh("systemctl", "start", "facegate-verify.service").returncode
    trail.write_text(whole.replace("granted", "refused", 1))
    seen["spoiled"] = sh("systemctl", "start", "facegate-verify.service").returncode
    trail.write_text(whole)
    trail.rename("/srv/audit.jsonl")
    seen["removed"] = sh("systemctl", "start", "facegate-verify.service").returncode
    shutil.move("/srv/audit.jsonl", trail)
    sealed.unlink()
    if fresh:
        sealed.parent.rmdir()
    aside.rename(key)
    seen["timer"] = sh("systemctl", "is-active", "facegate-verify.timer").stdout.strip()
    return seen


def backup():
    """The timer's service makes a full backup, once there is a passphrase."""
    folder, passphrase = Path("/var/backups/facegate"), Path("/etc/facegate/backup-passphrase")
    sh("systemctl", "start", "facegate-backup.service")
    seen = {"without": os.listdir(folder)}
    passphrase.write_text("correct horse battery staple\n")
    passphrase.chmod(0o600)
    seen["code"] = sh("systemctl", "start", "facegate-backup.service").returncode
    made = list(folder.iterdir())
    seen["made"] = [[oct(p.stat().st_mode & 0o777), p.owner()] for p in made]
    told = sh("journalctl", "-b", "-u", "facegate-backup", "-o", "cat").stdout
    seen["told"], seen["secret_told"] = told, "horse" in told
    return seen


def metrics():
    """Figures for node_exporter, as the manual says; first without its drop-in, then with it."""
    manual = Path("/root/source/docs/operating.md").read_text()
    manual = manual[manual.index("## Figures over time") :]
    path = Path(re.search(r"metrics\.textfile: (/\S+\.prom)", manual)[1])
    path.parent.mkdir(parents=True)
    sh("chgrp", "facegate", str(path.parent))
    sh("chmod", "g+w", str(path.parent))
    SETTINGS.write_text(f"{WORKING.read_text()}metrics: {{textfile: {path}, every_s: 1}}\n")
    sh("systemctl", "start", "facegate")
    seen = {"refused": until(lambda: events("metrics_failed"), 20)}
    seen["refusal"] = events("metrics_failed")[0]["MESSAGE"] if seen["refused"] else ""
    drop_in = Path("/etc/systemd/system/facegate.service.d/override.conf")
    drop_in.parent.mkdir()
    drop_in.write_text(re.search(r"```ini\n(.*?)```", manual, re.DOTALL)[1])
    sh("systemctl", "daemon-reload")
    sh("systemctl", "restart", "facegate")
    until(lambda: path.exists() and re.search(r'event="granted"} [1-9]', path.read_text()))
    seen["text"] = sh("runuser", "-u", "nobody", "--", "cat", str(path)).stdout
    sh("systemctl", "stop", "facegate")
    shutil.rmtree("/var/lib/prometheus")
    shutil.rmtree(drop_in.parent)
    sh("systemctl", "daemon-reload")
    SETTINGS.write_bytes(WORKING.read_bytes())
    return seen


def telling():
    """A program is told what is bad, also of the time in which nobody told it."""
    manual = Path("/root/source/docs/operating.md").read_text()
    manual = manual[manual.index("## Being told") :]
    program, box = Path("/etc/facegate/tell"), Path("/run/facegate-told")
    seen = {"without": tell_state()}
    shown = re.search(r"```sh\n(#!/bin/sh\n.*?)```", manual, re.DOTALL)[1]
    seen["shown"] = sh("sh", "-n", "-c", shown).returncode
    program.write_text("#!/bin/sh\ncat >> /run/facegate-told/lines\n")
    program.chmod(0o755)
    box.mkdir()
    box.chmod(0o777)
    drop_in = Path("/etc/systemd/system/facegate-tell.service.d/override.conf")
    drop_in.parent.mkdir()
    drop_in.write_text(f"[Service]\nReadWritePaths={box}\n")
    sh("systemctl", "daemon-reload")
    sh("systemctl", "start", "facegate-tell")
    seen["active"] = until(lambda: tell_state() == "active")
    seen["live"] = told_of_a_failure(box / "lines")
    sh("systemctl", "stop", "facegate-tell")
    seen["later"] = told_of_a_failure(
        box / "lines", lambda: sh("systemctl", "start", "facegate-tell")
    )
    seen["place"] = Path("/var/lib/private/facegate-tell/place").exists()
    seen["complaint"] = sh("journalctl", "-b", "-u", "facegate-tell", "-o", "cat").stdout
    sh("systemctl", "stop", "facegate-tell")
    program.unlink()
    shutil.rmtree(drop_in.parent)
    shutil.rmtree(box)
    sh("systemctl", "daemon-reload")
    return seen


def tell_state():
    return sh("systemctl", "show", "-P", "ActiveState", "facegate-tell").stdout.strip()


def told_of_a_failure(path, afterwards=lambda: None):
    began = datetime.now(UTC)
    lose_camera()
    afterwards()
    until(lambda: since(began, path))
    return since(began, path)


def since(moment, path):
    """The events of which the program was told, of those that happened since a moment."""
    lines = path.read_text().splitlines() if path.exists() else []
    told = [json.loads(line) for line in lines]
    return [t["event"] for t in told if datetime.fromisoformat(t["at"]) >= moment]


def lose_camera():
    """Let the gate look for a camera that is not there, which is an event of severity err."""
    SETTINGS.write_text(WORKING.read_text().replace("/srv/door.jpg", "/srv/no-door.jpg"))
    sh("systemctl", "restart", "facegate")
    until(lambda: not active() or "camera lost" in show("StatusText"), 10)
    SETTINGS.write_bytes(WORKING.read_bytes())
    sh("systemctl", "stop", "facegate")
    sh("systemctl", "reset-failed", "facegate")


def people():
    code, said, complaint = facegate("people", "list", "--json")
    if code != 0:
        state = f"{show('ActiveState')}, {show('Result')}, {show('NRestarts')} restarts"
        raise RuntimeError(f"people list ended with {code}: {complaint}; the unit: {state}")
    return json.loads(said)


def upgrades():
    """A good one, one that fails its check, and one that does not start."""
    sh("systemctl", "start", "facegate")
    seen = {"before": os.path.realpath("/opt/facegate/venv"), "people": people()}
    seen["good"] = install("source")
    seen["people_after"], seen["settings"] = people(), SETTINGS.read_text()
    SETTINGS.write_text("no_such_section: {}\n")
    seen["unchecked"] = install("source")
    SETTINGS.write_bytes(WORKING.read_bytes())
    seen["broken_off"] = broken_off()
    other_network()
    seen["unknown"] = install("source")
    SETTINGS.write_bytes(WORKING.read_bytes())
    seen["unstarted"] = install("stillborn")
    seen["people_back"] = people()
    seen["unit_back"] = "stillborn" not in show("ExecStart")
    seen["releases"] = sorted(os.listdir("/opt/facegate/releases"))
    return seen


def broken_off():
    """An upgrade in whose middle a step fails, with the gate stopped."""
    folder = Path("/srv/bin")
    folder.mkdir(exist_ok=True)
    stub = folder / "journalctl"
    stub.write_text(
        '#!/bin/sh\n[ "$1" = --update-catalog ] && exit 1\nexec /usr/bin/journalctl "$@"\n'
    )
    stub.chmod(0o755)
    path = os.environ["PATH"]
    os.environ["PATH"] = f"{folder}:{path}"
    try:
        return install("source")
    finally:
        os.environ["PATH"] = path


def other_network():
    """Name a network in the settings to whose file nobody's templates belong."""
    (shipped,) = Path("/opt/facegate/venv/lib").glob("python3*/site-packages/facegate/models")
    other = Path("/etc/facegate/other.tflite")
    other.write_bytes((shipped / "inception_resnet_lite.tflite").read_bytes() + b"\0")
    card = json.loads((shipped / "inception_resnet_lite.json").read_text())
    card["sha256"] = hashlib.sha256(other.read_bytes()).hexdigest()
    other.with_suffix(".json").write_text(json.dumps(card))
    SETTINGS.write_text(WORKING.read_text() + "\nmodels: {embedder: other.tflite}\n")


def removal(before):
    """What uninstalling and purging leave behind, against the files before installing."""
    seen = {"uninstall": install("source", "--uninstall"), "left": left(before)}
    seen["purge"] = install("source", "--uninstall", "--purge")
    seen["left_after_purge"] = left(before)
    seen["units"] = sh("systemctl", "list-unit-files", "facegate*").stdout
    return seen


def left(before):
    now = files()
    return sorted(p for p in now.keys() | before.keys() if now.get(p, "") != before.get(p, ""))


def main():
    seen = json.loads(SEEN.read_text()) if SEEN.exists() else {}
    try:
        if not seen:
            seen |= first_boot()
        else:
            seen |= {"gate": gate(), "failures": failures(), "sealed": sealed_key()}
            seen |= {"backup": backup(), "metrics": metrics(), "telling": telling()}
            seen["upgrades"] = upgrades()
            seen["removal"] = removal(seen.pop("before"))
    except Exception:
        seen["error"] = traceback.format_exc()
    SEEN.write_text(json.dumps(seen))


if __name__ == "__main__":
    main()
