import base64
import hashlib
import stat

import pytest

from facegate.access.pin import PinFile
from facegate.errors import InputError, StoreError


@pytest.fixture
def pins(tmp_path):
    return PinFile(tmp_path / "pin")


def test_only_the_pin_that_was_set_matches(pins):
    pins.set("482915")
    assert pins.matches("482915")
    for wrong in ("482916", "48291", "", "4829150", "４８２９１５"):
        assert not pins.matches(wrong)
    pins.set("1207")
    assert pins.matches("1207")
    assert not pins.matches("482915")


def test_the_file_holds_no_pin_and_is_ours_alone(pins):
    pins.set("482915")
    kept = pins.path.read_text()
    pins.set("482915")
    assert "482915" not in kept
    assert pins.path.read_text() != kept, "the same PIN has another salt each time"
    assert stat.S_IMODE(pins.path.stat().st_mode) == 0o600
    assert [p.name for p in pins.path.parent.iterdir()] == ["pin"]


def test_a_pin_is_hashed_at_a_cost_that_never_changes(pins):
    """Of a file that is there already, at another cost, no PIN would match."""
    salt = bytes(range(16))
    kept = hashlib.scrypt(b"482915", salt=salt, n=16_384, r=8, p=1)
    pins.path.write_text(" ".join(base64.b64encode(part).decode() for part in (salt, kept)))
    assert pins.matches("482915")
    assert not pins.matches("482916")


@pytest.mark.parametrize("pin", ["", "123", "1234567890123", "12a4", "４８２９", "7777", "12 34"])
def test_a_poor_pin_is_refused_and_the_old_one_stays(pins, pin):
    pins.set("482915")
    with pytest.raises(InputError, match="choose another"):
        pins.set(pin)
    assert pins.matches("482915")


@pytest.mark.parametrize("content", ["", "one", "a b c", "?? ??"])
def test_a_damaged_file_says_what_to_do(pins, content):
    pins.path.write_text(content)
    with pytest.raises(StoreError, match="facegate door pin"):
        pins.matches("1234")


def test_without_a_pin_nothing_matches(pins):
    with pytest.raises(StoreError, match="no PIN yet"):
        pins.matches("1234")
