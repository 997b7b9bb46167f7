"""Floor 2. The status board: a file that `tramdo-probe status` reads. The probe has no open port.

Written whole and renamed, so that a reader never sees half of it. On a Pi it lies in /run, which is
memory: no wear on the SD card.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from probe.show.status import StatusSnapshot
from wire.decoding import decode_json

FILE_NAME = "status.json"


def write(runtime_dir: str, board: StatusSnapshot) -> None:
    """Replace the board.

    Raises:
        OSError: the directory cannot be written.
    """
    target = Path(runtime_dir) / FILE_NAME
    fresh = target.with_suffix(".new")
    fresh.write_bytes(msgspec.json.encode(board))
    fresh.replace(target)


def read(runtime_dir: str) -> StatusSnapshot | None:
    """The board as last written, None where there is none (the daemon never ran here).

    Raises:
        OSError: it cannot be read.
        msgspec.MsgspecError: it was written by another version.
    """
    try:
        content = (Path(runtime_dir) / FILE_NAME).read_bytes()
    except FileNotFoundError:
        return None
    return decode_json(content, StatusSnapshot)


def writer_is_alive(board: StatusSnapshot) -> bool:
    """Whether the daemon that wrote the board still runs."""
    try:
        os.kill(board.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
