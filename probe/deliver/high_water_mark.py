"""Floor 2. The high-water mark beside the outbox: up to which sequence numbers may be in use.

A database that lost its newest transactions (SQLite silently cuts off a damaged write-ahead log, an
SD card may return old pages) looks intact and would assign their numbers again. The centre would
take the new results for repeats and drop them, a loss that no receipt shows. So numbers are
reserved in this file before they are assigned, a block at a time, because each reservation costs an
fsync.

The mark also holds the outbox's epoch, so that the epoch of an unreadable outbox is still known,
and the ended epochs that are still to be reported to the centre.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from uuid import UUID

import msgspec
from msgspec import Struct

from probe.state.json_file import replace_file
from wire.decoding import decode_json

# A day of the default plan reserves about 40 times; after a loss at most so many numbers are
# reported as dropped though they were never assigned.
RESERVED_AHEAD = 256


class HighWaterMark(Struct, frozen=True):
    """No number above `through` was ever assigned in `epoch`.

    `exact` in an outbox that was closed in order: then `through` is the last assigned number.
    `ended` are epochs whose files were set aside and are still to be reported to the centre.
    """

    epoch: UUID
    through: int
    exact: bool
    ended: tuple[UUID, ...] = ()


def read(outbox: Path) -> HighWaterMark | None:
    """The mark of an outbox; None where there is none or it is damaged.

    Raises:
        OSError: it cannot be read now.
    """
    try:
        content = path_of(outbox).read_bytes()
    except FileNotFoundError:
        return None
    try:
        checksum, _, text = content.decode("ascii").partition(" ")
        if int(checksum, 16) != zlib.crc32(text.encode()):
            return None
        return decode_json(text, HighWaterMark)
    except (ValueError, msgspec.MsgspecError):
        return None


def write(outbox: Path, mark: HighWaterMark) -> None:
    """Replace the mark; it is on the disk when this returns (fsync).

    Raises:
        OSError: the disk is full or read-only; the old mark stands.
    """
    text = msgspec.json.encode(mark)
    replace_file(path_of(outbox), b"%08x " % zlib.crc32(text) + text, sync=True)


def path_of(outbox: Path) -> Path:
    """The path of an outbox's mark."""
    return outbox.with_name(f"{outbox.name}.mark")
