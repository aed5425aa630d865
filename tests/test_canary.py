"""The canary, on the shipped networks and on one that goes bad."""

import numpy as np
import pytest

from facegate import parts
from facegate.canary import EVERY_S, Canary, cosine
from facegate.config import Config
from facegate.errors import ModelError


class Network:
    def __init__(self):
        self.now_s, self.asked, self.noise = 0.0, 0, 0.0
        self.canary = Canary("embedder", self.ask, (4, 4, 3), lambda: self.now_s)

    def ask(self, picture):
        self.asked += 1
        vector = picture.astype(np.float32).ravel()
        return vector + np.float32(self.noise) * vector[::-1]


@pytest.mark.parametrize("name", ["detector", "refiner", "embedder"])
def test_the_shipped_networks_answer_as_they_did(name):
    now_s = [0.0]
    ask, shape = parts.load_vision(Config()).canaries[name]
    canary = Canary(name, ask, shape, lambda: now_s[0])
    for _ in range(3):
        canary.ask_if_due()
        now_s[0] += EVERY_S
    answer = ask(np.zeros(shape, np.uint8))
    assert answer.ndim == 1
    assert answer.size >= 15
    assert np.abs(answer).max() > 0


def test_it_asks_now_and_then_and_when_told_to():
    n = Network()
    for _ in range(5):
        n.canary.ask_if_due()
    assert n.asked == 1
    n.now_s = EVERY_S
    n.canary.ask_if_due()
    assert n.asked == 2
    n.canary.ask_soon()
    n.canary.ask_if_due()
    assert n.asked == 3


@pytest.mark.parametrize("noise", [0.5, float("nan")])
def test_another_answer_is_an_error(noise):
    n = Network()
    n.canary.ask_if_due()
    n.noise, n.now_s = noise, EVERY_S
    with pytest.raises(ModelError, match="embedder answers a known picture otherwise"):
        n.canary.ask_if_due()


def test_a_step_of_rounding_is_none():
    n = Network()
    n.canary.ask_if_due()
    n.noise, n.now_s = 0.001, EVERY_S
    n.canary.ask_if_due()


def test_a_network_that_says_nothing_at_first_is_wrong():
    with pytest.raises(ModelError):
        Canary("d", lambda _: np.zeros(4, np.float32), (2, 2, 3), lambda: 0.0).ask_if_due()


def test_the_cosine():
    a = np.array([1, 0], np.float32)
    assert cosine(a, a) == 1.0
    assert cosine(a, np.array([0, 2], np.float32)) == 0.0
    assert np.isnan(cosine(a, a * 0))
