#!/bin/bash -e
# This stage goes on from the Lite system.
if [ ! -d "$ROOTFS_DIR" ]; then
    copy_previous
fi
