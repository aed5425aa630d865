"""The unit facegate.service, its journal and its socket, as root sees them."""

import http.client
import json
import os
import socket
import subprocess
import time
from pathlib import Path

CONFIG = Path("/etc/facegate/config.yaml")
CGROUP = Path("/sys/fs/cgroup/system.slice/facegate.service")
PATIENCE_S = 200.0
JSON = {"Content-Type": "application/json"}


def sh(*words, **options):
    return subprocess.run(words, capture_output=True, text=True, **options)


def show(name):
    return sh("systemctl", "show", "-P", name, "facegate").stdout.strip()


def until(condition, seconds=PATIENCE_S, every_s=0.1):
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        if found := condition():
            return found
        time.sleep(every_s)
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
    text, kind = (None, {}) if body is None else (json.dumps(body), JSON)
    connection.request(method, path, text, kind)
    return json.loads(connection.getresponse().read())


def unlock():
    """Release the strike; on so slow a processor the door may need to be asked again."""
    until(lambda: "door" in (ask("POST", "/v1/door/unlock", {}) or {}))


def up():
    """Wait until the unit runs."""

    def there():
        if int(show("NRestarts")) > 2:
            raise RuntimeError("facegate does not start")
        return show("ActiveState") == "active"

    until(there)


def enter_cgroup():
    """Make this process one of the unit's, under its limits."""
    (CGROUP / "cgroup.procs").write_text(str(os.getpid()))
