"""facegate's camera on the real picamera2, over libcamera's virtual camera.

It proves how picamera2 is used, the life of a camera and the way of the pixels; not the Pi's image
processor and not an unplugged cable: those need a Pi.
"""

import json
import os
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from debian import PYTHONS, build, needs_root_and, run, wheels

pytestmark = pytest.mark.camera
FIXTURE = Path(__file__).parent / "virtual_pi"
PACKAGES = "base-files,python3,python3-numpy,python3-libcamera,libcamera-ipa"
PICAMERA2 = (
    "picamera2==0.3.38", "piexif==1.1.3", "pillow==13.0.0", "simplejpeg==1.9.0",
    "videodev2==0.0.4", "jsonschema==4.26.0",
)  # fmt: skip
"""From PyPI, because Debian has no package of it; its newest at the time of writing."""
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
SCENE = np.array([[RED, GREEN], [BLUE, WHITE]], np.uint8)


def pip(*words):
    machine = os.uname().machine
    run(
        sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile",
        "--only-binary=:all:", "--implementation", "cp", "--python-version", PYTHONS["trixie"],
        *(f"--platform=manylinux_2_{n}_{machine}" for n in (17, 27, 28)),
        f"--platform=manylinux2014_{machine}", *words,
    )  # fmt: skip


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """What the probe printed."""
    needs_root_and("mmdebstrap", "gcc", "chroot")
    folder = tmp_path_factory.mktemp("camera")
    tree, site = folder / "tree", folder / "tree/opt/site"
    build(tree, "trixie", PACKAGES, "--variant=extract")
    wheels(folder / "wheels", PYTHONS["trixie"], os.uname().machine)
    pip("--target", site, "--no-index", "--find-links", folder / "wheels", *folder.glob("wheels/*"))
    pip("--target", tree / "opt/picamera2", *PICAMERA2)
    shutil.copytree(FIXTURE, tree / "opt/virtual")
    library = tree / "opt/virtual/heap.so"
    run("gcc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", library, FIXTURE / "heap.c")
    (tree / "dev/dma_heap").mkdir(parents=True)
    (tree / "dev/dma_heap/linux,cma").touch()
    settings = tree / "usr/share/libcamera/pipeline/virtual"
    settings.mkdir(parents=True)
    shutil.copy(FIXTURE / "virtual.yaml", settings)
    (tree / "srv/frames").mkdir(parents=True)
    scene = cv2.resize(SCENE, (640, 480), interpolation=cv2.INTER_NEAREST)
    assert cv2.imwrite(str(tree / "srv/frames/0.jpg"), scene[..., ::-1])
    shutil.copy(Path(__file__).with_name("camera_probe.py"), tree / "srv/probe.py")
    (libraries,) = tree.glob("usr/lib/*-linux-gnu/blas")
    libraries = Path("/") / libraries.parent.relative_to(tree)
    run("mount", "--bind", "/proc", tree / "proc")
    try:
        printed = run(
            shutil.which("chroot"), tree, "/usr/bin/python3", "/srv/probe.py", timeout=200,
            env={
                "LD_PRELOAD": "/opt/virtual/heap.so", "HOME": "/root",
                "LD_LIBRARY_PATH": f"{libraries}/blas:{libraries}/lapack",
                "PYTHONPATH": "/opt/virtual:/opt/site:/opt/picamera2",
                # The virtual camera never says how a buffer fared: new memory is made to say well.
                "GLIBC_TUNABLES": "glibc.malloc.perturb=255:glibc.malloc.tcache_count=0",
            },
        )  # fmt: skip
    finally:
        run("umount", tree / "proc")
    yield json.loads(printed.splitlines()[-1])
    shutil.rmtree(folder, ignore_errors=True)


def test_two_streams_come_in_the_sizes_asked_for(seen):
    assert seen["formats"] == ["NV12", "NV12"], "what the virtual camera puts in place of others"
    assert seen["shapes"] == [[480, 640, 3], [240, 320, 3]]


@pytest.mark.parametrize("stream", ["main", "small"])
def test_the_picture_is_upright_and_its_colours_are_right(seen, stream):
    for colour, wanted in zip(seen[stream], SCENE.reshape(-1, 3), strict=True):
        assert np.abs(np.subtract(colour, wanted.astype(int))).max() < 40, seen[stream]


def test_pictures_turned_over_are_asked_for_as_picamera2_wants_it(seen):
    """libcamera's virtual camera takes the wish and leaves the pixels; the Pi's sensors flip."""
    assert seen["transform"] == [True, 1, 1]
    assert seen["upside_down"] == [480, 640, 3]


def test_a_camera_without_a_sensor_and_a_lens_that_moves_is_described(seen):
    assert seen["description"].startswith("picamera2 camera 0, picture 640×480, lens fixed")


def test_frames_are_numbered_and_stamped_with_the_monotonic_clock(seen):
    assert seen["seq"] == [0, 1, 2, 3, 4]
    stamps = seen["captured_at_s"]
    assert stamps == sorted(stamps)
    assert 0 <= seen["now_s"] - stamps[-1] < 60


def test_a_second_open_is_refused_and_disturbs_nothing(seen):
    assert "another program may hold it" in seen["second_open"]
    assert seen["after_second_open"] == 5


def test_a_camera_that_is_not_there_is_named(seen):
    assert "camera 1: libcamera sees 1 camera" in seen["no_such_camera"]


def test_opening_again_and_again_leaks_nothing(seen):
    assert len(set(seen["descriptors"][1:])) == 1, seen["descriptors"]


def test_a_stall_is_noticed_and_the_camera_comes_back(seen):
    assert seen["across_a_stall"] == [0, 1, 2, 3, 4, 5]
    why, gone_s = seen["told"]
    assert "no picture for 3 seconds" in why
    assert gone_s > 0
    assert seen["open_at_reopening"] == [0], "never two at once"


def test_pixels_lie_in_the_cameras_own_memory(seen):
    assert seen["lent_shape"] == [480, 213, 3]
    assert seen["lent_in"] == ["r--s", "/memfd:dma-buf (deleted)"]
    assert seen["marked"] == [9, 8, 7], "what is written into the buffer shows in the frame"


def test_a_frame_that_is_kept_is_not_written_over_and_stops_nothing(seen):
    assert seen["while_one_is_kept"] == 200
    assert seen["most_lent"] == 3, "that one, the newest, and the one before while it is replaced"
    assert seen["kept_after_200"] == [9, 8, 7]
    assert seen["newest_after_200"] != [9, 8, 7], "the other buffers go round"


def test_whoever_keeps_every_frame_starves_nobody(seen):
    assert seen["while_all_are_kept"] == 59
    assert seen["lent_to_the_greedy"] == 3


def test_a_frame_outlives_its_camera_and_does_not_hinder_the_next(seen):
    assert seen["left_of_the_camera"] == []
    assert seen["kept_after_close"] == seen["kept_after_another"] == [9, 8, 7]
    assert seen["kept_in"] == ["r--s", "/memfd:dma-buf (deleted)"]
    assert seen["reopened_while_kept"] == list(range(20))


def test_its_memory_goes_with_it(seen):
    assert seen["mappings_left"] == 0
    assert seen["descriptors_left"] <= seen["descriptors"][-1]
