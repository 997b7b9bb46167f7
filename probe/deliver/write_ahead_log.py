"""Floor 2. Counts the frames of SQLite's write-ahead log, and those that SQLite used.

SQLite reads a log up to the first frame whose checksum is wrong and silently ignores the rest: a
commit torn by a power cut and one that a failing card changed later look alike. Comparing the
frames written since the last reset with those that SQLite used shows whether some were cut off.

Formats: https://www.sqlite.org/fileformat2.html#the_write_ahead_log and
https://www.sqlite.org/walformat.html. A frame belongs to the log's present round when it bears the
header's two salts; one changed byte can spoil only one of them.
"""

from __future__ import annotations

import os
import struct
from contextlib import suppress
from pathlib import Path

_HEADER = struct.Struct(">8I")
_FRAME_HEADER_BYTES = 24
_MAGIC = (0x377F0682, 0x377F0683)
_WORD = 0xFFFFFFFF
# `mxFrame` in the index of the log, which is in the machine's own byte order.
_INDEXED = struct.Struct("=I")
_INDEXED_AT = 16


def log_of(database: Path) -> Path:
    """Where SQLite keeps the log of a database."""
    return database.with_name(f"{database.name}-wal")


def index_of(database: Path) -> Path:
    """Where SQLite keeps the index of that log."""
    return database.with_name(f"{database.name}-shm")


def claimed_frames(database: Path) -> int | None:
    """The number of the last frame of the log's present round; 0 where there is none.

    To be asked before SQLite opens the file.

    Returns:
        None when the log's own header is damaged: then SQLite ignores all of it.

    Raises:
        OSError: it cannot be read.
    """
    log = log_of(database)
    if not log.exists() or log.stat().st_size == 0:
        return 0
    with log.open("rb") as file:
        header = file.read(_HEADER.size)
        if len(header) < _HEADER.size:
            return None
        magic, _, page_bytes, _, *salts, sum_1, sum_2 = _HEADER.unpack(header)
        if magic not in _MAGIC or _checksum(header[:24], big=bool(magic & 1)) != (sum_1, sum_2):
            return None
        frame_bytes = _FRAME_HEADER_BYTES + page_bytes
        last = 0
        for number in range(1, (log.stat().st_size - _HEADER.size) // frame_bytes + 2):
            file.seek(_HEADER.size + (number - 1) * frame_bytes)
            found = struct.unpack(">4I", file.read(16).ljust(16, b"\0"))
            if found[2] == salts[0] or found[3] == salts[1]:
                last = number
    return last


def taken_frames(database: Path) -> int:
    """How many frames SQLite used after it has read the file.

    From the index, because asking SQLite means a checkpoint, and that wants room on the disk. It is
    read through SQLite's own descriptor: to open the index and to close it again takes this whole
    process's locks off it (POSIX; fcntl(2)), and then the next program that opens the database
    seems alone, cuts the index to nothing, and the one that has it mapped dies of SIGBUS.
    """
    content = _read_open(index_of(database), _INDEXED_AT + _INDEXED.size)
    if len(content) < _INDEXED_AT + _INDEXED.size:
        return 0
    return int(_INDEXED.unpack_from(content, _INDEXED_AT)[0])


def _read_open(path: Path, count: int) -> bytes:
    """The first bytes of a file that this process has open; empty where it has not."""
    wanted = str(path.resolve())
    for entry in os.listdir("/proc/self/fd"):
        with suppress(OSError):  # it was closed meanwhile
            if os.readlink(f"/proc/self/fd/{entry}") == wanted:
                return os.pread(int(entry), count, 0)
    return b""


def _checksum(content: bytes, *, big: bool) -> tuple[int, int]:
    words = struct.unpack(f"{'>' if big else '<'}{len(content) // 4}I", content)
    sum_1 = sum_2 = 0
    for even, odd in zip(words[::2], words[1::2], strict=True):
        sum_1 = (sum_1 + even + sum_2) & _WORD
        sum_2 = (sum_2 + odd + sum_1) & _WORD
    return sum_1, sum_2
