"""Floor 2. Reads a bundle's ZIP, which may be anybody's: nothing of it is unpacked to the disk.

Names, sizes and lengths are limited before anything is read; what is compressed is read in pieces.
"""

from __future__ import annotations

import json
import lzma
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any

from verify.findings import BundleError, Finding, Kind

SCHEMA = "tramdo-evidence/1"
MANIFEST = "manifest.json"
REQUIRED = (
    "certificates.json",
    "registry.json",
    "thresholds.json",
    "plans.json",
    "report.json",
    "ledgers.json",
    "left_out.json",
)
_NAME = re.compile(r"[A-Za-z0-9._-]{1,80}(/[A-Za-z0-9._-]{1,80}){0,4}")
_RESULTS = re.compile(r"results/([a-z0-9-]{1,40})/([a-z0-9-]{1,40})/([0-9a-f-]{36})\.jsonl\.xz")
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_MOST_FILES = 100_000
_MOST_JSON_BYTES = 64 << 20
_MOST_LINE_BYTES = 4 << 20
_MOST_MEMORY_BYTES = 128 << 20
_PIECE = 1 << 16
_UNREADABLE = (OSError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError)


class Bundle:
    """An open bundle.

    Args:
        path: the file.
        most_bytes: how much all results may be once they are decompressed.

    Raises:
        BundleError: it cannot be read, or has what no bundle has.
    """

    def __init__(self, path: Path, most_bytes: int) -> None:
        self.path, self.most_bytes = path, most_bytes
        self._left = most_bytes
        try:
            self._zip = zipfile.ZipFile(path)
        except _UNREADABLE as error:
            raise BundleError(f"{path} is no ZIP that can be read: {error}") from error
        try:
            self._entries = _entries(self._zip)
            content = self.content(MANIFEST)
            self.digest = sha256(content).hexdigest()
            self.manifest = _object(content, MANIFEST)
        except BundleError:
            self._zip.close()
            raise

    def __enter__(self) -> Bundle:
        """Return it."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        self._zip.close()

    def has(self, name: str) -> bool:
        """Whether it has a file."""
        return name in self._entries

    def content(self, name: str) -> bytes:
        """The bytes of a file that is not one of results. Raises BundleError."""
        pieces, length = [], 0
        for piece in self._pieces(name):
            length += len(piece)
            if length > _MOST_JSON_BYTES:
                raise BundleError(f"{name} is larger than {_MOST_JSON_BYTES} bytes")
            pieces.append(piece)
        return b"".join(pieces)

    def table(self, name: str) -> Any:  # noqa: ANN401 - JSON of a stranger
        """A file of JSON. Raises BundleError."""
        return parsed(self.content(name), name)

    def epochs(self) -> list[tuple[str, tuple[str, str, str]]]:
        """The files of results, each with its (tenant, probe, epoch), by name."""
        return [
            (name, (match[1], match[2], match[3]))
            for name in sorted(self._entries)
            if (match := _RESULTS.fullmatch(name))
        ]

    @property
    def read_bytes(self) -> int:
        """How many bytes of results were read."""
        return self.most_bytes - self._left

    def compressed_bytes(self, names: Iterable[str]) -> int:
        """How many bytes of the file these files are."""
        return sum(self._entries[name].compress_size for name in names)

    def lines(self, name: str) -> Iterator[dict[str, Any]]:
        """The objects of a file of results. Raises BundleError."""
        for number, line in enumerate(self._lines(name), 1):
            yield _object(line, f"{name} line {number}")

    def against_manifest(self) -> Iterator[Finding]:
        """Each file against the manifest. Raises BundleError."""
        stated = self._stated()
        for name in sorted(stated.keys() | self._entries.keys() - {MANIFEST}):
            if name not in self._entries:
                yield Finding(Kind.DIFFERS, name, "the manifest names it, and it is not there")
            elif name not in stated:
                yield Finding(Kind.DIFFERS, name, "it is there, and the manifest does not name it")
            elif self._measured(name) != stated[name]:
                yield Finding(Kind.DIFFERS, name, "it is not the file of the manifest's SHA-256")

    def _stated(self) -> dict[str, tuple[object, object]]:
        try:
            return {
                str(one["name"]): (one["bytes"], one["sha256"]) for one in self.manifest["files"]
            }
        except (KeyError, TypeError) as error:
            raise BundleError(f"{MANIFEST} has no list of files") from error

    def _measured(self, name: str) -> tuple[object, object]:
        digest, length = sha256(), 0
        for piece in self._pieces(name):
            digest.update(piece)
            length += len(piece)
        return length, digest.hexdigest()

    def _pieces(self, name: str) -> Iterator[bytes]:
        entry = self._entries.get(name)
        if entry is None:
            raise BundleError(f"{name} is missing")
        try:
            with self._zip.open(entry) as file:
                while piece := file.read(_PIECE):
                    yield piece
        except _UNREADABLE as error:
            raise BundleError(f"{name} cannot be read: {error}") from error

    def _lines(self, name: str) -> Iterator[bytes]:
        rest = b""
        for piece in self._decompressed(name):
            *lines, rest = (rest + piece).split(b"\n")
            yield from lines
            if len(rest) > _MOST_LINE_BYTES:
                raise BundleError(f"{name} has a line of more than {_MOST_LINE_BYTES} bytes")
        if rest:
            raise BundleError(f"{name} ends within a line")

    def _decompressed(self, name: str) -> Iterator[bytes]:
        decompressor = lzma.LZMADecompressor(lzma.FORMAT_XZ, _MOST_MEMORY_BYTES)
        try:
            for piece in self._pieces(name):
                given = piece
                while not decompressor.eof:
                    made = decompressor.decompress(given, _PIECE)
                    given = b""
                    self._left -= len(made)
                    if self._left < 0:
                        raise BundleError("its results are larger than --most-bytes allows")
                    yield made
                    if decompressor.needs_input:
                        break
        except lzma.LZMAError as error:
            raise BundleError(f"{name} is no xz file that can be read: {error}") from error
        if not decompressor.eof:
            raise BundleError(f"{name} is cut off")


def parsed(content: bytes | str, name: str) -> Any:  # noqa: ANN401 - JSON of a stranger
    """JSON. Raises BundleError."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{name} is no JSON: {error}") from error


def _object(content: bytes, name: str) -> dict[str, Any]:
    found = parsed(content, name)
    if not isinstance(found, dict):
        raise BundleError(f"{name} is no JSON object")
    return found


def _entries(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    entries = archive.infolist()
    if len(entries) > _MOST_FILES:
        raise BundleError(f"it has {len(entries)} files: no bundle has so many")
    found: dict[str, zipfile.ZipInfo] = {}
    for entry in entries:
        name = entry.filename
        if not _NAME.fullmatch(name) or ".." in name:
            raise BundleError(f"it has a file that no bundle has: {name[:100]!r}")
        if name in found:
            raise BundleError(f"it has two files of the name {name}")
        if entry.compress_type not in _METHODS or entry.flag_bits & 1:
            raise BundleError(f"{name} is compressed or encrypted as no bundle is")
        found[name] = entry
    return found
