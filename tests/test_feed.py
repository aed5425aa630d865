"""The feed keeps the newest events, and makes nobody wait."""

import threading
import time

from facegate.feed import KEPT, Feed
from facegate.journal import Journal
from facegate.repeats import Repeats


def filled(count, kept=KEPT):
    feed = Feed(kept)
    journal = Journal(feed)
    for number in range(1, count + 1):
        journal.emit("granted", "x", number=number)
    return feed


def numbers(entries):
    assert [e.seq for e in entries] == [e.event.fields["number"] for e in entries]
    return [e.seq for e in entries]


def test_events_are_numbered_from_one_and_the_newest_are_kept():
    assert numbers(filled(3).after(0, 0)) == [1, 2, 3]
    assert numbers(filled(8, kept=3).after(0, 0)) == [6, 7, 8]
    assert len(filled(KEPT + 1).after(0, 0)) == KEPT == 500


def test_what_came_after_a_number():
    feed = filled(5)
    assert numbers(feed.after(3, 0)) == [4, 5]
    assert feed.after(5, 0) == []


def test_where_to_begin():
    feed = filled(5)
    assert feed.begin(None) == 5
    assert feed.begin(3) == 3
    assert feed.begin(0) == 0
    assert feed.begin(6) == 0  # of an earlier start: everything is news
    assert feed.begin(3, feed.start) == 3
    assert feed.begin(3, "another start") == 0
    assert feed.begin(None, "another start") == 5
    assert Feed().start != feed.start


def test_what_came_before_it_is_not_in_it():
    feed = Feed()
    journal = Journal()
    journal.emit("started", "x")
    journal.add(feed)
    journal.emit("ready", "x")
    assert [(e.seq, e.event.name) for e in feed.after(0, 0)] == [(1, "ready")]


def test_it_gets_what_the_journal_is_spared():
    feed, written = Feed(), []
    journal = Journal(Repeats(written.append))
    journal.add(feed)
    for _ in range(3):
        journal.emit("unknown", "x", reason="far")
    assert (len(feed.after(0, 0)), len(written)) == (3, 1)


def test_an_event_ends_the_wait_and_so_does_waking():
    feed = filled(1)
    for wake, found in ((lambda: feed(feed.after(0, 0)[0].event), 1), (feed.wake, 0)):
        seq = feed.begin(None)
        timer = threading.Timer(0.1, wake)
        began_s = time.monotonic()
        timer.start()
        assert len(feed.after(seq, 20)) == found
        assert 0.05 < time.monotonic() - began_s < 10
        timer.join()
