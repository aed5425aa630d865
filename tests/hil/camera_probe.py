"""What facegate's camera does on the real picamera2 and libcamera's virtual camera.

Runs on the system's own Python; test_virtual_camera.py reads what it prints.
"""

import gc
import json
import os
import threading
import time
import weakref

import picamera2

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

with PiCamera(0, 640, 480, 320, 240, 15.0, focus_m=0.8, upside_down=True) as camera:
    transform = camera._camera.camera_configuration()["transform"]
    seen["transform"] = [camera.turned, transform.hflip, transform.vflip]
    seen["upside_down"] = next(camera.frames(never)).pixels.shape
    seen["description"] = camera.description

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


class Grey(picamera2.Picamera2):
    """Has RGB, as the Pi has: the plane of brightness is taken for a third as many pixels."""

    def start(self):
        main = self.camera_config["main"]
        width, height = main["size"]
        self.camera_config["main"] = main | {"format": "BGR888", "size": (width // 3, height)}
        super().start()


def memory_of(pixels):
    """The rights and the name of the mapping that pixels lie in."""
    address = pixels.__array_interface__["data"][0]
    with open("/proc/self/maps") as lines:
        for line in lines:
            span, rights, *_, name = line.split(maxsplit=5)
            start, end = (int(edge, 16) for edge in span.split("-"))
            if start <= address < end:
                return [rights, name.strip()]
    return None


def mark(camera):
    """Write into every buffer, through picamera2's own mappings."""
    for memory in camera._camera.allocator.mapped_buffers.values():
        memory[:3] = bytes((9, 8, 7))


colours, picamera2.Picamera2 = picamera2.Picamera2, Grey
with open_camera() as camera:
    frames = camera.frames(never)
    for _ in range(20):
        kept = next(frames)
    seen["lent_shape"], seen["lent_in"] = kept.pixels.shape, memory_of(kept.pixels)
    mark(camera)
    seen["marked"] = kept.pixels[0, 0].tolist()
    lent = []
    for _ in range(200):
        newest = next(frames)
        lent.append(camera._buffers.lent)
    seen["most_lent"], seen["while_one_is_kept"] = max(lent), newest.seq - kept.seq
    seen["kept_after_200"] = kept.pixels[0, 0].tolist()
    seen["newest_after_200"] = newest.pixels[0, 0].tolist()
    greedy = [next(frames) for _ in range(60)]
    seen["while_all_are_kept"] = greedy[-1].seq - greedy[0].seq
    seen["lent_to_the_greedy"] = camera._buffers.lent
    del greedy, newest
    watched = [weakref.ref(camera._camera), weakref.ref(camera._camera.allocator)]
del frames
gc.collect()
seen["left_of_the_camera"] = [str(w()) for w in watched if w() is not None]
seen["kept_after_close"], seen["kept_in"] = kept.pixels[0, 0].tolist(), memory_of(kept.pixels)
with open_camera() as camera:
    frames = camera.frames(never)
    seen["reopened_while_kept"] = [next(frames).seq for _ in range(20)]
seen["kept_after_another"] = kept.pixels[0, 0].tolist()
del kept, frames
gc.collect()
with open("/proc/self/maps") as lines:
    seen["mappings_left"] = sum("dma-buf" in line for line in lines)
seen["descriptors_left"] = len(os.listdir("/proc/self/fd"))
print(json.dumps(seen))
