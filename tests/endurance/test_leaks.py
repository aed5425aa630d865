"""What counts as growth, and that a process is seen as it is."""

import os
import threading

import numpy as np
import pytest

from facegate.endurance.leaks import growth_percent, sample


def test_flat_memory_with_peaks_does_not_grow():
    values = np.full(300, 200.0)
    values[::17] += 80
    assert growth_percent(range(300), values) == pytest.approx(0, abs=0.1)


def test_a_slow_leak_is_seen():
    at_s = np.arange(7200.0)
    values = 200 + 0.001 * at_s + np.random.default_rng(0).normal(0, 1, len(at_s))
    assert growth_percent(at_s, values) == pytest.approx(3.5, abs=0.2)


def test_one_value_says_nothing():
    assert growth_percent([1.0], [200.0]) == 0.0


def test_threads_and_files_are_counted():
    before = sample(0.0, True)
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    reading, writing = os.pipe()
    after = sample(1.0, True)
    done.set()
    thread.join()
    os.close(reading)
    os.close(writing)
    assert after.threads == before.threads + 1
    assert after.files == before.files + 2
    assert after.rss_mb > 10
