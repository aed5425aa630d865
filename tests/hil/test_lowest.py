"""The lowest versions that facegate says it runs with are enough for it."""

import os
import subprocess
import sys
import tomllib

import pytest
from debian import ROOT
from packaging.requirements import Requirement

pytestmark = pytest.mark.host


def lowest():
    """Give each dependency at the version from which on it is asked for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for wanted in map(Requirement, project["dependencies"]):
        (bound,) = wanted.specifier
        assert bound.operator == ">=", f"{wanted}: has no lowest version"
        yield f"{wanted.name}=={bound.version}"


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="the lowest numpy is for Python 3.11")
def test_the_lowest_versions_show_help_and_know_a_face(tmp_path, eileen):
    own = tmp_path / "venv"
    subprocess.run((sys.executable, "-m", "venv", "--without-pip", own), check=True)
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
    python = own / "bin" / "python"
    done = subprocess.run(
        (*pip, "--python", python, "install", "--only-binary=:all:", *lowest()),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("FACEGATE")},
        "PYTHONPATH": str(ROOT),
        "STATE_DIRECTORY": str(tmp_path),
        "RUNTIME_DIRECTORY": str(tmp_path),
    }
    for words, says in (
        (("--help",), "knows who is there"),
        (("door", "--help"), "unlock"),
        (("enroll", "Ann", "--image", eileen), "Ann"),
        (("identify", eileen), "Ann"),
    ):
        done = subprocess.run(
            (python, "-m", "facegate", *words), capture_output=True, text=True, env=environment
        )
        assert done.returncode == 0, done.stderr
        assert says in done.stdout
