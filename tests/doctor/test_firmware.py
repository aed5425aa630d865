"""The firmware's config.txt against the relay's settings."""

import pytest

from facegate.config import parse_config
from facegate.doctor import firmware

PI_4 = "Raspberry Pi 4 Model B Rev 1.4\0"
STRICT = "dtparam=strict_gpiod\n"


def found(
    root, text, *, active_low=False, line="GPIO17", model=PI_4, command_line="", chip="header"
):
    for path, said in (
        (firmware.CONFIG, text), (firmware.MODEL, model), (firmware.COMMAND_LINE, command_line)
    ):  # fmt: skip
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(said)
    settings = {"gpio": {"chip": chip}, "door": {"relay": {"line": line, "active_low": active_low}}}
    return firmware.relay_at_boot(parse_config(settings, "test"), root)


@pytest.mark.parametrize(
    ("active_low", "attributes", "state"),
    [(False, "dl", "ok"), (True, "dh", "ok"), (False, "dh", "bad"), (True, "dl", "bad")],
)
def test_the_level_must_be_the_one_that_holds_the_strike(tmp_path, active_low, attributes, state):
    said = found(tmp_path, f"gpio=17=op,{attributes}\n{STRICT}", active_low=active_low)
    assert said.state == state
    if state == "bad":
        assert "releases the strike at every boot" in said.found
        assert f"write gpio=17=op,{'dh' if active_low else 'dl'} below [all]" in said.mend


@pytest.mark.parametrize(
    "text",
    [
        "", "gpio=18=op,dl\n", "#gpio=17=op,dl\n", "gpio=17=pd\n", "gpio=17=op,dl\ngpio=17=ip\n",
        "[none]\ngpio=17=op,dl\n", "[pi5]\ngpio=17=op,dl\n", "[gpio4=1]\ngpio=17=op,dl\n",
        "[gpio4=1]\n[pi4]\ngpio=17=op,dl\n",
    ],
)  # fmt: skip
def test_a_line_that_nothing_surely_drives_is_told(tmp_path, text):
    said = found(tmp_path, "dtparam=audio=on\n" + text + "[all]\n" + STRICT)
    assert said.state == "warning"
    assert "write gpio=17=op,dl below [all] at the end of /boot/firmware/config.txt" in said.mend


@pytest.mark.parametrize(
    "text",
    [
        "gpio=17=op,dh\ngpio=17=op,dl\n",
        "gpio=17=op,dh\ngpio=17=dl\n",
        "gpio=4,16-18=op,dl\n",
        "[pi4]\ngpio=17=op,dl\n",
        "[cm5]\ngpio=17=op,dh\n[all]\ngpio=17=op,dl\n[pi02]\ngpio=17=op,dh\n",
        "[pi5]\n[none]\n[all]\ngpio = 17 = op,dl\n",
    ],
)
def test_the_last_line_that_applies_wins(tmp_path, text):
    assert found(tmp_path, f"{STRICT}{text}").state == "ok"


@pytest.mark.parametrize("section", ["[EDID=DEL-X]", "[0x1234abcd]", "[cm4]", "[pi4]\n[gpio4=1]"])
def test_what_may_release_the_strike_counts(tmp_path, section):
    text = f"{STRICT}gpio=17=op,dl\n{section}\ngpio=17=op,dh\n"
    assert found(tmp_path, text).state == "bad"


def test_without_a_model_every_section_may_apply(tmp_path):
    text = f"{STRICT}gpio=17=op,dl\n[pi5]\ngpio=17=op,dh\n"
    assert found(tmp_path, text).state == "ok"
    assert found(tmp_path, text, model="").state == "bad"
    assert found(tmp_path, text, model="Raspberry Pi 500 Rev 1.0\0").state == "bad"
    zero = f"{STRICT}[pi0]\ngpio=17=op,dl\n"
    assert found(tmp_path, zero, model="Raspberry Pi Zero 2 W Rev 1.0\0").state == "ok"


@pytest.mark.parametrize(
    ("text", "command_line", "state"),
    [
        ("", "", "warning"),
        ("[pi5]\ndtparam=strict_gpiod\n", "", "warning"),
        ("dtparam=strict_gpiod=off\n", "", "warning"),
        ("dtparam=audio=on,strict_gpiod\n", "", "ok"),
        ("", "root=/dev/mmcblk0p2 pinctrl_bcm2835.persist_gpio_outputs=n rootwait\n", "ok"),
    ],
)
def test_a_line_that_stays_driven_is_told(tmp_path, text, command_line, state):
    said = found(tmp_path, "gpio=17=op,dl\n" + text, command_line=command_line)
    assert said.state == state
    assert ("dtparam=strict_gpiod" in said.mend) == (state == "warning")


def test_only_a_line_of_the_header_is_looked_for(tmp_path):
    text = f"{STRICT}gpio=5=op,dl\ngpio=17=op,dh\n"
    assert found(tmp_path, text, line=5).state == "ok"
    assert "nothing known" in found(tmp_path, text, line="EXTRA_3").found
    assert "nothing known" in found(tmp_path, "", line=17).found
    assert "nothing known" in found(tmp_path, text, line=17, chip="expander").found
    assert found(tmp_path, text, line=17, chip="pinctrl-rp1").state == "bad"
