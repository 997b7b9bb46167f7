"""Floor 2. A ZIP whose bytes depend on its content alone, made piece by piece, and its manifest.

Files have a fixed date and stand in the order in which they are written, the manifest last. Its
SHA-256 stands for the whole bundle. Nothing is sought in what was written, so the pieces may go to
a file or over a network.
"""

from __future__ import annotations

import lzma
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256

import msgspec

from collector.evidence.question import MANIFEST, SCHEMA

_DATE = (1980, 1, 1, 0, 0, 0)
_PIECE = 1 << 16


class _Sink:
    """What the ZIP writes to: it has no position, so that lengths follow the files."""

    def __init__(self) -> None:
        self._waiting = bytearray()

    def write(self, content: bytes, /) -> int:
        self._waiting += content
        return len(content)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """Nothing is held back."""

    def taken(self) -> bytes:
        found = bytes(self._waiting)
        self._waiting.clear()
        return found


class ZipStream:
    """The pieces of a bundle, in the order in which its methods are called.

    `digest` is the manifest's SHA-256 once `finish` has ended.
    """

    def __init__(self) -> None:
        self._sink = _Sink()
        self._zip = zipfile.ZipFile(self._sink, "w")
        self._files: list[dict[str, object]] = []
        self.digest = ""

    def add(self, name: str, content: bytes) -> Iterator[bytes]:
        """The pieces of a file of some size, compressed."""
        return self._write(name, [content])

    def add_json(self, name: str, content: object) -> Iterator[bytes]:
        """The pieces of a file of JSON."""
        return self.add(name, _json(content))

    def add_lines(self, name: str, lines: Iterable[bytes]) -> Iterator[bytes]:
        """The pieces of a file of lines of any number, compressed by xz."""
        # Not by the method "stored" beside it: of such a file, whose length follows it, programs
        # that read a ZIP as a stream do not know where it ends.
        return self._write(name, _compressed(lines))

    def finish(self, about: Mapping[str, object]) -> Iterator[bytes]:
        """The pieces of the manifest, and the ZIP's end."""
        content = _json({"schema": SCHEMA, **about, "files": self._files})
        yield from self.add(MANIFEST, content)
        self._zip.close()
        self.digest = sha256(content).hexdigest()
        yield self._sink.taken()

    def _write(self, name: str, pieces: Iterable[bytes]) -> Iterator[bytes]:
        entry = zipfile.ZipInfo(name, _DATE)
        entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
        entry.create_system = 3
        digest, length = sha256(), 0
        with self._zip.open(entry, "w", force_zip64=True) as file:
            for piece in pieces:
                digest.update(piece)
                length += len(piece)
                file.write(piece)
                yield self._sink.taken()
        self._files.append({"name": name, "bytes": length, "sha256": digest.hexdigest()})
        yield self._sink.taken()


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
