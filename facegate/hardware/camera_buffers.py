"""The camera's buffers as arrays: lent to whoever looks at them, given back when nobody does.

A full picture is 6 MB, and only crops around faces are ever read of it. So it is not copied out:
each buffer is mapped once, and a frame's pixels are a view of that memory. When the last view is
gone, the buffer may go back to the camera.

The mapping is our own. picamera2 closes its own ones when a camera closes, which Python refuses
while an array lies over them, and which would take the picture from whoever still holds it.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import mmap
import os
import struct
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any

import numpy as np

from facegate.types import U8

IN_MOTION = 3
"""Buffers that are never lent, so that the camera goes on whatever becomes of the others: one that
is filled, one that waits behind it, and one on its way to us."""

BUFFER_COUNT = IN_MOTION + 3
"""Buffers to ask the camera for: as many as picamera2 takes by itself for a video, which fit into a
small board's memory. The gate mostly holds two or three frames: the one just taken, the one that is
looked at, and the last one in which somebody was compared. Should it hold more, they are copied."""

_ROWS = {"BGR888": 2, "RGB888": 2, "YUV420": 3, "NV12": 3}
"""Rows in a buffer to two rows of the picture: planes of colour follow the one of brightness."""

_UNMAPPABLE = (AttributeError, KeyError, IndexError, TypeError, ValueError, OverflowError, OSError)

# linux/dma-buf.h: _IOW('b', 0, __u64), and the flags of a read.
_SYNC, _START_READ, _END_READ = 0x40086200, 1, 5

_log = logging.getLogger(__name__)


class CameraBuffers:
    """Lends the buffers of one camera, and keeps enough of them with it.

    Everything happens in the thread that takes the frames; only views may die in any other.
    """

    def __init__(self) -> None:
        self._maps: dict[str, dict[int, mmap.mmap]] = {}
        self._lent: dict[int, tuple[weakref.ref[U8], Borrowed]] = {}
        self._unseen: SimpleQueue[weakref.ref[U8]] = SimpleQueue()
        self._copying = False

    @property
    def lent(self) -> int:
        """How many buffers the camera has not got back."""
        return len(self._lent)

    @contextmanager
    def borrow(self, request: Any) -> Iterator[Borrowed]:
        """Read from a completed request, which is released afterwards unless it was lent.

        Args:
            request: picamera2's `CompletedRequest`, which is ours from now on.
        """
        borrowed = Borrowed(self, request)
        try:
            yield borrowed
        finally:
            if not borrowed.lent:
                borrowed.release()

    def close(self) -> None:
        """Let go of all requests and mappings, once the camera is closed; may be called again.

        Pictures that somebody holds keep their memory, and nothing else of the camera.
        """
        lent, self._lent = self._lent, {}
        self._maps = {}
        for _, borrowed in lent.values():
            try:
                borrowed.release()
            except Exception as error:
                _log.debug("a buffer did not go back to a closed camera: %s", error)

    # For what is borrowed.

    def mapped(self, request: Any, name: str) -> tuple[int, U8, U8] | None:
        """Map a stream's buffer; None when pictures have to be copied out of picamera2.

        Returns:
            The descriptor of the buffer, all of its memory, and the picture in it.
        """
        if self._copying:
            return None
        try:
            planes = request.request.buffers[request.stream_map[name]].planes
            fd = planes[0].fd
            known = self._maps.setdefault(name, {})
            if fd not in known:
                known[fd] = _map(planes)
            stream = request.config[name]
            (width, height), stride = stream["size"], stream["stride"]
            rows = height * _ROWS[stream["format"]] // 2
            memory = np.frombuffer(known[fd], np.uint8, rows * stride, planes[0].offset)
            return fd, memory, _picture(memory.reshape(rows, stride), stream["format"], width)
        except _UNMAPPABLE as error:
            _log.info("pictures are copied, for the camera's buffers cannot be mapped: %r", error)
            self._copying = True
            return None

    def lend(self, borrowed: Borrowed, name: str, memory: U8) -> bool:
        """Leave a request with the views of its memory, unless the camera needs it more.

        A view may die anywhere, also in the middle of picamera2, when a garbage collection finds
        it there; releasing a request then would wait for ever for the lock that picamera2 holds.
        So the views only leave a note, in a queue made for that, and the request is released here,
        before the next one is lent.
        """
        while not self._unseen.empty():
            _, back = self._lent.pop(id(self._unseen.get()))
            back.release()
        if len(self._lent) >= len(self._maps[name]) - IN_MOTION:
            return False
        watch = weakref.ref(memory, self._unseen.put)
        self._lent[id(watch)] = watch, borrowed
        return True


class Borrowed:
    """A completed request of picamera2 while its pictures may be read.

    Attributes:
        lent: whether it stays with the views of a picture.
    """

    def __init__(self, owner: CameraBuffers, request: Any) -> None:
        self._owner, self._request = owner, request
        self._bracketed: set[int] = set()
        self.lent = False

    def look(self, name: str) -> U8:
        """Show a stream's picture until the request is released.

        Returns:
            What picamera2's `make_array(name)` gives, read-only and without its copy: uint8
            (H, W, 3), or (H * 3 / 2, stride) of a planar format.
        """
        found = self._mapped(name)
        picture: U8 = self._request.make_array(name) if found is None else found[1]
        return picture

    def keep(self, name: str) -> U8:
        """Give a stream's picture for as long as anybody holds it or a view of it.

        Returns:
            As `look`; the camera's own memory, or a copy where the camera is short of buffers.
        """
        found = self._mapped(name)
        if found is None:
            return self.look(name)
        memory, picture = found
        self.lent = self._owner.lend(self, name, memory)
        return picture if self.lent else picture.copy()

    def release(self) -> None:
        """Give the buffers back to the camera."""
        request, self._request = self._request, None
        try:
            for fd in self._bracketed:
                _sync(fd, _END_READ)
        finally:
            request.release()

    def _mapped(self, name: str) -> tuple[U8, U8] | None:
        found = self._owner.mapped(self._request, name)
        if found is None:
            return None
        fd, memory, picture = found
        # The processor may have old bytes of the buffer in its cache: reads belong between the
        # start and the end of a DMA_BUF_IOCTL_SYNC. Newer versions of picamera2 make that bracket
        # around a request's whole life and show it as `syncs`; older ones only in `make_array`.
        # Both do cache maintenance over all of the buffer, so once is enough.
        # Source: linux/dma-buf.h; picamera2 0.3.38, request.py, CompletedRequest.
        if not getattr(self._request, "syncs", None) and fd not in self._bracketed:
            _sync(fd, _START_READ)
            self._bracketed.add(fd)
        return memory, picture


def _map(planes: Any) -> mmap.mmap:
    """Map a buffer from its start to the end of its last plane.

    Raises:
        ValueError: its planes do not follow each other in one memory.
        OSError: it cannot be mapped.
    """
    end = planes[0].offset
    for plane in planes:
        if plane.offset != end or not os.path.sameopenfile(plane.fd, planes[0].fd):
            raise ValueError("its planes lie apart")
        end += plane.length
    return mmap.mmap(planes[0].fd, end, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ)


def _picture(lines: U8, name: str, width: int) -> U8:
    """Cut the padding off a buffer's rows, where it can be cut off."""
    if name in ("YUV420", "NV12"):
        return lines  # rows of brightness and of colour differ: it goes with the conversion
    return lines[:, : width * 3].reshape(len(lines), width, 3)


def _sync(fd: int, flags: int) -> None:
    """Begin or end reading a dma-buf; memory that is none needs neither."""
    while True:
        try:
            fcntl.ioctl(fd, _SYNC, struct.pack("=Q", flags))
            return
        except (InterruptedError, BlockingIOError):
            continue  # linux/dma-buf.h: to be tried again
        except OSError as error:
            if error.errno not in (errno.ENOTTY, errno.EINVAL):
                raise
            return
