"""What a running gate takes on."""

from facegate.config import parse_config
from facegate.reload import merge


def test_rules_are_taken_on_and_lines_wait():
    running = parse_config({}, "x")
    wanted = parse_config(
        {"door": {"pulse_s": 2.0, "contact": {"line": 5}}, "camera": {"fps": 5.0}}, "x"
    )
    merged, waiting = merge(running, wanted)
    assert merged.door.pulse_s == 2.0
    assert merged.door.contact.line is None
    assert merged.camera.fps == running.camera.fps
    assert waiting == ["door.contact", "camera"]


def test_a_button_whose_line_waits_is_asked_for_by_nobody():
    running = parse_config({"door": {"second_factor": "pin", "lockout_attempts": 9}}, "x")
    wanted = {"door": {"second_factor": "button", "factor_button": {"line": 5}}}
    merged, waiting = merge(running, parse_config(wanted, "x"))
    assert merged.door.second_factor == "pin"
    assert waiting == ["door.factor_button", "door.second_factor"]
    wired = parse_config({"door": {"factor_button": {"line": 5}}}, "x")
    merged, waiting = merge(wired, parse_config(wanted, "x"))
    assert (merged.door.second_factor, waiting) == ("button", [])
