"""Copies of the store beside it: made after changes, verified, the oldest wiped."""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from facegate.access.backup import Backup, open_backup
from facegate.access.files import drop_scratch, hand_to_owner, not_written, wipe, write_whole
from facegate.access.store import Store
from facegate.errors import StoreError

STORE_PART = "people.db"
_NAME = re.compile(r"people-(\d{6})\.fgbackup")


def copies_in(folder: Path) -> list[Path]:
    """List the copies in a folder, the oldest first; none where there is no such folder."""
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if _NAME.fullmatch(p.name))


class RollingBackups:
    """The copies of one store, sealed with its key.

    Args:
        folder: where they lie; made when needed.
        key: of the store, 32 bytes.
        keep: so many are kept; 0 makes none.
    """

    def __init__(self, folder: Path, key: bytes, keep: int) -> None:
        self.folder, self._key, self._keep = folder, key, keep

    def files(self) -> list[Path]:
        """List the copies, the oldest first."""
        return copies_in(self.folder)

    def make(self, store: Store) -> Path | None:
        """Copy the store and verify the copy by opening it; None where `keep` is 0.

        Raises:
            StoreError: it cannot be made; the older copies stay.
        """
        if self._keep < 1:
            return None
        try:
            self._make_folder()
            with self._alone():
                mark, image = store.image()
                facts = {"made_at_wall": time.time(), "mark": mark}
                path = self.folder / f"people-{self._next():06d}.fgbackup"
                write_whole(path, Backup({STORE_PART: image}, facts).sealed(self._key))
                try:
                    self.check(path)
                except StoreError:
                    wipe(path)
                    raise
                for old in self.files()[: -self._keep]:
                    wipe(old)
        except OSError as error:
            why = f"no backup: {error.strerror}"
            raise not_written(self.folder, error, why) from error
        return path

    def latest_mark(self) -> str | None:
        """Give the mark of the store that the newest copy holds; None without a good copy."""
        files = self.files()
        try:
            return str(self.read(files[-1]).facts["mark"]) if files else None
        except StoreError:
            return None

    def read(self, path: Path) -> Backup:
        """Open a copy.

        Raises:
            StoreError: it cannot be read, is damaged, or is under another key.
        """
        try:
            content = path.read_bytes()
        except OSError as error:
            raise StoreError(f"{path}: cannot be read: {error.strerror}") from error
        return open_backup(content, self._key, str(path))

    def check(self, path: Path) -> Backup:
        """Open a copy and everything in it.

        Raises:
            StoreError: something in it is damaged.
        """
        backup = self.read(path)
        with self._store_of(backup, path) as copy:
            copy.gallery()
        return backup

    def store_in(self, path: Path) -> Store:
        """Open the store in a copy.

        Raises:
            StoreError: it cannot be read, is damaged, or is under another key.
        """
        return self._store_of(self.read(path), path)

    def newest_good(self) -> tuple[Path, Backup]:
        """Find the newest copy that can be put back.

        Raises:
            StoreError: there is none; says why.
        """
        why = "none was made yet"
        for path in reversed(self.files()):
            try:
                return path, self.check(path)
            except StoreError as error:
                why = str(error)
        raise StoreError(f"{self.folder}: no usable backup: {why}")

    def drop_all(self) -> None:
        """Wipe all copies.

        Raises:
            StoreError: one cannot be removed.
        """
        if not self.folder.is_dir():
            return
        try:
            with self._alone():
                for path in self.files():
                    wipe(path)
        except OSError as error:
            raise StoreError(f"{self.folder}: cannot be wiped: {error.strerror}") from error

    def _store_of(self, backup: Backup, path: Path) -> Store:
        return Store.from_image(backup.parts[STORE_PART], self._key, str(path))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the folder, so that no copy made meanwhile holds somebody just forgotten."""
        descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            drop_scratch(self.folder, _NAME.pattern)
            yield
        finally:
            os.close(descriptor)

    def _next(self) -> int:
        files = self.files()
        found = _NAME.fullmatch(files[-1].name) if files else None
        return int(found[1]) + 1 if found else 1

    def _make_folder(self) -> None:
        if not self.folder.is_dir():
            self.folder.mkdir(mode=0o700)
            descriptor = os.open(self.folder, os.O_RDONLY)
            try:
                hand_to_owner(descriptor, self.folder.parent)
            finally:
                os.close(descriptor)
