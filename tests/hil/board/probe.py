"""What is tried on the virtual board: every result is one JSON line on the second serial port.

Runs in the virtual machine as root, with the system's Python.
"""

import grp
import json
import os
import subprocess
import sys
import time
import traceback
from pathlib import Path

import endings
from simulator import Chip, Noted, open_to_group, watch
from unit import CONFIG, ask, enter_cgroup, events, sh, show, unlock, until, up

HERE = Path(__file__).parent
PYTHON = "/opt/facegate/venv/bin/python"
RELAY, BUTTON = 17, 5
PULSE_S = 0.8
SETTINGS = f"""
gpio: {{chip: pinctrl-bcm2711}}
access: {{votes_needed: 1}}
enrolment: {{captures: 3, interval_s: 0.1, countdown_s: 0.5, timeout_s: 120.0, arm_s: 1.0}}
door:
  relay: {{line: GPIO{RELAY}}}
  pulse_s: {PULSE_S}
  max_decision_age_s: 10.0
panel:
  button: {{line: GPIO{BUTTON}, debounce_s: 0.05}}  # it bounces as slowly as it computes
  green: {{line: GPIO22}}
  red: {{line: GPIO23}}
  blue: {{line: GPIO24}}
  buzzer: {{line: GPIO25}}
"""
PORTRAIT = 'camera: {source: "file:/srv/board/portrait.jpg", loop: true, fps: 2.0}'
EMPTY = 'camera: {source: "file:/srv/board/empty.jpg", loop: true, fps: 2.0}'
FORBIDDEN = ("/dev/vda", "/dev/kmsg", "/dev/mem")
ALLOWED = ("/dev/gpiochip0", "/dev/video0", "/dev/null")


def configure(camera, pulse_s=PULSE_S):
    CONFIG.write_text(f"{camera}\n{SETTINGS}".replace(f"pulse_s: {PULSE_S}", f"pulse_s: {pulse_s}"))


def relay_edges(chip, since_s):
    """The relay's edges since a moment at which it was locked."""
    return Noted().edges(chip.label, RELAY, 0, 0, since_s)


# What is tried.


def by_the_button(pi4):
    """From the press of the button to the first grant, with the portrait before the camera."""
    configure(PORTRAIT)
    sh("systemctl", "start", "facegate")
    up()
    pi4.pull(BUTTON, 1)
    until(lambda: ask("GET", "/v1/status").get("detected_fps", 0) > 0)
    before = ask("GET", "/v1/people")
    pressed_s = time.monotonic()
    pi4.pull(BUTTON, 0)
    time.sleep(0.2)
    pi4.pull(BUTTON, 1)
    granted = until(lambda: events("granted", pressed_s))[0]
    granted_s = int(granted["__MONOTONIC_TIMESTAMP"]) / 1e6
    until(lambda: events("door_locked", granted_s))
    prolonged = bool(events("door_prolonged", pressed_s))
    return {
        "before": before,
        "after": ask("GET", "/v1/people"),
        "latency_ms": float(granted["FACEGATE_LATENCY_MS"]),
        "message": granted["MESSAGE"],
        "pressed_s": pressed_s,
        "granted_s": granted_s,
        "prolonged": prolonged,
        "edges": relay_edges(pi4, pressed_s),
    }


def pulses(pi4, count=10):
    """Unlocked by command, again and again."""
    began_s = time.monotonic()
    for number in range(count):
        unlock()
        until(lambda n=number: len(relay_edges(pi4, began_s)) == 2 * n + 2)
    return {"edges": relay_edges(pi4, began_s)}


def presses(pi4, count=50):
    """Bouncing presses of the enrolment button that nobody armed: the camera shows nobody."""
    configure(EMPTY)
    sh("systemctl", "restart", "facegate")
    up()
    until(lambda: ask("GET", "/v1/status").get("detected_fps", 0) > 0)
    people = ask("GET", "/v1/people")
    began_s, longest_s = time.monotonic(), 0.0
    with pi4.hand_on(BUTTON) as pull:
        for _ in range(count):
            for held in (0, 1):
                bounce_s = time.monotonic()
                for level in (held, 1 - held, held, 1 - held, held):
                    pull(level)
                longest_s = max(longest_s, time.monotonic() - bounce_s)
                time.sleep(0.2)
    until(lambda: len(events("enrol_button_ignored", began_s)) >= count)
    time.sleep(1)
    return {
        "ignored": len(events("enrol_button_ignored", began_s)),
        "longest_bounce_s": longest_s,
        "began": len(events("enrol_began", began_s)),
        "unchanged": ask("GET", "/v1/people") == people,
        "people": len(people),
        "edges": relay_edges(pi4, began_s),
    }


OPEN = """
import json, os, sys
told = {}
for path in sys.argv[1:]:
    try:
        os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK))
        told[path] = "opened"
    except OSError as error:
        told[path] = error.strerror
print(json.dumps(told))
"""


def devices(_):
    """Root in the unit's cgroup, so that nothing but the unit's device policy is in the way."""
    words = (sys.executable, "-c", OPEN, *FORBIDDEN, *ALLOWED)
    within, outside = (
        json.loads(sh(*words, preexec_fn=enter).stdout) for enter in (enter_cgroup, None)
    )
    return {"within": within, "outside": outside}


def reload(pi4):
    """systemctl reload: other rules, the same process."""
    pid, began_s = show("MainPID"), time.monotonic()
    configure(EMPTY, pulse_s=0.4)
    done = sh("systemctl", "reload", "facegate")
    until(lambda: events("settings_reloaded", began_s))
    unlock()
    until(lambda: len(relay_edges(pi4, began_s)) == 2)
    return {
        "status": done.returncode,
        "same": show("MainPID") == pid,
        "edges": relay_edges(pi4, began_s),
    }


def lives(pi5, *wanted):
    """See lives.py; with the levels that the simulator shows when all is over."""
    sh("systemctl", "stop", "facegate")  # it would take their time
    for number in range(4):
        pi5.pull(number, number % 2)
    out = Path("/run/lives.json")
    done = sh(PYTHON, str(HERE / "lives.py"), str(out), *map(str, wanted))
    if not out.exists():
        raise RuntimeError((done.stdout + done.stderr)[-4000:])
    return json.loads(out.read_text()) | {"levels": [pi5.level(n) for n in range(4)]}


def prepare():
    for words in (
        ("modprobe", "configfs"),
        ("systemctl", "start", "sys-kernel-config.mount", "sys-kernel-tracing.mount"),
        ("modprobe", "gpio-sim"),
        ("modprobe", "vivid", "n_devs=1", "node_types=0x1"),
    ):
        subprocess.run(words, check=True)
    chips = Chip("pinctrl-bcm2711"), Chip("pinctrl-rp1")
    watch()
    for chip in chips:
        open_to_group(chip, grp.getgrnam("gpio").gr_gid)
    os.chown("/dev/video0", 0, grp.getgrnam("video").gr_gid)
    os.chmod("/dev/video0", 0o660)
    return chips


def main():
    wanted = json.loads((HERE / "wanted.json").read_text())
    with open("/dev/ttyS1", "w") as port:

        def tell(name, result, began_s):
            line = {"name": name, "result": result, "took_s": time.monotonic() - began_s}
            port.write(json.dumps(line) + "\n")
            port.flush()

        began_s = time.monotonic()
        try:
            pi4, pi5 = prepare()
        except Exception:
            tell("prepared", {"failed": traceback.format_exc()}, began_s)
            return
        tell("prepared", {}, began_s)
        for name, try_it in (
            ("by_the_button", lambda: by_the_button(pi4)),
            ("endings", lambda: endings.run(pi5, *wanted["endings"])),
            ("presses", lambda: presses(pi4)),
            ("pulses", lambda: pulses(pi4)),
            ("devices", lambda: devices(pi4)),
            ("reload", lambda: reload(pi4)),
            ("lives", lambda: lives(pi5, *wanted["lives"])),
        ):
            began_s = time.monotonic()
            try:
                tell(name, try_it(), began_s)
            except Exception:
                log = sh("journalctl", "-n", "60", "--no-pager", "-o", "short-monotonic").stdout
                tell(name, {"failed": traceback.format_exc(), "log": log[-6000:]}, began_s)
        tell("lost", Noted().lost, began_s)


if __name__ == "__main__":
    main()
