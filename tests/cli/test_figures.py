"""Figures as people read them."""

from facegate.cli.figures import _group_lines


def test_a_long_name_of_a_group_stays_apart_from_its_figure():
    figures = {"impostors": 75, "false_match_rate": 0.0, "interval": [0, 0.05], "false_matches": 0}
    nobody = {"impostors": 0}
    lines = _group_lines(
        {"far": 0.001, "within": {"own pictures": figures, "b": nobody}, "between": nobody}
    )
    assert lines[1] == "  own pictures 0.00000 [0.0000, 0.0500]  0 of 75"
