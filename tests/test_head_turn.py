"""A photograph before the camera, and a head that turns: the whole gate, with shipped networks."""

import threading
import time

import numpy as np
import pytest

from facegate import parts
from facegate.config import parse_config
from facegate.daemon import Gate
from facegate.journal import Journal
from facegate.types import Frame

walkup = pytest.importorskip("facegate.demo.walkup", reason="the portraits need facegate[demo]")
pytest.importorskip("skimage", reason="the portraits need facegate[demo]")
pytest.importorskip("matplotlib", reason="the portraits need facegate[demo]")

from facegate.training import liveness  # noqa: E402  (after what may skip)
from facegate.training.heads import FLAT, HEAD  # noqa: E402

WAVED = liveness.Act("waved", FLAT, (40, 20, 15))
SHAKEN = liveness.Act("shaken", HEAD, (0, 5, 4), shake=30)


class Projector:
    """A camera that shows a film as fast as it was taken, over and over."""

    description = "film"

    def __init__(self, film):
        self.film = list(film)

    def frames(self, stopping):
        began_s = time.monotonic()
        for number in range(10**6):
            at_s, pixels = self.film[number % len(self.film)]
            at_s += number // len(self.film) * liveness.SECONDS
            if stopping.wait(max(0.0, began_s + at_s - time.monotonic())):
                return
            yield Frame(pixels, time.monotonic(), number)

    def close(self):
        pass


@pytest.fixture(scope="module")
def vision():
    return parts.load_vision(parse_config({}, "test"))


@pytest.fixture
def stood_before(tmp_path, vision):
    """Give what a gate that wants a turn says of an act, and the relay's edges."""

    def stand(act, within_s):
        portrait = walkup.portraits()[0].pixels
        (photo,) = liveness.usable(vision.reader, [portrait])
        config = parse_config(
            {
                "state": {"folder": str(tmp_path / "state")},
                "gpio": {"driver": "fake"},
                "access": {"liveness": "head_turn", "liveness_s": within_s},
                "door": {"pulse_s": 0.5},
            },
            "test",
        )
        camera = Projector(liveness.film(photo, act, np.random.default_rng(1)))
        events, stopping = [], threading.Event()
        with (
            parts.open_store(config, vision.model_id) as store,
            parts.lines_from(config) as lines,
        ):
            gate = Gate(config, vision, store, camera, lines, Journal(events.append))
            face = vision.reader.look(portrait, vision.reader.find(portrait)[0])
            gate.commands.add("Eileen", [vision.reader.embed(face).vector], vision.model_id)
            thread = threading.Thread(target=gate.run, args=(stopping,))
            thread.start()
            try:
                end_s = time.monotonic() + within_s + 20.0
                while not {"granted", "turn_missing"} & {e.name for e in events}:
                    assert time.monotonic() < end_s, [e.name for e in events]
                    time.sleep(0.05)
            finally:
                stopping.set()
                thread.join(10)
            return [e.name for e in events], lines.relay.edges

    return stand


def test_a_head_that_turns_is_let_in(stood_before):
    names, edges = stood_before(SHAKEN, 30.0)  # a busy machine sees few frames
    assert names.index("turn_wanted") < names.index("granted")
    assert edges


def test_a_photograph_that_is_waved_is_not(stood_before):
    names, edges = stood_before(WAVED, 6.0)
    assert names.index("turn_wanted") < names.index("turn_missing")
    assert not edges
