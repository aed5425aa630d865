#!/bin/bash -e
# Put facegate into the image with its own installer; pi-gen gives ROOTFS_DIR and on_chroot.
[ -d "${FACEGATE_WHEELS:?see deploy/image/config}" ] || {
    echo "$FACEGATE_WHEELS: no wheels; first: deploy/wheels.sh $FACEGATE_WHEELS 3.13 aarch64" >&2
    exit 1
}
source="$ROOTFS_DIR/root/facegate"
mkdir -p "$source"
cp -r "$FACEGATE"/{pyproject.toml,config.yaml,systemd,deploy,docs} "$source/"
cp -r "$FACEGATE_WHEELS" "$source/wheels"
on_chroot << 'CHROOT'
/root/facegate/deploy/install.sh --no-apt --wheels /root/facegate/wheels
CHROOT
rm -rf "$source"

# Raspberry Pi's kernel keeps no account of memory unless it is told to; the unit has a limit.
if [ -f "$ROOTFS_DIR/boot/firmware/cmdline.txt" ]; then
    sed -i '1s/$/ cgroup_enable=memory/' "$ROOTFS_DIR/boot/firmware/cmdline.txt"
fi

# The firmware drives the relay's line to the side that holds the strike, before the kernel starts;
# and a line that facegate let go becomes an input again, which the resistor holds.
if [ -f "$ROOTFS_DIR/boot/firmware/config.txt" ]; then
    cat >> "$ROOTFS_DIR/boot/firmware/config.txt" << 'CONFIG'

[all]
# facegate: the strike stays locked while the Pi boots. This line goes with door.relay in
# /etc/facegate/config.yaml, and must change with it: for active_low: true write dh for dl, or the
# strike is released at every boot; for another line its number for 17. `facegate doctor` compares.
gpio=17=op,dl
dtparam=strict_gpiod
CONFIG
fi
