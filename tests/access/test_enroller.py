"""The enroller, with a camera that shows what it is told to."""

import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
from stores import at, unit, vectors

from facegate.access.matcher import Matcher
from facegate.config import parse_config
from facegate.enroller import Enroller
from facegate.errors import DaemonError
from facegate.journal import Journal
from facegate.types import Embedding, Frame

ONE_PERSON, THRESHOLD = 1.0, 0.8


class Gate:
    """An enroller whose camera shows what it is told to."""

    def __init__(self, store):
        self.store, self.watching, self.ended, self.shows = store, True, [], None
        self.now_s, self.said, events = 100.0, [], []
        gallery = store.gallery()
        now = SimpleNamespace(
            matcher=Matcher(gallery),
            names=gallery.names,
            admins=frozenset(),
            limits=SimpleNamespace(threshold=THRESHOLD),
        )
        reader = SimpleNamespace(sole_embedding=lambda pixels, found: self.shows)
        self.enroller = Enroller(
            parse_config({"enrolment": {"captures": 2, "interval_s": 0.0}}, "test"),
            SimpleNamespace(calibration=SimpleNamespace(midpoint=ONE_PERSON), reader=reader),
            store,
            SimpleNamespace(now=now, changing=threading.Lock),
            Journal(events.append),
            lambda: self.now_s,
            lambda: self.watching,
            self.ended.append,
        )

    def show(self, vector):
        """Let a second of frames pass."""
        self.shows = Embedding(vector, "model-a", 1.0)
        for _ in range(10):
            self.now_s += 0.1
            frame = Frame(np.zeros((2, 2, 3), np.uint8), self.now_s, 1)
            self.enroller.collect(frame, ())

    def enrol(self, name, then, countdown_s=0.0):
        """Enrol in a thread while `then` happens; gives the person or the error."""
        got, self.said = [], []
        begun = threading.Event()

        def progress(captured, guidance):
            self.said.append(guidance)
            begun.set()

        def work():
            try:
                got.append(self.enroller.enrol(name, False, progress, countdown_s))
            except Exception as error:
                got.append(error)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        assert begun.wait(20)
        then()
        thread.join(20)
        assert got, f"still going on: {self.said}"
        return got[0]


@pytest.fixture
def gate(store):
    ann = vectors(1)[0]
    store.add("Ann", [ann])
    return Gate(store)


def test_resembling_less_than_whoever_is_let_in_is_no_duplicate(gate):
    """Between the threshold (0.8) and even odds (1.0): one person by the odds, another by it."""
    ann, aside = np.linalg.qr(np.stack(vectors(2)).T)[0].T
    ann = vectors(1)[0] if ann @ vectors(1)[0] < 0 else ann
    other = unit(np.cos(np.deg2rad(52)) * ann + np.sin(np.deg2rad(52)) * aside)
    assert 0.8 < np.linalg.norm(other - vectors(1)[0]) < 1.0
    assert gate.enroller.add("Ben", [other]).name == "Ben"


def test_looks_that_are_one_person_by_the_odds_are_enrolled_together(gate):
    assert gate.enroller.add("Ben", at(64, 116)).templates == 2


def test_a_cancelled_enrolment_does_not_cancel_the_next(gate):
    cancelled = gate.enrol("Ben", then=gate.enroller.press)
    assert "cancelled" in str(cancelled)
    ben = vectors(3)[2]
    person = gate.enrol("Ben", then=lambda: gate.show(ben))
    assert getattr(person, "name", person) == "Ben"
    assert gate.ended == [False, True]


def test_no_look_is_taken_while_it_is_counted_down(gate):
    passer_by, ben = vectors(4)[2:]

    def then():
        gate.show(passer_by)  # before the three seconds are over
        gate.now_s += 3.0
        ends_s = time.monotonic() + 20
        while gate.said[-1].startswith("look at the camera: "):
            assert time.monotonic() < ends_s
            time.sleep(0.01)
        gate.show(ben)

    person = gate.enrol("Ben", then, countdown_s=3.0)
    assert getattr(person, "name", person) == "Ben"
    match = Matcher(gate.store.gallery()).match(passer_by)
    assert match.distance > 1.0


def test_a_camera_that_stops_ends_the_enrolment_at_once(gate):
    def then():
        gate.watching = False

    error = gate.enrol("Ben", then=then)
    assert isinstance(error, DaemonError)
    assert "the camera has stopped" in str(error)
