from facegate.health import Health


class Gauges:
    def __init__(self):
        self.now_s, self.frames, self.door = 0.0, 0, 0
        self.health = Health(
            {"camera": lambda: self.frames, "door": lambda: self.door},
            lambda: self.now_s,
            stall_s=6.0,
        )


def test_a_part_that_moves_is_alive():
    g = Gauges()
    for second in range(100):
        g.now_s, g.frames, g.door = second, second, second // 5
        assert g.health.stalled() == []


def test_a_part_that_stands_still_is_named_until_it_moves():
    g = Gauges()
    for second in range(8):
        g.now_s, g.door = float(second), second
        stalled = g.health.stalled()
    assert stalled == ["camera"]
    g.frames += 1
    assert g.health.stalled() == []


def test_of_parts_that_wait_for_each_other_the_first_is_named():
    now_s, moves = [0.0], {"camera": 0, "detector": 0, "embedder": 0, "door": 0}
    gauges = {name: (lambda name=name: moves[name]) for name in moves}
    chain = ("camera", "detector", "embedder")
    health = Health(gauges, lambda: now_s[0], stall_s=6.0, chain=chain)
    for second in range(10):
        now_s[0], moves["camera"] = float(second), second
        stalled = health.stalled()
    assert stalled == ["detector", "door"]
