import threading
import time

import pytest

from facegate.errors import DaemonError
from facegate.pipeline.pipeline import Pipeline, Stage


def test_all_stages_end_and_the_pipeline_says_so():
    done = []
    stages = [Stage(n, lambda _s, n=n: done.append(n)) for n in ("a", "b")]
    with Pipeline(stages) as pipeline:
        assert pipeline.wait(5)
    assert sorted(done) == ["a", "b"]


def test_a_stage_that_fails_ends_the_others_and_is_named():
    def fail(_stopping):
        raise ValueError("broken lens")

    finished = []
    waiting = Stage("wait", lambda stopping: stopping.wait(30), lambda: finished.append(True))
    with (
        pytest.raises(DaemonError, match="lens failed: broken lens") as caught,
        Pipeline([Stage("lens", fail), waiting]) as pipeline,
    ):
        pipeline.wait(5)
    assert isinstance(caught.value.__cause__, ValueError)
    assert finished == [True]
    assert not waiting.alive


def test_finish_is_called_even_when_the_stage_fails():
    finished = []

    def fail(_stopping):
        raise ValueError

    stage = Stage("x", fail, lambda: finished.append(True))
    with pytest.raises(DaemonError), Pipeline([stage]) as pipeline:
        pipeline.wait(5)
    assert finished == [True]


def test_a_stage_that_will_not_stop_is_named():
    release = threading.Event()
    stage = Stage("deaf", lambda _stopping: release.wait(30))
    pipeline = Pipeline([stage])
    pipeline.__enter__()
    with pytest.raises(DaemonError, match="deaf"):
        pipeline.stop(timeout_s=0.05)
    release.set()
    assert stage.join(5)


def test_waiting_gives_up_in_time():
    with Pipeline([Stage("w", lambda stopping: stopping.wait(30))]) as pipeline:
        assert pipeline.wait(0.02) is False


def test_a_finish_that_fails_counts_as_the_stage_failing():
    def fail():
        raise ValueError("stuck")

    with (
        pytest.raises(DaemonError, match="x failed: stuck"),
        Pipeline([Stage("x", lambda _s: None, fail)]) as pipeline,
    ):
        pipeline.wait(5)


def test_a_failure_without_words_is_named_by_its_kind():
    def fail(_stopping):
        raise MemoryError

    with (
        pytest.raises(DaemonError, match="detect failed: MemoryError"),
        Pipeline([Stage("detect", fail)]) as pipeline,
    ):
        pipeline.wait(5)


def test_a_failure_while_stopping_is_told_too():
    def finish():
        raise ValueError("the relay is stuck")

    with (
        pytest.raises(DaemonError, match="act failed: the relay is stuck"),
        Pipeline([Stage("act", lambda stopping: stopping.wait(30), finish)]),
    ):
        pass


def test_stopping_takes_its_time_once_however_many_are_deaf():
    """systemd kills what takes longer, and then nothing is written down."""
    release = threading.Event()
    pipeline = Pipeline([Stage(f"deaf-{n}", lambda _s: release.wait(30)) for n in range(8)])
    pipeline.__enter__()
    began_s = time.monotonic()
    with pytest.raises(DaemonError, match=", ".join(f"deaf-{n}" for n in range(8))):
        pipeline.stop(timeout_s=0.3)
    release.set()
    assert time.monotonic() - began_s < 1.5


def test_stopping_frees_whoever_waits_for_data():
    data = threading.Event()
    with Pipeline([Stage("reader", lambda _stopping: data.wait(30))], wake=data.set):
        pass


def test_nobody_feeds_a_stage_that_is_not_there_yet():
    begun = []

    def noting(name, start):
        return lambda: (begun.append(name), start())

    stages = [Stage(n, lambda stopping: stopping.wait(30)) for n in ("capture", "detect", "act")]
    for stage in stages:
        stage._thread.start = noting(stage.name, stage._thread.start)
    with Pipeline(stages):
        assert begun == ["act", "detect", "capture"]
