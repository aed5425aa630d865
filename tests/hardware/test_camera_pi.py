import sys
import threading
import types
from typing import ClassVar

import cv2
import numpy as np
import pytest

from facegate.errors import CameraError
from facegate.hardware.camera_pi import PiCamera

WIDTH, HEIGHT, STRIDE = 60, 32, 64


def yuv420(red, green, blue, stride, width=WIDTH, height=HEIGHT):
    """One colour as planar YUV420; the rows' padding is another colour."""
    planes = cv2.cvtColor(
        np.full((height, width, 3), (red, green, blue), np.uint8), cv2.COLOR_RGB2YUV_I420
    ).ravel()
    luma, u, v = np.split(planes, [width * height, width * height * 5 // 4])
    padded = []
    for plane, wide, pitch in ((luma, width, stride), (u, width // 2, stride // 2),
                               (v, width // 2, stride // 2)):  # fmt: skip
        rows = np.full((len(plane) // wide, pitch), 77, np.uint8)
        rows[:, :wide] = plane.reshape(-1, wide)
        padded.append(rows.ravel())
    return np.concatenate(padded).reshape(height * 3 // 2, stride)


class Request:
    def __init__(self, camera):
        self.camera = camera

    def make_array(self, name):
        if self.camera.broken:
            raise RuntimeError("buffer lost")
        return self.camera.streams[name]

    def get_metadata(self):
        return {"SensorTimestamp": self.camera.stamp_ns}

    def release(self):
        self.camera.released += 1


class Picamera2:
    """What is used of picamera2, with its life cycle checked."""

    made = ()
    cameras = 1
    refuses = None
    formats: ClassVar = {"main": "BGR888", "lores": "YUV420"}
    delivers: ClassVar = {
        "main": np.full((64, 120, 3), (1, 2, 3), np.uint8),
        "lores": yuv420(200, 40, 30, STRIDE),
    }

    @classmethod
    def global_camera_info(cls):
        return [{"Num": n} for n in range(cls.cameras)]

    def __init__(self, number):
        self.number, self.state, self.config = number, "open", None
        self.streams, self.stamp_ns = self.delivers, 41_900_000_000
        self.broken = self.stalled = False
        self.released = self.closed = 0
        self.made.append(self)

    def create_video_configuration(self, **wanted):
        return wanted

    def configure(self, config):
        if self.refuses:
            raise RuntimeError(self.refuses)
        assert self.state == "open"
        self.config, self.state = config, "configured"

    def camera_configuration(self):
        sizes = {"main": (120, 64), "lores": (WIDTH, HEIGHT)}
        return {n: {"format": f, "size": sizes[n]} for n, f in self.formats.items()}

    def start(self):
        assert self.state == "configured"
        self.state = "started"

    def capture_request(self, wait):
        assert wait is False
        assert self.state == "started"
        return "job"

    def wait(self, job, timeout):
        assert job == "job"
        assert timeout > 0
        if self.stalled:
            raise TimeoutError
        return Request(self)

    def close(self):
        self.state = "closed"
        self.closed += 1


@pytest.fixture
def stub(monkeypatch):
    class Fresh(Picamera2):
        """Each test has its own list of what was made."""

    Fresh.made = []
    module = types.ModuleType("picamera2")
    module.Picamera2 = Fresh
    monkeypatch.setitem(sys.modules, "picamera2", module)
    return Fresh


class Ticking:
    """A clock that moves on its own: half a second a look."""

    def __init__(self):
        self.now_s = 41.5

    def __call__(self):
        self.now_s += 0.5
        return self.now_s


def open_pi(number=0, clock=lambda: 42.0):
    return PiCamera(number, 120, 64, WIDTH, HEIGHT, 15.0, clock=clock)


def test_it_asks_for_both_streams_and_the_rate(stub):
    with open_pi():
        config = stub.made[0].config
    assert config["main"] == {"size": (120, 64), "format": "BGR888"}
    assert config["lores"] == {"size": (WIDTH, HEIGHT), "format": "YUV420"}
    assert config["controls"] == {"FrameRate": 15.0}


def test_frames_have_both_pictures_in_rgb_and_the_sensors_time(stub):
    with open_pi() as camera:
        frames = camera.frames(threading.Event())
        first, second = next(frames), next(frames)
    assert first.pixels[0, 0].tolist() == [1, 2, 3]
    assert first.small.shape == (HEIGHT, WIDTH, 3)
    assert np.abs(first.small[5, 5].astype(int) - (200, 40, 30)).max() <= 6
    assert first.captured_at_s == pytest.approx(41.9)
    assert (first.seq, second.seq) == (0, 1)
    assert stub.made[0].released == 2, "each buffer goes back"


def test_what_the_camera_agreed_to_is_what_is_converted(stub):
    stub.formats = {"main": "NV12", "lores": "RGB888"}
    luma, u, v = np.split(
        yuv420(200, 40, 30, WIDTH).ravel(), [WIDTH * HEIGHT, WIDTH * HEIGHT * 5 // 4]
    )
    nv12 = np.concatenate([luma, np.stack([u, v], axis=1).ravel()]).reshape(HEIGHT * 3 // 2, WIDTH)
    stub.delivers = {"main": nv12, "lores": np.full((HEIGHT, WIDTH, 3), (7, 8, 9), np.uint8)}
    with open_pi() as camera:
        frame = next(camera.frames(threading.Event()))
    assert frame.pixels.shape[0] == HEIGHT
    assert np.abs(frame.pixels[5, 5].astype(int) - (200, 40, 30)).max() <= 6
    assert frame.small[0, 0].tolist() == [9, 8, 7]


@pytest.mark.parametrize("stride", [WIDTH, STRIDE])
def test_a_small_picture_loses_its_padding(stub, stride):
    stub.delivers = stub.delivers | {"lores": yuv420(200, 40, 30, stride)}
    with open_pi() as camera:
        small = next(camera.frames(threading.Event())).small
    assert small.shape == (HEIGHT, WIDTH, 3)
    assert small.flags.c_contiguous
    assert np.abs(small.reshape(-1, 3).astype(int) - (200, 40, 30)).max() <= 6


def test_a_format_that_is_no_picture_is_refused(stub):
    stub.formats = {"main": "MJPEG", "lores": "YUV420"}
    with pytest.raises(CameraError, match="pictures come as MJPEG, not BGR888 or"):
        open_pi()
    assert stub.made[0].closed == 1


@pytest.mark.parametrize("stamp_ns", [None, 43_000_000_000, 5], ids=["none", "future", "old"])
def test_a_stamp_that_cannot_be_is_now(stub, stamp_ns):
    with open_pi() as camera:
        stub.made[0].stamp_ns = stamp_ns
        assert next(camera.frames(threading.Event())).captured_at_s == 42.0


def test_a_camera_that_stalls_is_an_error(stub):
    with open_pi(clock=Ticking()) as camera:
        stub.made[0].stalled = True
        with pytest.raises(CameraError, match="no picture for 3 seconds; check the ribbon"):
            next(camera.frames(threading.Event()))


def test_stopping_ends_the_wait_for_a_stalled_camera(stub):
    stopping = threading.Event()
    with open_pi() as camera:
        stub.made[0].wait = _stop_then_time_out(stopping)
        assert list(camera.frames(stopping)) == []


def _stop_then_time_out(stopping):
    def wait(job, timeout):
        stopping.set()
        raise TimeoutError

    return wait


def test_a_buffer_goes_back_even_when_it_cannot_be_read(stub):
    with open_pi() as camera:
        stub.made[0].broken = True
        with pytest.raises(CameraError, match="buffer lost"):
            next(camera.frames(threading.Event()))
    assert stub.made[0].released == 1


def test_close_closes_once_and_ends_the_frames(stub):
    with open_pi() as camera:
        frames = camera.frames(threading.Event())
        next(frames)
        camera.close()
        assert list(frames) == []
    assert stub.made[0].closed == 1


def test_a_refused_configuration_closes_the_camera(stub):
    stub.refuses = "lores stream too large"
    with pytest.raises(CameraError, match="cannot be started: lores stream too large"):
        open_pi()
    assert stub.made[0].closed == 1


def test_a_camera_that_is_not_there(stub):
    with pytest.raises(CameraError, match="camera 1: libcamera sees 1 camera"):
        open_pi(1)


def test_picamera2_missing_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "picamera2", None)
    with pytest.raises(CameraError, match="sudo apt install python3-picamera2"):
        open_pi()
