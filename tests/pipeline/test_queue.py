import threading

import pytest

from facegate.pipeline.queue import Channel, ChannelClosed


def test_the_newest_wins_and_drops_are_counted():
    channel = Channel(1)
    for k in range(1000):
        channel.put(k)
    counts = channel.counts
    assert channel.get() == 999
    assert (counts.put, counts.dropped, counts.waiting, counts.most_waiting) == (1000, 999, 1, 1)


def test_what_must_be_kept_is_never_dropped():
    channel = Channel(3, keep=lambda item: item == "grant")
    for item in ("a", "grant", "b", "c", "d"):
        channel.put(item)
    assert [channel.get() for _ in range(3)] == ["grant", "c", "d"]


def test_a_droppable_item_gives_way_when_all_others_must_be_kept():
    channel = Channel(2, keep=lambda item: item == "grant")
    assert channel.put("grant")
    assert channel.put("grant")
    assert not channel.put("x")
    assert channel.counts.dropped == 1


def test_an_item_to_keep_waits_for_room():
    channel = Channel(1, keep=lambda _item: True)
    channel.put("first")
    second = threading.Thread(target=channel.put, args=("second",))
    second.start()
    second.join(0.1)
    assert second.is_alive()
    assert channel.get() == "first"
    second.join(5)
    assert channel.get() == "second"
    assert channel.counts.dropped == 0


def test_waiting_overflow_loses_nothing_and_keeps_the_bound():
    channel = Channel(2, overflow="wait")
    got = []
    reader = threading.Thread(target=lambda: got.extend(channel))
    reader.start()
    for k in range(1000):
        channel.put(k)
    channel.close()
    reader.join(10)
    assert got == list(range(1000))
    assert channel.counts.most_waiting <= 2


def test_a_closed_channel_gives_what_it_holds_and_takes_nothing():
    channel = Channel(2)
    channel.put(1)
    channel.close()
    with pytest.raises(ChannelClosed):
        channel.put(2)
    assert list(channel) == [1]
    with pytest.raises(ChannelClosed):
        channel.get()


def test_closing_wakes_who_waits():
    channel = Channel(1)
    ended = []
    reader = threading.Thread(target=lambda: ended.append(list(channel)))
    reader.start()
    channel.close()
    reader.join(5)
    assert ended == [[]]


def test_get_gives_up_in_time():
    assert Channel(1).get(timeout_s=0.01) is None


def test_a_capacity_below_one_is_refused():
    with pytest.raises(ValueError, match="capacity is 0"):
        Channel(0)
