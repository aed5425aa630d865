import sys
import threading

import numpy as np
import pytest
from stub_picamera2 import HEIGHT, STRIDE, WIDTH, nv12, open_pi, packed, yuv420

from facegate.errors import CameraError


class Ticking:
    """A clock that moves on its own: half a second a look."""

    def __init__(self):
        self.now_s = 41.5

    def __call__(self):
        self.now_s += 0.5
        return self.now_s


def test_it_asks_for_both_streams_and_the_rate(stub):
    with open_pi():
        config = stub.made[0].config
    assert config["main"] == {"size": (120, 64), "format": "BGR888"}
    assert config["lores"] == {"size": (WIDTH, HEIGHT), "format": "YUV420"}
    assert config["controls"] == {"FrameRate": 15.0}
    assert config["buffer_count"] == 6
    assert config["raw"] is None, "nobody reads it"


def test_the_sensor_is_read_in_the_mode_of_the_widest_view(stub):
    with open_pi() as camera:
        assert stub.made[0].config["sensor"] == {"output_size": (240, 180), "bit_depth": 10}
        assert camera.description == (
            "picamera2 camera 0, sensor mode 240×180, 10 bits, view 240×180 at 0,0, picture 120×64"
            ", lens fixed"
        )


def test_pictures_are_shrunk_to_what_the_sensor_delivers(stub):
    stub.sensor_modes = [{**stub.sensor_modes[1], "size": (50, 40)}]
    with open_pi():
        config = stub.made[0].config
    assert (config["main"]["size"], config["lores"]["size"]) == ((50, 26), (48, 26))


def test_a_mode_that_cannot_be_had_leaves_the_camera_to_picamera2(stub, monkeypatch, caplog):
    plain = stub.configure

    def configure(self, config):
        if config["sensor"]:
            raise OSError(12, "Cannot allocate memory")
        plain(self, config)

    monkeypatch.setattr(stub, "configure", configure)
    with open_pi() as camera:
        assert stub.made[0].config["main"]["size"] == (120, 64)
        assert next(camera.frames(threading.Event())).seq == 0
        assert "sensor mode" not in camera.description
    assert "its widest view cannot be had" in caplog.text


def test_a_camera_without_raw_pictures_is_left_to_picamera2(stub):
    stub.camera_properties = {"Model": "usb"}
    stub.sensor_modes = None
    with open_pi() as camera:
        assert stub.made[0].config["sensor"] == {}
        assert camera.description == "picamera2 camera 0, picture 120×64, lens fixed"


LENS = {"AfMode": (0, 2, 0), "LensPosition": (0.0, 15.0, 1.0)}
"""Of a Camera Module 3: manual, single and continuous focus; dioptres."""


@pytest.mark.parametrize(
    ("focus_m", "controls", "said"),
    [
        (0.8, {"AfMode": 0, "LensPosition": 1.25}, "focus at 0.8 m"),
        (0.05, {"AfMode": 0, "LensPosition": 15.0}, "focus at 0.05 m"),
        (None, {}, "lens at rest"),
    ],
)
def test_a_lens_that_moves_is_set_to_the_distance(stub, focus_m, controls, said):
    stub.camera_controls = stub.camera_controls | LENS
    with open_pi(focus_m=focus_m) as camera:
        assert stub.made[0].config["controls"] == {"FrameRate": 15.0, **controls}
        assert camera.description.endswith(said)


def test_a_lens_that_cannot_move_is_left_alone_and_told(stub):
    with open_pi(focus_m=0.8) as camera:
        assert stub.made[0].config["controls"] == {"FrameRate": 15.0}
        assert camera.description.endswith(", lens fixed")


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
    stub.gives("main", "NV12", nv12(200, 40, 30, STRIDE))
    stub.gives("lores", "RGB888", packed(7, 8, 9, 192, WIDTH, HEIGHT))
    with open_pi() as camera:
        frame = next(camera.frames(threading.Event()))
    assert frame.pixels.shape == frame.small.shape == (HEIGHT, WIDTH, 3)
    assert np.abs(frame.pixels.astype(int) - (200, 40, 30)).max() <= 6
    assert (frame.small == (9, 8, 7)).all()


def test_a_converted_picture_needs_its_buffer_no_more(stub):
    stub.gives("main", "NV12", nv12(200, 40, 30, STRIDE))
    with open_pi() as camera:
        frame = next(camera.frames(threading.Event()))
        assert stub.made[0].released == 1
    assert not frame.pixels.flags.writeable, "as one that is lent"


def test_a_small_picture_is_never_lent(stub):
    stub.gives("lores", "BGR888", packed(7, 8, 9, 192, WIDTH, HEIGHT))
    with open_pi() as camera:
        small = next(camera.frames(threading.Event())).small
        assert small.flags.owndata
    assert (small == (7, 8, 9)).all()


@pytest.mark.parametrize("stride", [WIDTH, STRIDE])
def test_a_small_picture_loses_its_padding(stub, stride):
    stub.gives("lores", "YUV420", yuv420(200, 40, 30, stride))
    with open_pi() as camera:
        small = next(camera.frames(threading.Event())).small
    assert small.shape == (HEIGHT, WIDTH, 3)
    assert small.flags.c_contiguous
    assert np.abs(small.reshape(-1, 3).astype(int) - (200, 40, 30)).max() <= 6


def test_a_format_that_is_no_picture_is_refused(stub):
    stub.gives("main", "MJPEG", packed(1, 2, 3))
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
