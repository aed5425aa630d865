"""A virtual board: a QEMU machine with simulated GPIO chips, a camera, and systemd.

Debian's kernel has no gpio-sim, so it is made out of tree from the same version's source, which is
fetched for that and kept nowhere.
"""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from debian import run

BOARD = Path(__file__).parent / "board"
MODULES = ("configfs", "gpio-sim", "vivid")
BOOT_MODULES = ("virtio_pci", "virtio_blk", "crc32c_generic", "ext4")
SOURCES = ("drivers/gpio/gpio-sim.c", "drivers/gpio/gpiolib.h", "kernel/irq/irq_sim.c")
INIT = """#!/bin/busybox sh
/bin/busybox mount -t devtmpfs none /dev
for module in /[0-9]*.ko; do /bin/busybox insmod $module; done
/bin/busybox mount -t ext4 /dev/vda /root
exec /bin/busybox switch_root /root /lib/systemd/systemd
"""
IMAGE_MB, MEMORY_MB = 1400, 2048


class Kernel:
    """Debian's kernel with gpio-sim among its modules, in a folder.

    Args:
        folder: where it is made; empty.
    """

    def __init__(self, folder: Path) -> None:
        headers = sorted(Path("/usr/src").glob("linux-headers-*-amd64"))
        if not headers:
            pytest.skip("this machine has no linux-headers-amd64")
        self.folder, self.tree = folder, folder / "kernel"
        self.release = headers[-1].name.removeprefix("linux-headers-")
        self.version = run("dpkg-query", "-f", "${Version}", "-W", headers[-1].name)
        folder.mkdir()
        self._fetch()
        self._build()
        run("depmod", "-b", self.tree, self.release)

    @property
    def file(self) -> Path:
        """The kernel to boot."""
        return self.tree / f"boot/vmlinuz-{self.release}"

    def _fetch(self) -> None:
        series = ".".join(self.release.split(".")[:2])
        names = (f"linux-image-{self.release}", f"linux-source-{series}")
        run("apt-get", "download", "-q", *(f"{n}={self.version}" for n in names), cwd=self.folder)
        image, source = (next(self.folder.glob(f"{n}_*.deb")) for n in names)
        run("dpkg-deb", "-x", image, self.tree)
        run("dpkg-deb", "-x", source, self.folder / "source")
        archive = next((self.folder / "source").rglob("linux-source-*.tar.xz"))
        wanted = [f"{archive.name.removesuffix('.tar.xz')}/{name}" for name in SOURCES]
        run("tar", "-xf", archive, "--occurrence=1", *wanted, cwd=self.folder)
        archive.unlink()

    def _build(self) -> None:
        """Make gpio-sim with its simulated interrupts as one module."""
        module = self.folder / "module"
        shutil.copytree(BOARD, module, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
        for name in SOURCES:
            shutil.copy(next(self.folder.glob(f"linux-source-*/{name}")), module)
        (module / "gpio-sim.c").rename(module / "gpio_sim_chip.c")
        # Two things that a module may not reach, by what the headers offer instead.
        interrupts = module / "irq_sim.c"
        text = interrupts.read_text()
        text = text.replace(
            "#include <linux/irq_sim.h>",
            "#include <linux/irq_sim.h>\n#include <linux/irqdesc.h>\n#include <linux/irqdomain.h>",
        )
        text = re.sub(r"irq_to_desc\((\w+)\)", r"irq_data_to_desc(irq_get_irq_data(\1))", text)
        interrupts.write_text(text)
        run("make", "-C", f"/usr/src/linux-headers-{self.release}", f"M={module}", "modules")
        target = self.tree / f"lib/modules/{self.release}/extra"
        target.mkdir()
        shutil.copy(module / "gpio-sim.ko", target)

    def modules(self, *names: str) -> list[Path]:
        """Give the files of modules with all they need, in the order in which they are loaded."""
        found: list[Path] = []
        for name in names:
            told = run("modprobe", "-d", self.tree, "-S", self.release, "--show-depends", name)
            paths = [Path(line.split()[1]) for line in told.splitlines() if line[:6] == "insmod"]
            found += [p for p in paths if p not in found]
        return found

    def install(self, tree: Path) -> None:
        """Put the modules that the board wants into a system's folder."""
        target = tree / "usr/lib/modules" / self.release
        source = self.tree / "lib/modules" / self.release
        for file in self.modules(*MODULES):
            copy = target / file.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, copy)
        for name in ("modules.order", "modules.builtin", "modules.builtin.modinfo"):
            shutil.copy(source / name, target)
        run("depmod", "-b", tree, self.release)

    def initrd(self) -> Path:
        """Make what mounts the disk and starts systemd on it."""
        root, packed = self.folder / "initrd", self.folder / "initrd.cpio"
        for name in ("bin", "dev", "root"):
            (root / name).mkdir(parents=True)
        shutil.copy("/bin/busybox", root / "bin")
        for number, file in enumerate(self.modules(*BOOT_MODULES)):
            shutil.copy(file, root / f"{number:02d}-{file.name}")
        (root / "init").write_text(INIT)
        (root / "init").chmod(0o755)
        names = "\n".join(str(p.relative_to(root)) for p in sorted(root.rglob("*")))
        packed.write_bytes(
            subprocess.run(
                ["cpio", "-o", "-H", "newc", "--quiet"],
                input=names.encode(), capture_output=True, cwd=root, check=True,
            ).stdout
        )  # fmt: skip
        return packed


def boot_board(kernel: Kernel, tree: Path, timeout_s: float) -> tuple[list[dict], str]:
    """Boot a system's folder on the board, until it powers off.

    Returns:
        What it wrote to the second serial port, one JSON document a line; and its console.
    """
    folder = kernel.folder
    disk, console, told = folder / "disk", folder / "console", folder / "told"
    for port in ("ttyS0", "ttyS1"):
        mask = tree / f"etc/systemd/system/serial-getty@{port}.service"
        mask.unlink(missing_ok=True)
        mask.symlink_to("/dev/null")
    run("mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-d", tree, disk, f"{IMAGE_MB}M")
    # QEMU's own AVX2 gathers from wrong addresses, and numpy dies of it.
    # It goes first, or whatever else this machine does would be seen as the relay's lateness.
    # A board that is too slow still leaves on the second port what it saw so far.
    subprocess.run(
        [
            "nice", "-n", "-5", "timeout", str(timeout_s),
            "qemu-system-x86_64", "-accel", "tcg,thread=multi",
            "-smp", "2", "-cpu", "max,-avx2", "-m", str(MEMORY_MB), "-nographic", "-no-reboot",
            "-nodefaults", "-serial", f"file:{console}", "-serial", f"file:{told}",
            "-kernel", str(kernel.file), "-initrd", str(kernel.initrd()),
            "-drive", f"file={disk},if=virtio,format=raw,cache=unsafe",
            "-append", "console=ttyS0 panic=-1 quiet",
        ],
        stdin=subprocess.DEVNULL, capture_output=True, check=False,
    )  # fmt: skip
    os.unlink(disk)
    lines = told.read_text().splitlines() if told.exists() else []
    return [json.loads(line) for line in lines], console.read_text(errors="replace")
