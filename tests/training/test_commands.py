"""What the training commands leave in the card, and what they say without their packages."""

import shlex
import subprocess
import sys

import pytest

from facegate.cli.train import without_paths
from facegate.errors import DataError

WITHOUT = """
import sys
for name in {missing!r}:
    sys.modules[name] = None
from facegate.cli.main import main
main()
"""


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("train detector --data /a/b --out /c --views 9", "--data DATA --out RUN --views 9"),
        ("train detector --out=/c --data=/a/b --seed 1", "--out=RUN --data=DATA --seed 1"),
        ("train detector --start-from /w.h5 --batch=4", "--start-from WEIGHTS --batch=4"),
    ],
)
def test_no_path_of_this_machine_gets_into_a_card(typed, kept):
    assert shlex.join(without_paths(shlex.split(typed))) == f"train detector {kept}"


@pytest.mark.parametrize(
    ("command", "missing", "extra"),
    [
        ("train embedder --data d --out {tmp}/o", ["torch"], "train"),
        ("train detector --data d --out {tmp}/o", ["torch"], "train"),
        ("export detector --weights w --out o.tflite --data d", ["tensorflow"], "train"),
        ("evaluate detector --data d", ["pyarrow"], "evaluate"),
        ("evaluate detector --data d --plots p", ["matplotlib"], "evaluate"),
    ],
)
def test_a_missing_extra_is_one_line_that_names_it(tmp_path, command, missing, extra):
    arguments = shlex.split(command.format(tmp=tmp_path))
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT.format(missing=missing), *arguments],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == DataError.exit_code, done.stderr
    lines = done.stderr.strip().splitlines()
    assert lines[-1] == f"facegate: this needs {missing[0]}: pip install 'facegate[{extra}]'"
    assert "Traceback" not in done.stderr
