"""Pictures of a camera that is mounted turned come upright, whatever camera it is."""

import sys
import threading
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from stub_picamera2 import HEIGHT, MAIN_HEIGHT, MAIN_WIDTH, WIDTH

from facegate.hardware import camera as camera_module
from facegate.hardware.camera import open_camera
from facegate.hardware.camera_turned import TurnedCamera
from facegate.hardware.camera_v4l2 import V4l2Camera
from facegate.types import Frame

ROTATIONS = (0, 90, 180, 270)
MARKS = {0: "upper left", 90: "upper right", 180: "lower right", 270: "lower left"}
"""Where the upper left corner of what the camera delivers lies once it is turned clockwise."""


def marked(width, height):
    """A dark picture whose upper left quarter is red: uint8 (height, width, 3), RGB."""
    pixels = np.full((height, width, 3), 10, np.uint8)
    pixels[: height // 2, : width // 2] = (200, 20, 20)
    return pixels


def where(pixels):
    """Say which quarter is red, and that the others are not."""
    height, width = pixels.shape[:2]
    corners = {
        "upper left": pixels[height // 4, width // 4],
        "upper right": pixels[height // 4, width * 3 // 4],
        "lower left": pixels[height * 3 // 4, width // 4],
        "lower right": pixels[height * 3 // 4, width * 3 // 4],
    }
    (red,) = (name for name, pixel in corners.items() if pixel[0] > 150 > pixel[1])
    return red


def shape(width, height, rotation):
    return (height, width, 3) if rotation in (0, 180) else (width, height, 3)


def one_frame(source, rotation, width=160, height=120):
    with open_camera(
        source, width_px=width, height_px=height, small_width_px=WIDTH, small_height_px=HEIGHT,
        fps=15.0, rotation=rotation,
    ) as camera:  # fmt: skip
        return next(camera.frames(threading.Event())), camera.description


@pytest.mark.parametrize("rotation", ROTATIONS)
def test_a_file(tmp_path, rotation):
    path = tmp_path / "door.png"
    cv2.imwrite(str(path), marked(60, 40)[..., ::-1])
    frame, description = one_frame(f"file:{path}", rotation)
    assert where(frame.pixels) == MARKS[rotation]
    assert frame.pixels.shape == shape(60, 40, rotation)
    assert frame.small is None
    assert description.startswith(f"file {path}")
    assert (f", turned by {rotation}°" in description) == (rotation != 0)


class Webcam:
    """What is used of OpenCV's capture; it delivers BGR."""

    def isOpened(self):
        return True

    def set(self, prop, value):
        return False

    def get(self, prop):
        return 0.0

    def read(self):
        return True, marked(160, 120)[..., ::-1]

    def release(self):
        pass


@pytest.mark.parametrize("rotation", ROTATIONS)
def test_a_webcam(monkeypatch, rotation):
    monkeypatch.setattr(
        camera_module,
        "V4l2Camera",
        lambda *args: V4l2Camera(*args, opener=lambda device, backend: Webcam()),
    )
    frame, _ = one_frame("v4l2:/dev/null", rotation)
    assert where(frame.pixels) == MARKS[rotation]
    assert frame.pixels.shape == shape(160, 120, rotation)


def planes(pixels):
    """A picture as YUV420, without padding."""
    return cv2.cvtColor(pixels, cv2.COLOR_RGB2YUV_I420)


@pytest.fixture
def pi(stub, monkeypatch):
    """A Pi's camera whose streams are marked, and the part of libcamera that flips them.

    Attributes:
        flips: whether the sensor can.
    """

    class Flipping(stub):
        flips = True

        def configure(self, config):
            wanted = config.get("transform")
            self.flipped = bool(wanted and self.flips)
            turn = (lambda p: p[::-1, ::-1]) if self.flipped else (lambda p: p)
            main = np.ascontiguousarray(turn(marked(MAIN_WIDTH, MAIN_HEIGHT)))
            small = np.ascontiguousarray(turn(marked(WIDTH, HEIGHT)))
            self.gives("main", "BGR888", main.reshape(MAIN_HEIGHT, -1), (MAIN_WIDTH, MAIN_HEIGHT))
            self.gives("lores", "YUV420", planes(small))
            super().configure(config)

        def camera_configuration(self):
            flip = int(self.flipped)
            return {**super().camera_configuration(), "transform": Transform(flip, flip)}

    def Transform(hflip=0, vflip=0):
        return SimpleNamespace(hflip=hflip, vflip=vflip)

    sys.modules["picamera2"].Picamera2 = Flipping
    monkeypatch.setitem(sys.modules, "libcamera", SimpleNamespace(Transform=Transform))
    return Flipping


@pytest.mark.parametrize("flips", [True, False])
@pytest.mark.parametrize("rotation", ROTATIONS)
def test_the_pis_camera(pi, rotation, flips):
    pi.flips = flips
    frame, description = one_frame("picamera2", rotation, MAIN_WIDTH, MAIN_HEIGHT)
    assert where(frame.pixels) == where(frame.small) == MARKS[rotation]
    assert frame.pixels.shape == shape(MAIN_WIDTH, MAIN_HEIGHT, rotation)
    assert frame.small.shape == shape(WIDTH, HEIGHT, rotation)
    assert not frame.pixels.flags.writeable
    assert (f"turned by {rotation}°" in description) == (rotation != 0)
    config = pi.made[0].config
    assert ("transform" in config) == (rotation == 180), "the sensor turns it over for nothing"


def test_a_turned_picture_needs_the_cameras_buffer_no_more(pi):
    with open_camera(
        "picamera2", width_px=MAIN_WIDTH, height_px=MAIN_HEIGHT, small_width_px=WIDTH,
        small_height_px=HEIGHT, fps=15.0, rotation=90,
    ) as camera:  # fmt: skip
        frames = camera.frames(threading.Event())
        kept = [next(frames) for _ in range(10)]
        assert camera._camera._buffers.lent <= 1
    assert len(kept) == 10


def test_it_closes_the_camera_and_keeps_number_and_time():
    closed = []
    source = SimpleNamespace(
        description="x",
        frames=lambda stopping: iter([Frame(marked(8, 6), 1.5, 7)]),
        close=lambda: closed.append(True),
    )
    with TurnedCamera(source, 90) as camera:
        (frame,) = camera.frames(threading.Event())
    assert (frame.captured_at_s, frame.seq, closed) == (1.5, 7, [True])
