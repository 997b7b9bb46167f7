"""Floor 2. The bytes that bulk tests used, in a file of the state directory, kept over restarts.

Written without fsync: a power cut loses the bytes of one test at most.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from pathlib import Path

from probe.plan.levels import reads_low
from probe.plan.usage import Usage, in_month, month_of, with_bulk_result
from probe.state.json_file import JsonFile
from wire.record import Result


class UsageFile:
    """The usage of all lines. One thread calls `count`; any thread may call `on`."""

    def __init__(self, state_dir: str) -> None:
        self._file = JsonFile(Path(state_dir) / "usage.json", Usage)
        self._usage = self._file.load(Usage())

    def on(self, day: date) -> Usage:
        """The usage of a local day's month so far."""
        return in_month(self._usage, month_of(day))

    def count(self, result: Result, day: date, servers: Collection[str] = ()) -> bool:
        """Add a bulk result to the usage.

        Args:
            result: of a bulk test.
            day: the local day.
            servers: the names of the configured servers, for the comparison.

        Returns:
            Whether the result's server reads low against the line's other configured servers.
        """
        usage = self.on(day)
        low = reads_low(usage.levels, result, servers)
        self._usage = with_bulk_result(usage, result)
        self._file.save(self._usage)
        return low
