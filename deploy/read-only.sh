#!/usr/bin/env bash
# Make the system read-only, so that no power cut and no worn card can spoil it: whatever is written
# to it is gone with the next boot. What must stay moves to a partition of its own, such as the one
# of a USB stick: people and their key, settings, the journal.
set -euo pipefail

DATA=/srv/facegate
KEPT="/var/lib/facegate /etc/facegate /var/backups/facegate /var/log/journal"
OVERLAY=/etc/overlayroot.local.conf
FIRMWARE=/boot/firmware/config.txt

usage() {
    cat <<'TEXT'
usage: sudo deploy/read-only.sh on [PARTITION]
       sudo deploy/read-only.sh off

  on   PARTITION holds an ext4 file system; it may be left out where /srv/facegate is mounted
  off  the system can be written to again from the next boot on; what was moved stays there
TEXT
}
say() { echo "facegate: $*"; }
fail() { echo "facegate: $*" >&2; exit 1; }

case "${1:-}" in
    on | off) ;;
    *) usage >&2; exit 2 ;;
esac
[ "$(id -u)" = 0 ] || fail "needs root: sudo deploy/read-only.sh $1"

if [ "$1" = off ]; then
    if findmnt --noheadings --types overlay / > /dev/null; then
        overlayroot-chroot rm -f "$OVERLAY"
    else
        rm -f "$OVERLAY"
    fi
    say "from the next boot on the system can be written to. Now: reboot"
    exit 0
fi

if [ -f "$OVERLAY" ] && findmnt --noheadings --types overlay / > /dev/null; then
    say "the system is read-only already"
    exit 0
fi
[ -d /etc/facegate ] || fail "facegate is not installed: sudo deploy/install.sh"
command -v overlayroot-chroot > /dev/null ||
    fail "overlayroot is missing: sudo apt install overlayroot"
if ! mountpoint --quiet "$DATA"; then
    partition="${2:-}"
    [ -b "$partition" ] || fail "${partition:-no partition}: name one, such as /dev/sda1; see lsblk"
    kind="$(blkid --output value --match-tag TYPE "$partition" || true)"
    [ "$kind" = ext4 ] ||
        fail "$partition: holds ${kind:-nothing}, not ext4; if it may be erased: mkfs.ext4 $partition"
    mkdir -p "$DATA"
    sed -i "\\: $DATA ext4 :d" /etc/fstab
    echo "UUID=$(blkid --output value --match-tag UUID "$partition") $DATA ext4 noatime 0 2" >> /etc/fstab
    mount "$DATA"
fi

# Without an identity every boot would take a new one, and begin another journal.
systemd-machine-id-setup > /dev/null
# Moved while nobody writes to them; what lies there from an earlier time is not overwritten. What was
# moved is wiped here: nobody who is forgotten later may be left below the mount.
systemctl stop facegate.service 2> /dev/null || true
for path in $KEPT; do
    place="$DATA$path"
    # There from before the copy is whole until what was copied is wiped, through any power cut.
    unwiped="$place.unwiped"
    mkdir -p "$path" "$(dirname "$place")"
    mountpoint --quiet "$path" && continue
    if [ ! -e "$place" ]; then
        rm -rf "$place.part"  # of a copy that was broken off
        touch "$unwiped"
        cp -a "$path" "$place.part"
        sync --file-system "$DATA"
        mv "$place.part" "$place"
    fi
    grep -q " $path none bind" /etc/fstab ||
        echo "$place $path none bind,x-systemd.requires-mounts-for=$DATA 0 0" >> /etc/fstab
    sync --file-system "$DATA" /etc/fstab
    if [ -e "$unwiped" ]; then
        find "$path" -type f -exec shred --iterations=1 --remove {} +
        find "$path" -mindepth 1 -delete
        sync --file-system "$path"
        rm "$unwiped"
    fi
    mount "$path"
done
systemctl try-restart systemd-journald.service 2> /dev/null || true
# recurse=0: only the root is covered, not the partition that is meant to be written to.
echo 'overlayroot="tmpfs:recurse=0"' > "$OVERLAY"
# The initramfs of the kernel that boots lays the cover. Installing overlayroot made only one of them
# anew, on a Pi 5 not the one that it boots; and newer ones leave the driver out unless it is named.
not_covered() {
    rm -f "$OVERLAY"
    fail "the system stays as it is: $*"
}
modules=/etc/initramfs-tools/modules
grep --quiet --line-regexp overlay "$modules" 2> /dev/null || echo overlay >> "$modules"
update-initramfs -u -k all || not_covered "update-initramfs failed, see above"
initramfs="/boot/initrd.img-$(uname -r)"
contents="$(lsinitramfs "$initramfs")" || not_covered "$initramfs cannot be read"
contents="$contents $(cat "/lib/modules/$(uname -r)/modules.builtin" 2> /dev/null || true)"
for part in scripts/init-bottom/overlayroot fs/overlayfs/overlay.ko; do
    case "$contents" in
        *"$part"*) ;;
        *) not_covered "$initramfs holds no $part; reboot if the kernel is new, and try again" ;;
    esac
done
if [ -f "$FIRMWARE" ] && ! grep --quiet --extended-regexp '^(auto_initramfs=1|initramfs )' "$FIRMWARE"
then
    printf '\n[all]\n# facegate: the initramfs makes the system read-only\nauto_initramfs=1\n' \
        >> "$FIRMWARE"
fi
say "from the next boot on only $KEPT last, on $DATA. Now: reboot"
