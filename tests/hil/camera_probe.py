"""What facegate's camera does on the real picamera2 and libcamera's virtual camera.

Runs on the system's own Python; test_virtual_camera.py reads what it prints.
"""

import json
import os
import threading
import time

from facegate.errors import CameraError
from facegate.hardware.camera_pi import PiCamera
from facegate.hardware.camera_reopen import LastingCamera, Reopening

never = threading.Event()
seen = {}


def open_camera(number=0, width_px=640):
    return PiCamera(number, width_px, 480, 320, 240, 15.0)


def corners(pixels):
    """The colour in the middle of each quarter, row by row."""
    height, width, _ = pixels.shape
    return [
        pixels[y, x].tolist()
        for y in (height // 4, height * 3 // 4)
        for x in (width // 4, width * 3 // 4)
    ]


def complaint(opens):
    try:
        opens()
    except CameraError as error:
        return str(error)
    return None


with open_camera() as camera:
    config = camera._camera.camera_configuration()
    seen["formats"] = [config["main"]["format"], config["lores"]["format"]]
    frames = camera.frames(never)
    taken = [next(frames) for _ in range(5)]
    seen["shapes"] = [taken[0].pixels.shape, taken[0].small.shape]
    seen["main"], seen["small"] = corners(taken[0].pixels), corners(taken[0].small)
    seen["seq"] = [frame.seq for frame in taken]
    seen["captured_at_s"] = [frame.captured_at_s for frame in taken]
    seen["now_s"] = time.monotonic()
    seen["second_open"] = complaint(open_camera)
    seen["after_second_open"] = next(frames).seq
    seen["no_such_camera"] = complaint(lambda: open_camera(1))

seen["descriptors"] = []
for _ in range(4):
    with open_camera() as camera:
        next(camera.frames(never))
    seen["descriptors"].append(len(os.listdir("/proc/self/fd")))

# The sensor stops delivering; libcamera says nothing. It is noticed, and the camera opened again.
opened, told = [open_camera()], []


def open_next():
    seen.setdefault("open_at_reopening", []).append(sum(c._camera is not None for c in opened))
    opened.append(open_camera())
    return opened[-1]


lasting = LastingCamera(
    opened[0], open_next, Reopening(3, 0.1), lambda why: told.append(why), lambda s: told.append(s)
)
frames = lasting.frames(never)
before = [next(frames).seq for _ in range(3)]
opened[0]._camera.stop()
after = [next(frames).seq for _ in range(3)]
seen["across_a_stall"] = before + after
seen["told"] = told
lasting.close()
print(json.dumps(seen))
