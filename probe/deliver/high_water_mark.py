"""Floor 2. The high-water mark beside the outbox: up to which sequence numbers may be in use.

A database that lost its newest transactions (a damaged write-ahead log is cut off in silence by
SQLite, a card may give back old pages) looks whole, and nothing in it says what is gone. So numbers
are reserved here, in a file of its own, before the first of them is given: a block at a time,
because each reservation costs an fsync. What was given and is not in the database is then named to
the centre as given up.

It also names the epochs of the outbox, so that a file which cannot be read any more can still be
named, and remembers until then that it is to be named.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from uuid import UUID

import msgspec
from msgspec import Struct

from probe.deliver.loss_reports import LossReport, Lost
from probe.state.json_file import replace_file
from wire.decoding import decode_json

# A day of the default plan reserves about 40 times; after a loss at most so many numbers, or those
# of a burst, are reported as dropped though they were never assigned.
RESERVED_AHEAD = 256
# In a burst twice as many as its last transaction took: each would wait for the mark otherwise.
_RESERVED_BURST = 2


class HighWaterMark(Struct, frozen=True):
    """No number above `through` was ever given in `epoch`, the newest of the outbox.

    `exact` in a file that was closed in order: then `through` was given, and none beyond it.
    `ended` are epochs whose files were set aside, and `lost` numbers that are gone from the file:
    neither has been named to the centre yet. `reported` were named by results that were pending
    when this was written: such a result may be lost in its turn. `earlier` are older epochs of the
    file of which results were pending then.
    """

    epoch: UUID
    through: int
    exact: bool
    ended: tuple[UUID, ...] = ()
    lost: tuple[Lost, ...] = ()
    earlier: tuple[UUID, ...] = ()
    reported: tuple[LossReport, ...] = ()


def reserved_ahead(count: int) -> int:
    """How many numbers are reserved beyond a transaction that takes `count`."""
    return max(RESERVED_AHEAD, _RESERVED_BURST * count)


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
