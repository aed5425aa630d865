"""picamera2 imports it for its window, which nobody opens here."""


class _AnyFormat:
    def __getattr__(self, name):
        return name


PixelFormat = _AnyFormat()
