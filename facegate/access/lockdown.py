"""A lockdown outlives a restart: a file in the state folder says that one is on."""

from __future__ import annotations

from pathlib import Path

from facegate.access.files import not_written, sync_folder, write_whole


class LockdownMark:
    """The file; a lockdown is on for as long as it is there.

    Args:
        path: of the file, in the state folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def on(self) -> bool:
        """Whether it is there; a file that cannot be looked at counts as one."""
        try:
            self.path.lstat()
        except FileNotFoundError:
            return False
        except OSError:
            return True
        return True

    def set(self, on: bool) -> None:
        """Make the file or remove it; on disk when this returns.

        Raises:
            StoreError: it cannot be made or removed.
        """
        try:
            if on:
                write_whole(self.path, b"a lockdown is on; facegate door lockdown off ends it\n")
            elif self.on:  # on a disk that cannot be written, none there is as good as one removed
                self.path.unlink(missing_ok=True)
                sync_folder(self.path.parent)
        except OSError as error:
            why = f"cannot be {'written' if on else 'removed'}: {error.strerror}"
            raise not_written(self.path, error, why) from error
