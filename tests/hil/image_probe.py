"""What happens inside the booted image whose root is read-only: two boots, one enrolment.

Runs beside appliance_probe.py, which it takes its tools from; test_image.py judges what it writes.
"""

import json
import subprocess
from pathlib import Path

from appliance_probe import active, events, facegate, people, until

KEPT, LOST = Path("/srv/facegate"), Path("/etc/written-to-the-root")
INSTALLER = "/opt/facegate/venv/share/facegate/deploy/install.sh"

first = not (KEPT / "first.json").exists()
seen = {"active": until(active), "people_at_boot": people(), "lost": LOST.exists()}
if first:
    LOST.touch()
    upgrade = subprocess.run([INSTALLER], capture_output=True, text=True)
    seen["upgrade"] = [upgrade.returncode, upgrade.stderr]
    seen["enroll"] = facegate("enroll", "Eileen", "--image", "/srv/door.jpg")
seen["granted"] = until(lambda: events("granted"), 30)
boots = subprocess.run(["journalctl", "--list-boots", "-q"], capture_output=True, text=True)
seen["boots"] = len([line for line in boots.stdout.splitlines() if line.strip()[:1] in "-0"])
seen["root"] = subprocess.run(
    ["findmnt", "-n", "-o", "FSTYPE", "/"], capture_output=True, text=True
).stdout.strip()
(KEPT / ("first.json" if first else "second.json")).write_text(json.dumps(seen))
