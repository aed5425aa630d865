"""The locked wheels are those that facegate asks for."""

import re
import tomllib

import pytest
from debian import PYTHONS, ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

FROM_DEBIAN = {"numpy"}


def pinned(name):
    """The packages of a lock file with their versions; each must have hashes."""
    text = (ROOT / f"deploy/locked/{name}.txt").read_text().replace("\\\n", " ")
    found = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            package, version = re.match(r"(\S+?)==(\S+) +--hash=sha256:[0-9a-f]{64}", line).groups()
            found[canonicalize_name(package)] = version
    return found


@pytest.mark.parametrize("python", PYTHONS.values())
def test_every_dependency_is_pinned_as_asked(python):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    locked = pinned(python)
    for wanted in map(Requirement, project["dependencies"]):
        name = canonicalize_name(wanted.name)
        if name not in FROM_DEBIAN:
            assert locked.get(name) in wanted.specifier, f"{wanted}: run deploy/lock.sh"
    assert not FROM_DEBIAN & locked.keys()


def test_what_makes_the_wheel_is_pinned():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    for wanted in map(Requirement, project["build-system"]["requires"]):
        assert pinned("build")[wanted.name] in wanted.specifier, "run deploy/lock.sh"
