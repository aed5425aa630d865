"""Events wait in the outbox, never whoever writes them."""

import threading
import time

from facegate.journal import Journal
from facegate.outbox import WAITING_AT_MOST, Outbox


class Standing:
    """A sink that takes nothing until it is told to, as a journal whose reader stands."""

    def __init__(self):
        self.go_on, self.taken = threading.Event(), []

    def __call__(self, event):
        assert self.go_on.wait(20)
        self.taken.append(event.fields["number"])


def emit(journal, count):
    for number in range(count):
        journal.emit("granted", "x", number=number)


def test_nobody_waits_for_a_sink_that_stands_and_nothing_is_lost():
    sink = Standing()
    with Outbox(sink, "test") as outbox:
        began_s = time.monotonic()
        emit(Journal(outbox), 1000)
        assert time.monotonic() - began_s < 1
        assert sink.taken == []
        sink.go_on.set()
    assert sink.taken == list(range(1000))
    assert outbox.lost == 0


def test_what_has_no_room_is_counted():
    sink = Standing()
    with Outbox(sink, "test") as outbox:
        emit(Journal(outbox), WAITING_AT_MOST + 100)
        assert outbox.lost in (99, 100)  # the sink may have taken one in its hand
        sink.go_on.set()
    assert sink.taken[-1] in (WAITING_AT_MOST - 1, WAITING_AT_MOST)


def test_the_end_waits_for_as_long_as_it_was_told():
    sink = Standing()
    outbox = Outbox(sink, "test", patience_s=0.2)
    emit(Journal(outbox), WAITING_AT_MOST + 100)
    began_s = time.monotonic()
    outbox.close()
    assert 0.15 < time.monotonic() - began_s < 2
    sink.go_on.set()


def test_a_sink_that_fails_ends_nothing():
    taken = []

    def sink(event):
        if event.fields["number"] == 1:
            raise BrokenPipeError
        taken.append(event.fields["number"])

    with Outbox(sink, "test") as outbox:
        emit(Journal(outbox), 4)
    assert taken == [0, 2, 3]
    assert outbox.lost == 1


def test_no_failure_of_a_sink_ends_the_thread():
    taken = []

    def sink(event):
        taken.append(event)
        if len(taken) == 1:
            raise MemoryError

    with Outbox(sink, "test") as outbox:
        emit(Journal(outbox), 3)
    assert len(taken) == 3
    assert outbox.lost == 1
