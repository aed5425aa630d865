"""Power cuts while people are enrolled and removed: what was acknowledged is on the disk.

User-Mode Linux boots this very system, with a disk that drops every write after the cut.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from debian import needs_root_and

pytestmark = pytest.mark.powercut
CUTS = 32
HERE = Path(__file__).parent
MODULES = Path("/usr/lib/uml/modules")
INIT = """#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root OPENBLAS_NUM_THREADS=1 PYTHONPATH={path}
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
exec {python} {driver} {modules} {cuts} 20261124 {report}
"""


def test_through_many_power_cuts_nothing_acknowledged_is_lost(tmp_path):
    needs_root_and("linux.uml", "dmsetup", "mkfs.ext4", "insmod", "blockdev")
    versions = list(MODULES.iterdir()) if MODULES.is_dir() else []
    if not versions:
        pytest.skip("this machine has no modules for User-Mode Linux")
    disk, init, report = (tmp_path / name for name in ("disk", "init", "report.json"))
    with disk.open("wb") as file:
        file.truncate(32 << 20)
    init.write_text(
        INIT.format(
            path=":".join([*(p for p in sys.path if p), str(HERE)]),
            python=sys.executable,
            driver=HERE / "power_cuts.py",
            modules=versions[0],
            cuts=CUTS,
            report=report,
        )
    )
    init.chmod(0o755)
    done = subprocess.run(
        [
            str(shutil.which("linux.uml")), "mem=384M", "rootfstype=hostfs", "rootflags=/", "rw",
            f"ubdb={disk}", "con=null", "con0=fd:0,fd:1", "con1=null", "ssl=null", "quiet",
            f"init={init}",
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=900,
    )  # fmt: skip
    assert report.exists(), (done.stdout + done.stderr)[-3000:]
    found = json.loads(report.read_text())
    print(found)
    assert "broken" not in found, found["broken"]
    assert found["wrong"] == []
    assert found["cuts"] == CUTS >= 30
    assert found["added"] > CUTS
    assert found["recorded"] > 2 * CUTS
