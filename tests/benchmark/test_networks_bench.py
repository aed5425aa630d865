"""`facegate bench networks`: any INT8 file, with or without a card."""

import json
import shutil

from facegate import parts
from facegate.benchmark.graphs import dense
from facegate.config import Config


def test_it_times_files_without_cards(facegate, tmp_path):
    copy, made = tmp_path / "copy.tflite", tmp_path / "made.tflite"
    shutil.copy(parts.detector_path(Config()), copy)
    made.write_bytes(dense(16, 64, 2)[0])
    done = facegate("bench", "networks", copy, made, "--rounds", 3, "--json")
    assert done.code == 0, done.err
    result = json.loads(done.out)
    assert [n["name"] for n in result["networks"]] == ["copy", "made"]
    assert result["networks"][1]["mega_macs"] == round(16 * 16 * 64 * 64 * 2 / 1e6, 1)
    (kind,) = result["layers"]["made"]
    assert (kind["kind"], kind["count"], kind["share_of_macs"]) == ("CONV_2D 1×1", 2, 1.0)


def test_a_network_cut_short_is_said(facegate, tmp_path):
    whole = parts.detector_path(Config())
    (tmp_path / "cut.tflite").write_bytes(whole.read_bytes()[:100_000])
    done = facegate("bench", "networks", tmp_path / "cut.tflite")
    assert done.code == 4
    assert "damaged or cut short" in done.complaint


def test_what_is_no_network_is_said(facegate, tmp_path):
    text = tmp_path / "text.tflite"
    text.write_text("hello, this is no graph")
    done = facegate("bench", "networks", text)
    assert done.code == 4
    assert "no TFLite file" in done.complaint
    assert facegate("bench", "networks", tmp_path / "none.tflite").code == 4
