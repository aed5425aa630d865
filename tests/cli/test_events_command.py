"""`facegate events`: every event there is, and what to do about one."""

import json

from facegate.events import EVENTS


def test_every_event_has_a_line_with_severity_and_meaning(facegate):
    lines = facegate("events").out.splitlines()
    assert [line.split()[2] for line in lines] == list(EVENTS)
    forced = next(line for line in lines if "door_forced_open" in line)
    assert forced.split(maxsplit=3) == [
        "alert",
        "1",
        "door_forced_open",
        "The door was forced open",
    ]
    assert EVENTS["door_forced_open"].advice not in "\n".join(lines)


def test_of_one_event_it_says_what_to_do(facegate):
    done = facegate("events", "camera_lost")
    first, *advice = done.out.splitlines()
    assert first.startswith("err     3  camera_lost ")
    assert advice == [EVENTS["camera_lost"].advice]
    assert len(facegate("events", "door_closed").out.splitlines()) == 1


def test_json_has_all_of_it(facegate):
    everything = json.loads(facegate("events", "--json").out)
    assert [e["event"] for e in everything] == list(EVENTS)
    lost = json.loads(facegate("events", "camera_lost", "--json").out)
    assert lost in everything
    kind = EVENTS["camera_lost"]
    assert lost == {
        "event": "camera_lost",
        "severity": kind.priority,
        "word": "err",
        "meaning": kind.subject,
        "advice": kind.advice,
        "message_id": kind.message_id,
    }


def test_an_event_that_does_not_exist(facegate):
    done = facegate("events", "camera_lots")
    assert (done.code, "no event is called so" in done.complaint) == (3, True)
