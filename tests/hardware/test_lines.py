"""GPIO lines against libgpiod's real settings and a stand-in for the kernel's chips."""

import errno
import os
import sys
import types
from pathlib import Path

import gpiod
import pytest

from facegate.errors import LineError
from facegate.hardware import chips
from facegate.hardware.lines import Edge, GpiodInput, GpiodOutput, wait_for_edges

BUTTON = (True, "pull-up", 0.02)
"""To ground: active low, pulled up, debounced for 20 ms."""

INACTIVE, ACTIVE = gpiod.line.Value.INACTIVE, gpiod.line.Value.ACTIVE


def os_error(code):
    return OSError(code, os.strerror(code))


class Request:
    def __init__(self, kernel):
        self.kernel, self.released = kernel, 0

    def set_value(self, offset, value):
        if self.kernel.broken:
            raise os_error(errno.EIO)
        self.kernel.log.append((offset, value))

    def get_value(self, offset):
        if self.kernel.broken:
            raise os_error(errno.EIO)
        return self.kernel.level

    def read_edge_events(self):
        if self.kernel.broken:
            raise os_error(errno.EIO)
        os.eventfd_read(self.kernel.ready)
        events, self.kernel.events = self.kernel.events, []
        return events

    def fileno(self):
        return self.kernel.ready

    def release(self):
        self.kernel.log.append("released")


class Kernel:
    """A machine's chips: path → (label, line names)."""

    def __init__(self):
        self.chips = {
            "gpiochip0": ("pinctrl-rp1", [f"GPIO{n}" for n in range(28)]),
            "gpiochip1": ("gpio-brcmstb", ["-", "-"]),
        }
        self.log, self.claims, self.open = [], [], 0
        self.claim_error = self.open_error = None
        self.owner, self.broken = "", False
        self.level, self.events, self.ready = INACTIVE, [], os.eventfd(0)

    def edge(self, at_s, rising):
        kind = gpiod.EdgeEvent.Type.RISING_EDGE if rising else gpiod.EdgeEvent.Type.FALLING_EDGE
        number = len(self.events) + 1
        self.events.append(gpiod.EdgeEvent(kind, int(at_s * 1e9), 17, number, number))
        os.eventfd_write(self.ready, 1)

    def chip(self, path):
        if self.open_error:
            raise self.open_error
        return Chip(self, Path(path).name)


class Chip:
    def __init__(self, kernel, name):
        self.kernel, self.name = kernel, name
        self.label, self.names = kernel.chips[name]
        kernel.open += 1

    def get_info(self):
        return types.SimpleNamespace(name=self.name, label=self.label, num_lines=len(self.names))

    def line_offset_from_id(self, wanted):
        if wanted in self.names:
            return self.names.index(wanted)
        try:
            offset = int(wanted)
        except ValueError:
            raise os_error(errno.ENOENT) from None
        if offset >= len(self.names):
            raise ValueError("line offset of out range")
        return offset

    def get_line_info(self, offset):
        return types.SimpleNamespace(consumer=self.kernel.owner)

    def request_lines(self, config, consumer):
        if self.kernel.claim_error:
            raise self.kernel.claim_error
        self.kernel.claims.append((self.name, config, consumer))
        return Request(self.kernel)

    def close(self):
        self.kernel.open -= 1

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


@pytest.fixture
def kernel(monkeypatch, tmp_path):
    kernel = Kernel()
    for name in kernel.chips:
        (tmp_path / name).touch()
    (tmp_path / "gpiochip4").symlink_to("gpiochip0")
    monkeypatch.setattr(chips, "DEVICES", tmp_path)
    monkeypatch.setattr(gpiod, "Chip", kernel.chip)
    yield kernel
    os.close(kernel.ready)
    assert kernel.open == 0, "no chip is left open"


@pytest.mark.parametrize("chip", ["header", "pinctrl-rp1", "gpiochip0", "gpiochip4"])
@pytest.mark.parametrize("line", ["GPIO17", 17, "17"])
def test_a_line_is_claimed_inactive_in_one_call(kernel, chip, line):
    GpiodOutput(chip, line, active_low=True)
    [(name, config, consumer)] = kernel.claims
    [(offset, settings)] = config.items()
    assert (name, offset, consumer) == ("gpiochip0", 17, "facegate")
    assert settings.direction is gpiod.line.Direction.OUTPUT
    assert settings.output_value is INACTIVE
    assert settings.active_low is True
    assert kernel.log == [], "no level is set after the claim"


def test_a_path_names_a_chip(kernel, tmp_path):
    GpiodOutput(str(tmp_path / "gpiochip0"), 3)
    assert kernel.claims[0][0] == "gpiochip0"


def test_setting_and_closing(kernel):
    with GpiodOutput("pinctrl-rp1", "GPIO17") as line:
        assert not line.active
        line.set(True)
        assert line.active
    line.close()
    assert kernel.log == [(17, ACTIVE), (17, INACTIVE), "released"]
    assert not line.active
    with pytest.raises(LineError, match="pinctrl-rp1 GPIO17: the line is closed"):
        line.set(True)


def test_a_line_that_cannot_be_driven_is_let_go_nevertheless(kernel):
    line = GpiodOutput("pinctrl-rp1", "GPIO17")
    line.set(True)
    kernel.broken = True
    with pytest.raises(LineError, match="cannot be driven: Input/output error"):
        line.set(False)
    assert line.active, "what was not done is not claimed to be"
    with pytest.raises(LineError, match="cannot be driven"):
        line.close()
    assert kernel.log[-1] == "released"
    line.close()


def test_an_unknown_chip_lists_those_there(kernel):
    with pytest.raises(LineError) as caught:
        GpiodOutput("pinctrl-bcm2711", "GPIO17")
    assert "pinctrl-bcm2711: no such gpiochip" in str(caught.value)
    assert "gpiochip0 (pinctrl-rp1), gpiochip1 (gpio-brcmstb)" in str(caught.value)


@pytest.mark.parametrize("line", ["GPIO99", 99])
def test_an_unknown_line(kernel, line):
    with pytest.raises(LineError, match=f"pinctrl-rp1 {line}: no such line among the chip's 28"):
        GpiodOutput("pinctrl-rp1", line)


@pytest.mark.parametrize(("owner", "said"), [("w1-gpio", "w1-gpio"), ("", "another program")])
def test_a_busy_line_names_who_holds_it(kernel, owner, said):
    kernel.claim_error, kernel.owner = os_error(errno.EBUSY), owner
    with pytest.raises(LineError, match=f"busy, held by {said}"):
        GpiodOutput("pinctrl-rp1", "GPIO17")


def test_no_right_to_a_line_or_a_chip(kernel):
    kernel.claim_error = os_error(errno.EPERM)
    with pytest.raises(LineError, match="no right to claim it; add the user to the group gpio"):
        GpiodOutput("pinctrl-rp1", "GPIO17")
    kernel.open_error = os_error(errno.EACCES)
    with pytest.raises(LineError, match=r"no right to open .*gpiochip0.*; add the user to"):
        GpiodOutput("pinctrl-rp1", "GPIO17")


def test_other_refusals_are_passed_on(kernel):
    kernel.claim_error = os_error(errno.EINVAL)
    with pytest.raises(LineError, match="cannot be claimed: Invalid argument"):
        GpiodOutput("pinctrl-rp1", "GPIO17")


def test_the_real_binding_without_any_chip(monkeypatch, tmp_path):
    (tmp_path / "gpiochip0").write_text("not a chip")
    monkeypatch.setattr(chips, "DEVICES", tmp_path)
    with pytest.raises(LineError, match="this machine has no gpiochip"):
        GpiodOutput("pinctrl-rp1", "GPIO17")


def test_gpiod_missing_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "gpiod", None)
    with pytest.raises(LineError, match="gpiod is not installed; pip install"):
        GpiodOutput("pinctrl-rp1", "GPIO17")


@pytest.mark.parametrize(
    ("bias", "meant"),
    [
        ("pull-up", gpiod.line.Bias.PULL_UP),
        ("pull-down", gpiod.line.Bias.PULL_DOWN),
        ("none", gpiod.line.Bias.DISABLED),
    ],
)
def test_an_input_is_claimed_with_debounce_bias_and_both_edges(kernel, bias, meant):
    GpiodInput("pinctrl-rp1", "GPIO27", active_low=True, bias=bias, debounce_s=0.02)
    [(_, config, consumer)] = kernel.claims
    [(offset, settings)] = config.items()
    assert (offset, consumer) == (27, "facegate")
    assert settings.direction is gpiod.line.Direction.INPUT
    assert settings.edge_detection is gpiod.line.Edge.BOTH
    assert settings.bias is meant
    assert settings.active_low is True
    assert settings.debounce_period.total_seconds() == 0.02
    assert settings.event_clock is gpiod.line.Clock.MONOTONIC


def test_an_inputs_edges_carry_the_kernels_time(kernel):
    with GpiodInput("pinctrl-rp1", "GPIO17", *BUTTON) as line:
        assert not line.read()
        kernel.level = ACTIVE
        assert line.read()
        kernel.edge(12.5, True)
        kernel.edge(12.75, False)
        assert wait_for_edges({"button": line}, 1.0) == [
            ("button", Edge(12.5, True)),
            ("button", Edge(12.75, False)),
        ]
        assert wait_for_edges({"button": line}, 0.0) == []
    line.close()
    assert kernel.log == ["released"]
    for use in (line.read, line.edges, line.fileno):
        with pytest.raises(LineError, match="pinctrl-rp1 GPIO17: the line is closed"):
            use()


def test_an_input_that_cannot_be_read(kernel):
    line = GpiodInput("pinctrl-rp1", "GPIO17", *BUTTON)
    kernel.broken = True
    for use in (line.read, line.edges):
        with pytest.raises(LineError, match="cannot be read: Input/output error"):
            use()


def test_a_busy_input_names_who_holds_it(kernel):
    kernel.claim_error, kernel.owner = os_error(errno.EBUSY), "gpio-keys"
    with pytest.raises(LineError, match="busy, held by gpio-keys"):
        GpiodInput("pinctrl-rp1", "GPIO17", *BUTTON)
