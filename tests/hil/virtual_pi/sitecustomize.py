"""Make picamera2 accept libcamera's virtual camera; Python imports this by itself at start.

The virtual camera has no raw stream, which picamera2 asks every camera for. It wants its buffers in
two planes, which picamera2's allocator makes in one, and gives four whatever it is asked for.
"""

import libcamera
import picamera2
from picamera2.allocators import DmaAllocator, dmaallocator


class TwoPlanes:
    """libcamera as the allocator sees it: a buffer's memory is brightness, then colour."""

    def __getattr__(self, name):
        return getattr(libcamera, name)

    class FrameBuffer:
        Plane = libcamera.FrameBuffer.Plane

        def __new__(cls, planes):
            (whole,) = planes
            colour = cls.Plane()
            colour.fd, colour.offset = whole.fd, whole.length * 2 // 3
            colour.length = whole.length - colour.offset
            whole.length = colour.offset
            return libcamera.FrameBuffer([whole, colour])


class AsManyAsAskedFor(DmaAllocator):
    asked_for = 0

    def allocate(self, libcamera_config, use_case):
        for stream in libcamera_config:
            stream.buffer_count = self.asked_for
        super().allocate(libcamera_config, use_case)


class VirtualPi(picamera2.Picamera2):
    def __init__(self, number):
        super().__init__(number)
        self.allocator = AsManyAsAskedFor()

    def configure_(self, config):
        self.allocator.asked_for = config["buffer_count"]
        return super().configure_(config)

    def _get_raw_modes(self):
        return [{"format": "NV12", "size": (640, 480)}]


dmaallocator.libcamera = TwoPlanes()
picamera2.Picamera2 = VirtualPi
