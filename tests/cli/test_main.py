"""What any command does when it is interrupted, or cannot write what it has to say."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

FACEGATE = (sys.executable, "-m", "facegate")
SLOW_IMPORT = """
import time
print("loading", flush=True)
time.sleep(60)
"""


def test_ctrl_c_while_it_is_loaded_ends_it_without_a_traceback(tmp_path):
    (tmp_path / "typer.py").write_text(SLOW_IMPORT)
    here = Path(__file__).parents[2]
    paths = {"PYTHONPATH": f"{tmp_path}{os.pathsep}{here}"}
    with subprocess.Popen(
        (*FACEGATE, "api"),
        env=os.environ | paths,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # What is started in the background of a script ignores Ctrl-C, and so would its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as p:
        assert p.stdout is not None
        assert p.stdout.readline() == "loading\n"
        time.sleep(0.2)
        p.send_signal(signal.SIGINT)
        _, said = p.communicate(timeout=30)
    assert p.returncode == 130
    assert said == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this machine has no /dev/full")
def test_a_full_disk_under_standard_output_is_one_line():
    with Path("/dev/full").open("w") as full:
        done = subprocess.run((*FACEGATE, "api"), stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 3
    assert done.stderr.strip().splitlines() == [
        "facegate: the disk is full or fails; check it (dmesg, df)"
    ]
