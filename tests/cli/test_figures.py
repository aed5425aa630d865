"""Figures as people read them."""

from facegate.cli.figures import _group_lines, figure_lines


def test_a_long_name_of_a_group_stays_apart_from_its_figure():
    figures = {"impostors": 75, "false_match_rate": 0.0, "interval": [0, 0.05], "false_matches": 0}
    nobody = {"impostors": 0}
    lines = _group_lines(
        {"far": 0.001, "within": {"own pictures": figures, "b": nobody}, "between": nobody}
    )
    assert lines[1] == "  own pictures 0.00000 [0.0000, 0.0500]  0 of 75"


def test_one_fold_alone_is_said_to_flatter():
    found = {
        "accuracy": 0.9,
        "accuracy_std": 0.0,
        "folds": {"accuracy": [0.9]},
        "eer": 0.1,
        "refused": 0,
        "comparisons": {"genuine": 5, "impostor": 5},
        "tar_at_far": {},
        "intervals": {"accuracy": [0.8, 1], "eer": [0, 0.2], "method": "none"},
    }
    assert "of one fold, [0.8000, 1.0000]  (its threshold was chosen" in figure_lines(found)[0]
    found["folds"]["accuracy"].append(0.9)
    assert "± 0.0000 between folds" in figure_lines(found)[0]
