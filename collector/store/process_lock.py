"""Floor 2. The lock by which one collector alone writes a store on SQLite.

Commands that read or write beside it (`report`, `registry`, `backup`) take no lock.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from collector.store.store import StoreError


class ProcessLock:
    """Held until `release`, or until the process has ended, however it ends.

    It is on a file of its own beside the store: closing any descriptor of the store's own file
    would take SQLite's locks away.

    Raises:
        StoreError: another process holds it, or the file cannot be opened.
    """

    def __init__(self, store: Path) -> None:
        path = store.with_name(f"{store.name}.lock")
        try:
            self._file: int | None = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(f"{path}: {error.strerror}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self.release()
            raise StoreError(
                f"{store}: another collector runs on it. SQLite takes one; for several, side by "
                "side, set `[store] postgresql`"
            ) from error

    def release(self) -> None:
        """Let the next one have it. Idempotent."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)
