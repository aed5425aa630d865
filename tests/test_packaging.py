"""Wheel and sdist hold what ships, whatever else lies in the checkout they are made from."""

import email
import json
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from facegate.config import Config
from facegate.parts import detector_path, embedder_path, network_file, refiner_path

ROOT = Path(__file__).parents[1]
SHIPPED = ("facegate", "models", "config.yaml", "deploy", "docs", "scripts", "systemd", "tests")
BESIDE = ("pyproject.toml", "README.md", "LICENSE", ".gitignore")
STRAYS = (
    *("PEOPLE/Ann/1.jpg", "before.fgbackup", "runs/own/prepared/1.png", "models/own.tflite"),
    *("models/own.json", "models/Ann.jpg", "models/before/inception_resnet_lite.tflite"),
)


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """Give wheel and sdist, made from a copy of the checkout that is lived in."""
    folder = tmp_path_factory.mktemp("packed")
    copy, maker, out = folder / "facegate", folder / "maker", folder / "out"
    for name in (*SHIPPED, *BESIDE):
        place = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy.mkdir(exist_ok=True)
        place(ROOT / name, copy / name)
    for name in STRAYS:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_text("somebody's own")
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install")
    locked = ("--no-deps", "--require-hashes", "-r", ROOT / "deploy/locked/build.txt")
    subprocess.run((*pip, "--target", maker, *locked), check=True)
    subprocess.run(
        (sys.executable, "-m", "hatchling", "build", "-d", out),
        cwd=copy,
        env={"PYTHONPATH": str(maker)},
        check=True,
        capture_output=True,
    )
    (wheel,), (sdist,) = out.glob("*.whl"), out.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as wheel_file, tarfile.open(sdist) as sdist_file:
        yield wheel_file, sdist_file


@pytest.fixture
def names(packed):
    """Give the names of the files in each."""
    wheel, sdist = packed
    return wheel.namelist(), [n.partition("/")[2] for n in sdist.getnames()]


def test_nobodys_own_files_are_packed(names):
    for inside in names:
        for stray in STRAYS:
            assert not [n for n in inside if n.endswith(stray)], stray
        assert not [n for n in inside if n.endswith((".jpg", ".fgbackup"))]


def test_what_ships_is_packed(names):
    wheel, sdist = names
    networks = [p(Config()) for p in (detector_path, refiner_path, embedder_path)]
    for network in (*networks, network_file("inception_resnet_lite")):
        for name in (network.name, network.with_suffix(".json").name):
            assert f"facegate/models/{name}" in wheel
            assert f"models/{name}" in sdist
    assert "facegate/config.yaml" in wheel
    assert set(BESIDE) | {"config.yaml"} <= set(sdist)
    assert {name.partition("/")[0] for name in sdist} == {*SHIPPED, *BESIDE, "PKG-INFO"}
    code = {str(p.relative_to(ROOT)) for p in (ROOT / "facegate").rglob("*.py")}
    assert code <= set(wheel)
    assert code <= set(sdist)


def test_the_wheel_says_what_its_networks_may_be_used_for(packed, names):
    about = next(n for n in names[0] if n.endswith(".dist-info/METADATA"))
    said = email.message_from_bytes(packed[0].read(about))
    licence = "LicenseRef-facegate-networks-research-only"
    assert said["License-Expression"] == f"MIT AND {licence}"
    assert said.get_all("License-File") == ["LICENSE", "models/LICENSE"]
    text = packed[0].read(about.replace("METADATA", "licenses/models/LICENSE")).decode()
    assert licence in text
    assert "models/LICENSE" in names[1]
    for card in (n for n in names[0] if n.endswith(".json")):
        use, _, _ = json.loads(packed[0].read(card))["data"]["licence"].partition(":")
        assert f"\n{use}. " in text
