"""What any command does when it is interrupted, or cannot write what it has to say."""

import os
import shutil
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


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this machine has no /dev/full")
def test_an_error_that_cannot_be_said_keeps_its_exit_code(facegate):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run((*FACEGATE, "status"), stdout=subprocess.PIPE, stderr=full)
    assert done.returncode == 7


@pytest.mark.parametrize("words", [("api",), ("--help",), ("door", "--help")])
def test_a_reader_that_leaves_is_no_answer(words):
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run((*FACEGATE, *words), stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


SOMEBODY_ELSE = 65_534
AS_ANYBODY = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search")
"""Root who may not look into everybody's folders: as good as another user, and finds its Python."""


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root, and setpriv"
)
@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("people", "list"), 7),
        (("enroll", "Ann", "--image", "face.png"), 7),
        (("status",), 7),
        (("door", "unlock"), 7),
        (("people", "show", "Ann"), 7),
        (("detect", "{folder}/face.png"), 3),
        (("config", "check", "{folder}/c.yaml"), 3),
        (("models", "show", "{folder}/m.tflite"), 3),
    ],
)
def test_what_one_may_not_open_is_one_line(tmp_path, words, code):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    os.chown(closed, SOMEBODY_ELSE, SOMEBODY_ELSE)
    config = tmp_path / "config.yaml"
    config.write_text(f"state: {{folder: {closed}/state}}\n")
    done = subprocess.run(
        (*AS_ANYBODY, *FACEGATE, *(word.format(folder=closed) for word in words)),
        capture_output=True,
        text=True,
        env=os.environ | {"FACEGATE_CONFIG": str(config)},
    )
    assert done.returncode == code, done.stderr
    assert done.stderr.startswith(f"facegate: {closed}")
    assert "use sudo" in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
