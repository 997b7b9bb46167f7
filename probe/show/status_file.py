"""Floor 2. The status file that `tramdo-probe status` reads. The probe has no open port.

Replaced atomically. On a Pi it lies in /run, which is memory: no wear on the SD card.
"""

from __future__ import annotations

import os
from pathlib import Path

from probe.show.status import StatusSnapshot
from probe.state.json_file import JsonFile

FILE_NAME = "status.json"


def write(runtime_dir: str, snapshot: StatusSnapshot) -> None:
    """Replace the status file.

    Raises:
        OSError: the directory cannot be written.
    """
    _file(runtime_dir).write(snapshot)


def read(runtime_dir: str) -> StatusSnapshot | None:
    """The snapshot as last written; None where there is none (the daemon never ran here).

    Raises:
        OSError: it cannot be read.
        msgspec.MsgspecError: it was written by another version.
    """
    return _file(runtime_dir).read()


def writer_is_alive(snapshot: StatusSnapshot) -> bool:
    """Whether the daemon that wrote the snapshot still runs."""
    try:
        os.kill(snapshot.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _file(runtime_dir: str) -> JsonFile[StatusSnapshot]:
    return JsonFile(Path(runtime_dir) / FILE_NAME, StatusSnapshot)
