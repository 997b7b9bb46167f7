"""Floor 2. What was obeyed, in a file of the state directory, so that a restart repeats nothing."""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec

from probe.commands.policy import CommandHistory
from wire.decoding import decode_json

log = logging.getLogger(__name__)


class CommandState:
    """The memory of commands. One thread uses it."""

    def __init__(self, state_dir: str) -> None:
        self._path = Path(state_dir) / "commands.json"
        self.memory = self._read()

    def keep(self, memory: CommandHistory) -> None:
        """Keep it, in memory alone where the disk cannot be written.

        Written anew and renamed, without an fsync: what a power cut brings back is one command, and
        its expiry and the broker's acknowledgement stand before it.
        """
        self.memory = memory
        try:
            new = self._path.with_suffix(".new")
            new.write_bytes(msgspec.json.encode(memory))
            new.replace(self._path)
        except OSError as error:
            log.warning("%s cannot be written: %s", self._path, error)

    def _read(self) -> CommandHistory:
        try:
            return decode_json(self._path.read_bytes(), CommandHistory)
        except FileNotFoundError:
            return CommandHistory()
        except (OSError, UnicodeDecodeError, msgspec.MsgspecError) as error:
            log.warning("%s cannot be read, it is begun anew: %s", self._path, error)
            return CommandHistory()
