import threading
from itertools import pairwise

import cv2
import numpy as np
import pytest

from facegate.errors import CameraError
from facegate.hardware.camera_file import SKIPPED_AT_MOST, FileCamera

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def write(path, colour):
    pixels = np.full((48, 64, 3), colour[::-1], np.uint8)
    assert cv2.imwrite(str(path), pixels)
    return path


def write_film(path, frames=10, fps=20.0, codec="MJPG"):
    film = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), fps, (64, 48))
    assert film.isOpened()
    for number in range(frames):
        film.write(np.full((48, 64, 3), (0, 0, 20 * number), np.uint8))
    film.release()
    return path


@pytest.fixture
def film(tmp_path):
    return write_film(tmp_path / "film.avi")


class Time:
    """A clock and an event whose waiting moves it."""

    def __init__(self):
        self.now_s = 100.0
        self.waits = []
        self.stop_at_s = float("inf")
        self.stopped = False

    def __call__(self):
        return self.now_s

    def is_set(self):
        return self.stopped

    def wait(self, timeout):
        self.waits.append(timeout)
        self.now_s += timeout
        self.stopped = self.now_s >= self.stop_at_s
        return self.stopped


def near(pixels, colour):
    return np.abs(pixels.reshape(-1, 3).mean(0) - colour).max() < 8


def test_one_picture_is_one_frame_in_rgb(tmp_path):
    with FileCamera(write(tmp_path / "red.png", RED)) as camera:
        frames = list(camera.frames(threading.Event()))
    assert [f.seq for f in frames] == [0]
    assert frames[0].pixels.shape == (48, 64, 3)
    assert near(frames[0].pixels, RED)
    assert frames[0].small is None
    assert camera.description == f"file {tmp_path / 'red.png'}"


def test_a_folder_gives_its_pictures_by_name_and_passes_over_the_rest(tmp_path):
    for name, colour in (("c.png", BLUE), ("a.png", RED), ("b.jpg", GREEN)):
        write(tmp_path / name, colour)
    (tmp_path / "notes.txt").write_text("not a picture")
    (tmp_path / "folder").mkdir()
    with FileCamera(tmp_path, pacing="fast") as camera:
        frames = list(camera.frames(threading.Event()))
    assert len(frames) == 3
    assert all(near(f.pixels, c) for f, c in zip(frames, (RED, GREEN, BLUE), strict=True))


@pytest.mark.parametrize(("name", "codec"), [("film.avi", "MJPG"), ("film.mp4", "mp4v")])
def test_a_film_gives_every_frame_in_fast_pacing(tmp_path, name, codec):
    path = write_film(tmp_path / name, codec=codec)
    with FileCamera(path, pacing="fast") as camera:
        frames = list(camera.frames(threading.Event()))
    assert [f.seq for f in frames] == list(range(10))
    reds = [f.pixels[..., 0].mean() for f in frames]
    assert reds == sorted(reds)
    assert reds[-1] - reds[0] > 150
    assert frames[-1].pixels[..., 2].mean() < 20


def test_real_time_keeps_the_films_own_rate(film):
    time = Time()
    with FileCamera(film, fps=1.0, clock=time) as camera:
        times = [f.captured_at_s for f in camera.frames(time)]
    np.testing.assert_allclose(times, 100 + np.arange(10) / 20, atol=1e-6)
    assert max(time.waits) <= 0.05 + 1e-6


def test_pictures_come_at_the_rate_asked_for(tmp_path):
    for name in ("a.png", "b.png", "c.png"):
        write(tmp_path / name, RED)
    time = Time()
    with FileCamera(tmp_path, fps=4.0, clock=time) as camera:
        times = [f.captured_at_s for f in camera.frames(time)]
    np.testing.assert_allclose(times, [100, 100.25, 100.5])


def test_fast_pacing_never_waits(film):
    time = Time()
    with FileCamera(film, pacing="fast", clock=time) as camera:
        assert len(list(camera.frames(time))) == 10
    assert time.waits == []


def test_a_slow_consumer_misses_frames_as_with_a_camera(film):
    time = Time()
    numbers = []
    with FileCamera(film, clock=time) as camera:
        for frame in camera.frames(time):
            numbers.append(frame.seq)
            time.now_s += 0.12
    assert numbers == [0, 2, 4, 7, 9]


def test_a_machine_too_slow_to_skip_in_time_still_sees_something(film):
    time = Time()

    def slow():
        time.now_s += 1.0
        return time.now_s

    with FileCamera(film, loop=True, clock=slow) as camera:
        frames = camera.frames(time)
        numbers = [next(frames).seq for _ in range(4)]
    gaps = [b - a for a, b in pairwise(numbers)]
    assert gaps == [SKIPPED_AT_MOST + 1] * 3


def test_looping_goes_on_at_the_same_rate(film):
    time = Time()
    time.stop_at_s = 102.0
    with FileCamera(film, loop=True, clock=time) as camera:
        frames = list(camera.frames(time))
    assert len(frames) == 40
    assert [f.seq for f in frames] == list(range(40))
    assert near(frames[20].pixels, frames[0].pixels.reshape(-1, 3).mean(0))


def test_stopping_ends_the_wait_between_two_frames(film):
    stopping = threading.Event()
    with FileCamera(film) as camera:
        frames = camera.frames(stopping)
        next(frames)
        stopping.set()
        assert list(frames) == []


def test_close_ends_the_frames_and_may_be_called_twice(film):
    camera = FileCamera(film, pacing="fast")
    frames = camera.frames(threading.Event())
    next(frames)
    camera.close()
    camera.close()
    assert list(frames) == []


@pytest.mark.parametrize("name", ["noise.avi", "noise.mp4", "noise.jpg"])
def test_what_is_neither_picture_nor_video_is_refused_in_silence(tmp_path, name, capfd):
    path = tmp_path / name
    path.write_bytes(b"this is no film. " * 200)
    with pytest.raises(CameraError, match=f"{name}: neither a picture nor a video"):
        FileCamera(path)
    assert capfd.readouterr() == ("", "")


def test_a_truncated_picture_is_refused(tmp_path):
    path = write(tmp_path / "red.png", RED)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(CameraError, match=r"red\.png: .*(damaged|decoded|neither)"):
        FileCamera(path)


def test_a_missing_file_and_an_empty_folder_say_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CameraError, match=rf"{tmp_path}/none\.avi: no such file; check the path"):
        FileCamera("none.avi")
    with pytest.raises(CameraError, match="no picture in this folder"):
        FileCamera(tmp_path)
