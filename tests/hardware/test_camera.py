import sys
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from facegate.errors import CameraError
from facegate.hardware import camera as camera_module
from facegate.hardware.camera import FileCamera, open_camera
from facegate.hardware.capture_time import capture_time_s

SIZES = {
    "width_px": 1920,
    "height_px": 1080,
    "small_width_px": 640,
    "small_height_px": 360,
    "fps": 15.0,
    "focus_m": 0.8,
}


@pytest.fixture
def opened(monkeypatch):
    """The Pi's and V4L2 cameras, replaced by what they are opened with."""
    calls = []

    def opens(name):
        def camera(*args):
            calls.append((name, *args))
            return SimpleNamespace(turned=False)

        return camera

    for name in ("PiCamera", "V4l2Camera"):
        monkeypatch.setattr(camera_module, name, opens(name))
    return calls


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("picamera2", ("PiCamera", 0, 1920, 1080, 640, 360, 15.0, 0.8, False)),
        ("picamera2:1", ("PiCamera", 1, 1920, 1080, 640, 360, 15.0, 0.8, False)),
        ("v4l2", ("V4l2Camera", "/dev/video0", 1920, 1080, 15.0)),
        ("v4l2:/dev/video2", ("V4l2Camera", "/dev/video2", 1920, 1080, 15.0)),
        ("/dev/null", ("V4l2Camera", "/dev/null", 1920, 1080, 15.0)),
    ],
)
def test_a_name_chooses_the_camera(opened, source, wanted):
    open_camera(source, **SIZES)
    assert opened == [wanted]


@pytest.mark.parametrize("prefix", ["file:", ""])
def test_a_path_is_a_file(tmp_path, prefix):
    path = tmp_path / "with:colon.png"
    cv2.imwrite(str(path), np.zeros((8, 8, 3), np.uint8))
    with open_camera(f"{prefix}{path}", **SIZES, pacing="fast", loop=True) as camera:
        assert isinstance(camera, FileCamera)
        assert camera.description == f"file {path}"


@pytest.mark.parametrize("source", ["", "webcam", "picamera2:x", "file:", "/no/such/path"])
def test_other_names_are_refused_with_what_there_is(source):
    with pytest.raises(CameraError, match=r"no such camera; use picamera2, .* This machine has: "):
        open_camera(source, **SIZES)


def test_importing_cameras_imports_no_picamera2():
    assert "picamera2" not in sys.modules


@pytest.mark.parametrize(
    ("stamp_s", "taken_s"), [(9.5, 9.5), (10.0, 10.0), (10.1, 10.0), (8.9, 10.0), (None, 10.0)]
)
def test_only_a_believable_stamp_is_taken(stamp_s, taken_s):
    assert capture_time_s(stamp_s, 10.0) == taken_s
