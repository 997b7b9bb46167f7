"""Floor 2. Writes a ZIP whose bytes depend on its content alone, file by file, and its manifest.

Files are stored with a fixed date, in the order in which they are written, the manifest last. Its
SHA-256 stands for the whole bundle.
"""

from __future__ import annotations

import lzma
import zipfile
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from types import TracebackType

import msgspec

from collector.evidence.question import MANIFEST, SCHEMA

_DATE = (1980, 1, 1, 0, 0, 0)
_PIECE = 1 << 16


class BundleFile:
    """A bundle that is being written; the file gets its name when it is whole.

    Raises (from every method): OSError.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._part = path.with_name(f".{path.name}.part")
        self._zip = zipfile.ZipFile(self._part, "w")
        self._files: list[dict[str, object]] = []

    def __enter__(self) -> BundleFile:
        """Return it."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Name the file if all went well, else remove it."""
        self._zip.close()
        if kind is None:
            self._part.replace(self._path)
        else:
            self._part.unlink(missing_ok=True)

    def add(self, name: str, content: bytes) -> None:
        """Write a file of some size, compressed."""
        self._write(name, [content], zipfile.ZIP_DEFLATED)

    def add_json(self, name: str, content: object) -> None:
        """Write a file of JSON."""
        self.add(name, _json(content))

    def add_lines(self, name: str, lines: Iterable[bytes]) -> None:
        """Write a file of lines of any number, compressed by xz."""
        self._write(name, _compressed(lines), zipfile.ZIP_STORED)

    def finish(self, about: Mapping[str, object]) -> str:
        """Write the manifest; returns its SHA-256."""
        content = _json({"schema": SCHEMA, **about, "files": self._files})
        self.add(MANIFEST, content)
        return sha256(content).hexdigest()

    def _write(self, name: str, pieces: Iterable[bytes], method: int) -> None:
        entry = zipfile.ZipInfo(name, _DATE)
        entry.compress_type, entry.external_attr, entry.create_system = method, 0o644 << 16, 3
        digest, length = sha256(), 0
        with self._zip.open(entry, "w", force_zip64=True) as file:
            for piece in pieces:
                digest.update(piece)
                length += len(piece)
                file.write(piece)
        self._files.append({"name": name, "bytes": length, "sha256": digest.hexdigest()})


def _compressed(lines: Iterable[bytes]) -> Iterable[bytes]:
    # A fifth more bytes than by preset 6, in a fifth of the time and a tenth of the memory.
    compressor = lzma.LZMACompressor(preset=1)
    waiting = bytearray()
    for line in lines:
        waiting += line
        if len(waiting) >= _PIECE:
            yield compressor.compress(bytes(waiting))
            waiting.clear()
    yield compressor.compress(bytes(waiting)) + compressor.flush()


def _json(content: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n"
