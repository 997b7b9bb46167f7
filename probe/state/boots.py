"""Floor 2. Boots whose time became known, in a file beside the outbox: results outlive a boot.

Written once a boot, when its clock becomes known.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import msgspec

from wire.clock_repair import KnownBoot
from wire.decoding import decode_json

log = logging.getLogger(__name__)


class BootsFile:
    """The boots that are known, oldest first."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "boots.json"

    def read(self) -> list[KnownBoot]:
        """What was kept; nothing where it cannot be read."""
        try:
            return decode_json(self._path.read_bytes(), list[KnownBoot])
        except FileNotFoundError:
            return []
        except (OSError, UnicodeDecodeError, msgspec.MsgspecError) as error:
            log.warning("%s cannot be read, it is begun anew: %s", self._path, error)
            return []

    def keep(self, boots: Sequence[KnownBoot]) -> None:
        """Replace it. A disk that cannot be written is logged: times are repaired all the same."""
        try:
            new = self._path.with_suffix(".new")
            new.write_bytes(msgspec.json.encode(list(boots)))
            new.replace(self._path)
        except OSError as error:
            log.warning("%s cannot be written: %s", self._path, error)
