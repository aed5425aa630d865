"""The locked wheels on aarch64: they install, import, and the networks answer as on this machine.

Each system's own Python and numpy for aarch64 run emulated, as the processor of a Zero 2 W: the
oldest one supported, so no instruction may be used that it lacks.
"""

import json
import os
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from debian import PYTHONS, ROOT, build, needs_root_and, run, wheels

pytestmark = pytest.mark.arm
EMULATOR = "qemu-aarch64-static"
PACKAGES = "base-files,python3,python3-numpy,libstdc++6,zlib1g,libgomp1"
LIBRARIES = "/usr/lib/aarch64-linux-gnu"
PROBE = Path(__file__).with_name("arm_probe.py")
MIN_COSINE = 0.99
CORES = 4
CORE = """processor\t: {number}
Features\t: fp asimd evtstrm crc32 cpuid
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: 0xd03
CPU revision\t: 4

"""
"""A Cortex-A53 as a Zero 2 W's kernel describes it; without it XNNPACK does not start."""


def describe_processor(tree):
    """Say in the system what it runs on, where the emulator says nothing."""
    cores = tree / "sys/devices/system/cpu"
    for folder in (tree / "proc", cores):
        folder.mkdir(parents=True, exist_ok=True)
    (tree / "proc/cpuinfo").write_text("".join(CORE.format(number=n) for n in range(CORES)))
    for name in ("possible", "present"):
        (cores / name).write_text(f"0-{CORES - 1}\n")


def emulated(suite, folder, pictures):
    """Install the wheel set into an aarch64 system and ask the networks there."""
    tree = folder / suite
    build(tree, suite, PACKAGES, "--architectures=arm64", "--variant=extract")
    wheels(folder / f"wheels-{suite}", PYTHONS[suite], "aarch64")
    site = tree / "opt/site"
    pip = (
        sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps",
        "--no-compile", "--target", site, "--only-binary=:all:", "--implementation", "cp",
        "--python-version", PYTHONS[suite],
        *(f"--platform=manylinux_2_{n}_aarch64" for n in (17, 27, 28)),
        "--platform=manylinux2014_aarch64",
    )  # fmt: skip
    found = ("--find-links", folder / f"wheels-{suite}")
    run(*pip, *found, "--require-hashes", "-r", ROOT / f"deploy/locked/{PYTHONS[suite]}.txt")
    run(*pip, *found, "facegate")
    describe_processor(tree)
    shutil.copytree(pictures, tree / "srv/pictures")
    shutil.copy(PROBE, tree / "srv/probe.py")
    shutil.copy(shutil.which(EMULATOR), tree / "usr/bin/emulator")
    # Nothing configured these packages, so numpy's BLAS is not yet where the linker looks.
    where = {"PYTHONPATH": "/opt/site", "QEMU_CPU": "cortex-a53",
             "LD_LIBRARY_PATH": f"{LIBRARIES}/blas:{LIBRARIES}/lapack"}  # fmt: skip
    run(
        shutil.which("chroot"), tree, "/usr/bin/emulator", "/usr/bin/python3",
        "/srv/probe.py", "/srv/pictures", "/srv/answers.json", env=where,
    )  # fmt: skip
    return json.loads((tree / "srv/answers.json").read_text())


@pytest.fixture(scope="module")
def asked(tmp_path_factory, portraits):
    """Here, and each aarch64 system's future answers to the same two pictures."""
    needs_root_and("mmdebstrap", EMULATOR, "chroot")
    import cv2

    folder = tmp_path_factory.mktemp("arm")
    pictures = folder / "pictures"
    pictures.mkdir()
    eileen, grace = portraits
    for name, pixels in (("eileen", eileen[:320, 80:400]), ("grace", grace[60:420, 80:440])):
        assert cv2.imwrite(str(pictures / f"{name}.png"), pixels[..., ::-1])
    with ThreadPoolExecutor(len(PYTHONS)) as pool:
        there = {suite: pool.submit(emulated, suite, folder, pictures) for suite in PYTHONS}
        run(
            sys.executable, PROBE, pictures, folder / "here.json",
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )  # fmt: skip
    yield json.loads((folder / "here.json").read_text()), there
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=PYTHONS)
def both(asked, request):
    here, there = asked
    return here, there[request.param].result(), request.param


def cosine(here, there):
    here, there = np.asarray(here), np.asarray(there)
    return float(here @ there / np.linalg.norm(here) / np.linalg.norm(there))


def test_it_is_the_other_architecture_with_its_own_parts(both):
    _, there, suite = both
    assert there["machine"] == "aarch64"
    assert there["python"].startswith(PYTHONS[suite] + ".")
    assert there["delegate"] == "XNNPACK"


def test_the_networks_answer_alike(both):
    here, there, _ = both
    assert here["answers"].keys() == there["answers"].keys() == {"eileen", "grace"}
    for name, answer in here["answers"].items():
        other = there["answers"][name]
        assert np.abs(np.subtract(answer["box"], other["box"])).max() < 4
        assert cosine(answer["embedding"], other["embedding"]) >= MIN_COSINE
        for output, values in answer["detector"].items():
            assert cosine(values, other["detector"][output]) >= MIN_COSINE, output


def test_the_two_people_stay_apart_there(both):
    _, there, _ = both
    eileen, grace = (there["answers"][n]["embedding"] for n in ("eileen", "grace"))
    assert cosine(eileen, grace) < 0.5
