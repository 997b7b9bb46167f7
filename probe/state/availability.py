"""Floor 2. Wraps the file in which the books of all lines are put away.

Written now and then and when the daemon ends, without fsync: it spares the SD card, and what a
power cut takes is told as unknown. A file that cannot be read is as good as none.
"""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec

from probe.availability.tracker import TrackerState
from wire.decoding import decode_json

log = logging.getLogger(__name__)
_NAME = "availability.json"


class AvailabilityFile:
    """The books by line, in the state directory."""

    def __init__(self, state_dir: str) -> None:
        self._path = Path(state_dir) / _NAME

    def read(self) -> dict[str, TrackerState]:
        """What was put away; empty where there is nothing to read."""
        try:
            return decode_json(self._path.read_bytes(), dict[str, TrackerState])
        except FileNotFoundError:
            return {}
        except (OSError, msgspec.MsgspecError) as error:
            log.warning("the book of minutes cannot be read and begins anew: %s", error)
            return {}

    def write(self, books: dict[str, TrackerState]) -> None:
        """Put them away; a failure costs minutes, not measurements."""
        fresh = self._path.with_suffix(".new")
        try:
            fresh.write_bytes(msgspec.json.encode(books))
            fresh.replace(self._path)
        except OSError as error:
            log.warning("the book of minutes cannot be put away: %s", error)
