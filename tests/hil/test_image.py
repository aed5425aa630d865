"""The image recipe's stage, run as pi-gen runs it, then booted with a read-only root."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from debian import NSPAWN, ROOT, boot, inside
from lives import SETTINGS

from facegate.config import Config
from facegate.doctor import firmware

pytestmark = pytest.mark.appliance
STAGE = ROOT / "deploy/image/stage-facegate/00-facegate"
READ_ONLY = "/opt/facegate/venv/share/facegate/deploy/read-only.sh"
PROBES = Path(__file__).parent
KEPT = ("/var/lib/facegate", "/etc/facegate", "/var/backups/facegate", "/var/log/journal")


@pytest.fixture(scope="module")
def image(lives):
    """The tree with the stage done; on a Lite system in which pi-gen installed the packages."""
    life = lives["trixie"].result()
    assert "error" not in life.seen, f"the system's own life failed: {life.seen['error']}"
    tree = life.tree
    (tree / "boot/firmware").mkdir(parents=True)
    (tree / "boot/firmware/config.txt").write_text("dtparam=audio=on\n")
    (tree / "boot/firmware/cmdline.txt").write_text("console=tty1 rootwait\n")
    chroot = " ".join((*NSPAWN, "-D", str(tree), "--console=pipe", "/bin/bash", "-e"))
    script = f"on_chroot() {{ {chroot}; }}; export -f on_chroot; exec ./01-run.sh"
    done = subprocess.run(
        ["bash", "-ec", script], cwd=STAGE, capture_output=True, text=True,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "ROOTFS_DIR": str(tree),
             "FACEGATE": str(ROOT), "FACEGATE_WHEELS": str(tree / "root/wheels")},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return tree


def program(path, does):
    path.write_text(f"#!/bin/sh\n{does}\n")
    path.chmod(0o755)


@pytest.fixture(scope="module")
def boots(image, tmp_path_factory):
    """What was seen in two boots with a root that forgets, and where the rest was kept."""
    kept = tmp_path_factory.mktemp("kept")
    partition = f"--bind={kept}:/srv/facegate"
    (image / "etc/facegate/config.yaml").write_text(SETTINGS)
    shutil.copy(PROBES / "appliance_probe.py", image / "srv/appliance_probe.py")
    shutil.copy(PROBES / "image_probe.py", image / "srv/probe.py")
    # The overlay over the root is nspawn's here; on a Pi it is what these programs make.
    (image / "usr/sbin/overlayroot-chroot").touch(mode=0o755)
    (image / "etc/initramfs-tools").mkdir()
    program(image / "usr/sbin/update-initramfs", 'echo "$@" >> /srv/update-initramfs')
    lists = image / "usr/bin/lsinitramfs"
    program(lists, "echo usr/lib/modules/6.12/kernel/fs/overlayfs/overlay.ko.xz")
    with pytest.raises(AssertionError, match="holds no scripts/init-bottom/overlayroot"):
        inside(image, partition, READ_ONLY, "on")
    assert not (image / "etc/overlayroot.local.conf").exists()
    with lists.open("a") as file:
        file.write("echo scripts/init-bottom/overlayroot\n")
    inside(image, partition, READ_ONLY, "on")
    console = "".join(boot(image, 300, "--volatile=overlay", partition) for _ in range(2))
    assert (kept / "second.json").exists(), console[-3000:]
    return [json.loads((kept / f"{name}.json").read_text()) for name in ("first", "second")]


def test_the_stage_leaves_an_enabled_gate_and_no_rubbish(image):
    release = Path((image / "opt/facegate/venv").readlink())
    for file in ("bin/facegate", "share/facegate/docs/operating.md"):
        assert (image / release.relative_to("/") / file).exists()
    for unit in (
        "multi-user.target.wants/facegate.service",
        "timers.target.wants/facegate-verify.timer",
    ):
        assert (image / "etc/systemd/system" / unit).is_symlink()
    assert not (image / "root/facegate").exists()


def test_the_firmware_holds_the_strike_as_the_settings_want_it(image):
    found = firmware.relay_at_boot(Config(), image)
    assert found.state == "ok", found


def test_the_kernel_is_told_to_keep_account_of_memory(image):
    line = (image / "boot/firmware/cmdline.txt").read_text()
    assert line == "console=tty1 rootwait cgroup_enable=memory\n"


def test_what_was_moved_is_below_no_mount(boots, image):
    for path in KEPT:
        assert list((image / path.lstrip("/")).iterdir()) == [], path


def test_it_boots_straight_into_a_working_gate_with_a_read_only_root(boots):
    first, _ = boots
    assert first["root"] == "overlay"
    assert first["active"]
    assert first["enroll"][0] == 0, first["enroll"]
    assert first["granted"]


def test_every_initramfs_is_made_anew_and_taken(boots, image):
    assert (image / "srv/update-initramfs").read_text() == "-u -k all\n" * 2
    assert (image / "etc/initramfs-tools/modules").read_text() == "overlay\n"
    assert (image / "boot/firmware/config.txt").read_text().count("\nauto_initramfs=1\n") == 1


def test_people_and_journal_last_and_nothing_else(boots):
    first, second = boots
    assert first["people_at_boot"] == []
    assert [p["name"] for p in second["people_at_boot"]] == ["Eileen"]
    assert second["granted"]
    assert second["boots"] > first["boots"]
    assert not second["lost"]


def test_an_upgrade_that_would_not_last_is_refused(boots):
    code, said = boots[0]["upgrade"]
    assert code == 1
    assert "the system is read-only, nothing would last" in said


def test_the_file_system_table_is_sound_and_written_once(boots, image):
    table = (image / "etc/fstab").read_text()
    for path in KEPT:
        assert table.count(f"/srv/facegate{path} {path} none bind") == 1
    assert (image / "etc/overlayroot.local.conf").read_text() == 'overlayroot="tmpfs:recurse=0"\n'
