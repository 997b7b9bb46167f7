"""Floor 2. The usage in a file of the state directory, so that a budget outlives a restart.

Written anew and renamed, without an fsync: what a power cut takes back is one test's bytes.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from datetime import date
from pathlib import Path

import msgspec

from probe.plan.levels import reads_low
from probe.plan.usage import Usage, in_month, month_of, with_bulk_result
from wire.decoding import decode_json
from wire.result import Result

log = logging.getLogger(__name__)


class UsageFile:
    """What the lines' bulk tests have moved. One thread counts; any may read."""

    def __init__(self, state_dir: str) -> None:
        self._path = Path(state_dir) / "usage.json"
        self._usage = self._read()

    def on(self, day: date) -> Usage:
        """The usage of a local day's month so far."""
        return in_month(self._usage, month_of(day))

    def count(self, result: Result, day: date, servers: Collection[str] = ()) -> bool:
        """Count a bulk result. A disk that cannot be written is logged; measuring goes on.

        Returns:
            Whether the server of this result reads low against those others of the line that are
            configured, `servers`.
        """
        usage = self.on(day)
        low = reads_low(usage.levels, result, servers)
        self._usage = with_bulk_result(usage, result)
        try:
            new = self._path.with_suffix(".new")
            new.write_bytes(msgspec.json.encode(self._usage))
            new.replace(self._path)
        except OSError as error:
            log.warning("%s cannot be written: %s", self._path, error)
        return low

    def _read(self) -> Usage:
        try:
            return decode_json(self._path.read_bytes(), Usage)
        except FileNotFoundError:
            return Usage()
        except (OSError, msgspec.MsgspecError) as error:
            log.warning("%s cannot be read, the month is counted anew: %s", self._path, error)
            return Usage()
