from facegate.clock_watch import ClockWatch


def test_steps_are_told_once_and_corrections_are_not(clock):
    told, ahead_s = [], [1000.0]
    watch = ClockWatch(told.append, lambda: ahead_s[0] + clock.now_s, clock)
    for second in range(100):
        clock.now_s = float(second)
        ahead_s[0] += 0.1  # the clock is slow, and corrected on the way
        watch.look()
    assert told == []
    ahead_s[0] += 7200
    watch.look()
    watch.look()
    ahead_s[0] -= 86_400
    watch.look()
    assert [round(s) for s in told] == [7200, -86_400]
