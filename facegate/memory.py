"""Keep the C library from spreading a small board's memory over one arena a thread."""

from __future__ import annotations

import ctypes

M_ARENA_MAX = -8


def use_one_arena() -> None:
    """Let all threads take memory from one place; to be called before there are threads.

    Frames are a few large blocks that pass from thread to thread: with an arena for each thread,
    what one has freed the others cannot use, and the daemon holds 20 to 70 MiB more. Nothing
    happens with a C library that has no such setting.

    Source: mallopt(3), M_ARENA_MAX.
    """
    try:
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)
    except AttributeError:
        return
