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

# The relay's line is held down from the first second on, before the kernel knows of it.
if [ -f "$ROOTFS_DIR/boot/firmware/config.txt" ]; then
    printf '\n[all]\n# facegate: the strike stays locked while the Pi boots\ngpio=17=op,dl\n' \
        >> "$ROOTFS_DIR/boot/firmware/config.txt"
fi
