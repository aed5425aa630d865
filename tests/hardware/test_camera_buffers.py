import gc
import logging
import os
import threading
import weakref

import cv2
import numpy as np
import pytest
from stub_picamera2 import MAIN_HEIGHT, MAIN_WIDTH, Picamera2, Request, open_pi, packed, yuv420

from facegate import parts
from facegate.config import Config
from facegate.errors import CameraError
from facegate.hardware import camera_buffers
from facegate.hardware.camera_buffers import BUFFER_COUNT, IN_MOTION

never = threading.Event()
MOST = BUFFER_COUNT - IN_MOTION


def level(camera, number):
    """Have the next picture be of one level."""
    camera.delivers = Picamera2.delivers | {"main": packed(number, number, number)}


def after_all_are_known(camera, stub):
    """Let every buffer have been seen once."""
    frames = camera.frames(never)
    for _ in range(BUFFER_COUNT):
        next(frames)
    assert stub.made[0].taken == BUFFER_COUNT
    return frames


def in_hands(stub):
    return stub.made[0].taken - stub.made[0].released


# What is lent.


@pytest.mark.parametrize("stride", [MAIN_WIDTH * 3, MAIN_WIDTH * 3 + 24])
def test_a_frame_is_the_cameras_own_memory(stub, stride):
    stub.gives("main", "BGR888", packed(1, 2, 3, stride), (MAIN_WIDTH, MAIN_HEIGHT))
    with open_pi() as camera:
        frames = after_all_are_known(camera, stub)
        written = stub.made[0].free[0]["main"]
        pixels = next(frames).pixels
        assert pixels.shape == (MAIN_HEIGHT, MAIN_WIDTH, 3)
        assert pixels.strides == (stride, 3, 1)
        assert (pixels == (1, 2, 3)).all()
        written.fill(packed(9, 8, 7, stride))
        assert (pixels == (9, 8, 7)).all(), "not a copy"
        with pytest.raises(ValueError, match="read-only"):
            pixels[0, 0] = 0
        with pytest.raises(ValueError, match="WRITEABLE"):
            pixels.flags.writeable = True


def test_opencv_reads_it_in_place(stub):
    stub.gives("main", "BGR888", packed(1, 2, 3, MAIN_WIDTH * 3 + 24), (MAIN_WIDTH, MAIN_HEIGHT))
    with open_pi() as camera:
        pixels = next(after_all_are_known(camera, stub)).pixels
        for crop in (pixels, pixels[3:40, 5:90]):
            assert (cv2.resize(crop, (8, 8), interpolation=cv2.INTER_AREA) == (1, 2, 3)).all()
            turned = cv2.warpAffine(crop, np.float32([[1, 0, 0], [0, 1, 0]]), (20, 20))
            assert (turned == (1, 2, 3)).all()
        with pytest.raises(cv2.error, match="readonly"):
            cv2.circle(pixels, (9, 9), 3, (0, 0, 0))


VIEWS = {
    "slice": lambda p: p[4:9, 2:7],
    "slice of a slice": lambda p: p[4:30][2:7, ::2],
    "turned": lambda p: p[::-1].transpose(2, 0, 1),
    "bytes": lambda p: p.view(np.int8),
    "asarray": lambda p: np.asarray(p[1:]),
    "memoryview": lambda p: memoryview(p)[2:],
    "object with an array": lambda p: np.lib.stride_tricks.as_strided(p, (2, 2, 3)),
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_a_view_keeps_the_buffer_here(stub, view):
    with open_pi() as camera:
        frames = after_all_are_known(camera, stub)
        kept = view(next(frames).pixels)
        for _ in range(5):
            assert next(frames)
            assert in_hands(stub) == 2, "what is kept, and the newest"
        del kept
        next(frames)
        assert in_hands(stub) == 1


def test_what_is_made_of_it_keeps_nothing(stub):
    with open_pi() as camera:
        frames = after_all_are_known(camera, stub)
        pixels = next(frames).pixels
        made = [cv2.resize(pixels[2:9], (4, 4)), pixels.copy(), pixels.mean(), pixels.tobytes()]
        del pixels
        next(frames)
        assert in_hands(stub) == 1
    assert len(made) == 4


# When it goes back.


def test_another_thread_may_be_the_last_to_look(stub):
    with open_pi() as camera:
        frames = after_all_are_known(camera, stub)
        held = [next(frames).pixels]
        other = threading.Thread(target=held.clear)
        other.start()
        other.join()
        next(frames)
        assert in_hands(stub) == 1


def test_a_view_may_die_while_picamera2_holds_its_lock(stub):
    with open_pi() as camera:
        frames = after_all_are_known(camera, stub)
        cycle = [next(frames).pixels]
        cycle.append(cycle)
        del cycle
        with stub.made[0].lock:  # a garbage collection in the middle of a release of picamera2's
            gc.collect()
        next(frames)
        assert in_hands(stub) == 1


def test_who_keeps_every_frame_gets_copies_and_the_camera_goes_on(stub):
    kept = []
    with open_pi() as camera:
        frames = camera.frames(never)
        for number in range(50):
            level(stub.made[0], number)
            kept.append(next(frames).pixels)
            assert len(stub.made[0].free) >= IN_MOTION
        assert in_hands(stub) == MOST
    assert [int(p[5, 5, 0]) for p in kept] == list(range(50))
    assert not any(p.flags.writeable for p in kept), "whether copied or not"


def test_a_camera_that_gives_fewer_buffers_lends_fewer(stub):
    stub.agreed = 4
    with open_pi() as camera:
        frames = camera.frames(never)
        kept = [next(frames) for _ in range(20)]
        assert in_hands(stub) == 1
    assert len(kept) == 20


def test_a_buffer_that_does_not_go_back_is_the_cameras_error(stub):
    with open_pi() as camera:
        frames = after_all_are_known(camera, stub)
        next(frames)
        stub.made[0].state, stub.made[0].grumbles = "closed", True
        stub.made[0].capture_request = lambda wait: "job"
        with pytest.raises(CameraError, match="camera closed; check the ribbon"):
            next(frames)
        assert in_hands(stub) == 0


# When the camera is closed.


@pytest.mark.parametrize("grumbles", [False, True])
def test_a_frame_outlives_the_camera_and_holds_nothing_of_it(stub, grumbles):
    stub.grumbles = grumbles
    watched = []
    stub.amend = lambda request: watched.append(weakref.ref(request))
    with open_pi() as camera:
        frames = after_all_are_known(camera, stub)
        level(stub.made[0], 77)
        kept = next(frames)
        watched.append(weakref.ref(stub.made[0]))
    assert stub.made[0].closed == 1
    assert in_hands(stub) == 0, "its request went back all the same"
    stub.made.clear()
    del camera, frames
    gc.collect()
    assert [w() for w in watched if w() is not None] == []
    assert (kept.pixels == 77).all()
    del kept  # an error in a finalizer would be one of the test
    gc.collect()


def test_descriptors_and_mappings_go_with_the_last_frame(stub):
    def counts():
        gc.collect()
        with open("/proc/self/maps") as maps:
            return len(os.listdir("/proc/self/fd")), sum("memfd:buffer" in line for line in maps)

    before = counts()
    with open_pi() as camera:
        kept = next(after_all_are_known(camera, stub))
    stub.made.clear()
    assert counts() == (before[0] + 1, before[1] + 1), "the one that is held"
    assert not list(camera.frames(never))
    del kept
    assert counts() == before


def test_the_next_camera_does_not_mind_the_last_ones_frames(stub):
    kept = []
    for number in range(4):
        stub.made.clear()
        with open_pi() as camera:
            frames = after_all_are_known(camera, stub)
            level(stub.made[0], number)
            kept.append(next(frames).pixels)
    assert [int(p[0, 0, 0]) for p in kept] == [0, 1, 2, 3]


# Reading it at the right time.


@pytest.fixture
def calls(monkeypatch):
    """What was said about the buffers, in order: the descriptor and the flags."""
    said = []

    def ioctl(fd, request, flags):
        assert request == 0x40086200
        said.append((fd, int.from_bytes(flags, "little")))

    monkeypatch.setattr(camera_buffers.fcntl, "ioctl", ioctl)
    return said


def test_the_processors_cache_is_told_of_both_pictures(stub, calls):
    with open_pi() as camera:
        frames = after_all_are_known(camera, stub)
        calls.clear()
        fds = {buffer.fd for buffer in stub.made[0].free[0].values()}

        def said():
            return [flags for fd, flags in calls if fd in fds]

        pixels = next(frames).pixels
        assert said() == [1, 1]
        assert next(frames)
        assert said() == [1, 1], "the end comes when nobody looks any more"
        del pixels
        next(frames)
        assert said() == [1, 1, 5, 5]


def test_a_picamera2_that_tells_it_itself_is_left_to_do_so(stub, calls):
    stub.amend = lambda request: setattr(request, "syncs", ["of main", "of lores"])
    with open_pi() as camera:
        assert next(after_all_are_known(camera, stub))
    assert calls == []


@pytest.mark.parametrize("passing", [InterruptedError, BlockingIOError])
def test_telling_it_is_tried_again(stub, calls, monkeypatch, passing):
    once = [passing]

    def ioctl(*words):
        if once:
            raise once.pop()

    monkeypatch.setattr(camera_buffers.fcntl, "ioctl", ioctl)
    with open_pi() as camera:
        assert next(camera.frames(never))
    assert not once


# What cannot be mapped.


def _apart(request: Request):
    for buffer in request.buffers.values():
        buffer.planes = [*buffer.planes, type(buffer.planes[0])(fd=0, offset=0, length=9)]


def _short(request: Request):
    for buffer in request.buffers.values():
        buffer.planes[0].length -= 1


def _gone(request: Request):
    for buffer in request.buffers.values():
        buffer.planes[0].fd = 9999


LACKING = {
    "request": lambda r: delattr(r, "request"),
    "stream_map": lambda r: delattr(r, "stream_map"),
    "stride": lambda r: r.config["main"].pop("stride"),
    "planes": lambda r: setattr(r.request, "buffers", {"main stream": 1, "lores stream": 1}),
    "no plane": lambda r: [setattr(b, "planes", []) for b in r.buffers.values()],
    "apart": _apart,
    "short": _short,
    "gone": _gone,
}


@pytest.mark.parametrize("lacks", LACKING.values(), ids=LACKING)
def test_what_cannot_be_mapped_is_copied_and_said_once(stub, lacks, caplog):
    caplog.set_level(logging.INFO, "facegate")
    stub.amend = lacks
    with open_pi() as camera:
        frames = camera.frames(never)
        kept = [next(frames) for _ in range(20)]
        assert in_hands(stub) == 0
    assert all((f.pixels == (1, 2, 3)).all() for f in kept)
    assert all(np.abs(f.small.astype(int) - (200, 40, 30)).max() <= 6 for f in kept)
    assert not any(f.pixels.flags.writeable for f in kept)
    assert [r.getMessage().split(":")[0] for r in caplog.records] == [
        "pictures are copied, for the camera's buffers cannot be mapped"
    ]


def test_a_buffer_may_begin_anywhere_in_its_memory(stub):
    def later(request: Request):
        buffer = request.buffers["main"]
        rows = packed(4, 5, 6)
        os.pwrite(buffer.fd, rows.tobytes(), 4096)
        buffer.planes = [type(buffer.planes[0])(fd=buffer.fd, offset=4096, length=rows.size)]

    stub.amend = later
    with open_pi() as camera:
        pixels = next(after_all_are_known(camera, stub)).pixels
        assert not pixels.flags.owndata
        assert (pixels == (4, 5, 6)).all()


def test_planes_in_one_memory_are_one_picture(stub):
    rows = yuv420(200, 40, 30, 64)

    def in_two(request: Request):
        plane = request.buffers["lores"].planes[0]
        half = plane.length * 2 // 3
        request.buffers["lores"].planes = [
            type(plane)(fd=plane.fd, offset=0, length=half),
            type(plane)(fd=plane.fd, offset=half, length=rows.size - half),
        ]

    stub.amend = in_two
    with open_pi() as camera:
        frames = camera.frames(never)
        small = next(frames).small
        assert camera._buffers._copying is False
    assert np.abs(small.astype(int) - (200, 40, 30)).max() <= 6


# Who looks at it.


@pytest.mark.parametrize("tiles", [1, 2])
def test_the_gate_reads_a_lent_frame_as_any_other_and_keeps_nothing_of_it(stub, portraits, tiles):
    vision = parts.load_vision(Config.model_validate({"detection": {"tiles": tiles}}))
    portrait = portraits[0][:320, 80:400]
    rows = np.full((320, 320 * 3 + 64), 77, np.uint8)
    rows[:, : 320 * 3] = portrait.reshape(320, -1)
    stub.gives("main", "BGR888", rows, (320, 320))
    with open_pi() as camera:
        frames = after_all_are_known(camera, stub)
        pixels = next(frames).pixels
        found = [vision.reader.find(p) for p in (pixels, portrait)]
        looks = [vision.reader.look(p, found[0][0]) for p in (pixels, portrait)]
        vectors = [vision.reader.embed(look).vector for look in looks]
        del pixels
        next(frames)
        assert in_hands(stub) == 1
    assert len(found[0]) == len(found[1]) == 1
    assert (found[0][0].box == found[1][0].box).all()
    assert looks[0].quality == looks[1].quality
    assert (vectors[0] == vectors[1]).all()
