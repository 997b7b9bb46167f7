"""Floor 2. The host's ceilings in a file of the state directory, by line."""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec

from wire.decoding import decode_json
from wire.messages import Ceiling

log = logging.getLogger(__name__)


def read(state_dir: str) -> dict[str, Ceiling]:
    """What was measured; empty where nothing was, or the file cannot be read."""
    path = _path(state_dir)
    try:
        return decode_json(path.read_bytes(), dict[str, Ceiling])
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.MsgspecError) as error:
        log.warning("%s cannot be read: no ceiling of this host is known: %s", path, error)
        return {}


def store(state_dir: str, measured: list[Ceiling]) -> None:
    """Put what was just measured in place of what was known of those lines.

    Raises:
        OSError: it cannot be written.
    """
    path = _path(state_dir)
    path.parent.mkdir(parents=True, exist_ok=True)
    known = read(state_dir) | {one.line: one for one in measured}
    new = path.with_suffix(".new")
    new.write_bytes(msgspec.json.encode(known) + b"\n")
    new.replace(path)


def _path(state_dir: str) -> Path:
    return Path(state_dir) / "ceilings.json"
