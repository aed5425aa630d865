"""Make picamera2 accept libcamera's virtual camera; Python imports this by itself at start.

The virtual camera has no raw stream, which picamera2 asks every camera for, and wants its buffers
in two planes, which only picamera2's older allocator gives.
"""

import picamera2
from picamera2.allocators import LibcameraAllocator


class VirtualPi(picamera2.Picamera2):
    def __init__(self, number):
        super().__init__(number)
        self.allocator = LibcameraAllocator(self.camera)

    def _get_raw_modes(self):
        return [{"format": "NV12", "size": (640, 480)}]


picamera2.Picamera2 = VirtualPi
