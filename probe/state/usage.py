"""Floor 2. The bytes that bulk tests used, in a file of the state directory, kept over restarts.

Written without fsync: a power cut loses the bytes of one test at most.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, tzinfo
from pathlib import Path

from probe.clock import HOST_CLOCKS, Clocks
from probe.plan.ledger import ClockReading, advanced, month_usage, with_contradiction, with_test
from probe.plan.levels import reads_low
from probe.plan.usage import ClockEvidence, Usage
from probe.state.json_file import JsonFile
from wire.record import Result


class UsageFile:
    """The usage of all lines. One thread calls `count` and `note_clock`; any thread may call `on`.

    Args:
        state_dir: the folder of the file.
        zone: whose months the budgets are of.
        clocks: the host's, by which a month is believed or not.
    """

    def __init__(self, state_dir: str, zone: tzinfo, clocks: Clocks = HOST_CLOCKS) -> None:
        self._zone = zone
        self._clocks = clocks
        self._file = JsonFile(Path(state_dir) / "usage.json", Usage)
        self._usage = self._file.load(Usage())

    def on(self, day: date) -> Usage:
        """The usage of a local day's month so far."""
        return month_usage(self._usage, day, self._evidence(), self._zone)

    def note_clock(self) -> None:
        """Store that the clock contradicts what it said before. To be called before each test."""
        noted = with_contradiction(self._usage, self._evidence())
        if noted is not None:
            self._usage = noted
            self._file.save(noted)

    def count(self, result: Result, day: date, servers: Collection[str] = ()) -> bool:
        """Add a bulk result to the usage.

        Args:
            result: of a bulk test.
            day: the local day.
            servers: the names of the configured servers, for the comparison.

        Returns:
            Whether the result's server reads low against the line's other configured servers.
        """
        low = reads_low(self._usage.levels, result, servers)
        self._usage = with_test(self._usage, result, day, self._evidence(), self._zone)
        self._file.save(self._usage)
        return low

    def _evidence(self) -> ClockEvidence:
        clock = self._clocks.reading()
        reading = ClockReading(
            boot_id=clock.boot_id,
            boottime_s=clock.boottime_s,
            wall_s=self._clocks.utc_now().timestamp(),
            synchronised=clock.synchronised is True,
        )
        return advanced(self._usage.clock, reading)
