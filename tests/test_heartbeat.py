"""When systemd is told that all is well, and when not."""

from facegate.errors import StoreError
from facegate.health import Health
from facegate.heartbeat import BEAT_S, Heartbeat
from facegate.journal import Journal


class Ward:
    def __init__(self):
        self.now_s, self.moves, self.lost, self.store_fails = 0.0, True, None, False
        self.told, self.events, self.resumed = [], [], 0
        self.heart = Heartbeat(
            Health({"camera": self.work}, lambda: self.now_s, stall_s=6.0),
            self.read_store,
            lambda: self.lost,
            lambda: "15.0 fps, 3 people, granted: Ann",
            self.told.append,
            Journal(self.events.append),
            lambda: self.now_s,
            self.resume,
        )
        self.count = 0

    def work(self):
        if getattr(self, "moves", False):
            self.count = getattr(self, "count", 0) + 1
        return getattr(self, "count", 0)

    def resume(self):
        self.resumed += 1

    def read_store(self):
        if self.store_fails:
            raise StoreError("disk I/O error")

    def pass_s(self, seconds):
        """Let time go by in steps of the main loop; give what systemd was told meanwhile."""
        before = len(self.told)
        end_s = self.now_s + seconds
        while self.now_s < end_s:
            self.now_s += 0.1
            self.heart.beat_if_due()
        return self.told[before:]


def test_a_healthy_gate_is_fed_for_every_two_seconds():
    w = Ward()
    told = w.pass_s(20 * BEAT_S)
    assert 19 <= len(told) <= 21
    assert set(told) == {"WATCHDOG=1\nSTATUS=15.0 fps, 3 people, granted: Ann"}
    assert not w.heart.amiss


def test_a_part_that_stands_still_is_not_fed_for():
    w = Ward()
    w.pass_s(10)
    w.moves = False
    told = w.pass_s(30)
    assert sum("WATCHDOG=1" in t for t in told) <= 5  # until it counts as stalled
    assert all(t == "STATUS=stalled: camera" for t in told[5:])
    assert [e.name for e in w.events] == ["stalled"]
    assert w.heart.amiss


def test_going_on_ends_it_and_asks_the_canaries():
    w = Ward()
    w.moves = False
    w.pass_s(20)
    assert w.resumed == 0
    w.moves = True
    assert all("WATCHDOG=1" in t for t in w.pass_s(10)[1:])
    assert w.resumed == 1
    assert not w.heart.amiss
    assert [e.name for e in w.events] == ["stalled", "stall_over"]
    assert w.heart.stalled == []


def test_a_store_that_cannot_be_read_is_told_and_fed_for():
    """Without it the gate would not start again, and nobody inside would get out."""
    w = Ward()
    w.store_fails = True
    assert set(w.pass_s(10)) == {"WATCHDOG=1\nSTATUS=stalled: store"}
    assert [e.name for e in w.events] == ["stalled"]
    assert w.heart.amiss
    w.moves = False
    assert w.pass_s(20)[-1] == "STATUS=stalled: camera, store"


def test_a_camera_being_opened_again_is_fed_for_and_shown():
    w = Ward()
    w.lost = "/dev/video0: no such camera"
    assert set(w.pass_s(10)) == {"WATCHDOG=1\nSTATUS=camera lost: /dev/video0: no such camera"}
    assert w.heart.amiss
