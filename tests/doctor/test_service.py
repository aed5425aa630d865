"""Checks of the installation on trees of files as systems have them."""

import re
from pathlib import Path

import pytest

from facegate.doctor import service

ROOT = Path(__file__).parents[2]


def make(root, *paths):
    for path in paths:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("")


def test_python_and_packages_of_this_environment():
    assert service.python().state == "ok"
    found = service.packages()
    assert found.state == "ok"
    assert "numpy" in found.found


def test_a_package_that_is_missing_is_named(monkeypatch):
    monkeypatch.setattr(service, "NEEDED", ("yaml", "no_such_package"))
    assert service.packages().found == "missing: no_such_package"


def test_picamera2_against_its_numpy(tmp_path):
    make(tmp_path, "usr/lib/python3/dist-packages/numpy-1.24.2.egg-info/PKG-INFO")
    assert service.camera_stack(True, tmp_path, "1.24.2", installed=True).state == "ok"
    other = service.camera_stack(True, tmp_path, "2.4.0", installed=True)
    assert other.state == "bad"
    assert "system's numpy 1.24.2, but numpy 2.4.0" in other.found


def test_picamera2_is_missed_only_where_it_is_wanted(tmp_path):
    assert service.camera_stack(False, tmp_path, installed=False).state == "ok"
    missing = service.camera_stack(True, tmp_path, installed=False)
    assert missing.state == "bad"
    assert "python3-picamera2" in missing.mend


def test_the_unit_installed_enabled_masked(tmp_path):
    assert "not installed" in service.unit(tmp_path).found
    make(tmp_path, "etc/systemd/system/facegate.service")
    assert "does not start with the machine" in service.unit(tmp_path).found
    wants = tmp_path / service.WANTS
    wants.mkdir()
    (wants / "facegate.service").symlink_to("/etc/systemd/system/facegate.service")
    assert service.unit(tmp_path).state == "ok"
    for state, wanted in (
        ("active (success)", "ok"),
        ("activating (success)", "ok"),
        ("inactive (success)", "bad"),
        ("failed (exit-code)", "bad"),
    ):
        found = service.unit(tmp_path, lambda state=state: state)
        assert (found.state, state in found.found) == (wanted, wanted == "bad")
    (tmp_path / "etc/systemd/system/facegate.service").unlink()
    (tmp_path / "etc/systemd/system/facegate.service").symlink_to("/dev/null")
    assert service.unit(tmp_path).found == "facegate.service is masked"


@pytest.mark.parametrize(
    ("files", "state", "said"),
    [
        ((), "warning", "keeps no journal"),
        (("run/log/journal/m/system.journal",), "warning", "forgotten at every start"),
        (("var/log/journal/m/system.journal",), "ok", "readable, 1 file"),
    ],
)
def test_the_journal(tmp_path, files, state, said):
    make(tmp_path, *files)
    found = service.journal(tmp_path)
    assert (found.state, said in found.found) == (state, True)


def test_a_forgotten_journal_is_mended_by_the_installers_settings(tmp_path):
    make(tmp_path, "run/log/journal/m/system.journal")
    assert "/etc/systemd/journald.conf.d/facegate.conf" in service.journal(tmp_path).mend
    shipped = (ROOT / "systemd/journald-facegate.conf").read_text()
    assert "Storage=persistent" in shipped
    installer = (ROOT / "deploy/install.sh").read_text()
    name = re.search(r"/etc/systemd/journald\.conf\.d/(\S+)", installer)[1]
    assert name > "40-rpi-volatile-storage.conf", "the last file by name wins, wherever it lies"


def test_a_journal_without_files_to_be_seen_may_not_be_read(tmp_path, monkeypatch):
    (tmp_path / "var/log/journal").mkdir(parents=True)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert "keeps no journal" in service.journal(tmp_path).found
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    found = service.journal(tmp_path)
    assert found.state == "warning"
    assert "systemd-journal" in found.mend
