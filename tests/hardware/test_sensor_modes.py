"""The choice among the modes that the Pi's camera modules list.

As picamera2 lists them; Source: picamera2 issue 683 (imx219), rpicam-apps issues 427 (ov5647) and
336 (imx477), and the output of `rpicam-hello --list-cameras` (imx708).
"""

import pytest

from facegate.hardware.sensor_modes import SensorMode, choose_mode, fitted, sensor_modes


def listed(bit_depth, *rows):
    return [
        {"format": f"S{bit_depth}", "unpacked": "S", "bit_depth": bit_depth, "size": size,
         "fps": fps, "crop_limits": crop, "exposure_limits": (75, 11766829, None)}
        for size, fps, crop in rows
    ]  # fmt: skip


IMX219_ALL = (0, 0, 3280, 2464)
IMX219 = [
    *listed(
        10,
        ((640, 480), 206.65, (1000, 752, 1280, 960)),
        ((1640, 1232), 41.85, IMX219_ALL),
        ((1920, 1080), 47.57, (680, 692, 1920, 1080)),
        ((3280, 2464), 21.19, IMX219_ALL),
    ),
    *listed(
        8,
        ((640, 480), 206.65, (1000, 752, 1280, 960)),
        ((1640, 1232), 83.7, IMX219_ALL),
        ((1920, 1080), 47.57, (680, 692, 1920, 1080)),
        ((3280, 2464), 21.19, IMX219_ALL),
    ),
]
IMX708 = listed(
    10,
    ((1536, 864), 120.13, (768, 432, 3072, 1728)),
    ((2304, 1296), 56.03, (0, 0, 4608, 2592)),
    ((4608, 2592), 14.35, (0, 0, 4608, 2592)),
)
IMX477 = [
    *listed(10, ((1332, 990), 120.05, (696, 528, 2664, 1980))),
    *listed(
        12,
        ((2028, 1080), 50.03, (0, 440, 4056, 2160)),
        ((2028, 1520), 40.01, (0, 0, 4056, 3040)),
        ((4056, 3040), 10.0, (0, 0, 4056, 3040)),
    ),
]
OV5647 = listed(
    10,
    ((640, 480), 58.92, (16, 0, 2560, 1920)),
    ((1296, 972), 43.25, (0, 0, 2592, 1944)),
    ((1920, 1080), 30.62, (348, 434, 1928, 1080)),
    ((2592, 1944), 15.63, (0, 0, 2592, 1944)),
)


@pytest.mark.parametrize(
    ("table", "wanted", "fps", "size", "bit_depth"),
    [
        (IMX219, (1920, 1080), 15.0, (3280, 2464), 10),
        (IMX219, (1920, 1080), 30.0, (1640, 1232), 10),
        (IMX219, (1920, 1080), 60.0, (1640, 1232), 8),
        (IMX219, (1280, 720), 15.0, (1640, 1232), 10),
        (IMX708, (1920, 1080), 15.0, (2304, 1296), 10),
        (IMX708, (3840, 2160), 10.0, (4608, 2592), 10),
        (IMX708, (3840, 2160), 15.0, (2304, 1296), 10),
        (IMX708, (1280, 720), 100.0, (1536, 864), 10),
        (IMX477, (1920, 1080), 15.0, (2028, 1520), 12),
        (OV5647, (1920, 1080), 15.0, (2592, 1944), 10),
        (OV5647, (1920, 1080), 30.0, (1296, 972), 10),
        (OV5647, (1920, 1080), 120.0, (640, 480), 10),
    ],
)
def test_the_widest_view_that_is_fast_enough(table, wanted, fps, size, bit_depth):
    mode = choose_mode(sensor_modes(table), wanted, fps)
    assert (mode.size, mode.bit_depth) == (size, bit_depth)


def test_a_camera_without_raw_pictures_has_no_modes():
    assert choose_mode(sensor_modes([{"format": "MJPEG"}]), (1920, 1080), 15.0) is None


def test_a_mode_is_said_with_its_view():
    mode = SensorMode((1920, 1080), (680, 692, 1920, 1080), 10, 47.57)
    assert str(mode) == "sensor mode 1920×1080, 10 bits, view 1920×1080 at 680,692"


@pytest.mark.parametrize(
    ("size", "inside", "wanted"),
    [
        ((1920, 1080), (3280, 2464), (1920, 1080)),
        ((1920, 1080), (1640, 1232), (1640, 922)),
        ((1920, 1080), (1296, 972), (1296, 728)),
        ((1080, 1920), (1640, 1232), (692, 1232)),
        ((321, 181), (640, 480), (321, 181)),
    ],
)
def test_a_picture_is_shrunk_in_proportion(size, inside, wanted):
    assert fitted(size, inside) == wanted
