"""What is used of picamera2, with the life of a camera and of its buffers checked."""

import os
import threading
from collections import deque
from types import SimpleNamespace
from typing import ClassVar

import cv2
import numpy as np

from facegate.hardware.camera_pi import PiCamera

WIDTH, HEIGHT, STRIDE = 60, 32, 64
MAIN_WIDTH, MAIN_HEIGHT = 120, 64


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


def nv12(red, green, blue, stride, width=WIDTH, height=HEIGHT):
    """One colour as NV12; the rows' padding is another colour."""
    planes = yuv420(red, green, blue, width, width, height).ravel()
    luma, u, v = np.split(planes, [width * height, width * height * 5 // 4])
    rows = np.full((height * 3 // 2, stride), 77, np.uint8)
    rows[:, :width] = np.concatenate([luma, np.stack([u, v], axis=1).ravel()]).reshape(-1, width)
    return rows


def packed(first, second, third, stride=MAIN_WIDTH * 3, width=MAIN_WIDTH, height=MAIN_HEIGHT):
    """One colour of three bytes a pixel; the rows' padding is another colour."""
    rows = np.full((height, stride), 77, np.uint8)
    rows[:, : width * 3] = np.tile(np.array([first, second, third], np.uint8), width)
    return rows


class Buffer:
    """A memory file in place of a dma-buf."""

    def __init__(self, size):
        self.fd = os.memfd_create("buffer")
        os.ftruncate(self.fd, size)
        self.planes = [SimpleNamespace(fd=self.fd, offset=0, length=size)]

    def fill(self, rows):
        os.pwrite(self.fd, rows.tobytes(), 0)

    def __del__(self):
        os.close(self.fd)


class Request:
    def __init__(self, camera, buffers):
        self.camera, self.buffers = camera, buffers
        self.request = SimpleNamespace(buffers={f"{n} stream": b for n, b in buffers.items()})
        self.stream_map = {name: f"{name} stream" for name in buffers}
        self.config = camera.camera_configuration()
        self.released = False

    def make_array(self, name):
        assert not self.released
        if self.camera.broken:
            raise RuntimeError("buffer lost")
        stream, rows = self.config[name], self.camera.delivers[name]
        if stream["format"] in ("BGR888", "RGB888"):
            width, height = stream["size"]
            return rows[:, : width * 3].reshape(height, width, 3).copy()
        return rows[:, : stream["size"][0]].copy() if stream["format"] == "NV12" else rows.copy()

    def get_metadata(self):
        if self.camera.broken:
            raise RuntimeError("buffer lost")
        return {"SensorTimestamp": self.camera.stamp_ns}

    def release(self):
        assert not self.released, "a second time"
        assert self.camera.lock.acquire(timeout=2), "picamera2 waits for itself"
        self.released = True
        self.camera.lock.release()
        self.camera.released += 1
        self.camera.free.append(self.buffers)
        if self.camera.state == "closed" and self.camera.grumbles:
            raise RuntimeError("camera closed")


class Picamera2:
    """A camera whose every picture lies in the next free buffer.

    Attributes:
        refuses: why it cannot be configured.
        agreed: buffers that libcamera gives, whatever was asked for.
        grumbles: whether a request released late is an error.
        streams: format, width and height, and bytes a row.
        delivers: what every buffer is filled with, row by row.
        amend: called with every request, to make it another version's.
        sensor_modes: as picamera2 lists them.
        camera_properties: those of a camera with raw pictures.
        camera_controls: its controls, each with least, greatest and first value.
    """

    sensor_modes: ClassVar = [
        {"format": "S", "bit_depth": 10, "size": (120, 90), "fps": 60.0,
         "crop_limits": (60, 45, 120, 90)},
        {"format": "S", "bit_depth": 10, "size": (240, 180), "fps": 20.0,
         "crop_limits": (0, 0, 240, 180)},
    ]  # fmt: skip
    camera_controls: ClassVar = {"FrameDurationLimits": (16_666, 1_000_000, None)}
    camera_properties: ClassVar = {"Model": "stub", "ColorFilterArrangement": 0}

    made = ()
    cameras = 1
    refuses = agreed = amend = None
    grumbles = False
    streams: ClassVar = {
        "main": ("BGR888", (MAIN_WIDTH, MAIN_HEIGHT), MAIN_WIDTH * 3),
        "lores": ("YUV420", (WIDTH, HEIGHT), STRIDE),
    }
    delivers: ClassVar = {"main": packed(1, 2, 3), "lores": yuv420(200, 40, 30, STRIDE)}

    @classmethod
    def global_camera_info(cls):
        return [{"Num": n} for n in range(cls.cameras)]

    @classmethod
    def gives(cls, name, form, rows, size=(WIDTH, HEIGHT)):
        """Have a stream of another format."""
        cls.streams = cls.streams | {name: (form, size, rows.shape[1])}
        cls.delivers = cls.delivers | {name: rows}

    def __init__(self, number):
        self.number, self.state, self.config = number, "open", None
        self.stamp_ns = 41_900_000_000
        self.broken = self.stalled = False
        self.released = self.closed = self.taken = 0
        self.lock = threading.Lock()
        self.free = deque()
        self.made.append(self)

    def create_video_configuration(self, **wanted):
        return wanted

    def configure(self, config):
        if self.refuses:
            raise RuntimeError(self.refuses)
        assert self.state == "open"
        self.config, self.state = config, "configured"
        for _ in range(self.agreed or config["buffer_count"]):
            self.free.append({n: Buffer(rows.size) for n, rows in self.delivers.items()})

    def camera_configuration(self):
        return {
            name: {"format": form, "size": size, "stride": stride}
            for name, (form, size, stride) in self.streams.items()
        }

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
        if self.stalled or not self.free:
            raise TimeoutError
        buffers = self.free.popleft()
        for name, buffer in buffers.items():
            buffer.fill(self.delivers[name])
        self.taken += 1
        request = Request(self, buffers)
        if self.amend:
            type(self).amend(request)
        return request

    def close(self):
        self.state = "closed"
        self.closed += 1


def open_pi(number=0, clock=lambda: 42.0, **wanted):
    return PiCamera(number, MAIN_WIDTH, MAIN_HEIGHT, WIDTH, HEIGHT, 15.0, clock=clock, **wanted)
