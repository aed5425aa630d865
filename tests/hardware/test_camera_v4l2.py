import threading

import cv2
import numpy as np
import pytest

from facegate.errors import CameraError
from facegate.hardware.camera_v4l2 import FAILED_READS, V4l2Camera


class Capture:
    """A V4L2 device: knows some pixel formats, reads what it is told."""

    def __init__(self, reads=(), formats=("MJPG", "YUYV"), opened=True, stamp_s=0.0):
        self.reads = list(reads)
        self.codes = {cv2.VideoWriter.fourcc(*f) for f in formats}
        self.opened, self.stamp_s = opened, stamp_s
        self.properties = {}
        self.released = 0

    def isOpened(self):
        return self.opened

    def set(self, prop, value):
        if prop == cv2.CAP_PROP_FOURCC and value not in self.codes:
            return False
        self.properties[prop] = value
        return True

    def get(self, prop):
        if prop == cv2.CAP_PROP_POS_MSEC:
            return self.stamp_s * 1000
        return float(self.properties.get(prop, 0))

    def read(self):
        pixels = self.reads.pop(0) if self.reads else None
        return pixels is not None, pixels

    def release(self):
        self.released += 1


class Impatient(threading.Event):
    """Never waits."""

    def wait(self, timeout=None):
        return self.is_set()


@pytest.fixture
def device(tmp_path):
    path = tmp_path / "video0"
    path.touch()
    return str(path)


def camera_with(device, capture, now_s=50.0):
    return V4l2Camera(
        device, 640, 480, 15.0, clock=lambda: now_s, opener=lambda path, backend: capture
    )


BLUE = np.full((4, 6, 3), (255, 0, 0), np.uint8)  # as OpenCV has it


def test_it_asks_for_size_rate_format_and_no_buffering(device):
    capture = Capture()
    camera = camera_with(device, capture)
    assert camera.pixel_format == "MJPG"
    assert capture.properties[cv2.CAP_PROP_FRAME_WIDTH] == 640
    assert capture.properties[cv2.CAP_PROP_FRAME_HEIGHT] == 480
    assert capture.properties[cv2.CAP_PROP_FPS] == 15.0
    assert capture.properties[cv2.CAP_PROP_BUFFERSIZE] == 1


@pytest.mark.parametrize(("has", "chosen"), [(["YUYV"], "YUYV"), ([], "its own")])
def test_it_takes_the_format_the_camera_has(device, has, chosen):
    assert camera_with(device, Capture(formats=has)).pixel_format == chosen


def test_frames_are_rgb_with_the_drivers_time(device):
    camera = camera_with(device, Capture([BLUE, BLUE], stamp_s=49.9))
    frames = camera.frames(threading.Event())
    first, second = next(frames), next(frames)
    assert first.pixels[0, 0].tolist() == [0, 0, 255]
    assert first.captured_at_s == pytest.approx(49.9)
    assert (first.seq, second.seq) == (0, 1)


def test_single_failed_reads_are_forgiven(device):
    camera = camera_with(device, Capture([None, BLUE, *[None] * (FAILED_READS - 1), BLUE]))
    frames = camera.frames(Impatient())
    assert [next(frames).seq, next(frames).seq] == [0, 1]


def test_a_camera_that_stops_delivering_is_an_error(device):
    frames = camera_with(device, Capture([BLUE])).frames(Impatient())
    next(frames)
    with pytest.raises(CameraError, match="stopped delivering pictures; check its cable"):
        next(frames)


def test_close_releases_once_and_ends_the_frames(device):
    capture = Capture([BLUE, BLUE])
    with camera_with(device, capture) as camera:
        frames = camera.frames(threading.Event())
        next(frames)
        camera.close()
        assert list(frames) == []
    assert capture.released == 1


def test_stopping_ends_the_frames(device):
    stopping = threading.Event()
    stopping.set()
    assert list(camera_with(device, Capture([BLUE])).frames(stopping)) == []


def test_a_missing_device_says_which_there_are(tmp_path):
    with pytest.raises(CameraError, match=r"video9: no such camera; (there are|this machine has)"):
        V4l2Camera(str(tmp_path / "video9"), 640, 480, 15.0)


def test_what_opencv_cannot_open_is_refused_and_released(device):
    capture = Capture(opened=False)
    with pytest.raises(CameraError, match="cannot be opened as a camera"):
        camera_with(device, capture)
    assert capture.released == 1


def test_the_real_opencv_refuses_a_plain_file_in_silence(device, capfd):
    with pytest.raises(CameraError, match="cannot be opened as a camera"):
        V4l2Camera(device, 640, 480, 15.0)
    assert capfd.readouterr() == ("", "")
