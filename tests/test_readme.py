import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EMBEDDER, SMALLER = "inception_resnet_v1", "inception_resnet_lite"


def figures(name):
    card = json.loads((ROOT / "models" / f"{name}.json").read_text())
    return {**card["figures"], "parameters": card["parameters"], "macs": card["multiply_adds"]}


def row(start):
    """Give the cells of a row of the README's tables, but for the first."""
    line = next(x for x in (ROOT / "README.md").read_text().splitlines() if x.startswith(start))
    cells = [c.strip() for c in line.strip("|").split("|")]
    return cells[1:]


def number(cell):
    return float(re.match(r"[\d.]+", cell)[0]) / (100 if "%" in cell else 1)


def test_the_readme_says_what_the_embedders_card_says():
    f, g = figures(EMBEDDER), figures(SMALLER)
    accuracy, in_float, smaller, _ = row("| accuracy")
    for cell, h in ((accuracy, f), (smaller, g)):
        assert cell == f"{h['accuracy']:.1%} ± {100 * h['accuracy_std']:.1f}".replace("%", " %")
    assert number(in_float) == pytest.approx(f["float"]["accuracy"], abs=6e-4)
    for rate in ("1e-2", "1e-3"):
        shipped, in_float, smaller, _ = row(f"| TAR at FAR {rate}")
        assert number(shipped) == pytest.approx(f["tar_at_far"][rate], abs=6e-4)
        assert number(smaller) == pytest.approx(g["tar_at_far"][rate], abs=6e-4)
        assert number(in_float) == pytest.approx(f["float"]["tar_at_far"][rate], abs=6e-4)
    for at, h in ((0, f), (2, g)):
        tar = h["all_pairs"]["tar_at_far"]["1e-4"]
        assert number(row("| TAR at FAR 1e-4")[at]) == pytest.approx(tar, abs=6e-4)
        assert number(row("| equal error rate")[at]) == pytest.approx(h["eer"], abs=6e-4)


def test_the_readme_says_what_the_refiners_card_says():
    """What the door finds: the refiner's card says it of detector and refiner together."""
    f = figures("onet_like")
    rows = {
        "| faces found, 24": lambda g: g["recall"]["ge24"],
        "| faces found, 16": lambda g: g["recall"]["16to24"],
        "| false alarms": lambda g: g["false_alarms_per_image"],
    }
    for start, of in rows.items():
        shipped, in_float, _ = row(start)
        assert number(shipped) == pytest.approx(of(f), abs=6e-4)
        assert number(in_float) == pytest.approx(of(f["float"]), abs=6e-4)
    assert number(row("| landmark error")[0]) == pytest.approx(f["landmark_nme"], abs=6e-3)


def test_the_readme_says_what_the_calibration_says():
    card = json.loads((ROOT / "models" / f"{EMBEDDER}.json").read_text())
    found = card["calibration"]
    text = " ".join((ROOT / "README.md").read_text().split())
    error = found["reliability"]["expected_calibration_error"]
    assert f"off by {100 * error:.1f} % on average" in text
    at = next(r for r in found["held_out_rates"] if r["wanted"] == 1e-3)
    low, high = (1000 * r for r in at["between_folds"])
    assert f"let {low:.1f} to {high:.1f} in 1,000 through" in text
    one, ten, hundred = (1000 * c["measured"] for c in found["crowds"])
    assert f"enrolled {one:.1f} of 1,000 passed" in text
    assert f"with ten {ten:.1f}, with a hundred {hundred:.1f}" in text
    most = max(max(c["by_population"].values()) for c in found["crowds"])
    assert f"most alike to the network {1000 * most:.1f}." in text


def test_the_readme_says_what_bad_conditions_cost():
    table = figures(EMBEDDER)["robustness"]["conditions"]
    rows = {
        "| as they are": "clean",
        "| a quarter of the light": "low_light",
        "| out of focus": "blur",
        "| JPEG of quality 30": "jpeg_30",
        "| face of 40 px": "face_40_px",
        "| head rolled by 15°": "roll_15",
        "| a mask": "mask",
        "| glasses": "glasses",
    }
    clean = table["clean"]["accuracy"]
    knowing = [100 * (clean - table[name]["refitted"]) for name in ("mask", "glasses")]
    text = " ".join((ROOT / "README.md").read_text().split())
    assert f"would lose {knowing[0]:.1f} and {knowing[1]:.1f} points" in text
    for start, name in rows.items():
        accuracy, tar, points = row(start)
        change = 100 * table[name]["change"]
        assert float(points.replace("−", "-")) == pytest.approx(change, abs=0.06)
        assert number(accuracy) == pytest.approx(table[name]["accuracy"], abs=6e-4)
        assert number(tar) == pytest.approx(table[name]["tar"], abs=6e-4)


def test_the_readme_says_how_groups_differ():
    f = figures(EMBEDDER)
    text = " ".join((ROOT / "README.md").read_text().split())
    rates = [1000 * g["false_match_rate"] for g in f["groups"]["within"].values()]
    assert f"{min(rates):.1f} to {max(rates):.1f} times in a thousand" in text
    assert f"two sets {1000 * f['groups']['between']['false_match_rate']:.1f} times" in text
    low, high = f["all_pairs"]["intervals"]["tar_at_far"]["1e-4"]
    assert f"{100 * low:.1f} to {100 * high:.1f} %" in text


def test_the_readme_says_what_the_cards_say_of_hard_pictures_and_poor_ones():
    f = figures("onet_like")
    rows = {
        "| 15 % of the light": "dark",
        "| heads tilted": "tilted",
        "| mouths covered": "covered",
    }
    for start, name in rows.items():
        found, lost = row(start)
        assert number(found) == pytest.approx(f["conditions"][name]["recall"]["ge24"], abs=6e-4)
        lost = lost.replace("−", "-")
        assert float(lost) == pytest.approx(100 * f["conditions"][name]["loss"]["ge24"], abs=0.06)
    text = " ".join((ROOT / "README.md").read_text().split())
    assert f"there are {f['false_alarms_believed']:.4f} a picture" in text
    by_size = f["landmark_by_size"]["ge24"]["median"]
    assert f"less than {100 * f['landmark_median']:.1f} % of the distance" in text
    assert f"({100 * by_size:.1f} % in faces of 24 px" in text
    card = json.loads((ROOT / "models" / f"{EMBEDDER}.json").read_text())
    curve = card["quality"]["error_versus_reject"]
    worst = dict(zip(curve["refused"], curve["by_quality"], strict=True))
    assert f"from {worst[0.0]:.1%} to {worst[0.2]:.1%}".replace("%", " %") in text
    noise = json.loads((ROOT / "models" / "onet_like.json").read_text())["landmark_cost"]
    costs = [abs(100 * d["cost_of_noise"]) for d in noise["detected"].values()]
    assert f"found again, verify within {max(costs):.1f} points" in text


def test_the_readme_says_what_a_turn_of_the_head_is_worth():
    acts = json.loads((ROOT / "models" / "onet_like.json").read_text())["head_turn"]
    films = {act["films"] for name, act in acts.items() if name != "embedder"}
    assert f"by each of {films.pop()} people's photographs" in (ROOT / "README.md").read_text()
    assert not films
    for name, act in acts.items():
        if name != "embedder":
            passed, turn = row(f"| {name} |")
            assert int(passed) == act["passed"]
            assert turn == f"{act['median_turn']:.2f}, {act['greatest_turn']:.2f}"
    assert any(act["passed"] for name, act in acts.items() if "shaken" in name)


def test_the_readme_says_what_several_looks_gain():
    looks = figures(EMBEDDER)["looks"]
    rates = looks["rates"]
    assert f"enrolled with ({looks['people']} people)" in (ROOT / "README.md").read_text()
    rows = {
        "| 1 |": ("1", "mean"),
        "| 3 |": ("3", "mean"),
        "| 5 |": ("5", "mean"),
        "| 5, compared": ("5", "nearest"),
    }
    for start, (count, way) in rows.items():
        for cell, rate in zip(row(start), ("1e-3", "1e-4"), strict=True):
            assert number(cell) == pytest.approx(rates[rate][count][way]["tar"], abs=6e-4)
    assert all(r["5"]["mean"]["fmr"] < float(rate) for rate, r in rates.items())
    seldom = round(looks["people"] * rates["1e-4"]["5"]["mean"]["people_seldom"])
    assert f"{seldom} of the {looks['people']} people are let in at fewer than 80" in " ".join(
        (ROOT / "README.md").read_text().split()
    )
    text = " ".join((ROOT / "README.md").read_text().split())
    five, of_smaller = (
        100 * figures(name)["looks"]["rates"]["1e-4"]["5"]["mean"]["tar"]
        for name in (EMBEDDER, SMALLER)
    )
    assert f"it lets {five:.0f} in at a door with ten people" in text
    assert f"the smaller lets {of_smaller:.0f} in" in text
    assert f"There {five:.0f} of 100 looks" in text
    work = figures(EMBEDDER)["macs"] / figures(SMALLER)["macs"]
    assert f"It computes {work:.1f} times as much" in text


def test_the_readme_says_where_everything_lies():
    text = (ROOT / "README.md").read_text()
    told = set(re.findall(r"[\w/]+(?:\.py|/)(?=`)", text[text.index("## Where things are") :]))
    names = {t.removeprefix("facegate/").rstrip("/") for t in told}
    here = [p for p in (ROOT / "facegate").iterdir() if not p.name.startswith("__")]
    assert {p.name for p in here} - names == set()
