"""Floor 2. A wall clock that is stepped for one process, by libfaketime; monotonic time goes on.

The offset is in a file that the library reads once a second (at every call costs it its speed).
"""

from __future__ import annotations

from pathlib import Path

_LIBRARY = "faketime/libfaketimeMT.so.1"
_ROOTS = (Path("/usr/lib"), Path("/usr/local/lib"))


def why_not() -> str | None:
    """Why no clock can be stepped here, None when one can."""
    if _library() is None:
        return "libfaketime is not installed (Debian: apt-get install libfaketime)"
    return None


# How long until a process has noticed.
NOTICED_AFTER_S = 1.1


class FakeClock:
    """One process's clock, right until it is stepped."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.step(0)

    def step(self, days: int) -> None:
        """Set it so many days off; the process notices within `NOTICED_AFTER_S`."""
        # A process must never read half of it.
        new = self._path.with_suffix(".new")
        new.write_text(f"{days:+d}d\n", encoding="ascii")
        new.replace(self._path)

    def environment(self) -> dict[str, str]:
        """What the process needs; nothing where there is no library."""
        library = _library()
        if library is None:
            return {}
        return {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self._path),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }


def _library() -> Path | None:
    found = (path for root in _ROOTS for path in sorted(root.glob(f"*/{_LIBRARY}")))
    return next(found, None)
