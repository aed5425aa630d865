"""picamera2 imports it to write raw pictures, which are not taken here."""

import sys


class _Unused:
    """What is imported by name."""


Picamera2Camera = PICAM2DNG = _Unused
sys.modules["pidng.camdefs"] = sys.modules["pidng.core"] = sys.modules["pidng"]
