"""The unit files, judged by systemd's own tools."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from facegate.catalog import catalog

pytestmark = pytest.mark.host
UNITS = Path(__file__).parents[2] / "systemd"
UNIT_FILES = sorted([*UNITS.glob("*.service"), *UNITS.glob("*.timer")])
MAX_EXPOSURE = 1.5


def tool(name):
    if shutil.which(name) is None:
        pytest.skip(f"this machine has no {name}")
    return name


def test_the_shipped_catalog_is_the_events():
    shipped = (UNITS / "facegate.catalog").read_text()
    assert shipped == catalog(), "run: python -m facegate.catalog > systemd/facegate.catalog"


def test_journalctl_takes_the_catalog(tmp_path):
    journalctl = tool("journalctl")
    database = tmp_path / "var/lib/systemd/catalog/database"
    folder = tmp_path / "usr/lib/systemd/catalog"
    folder.mkdir(parents=True)
    database.parent.mkdir(parents=True)
    shutil.copy(UNITS / "facegate.catalog", folder)
    subprocess.run([journalctl, f"--root={tmp_path}", "--update-catalog"], check=True)
    listed = subprocess.run(
        [journalctl, f"--root={tmp_path}", "--list-catalog"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert "The door was forced open" in listed


@pytest.mark.parametrize("path", UNIT_FILES, ids=lambda p: p.name)
def test_systemd_takes_the_unit(tmp_path, path):
    analyze = tool("systemd-analyze")
    for unit in UNIT_FILES:
        program = re.sub(
            r"^ExecStart=(.*\\\n)*.*", "ExecStart=/bin/true", unit.read_text(), flags=re.M
        )
        (tmp_path / unit.name).write_text(program)
    done = subprocess.run(
        [analyze, "verify", str(tmp_path / path.name)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "facegate" not in done.stderr


@pytest.mark.parametrize("path", sorted(UNITS.glob("*.service")), ids=lambda p: p.name)
def test_the_services_are_exposed_little(path):
    analyze = tool("systemd-analyze")
    done = subprocess.run(
        [
            analyze, "security", "--offline=true", f"--threshold={round(MAX_EXPOSURE * 10)}",
            str(path),
        ],
        capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-300:]
    exposure = float(re.search(r"exposure level .*?: ([\d.]+)", done.stdout)[1])
    assert 0 < exposure <= MAX_EXPOSURE


def test_the_installer_puts_every_unit():
    installer = (UNITS.parent / "deploy/install.sh").read_text()
    timers, units = (
        re.search(rf'^{name}="([^"]*)"', installer, re.M)[1] for name in ("TIMERS", "SHIPPED_UNITS")
    )
    units = units.replace("\\\n", " ")
    listed = set(units.replace("$TIMERS", timers).split())
    assert listed == {unit.name for unit in UNIT_FILES}


def test_the_installer_puts_and_removes_what_lies_beside_the_units():
    installer = (UNITS.parent / "deploy/install.sh").read_text()
    for folder in ("journald", "system"):
        assert (UNITS / f"{folder}-facegate.conf").exists()
        assert installer.count(f"/etc/systemd/{folder}.conf.d/facegate.conf") == 2


def test_the_devices_are_known_before_they_are_allowed():
    settings = (UNITS / "facegate.service").read_text().splitlines()
    assert {f"{key}=modprobe@videodev.service" for key in ("Wants", "After")} <= set(settings)


def test_nothing_hides_the_processor_from_the_interpreter():
    """ProcSubset=pid hides /proc/cpuinfo, and inference becomes four times slower."""
    settings = [
        line
        for line in (UNITS / "facegate.service").read_text().splitlines()
        if not line.startswith("#")
    ]
    assert not any(line.startswith(("ProcSubset", "PrivateUsers")) for line in settings)


def test_the_trail_is_looked_for_wherever_there_is_a_store_or_a_trail():
    settings = (UNITS / "facegate-verify.service").read_text().splitlines()
    state = "/var/lib/facegate"
    found = {line for line in settings if line.startswith("Condition")}
    assert found == {f"ConditionPathExists=|{state}/{n}" for n in ("people.db", "audit.jsonl")}


def test_no_number_of_failures_gives_the_door_up_but_wrong_settings_are_not_tried_again():
    from facegate.errors import ConfigError

    settings = (UNITS / "facegate.service").read_text().splitlines()
    assert {"Restart=always", "StartLimitIntervalSec=0"} <= set(settings)
    assert f"RestartPreventExitStatus={ConfigError.exit_code}" in settings


def test_whoever_gets_the_key_leaves_it_in_no_core_and_no_swap():
    texts = {p.name: p.read_text(encoding="utf-8") for p in UNITS.glob("*.service")}
    keyed = {name for name, text in texts.items() if "LoadCredentialEncrypted=facegate-key" in text}
    assert keyed == {f"facegate{part}.service" for part in ("", "-verify", "-backup")}
    for name in keyed:
        assert {"LimitCORE=0", "MemorySwapMax=0"} <= set(texts[name].splitlines()), name


def test_the_scripts_are_sound():
    shellcheck = tool("shellcheck")
    root = UNITS.parent
    here = [p for p in root.glob("scripts/*") if p.suffix in ("", ".sh")]
    scripts = [*root.glob("deploy/**/*.sh"), *here, root / ".ci/run", root / "deploy/image/config"]
    done = subprocess.run(
        [shellcheck, "-x", *map(str, scripts)], capture_output=True, text=True, cwd=root
    )
    assert done.returncode == 0, done.stdout
