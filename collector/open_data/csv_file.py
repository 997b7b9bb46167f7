"""Floor 2. Files of a month: CSV row by row, compressed, and what is in a file."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

_READ_BYTES = 1 << 20


class CsvFile:
    """A gzip-compressed CSV file (RFC 4180, UTF-8), the same bytes for the same rows."""

    def __init__(self, path: Path, names: Iterable[str]) -> None:
        self.path = path
        self.rows = 0
        # Without a name and a time in it.
        self._raw = path.open("xb")
        self._gzip = gzip.GzipFile("", "wb", 6, self._raw, mtime=0)
        self._text = io.TextIOWrapper(self._gzip, encoding="utf-8", newline="")
        self._writer = csv.writer(self._text)
        self._writer.writerow(list(names))

    def write(self, cells: Sequence[str]) -> None:
        """Write a row. Raises OSError."""
        self._writer.writerow(cells)
        self.rows += 1

    def close(self) -> None:
        """Finish the file. Raises OSError."""
        try:
            self._text.close()
        finally:
            self._raw.close()


def sha256(path: Path) -> str:
    """The digest of a file, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(_READ_BYTES):
            digest.update(part)
    return digest.hexdigest()
