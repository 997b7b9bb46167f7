"""Floor 2. The measured ceilings of this host, by line, in a file of the state directory."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from probe.state.json_file import JsonFile
from wire.messages import Ceiling


def read(state_dir: str) -> dict[str, Ceiling]:
    """The stored ceilings by line id; empty where there are none or the file cannot be read."""
    return _file(state_dir).load({})


def store(state_dir: str, measured: Iterable[Ceiling]) -> None:
    """Store newly measured ceilings; those of other lines stay.

    Raises:
        OSError: the file cannot be written.
    """
    file = _file(state_dir)
    file.path.parent.mkdir(parents=True, exist_ok=True)
    file.write(file.load({}) | {one.line: one for one in measured})


def _file(state_dir: str) -> JsonFile[dict[str, Ceiling]]:
    return JsonFile(Path(state_dir) / "ceilings.json", dict[str, Ceiling])
