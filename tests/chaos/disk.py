"""Floor 2. A small disk that can be filled: a tmpfs where we may mount one, else a directory."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Self

# The centre's store of the longest seed takes some 40 MB, and its write-ahead log 64 MiB beside.
_SIZE_BYTES = 256 << 20
_CHUNKS_BYTES = (1 << 20, 4096, 1)


def why_not() -> str | None:
    """Why no disk can be filled here, None when one can."""
    return None if os.geteuid() == 0 else "filling a disk needs root, to mount a small one"


class Disk:
    """Mounted at `path` while the context lasts."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ballast = path / "ballast"
        self._mounted = False

    def __enter__(self) -> Self:
        self.path.mkdir(parents=True)
        if why_not() is None:
            options = f"size={_SIZE_BYTES}"
            command = ["mount", "-t", "tmpfs", "-o", options, "tramdo-chaos", str(self.path)]
            subprocess.run(command, check=True)
            self._mounted = True
        return self

    def __exit__(self, *_: object) -> None:
        if self._mounted:
            # Lazily: a process that is still dying must not keep the mount for ever.
            subprocess.run(["umount", "--lazy", str(self.path)], check=True)

    def fill(self) -> None:
        """Leave not one byte."""
        assert self._mounted, "only a disk of our own is filled"
        with self._ballast.open("ab", buffering=0) as ballast:
            for chunk_bytes in _CHUNKS_BYTES:
                try:
                    while ballast.write(bytes(chunk_bytes)) == chunk_bytes:
                        pass
                except OSError:
                    continue

    def empty(self) -> None:
        """Give the room back."""
        self._ballast.unlink(missing_ok=True)
