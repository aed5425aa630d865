"""What is tried on the virtual board: every result is one JSON line on the second serial port.

Runs in the virtual machine as root, with the system's Python.
"""

import grp
import http.client
import json
import socket
import subprocess
import time
import traceback
from pathlib import Path

from simulator import Chip, Noted, open_to_group, watch

CONFIG = Path("/etc/facegate/config.yaml")
PATIENCE_S = 200.0
RELAY, BUTTON = 17, 5
PULSE_S = 0.8
SETTINGS = f"""
camera: {{source: "file:/srv/board/portrait.jpg", loop: true, fps: 2.0}}
gpio: {{chip: pinctrl-bcm2711}}
access: {{votes_needed: 1}}
enrolment: {{captures: 3, interval_s: 0.1, countdown_s: 0.5, timeout_s: 120.0, arm_s: 1.0}}
door:
  relay: {{line: GPIO{RELAY}}}
  pulse_s: {PULSE_S}
  max_decision_age_s: 10.0
panel:
  button: {{line: GPIO{BUTTON}}}
  green: {{line: GPIO22}}
  red: {{line: GPIO23}}
  blue: {{line: GPIO24}}
  buzzer: {{line: GPIO25}}
"""


def sh(*words, **options):
    return subprocess.run(words, capture_output=True, text=True, **options)


def show(name):
    return sh("systemctl", "show", "-P", name, "facegate").stdout.strip()


def until(condition, seconds=PATIENCE_S):
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        if found := condition():
            return found
        time.sleep(0.1)
    raise TimeoutError(f"waited {seconds} s in vain for {condition}")


def events(name, since_s=0.0):
    """Entries of the journal, with what the panel and the door did by the kernel's clock."""
    lines = sh("journalctl", "-u", "facegate", "-o", "json", f"FACEGATE_EVENT={name}").stdout
    entries = [json.loads(line) for line in lines.splitlines()]
    return [e for e in entries if int(e["__MONOTONIC_TIMESTAMP"]) / 1e6 >= since_s]


def ask(method, path, body=None):
    """Ask the daemon over its socket."""
    connection = http.client.HTTPConnection("localhost")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(60)
    connection.sock.connect("/run/facegate/control.sock")
    connection.request(method, path, None if body is None else json.dumps(body))
    return json.loads(connection.getresponse().read())


def up():
    """Wait until the unit runs."""

    def there():
        if int(show("NRestarts")) > 2:
            raise RuntimeError("facegate does not start")
        return show("ActiveState") == "active"

    until(there)


# What is tried.


def by_the_button(pi4):
    """From the press of the button to the first grant, with the portrait before the camera."""
    CONFIG.write_text(SETTINGS)
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
        "edges": Noted().edges(pi4.label, RELAY, 0, 0, pressed_s),
    }


def prepare():
    for words in (
        ("modprobe", "configfs"),
        ("systemctl", "start", "sys-kernel-config.mount", "sys-kernel-tracing.mount"),
        ("modprobe", "gpio-sim"),
    ):
        subprocess.run(words, check=True)
    chip = Chip("pinctrl-bcm2711")
    watch()
    open_to_group(chip, grp.getgrnam("gpio").gr_gid)
    return chip


def main():
    with open("/dev/ttyS1", "w") as port:

        def tell(name, result, began_s):
            line = {"name": name, "result": result, "took_s": time.monotonic() - began_s}
            port.write(json.dumps(line) + "\n")
            port.flush()

        began_s = time.monotonic()
        try:
            pi4 = prepare()
        except Exception:
            tell("prepared", {"failed": traceback.format_exc()}, began_s)
            return
        tell("prepared", {}, began_s)
        began_s = time.monotonic()
        try:
            tell("by_the_button", by_the_button(pi4), began_s)
        except Exception:
            log = sh("journalctl", "-n", "60", "--no-pager", "-o", "short-monotonic").stdout
            failed = {"failed": traceback.format_exc(), "log": log[-6000:]}
            tell("by_the_button", failed, began_s)
        tell("lost", Noted().lost, began_s)


if __name__ == "__main__":
    main()
