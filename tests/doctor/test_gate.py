"""Checks of the gate's parts, with a real store and real networks."""

import os
import time

import numpy as np
import pytest

from facegate import parts
from facegate.access import keys
from facegate.config import parse_config
from facegate.doctor import gate
from facegate.errors import StoreError
from facegate.vision.card import read_card


def settings(folder, **sections):
    return parse_config(
        {"state": {"folder": str(folder)}, "gpio": {"driver": "fake"}, **sections}, "test"
    )


def test_the_networks_run_on_their_delegate(tmp_path):
    for check in (gate.detector, gate.refiner, gate.embedder):
        found = check(settings(tmp_path))
        assert found.state == "ok"
        assert "XNNPACK" in found.found


def test_a_network_too_slow_for_the_board_is_said(tmp_path, monkeypatch):
    assert " ms a look; threshold" in gate.embedder(settings(tmp_path)).found
    monkeypatch.setattr(gate, "LONGEST_WAIT_S", 1e-6)
    found = gate.embedder(settings(tmp_path))
    assert found.state == "warning"
    assert "models.embedder: inception_resnet_lite" in found.mend
    assert "3 looks" in found.mend
    smaller = gate.embedder(settings(tmp_path, models={"embedder": "inception_resnet_lite"}))
    assert "need fewer" in smaller.mend
    assert "inception_resnet_lite" not in smaller.mend


def test_a_board_that_looks_too_seldom_to_see_a_turn_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(gate, "TURN_LOOK_S", 1e-6)
    assert gate.embedder(settings(tmp_path)).state == "ok"
    found = gate.embedder(settings(tmp_path, access={"liveness": "head_turn"}))
    assert found.state == "warning"
    assert "four looks a second" in found.mend


def test_the_store_opens_with_its_key_and_not_with_one_that_others_may_read(tmp_path):
    config = settings(tmp_path)
    assert "not made yet" in gate.store(config, None).found
    card = read_card(parts.embedder_path(config), "embedder")
    parts.open_store(config, card.model_id).close()
    assert "the key fits" in gate.store(config, None).found
    os.chmod(config.key_path, 0o644)
    with pytest.raises(StoreError, match="key"):
        gate.store(config, None)


def test_where_the_key_lies_is_said(tmp_path, monkeypatch):
    config = settings(tmp_path)
    assert gate.key(config, tmp_path).found == "not made yet"
    keys.create_key(config.key_path)
    plain = gate.key(config, tmp_path)
    assert plain.state == "ok"
    assert plain.found.startswith(f"{config.key_path}, in plain: whoever has the card has the key")
    keys.write_key(config.key_path, keys.load_key(config.key_path), "a long passphrase")
    assert gate.key(config, tmp_path).found == "sealed by a passphrase"
    sealed = tmp_path / "facegate-key"
    sealed.touch()
    monkeypatch.setattr(keys, "SEALED_CREDENTIAL", sealed)
    assert gate.key(config, tmp_path).found.endswith("host key, on the same card")
    (tmp_path / "sys/class/tpmrm/tpmrm0").mkdir(parents=True)
    assert gate.key(config, tmp_path).found.endswith("TPM")


def test_who_is_kept_long_after_their_pass_ended_is_counted(tmp_path):
    config = settings(tmp_path)
    card = read_card(parts.embedder_path(config), "embedder")
    with parts.open_store(config, card.model_id) as store:
        for number, name in enumerate(("Ann", "Ben", "Cid")):
            store.add(name, [np.eye(128, dtype=np.float32)[number]])
        store.set_until("Ann", time.time() - 29 * 86_400)
        assert gate.store(config, None).state == "ok"
        store.set_until("Cid", 0.0)
        assert gate.store(config, None).state == "ok", "a block is to be kept"
        store.set_until("Ben", time.time() - 31 * 86_400)
    found = gate.store(config, None)
    assert found.state == "warning"
    assert "3 people; of 1 the pass ended more than 30 days ago" in found.found


def test_who_is_too_near_to_another_is_named(tmp_path):
    config = settings(tmp_path)
    card = read_card(parts.embedder_path(config), "embedder")
    one, other, third = np.eye(128, dtype=np.float32)[:3]
    with parts.open_store(config, card.model_id) as store:
        store.add("Ben", [one])
        store.add("Cid", [third])
        assert gate.store(config, None).state == "ok"
        store.add("Ann", [np.sqrt(0.9, dtype=np.float32) * one + np.sqrt(0.1) * other])
        found = gate.store(config, None)
        assert found.state == "warning"
        assert found.found.endswith("3 people; too near to each other: Ann and Ben")
        assert "facegate enroll NAME --more for both" in found.mend
        assert "forget" not in found.mend
        store.set_until("Cid", time.time() - 31 * 86_400)
        both = gate.store(config, None)
        assert "Ann and Ben; of 1 the pass ended" in both.found
        assert "forget NUMBER" in both.mend
        for name in "DEFGHIJ":
            store.add(name, [third])
    found = gate.store(config, None).found
    assert "Ann and Ben, Cid and D, Cid and E, Cid and F, Cid and G and 3 more; of 1" in found
    strict = settings(tmp_path, access={"threshold": 0.01})
    assert "Ann" not in gate.store(strict, None).found


def test_lines_that_are_wired_are_named(tmp_path):
    config = settings(tmp_path, gpio={"driver": "gpiod"}, door={"contact": {"line": "GPIO5"}})
    found = gate.gpio(config, None, devices=tmp_path)
    assert (found.state, found.found) == ("bad", "this machine has no gpiochip")
    assert gate._wired(config) == ["relay GPIO17", "contact GPIO5"]
    assert gate.gpio(settings(tmp_path), None).state == "ok"


def test_records_older_than_they_may_be_are_told_with_the_reason(tmp_path):
    config = settings(tmp_path, audit={"keep_days": 30})
    assert gate.trail(config, True).found == "nothing was recorded yet"
    keys.create_key(config.key_path)
    with parts.open_audit(config) as trail:
        for day in (0, 1, 40):
            trail.append("granted", {}, wall_s=1e9 + day * 86_400)
    assert gate.trail(config, True, 1e9 + 37 * 86_400).state == "ok"
    found = gate.trail(config, False, 1e9 + 41 * 86_400)
    assert found.state == "warning"
    assert "2 records" in found.found
    assert "nothing vouches for the clock" in found.found
    assert "sudo facegate audit trim" in found.mend
    assert "never ran for 12 hours" in gate.trail(config, True, 1e9 + 41 * 86_400).found
    for_ever = settings(tmp_path, audit={"keep_days": None})
    assert "for ever" in gate.trail(for_ever, True).found
