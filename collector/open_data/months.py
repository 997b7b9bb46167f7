"""Floor 2. The months that are published: what there is in their folder, and one file of it."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

import msgspec
from msgspec import Struct

from collector.open_data.csv_file import sha256
from collector.open_data.dictionary import DESCRIPTOR, PublishedMonth
from wire.decoding import decode_json

_MONTH = re.compile(r"\d{4}-\d{2}")
# Nothing else of the folder is served.
_FILE = re.compile(
    r"key(-[0-9a-f]{16})?\.pem|\d{4}-\d{2}/(datapackage\.json(\.sig)?|SHA256SUMS|lines\.csv\.gz"
    r"|schema/[a-z_]+\.json|[a-z_]+/[0-9A-Za-z]{1,10}\.(csv\.gz|parquet))"
)


class _Resource(Struct):
    format: str
    rows: int
    bytes: int
    name: str


class _Package(Struct):
    created: str
    parquet: bool
    resources: list[_Resource]


def published(root: Path) -> list[PublishedMonth]:
    """The months, the latest first. A folder that cannot be read is left out."""
    try:
        names = [path.name for path in root.iterdir() if _MONTH.fullmatch(path.name)]
    except OSError:
        return []
    found = (_read(root / name / DESCRIPTOR) for name in sorted(names, reverse=True))
    return [one for one in found if one is not None]


def file_of(root: Path, path: str) -> Path | None:
    """A published file; None where there is none of this path."""
    if _FILE.fullmatch(path) is None:
        return None
    file = root / path
    return file if file.is_file() else None


@lru_cache(maxsize=600)
def _read(path: Path) -> PublishedMonth | None:
    """A month's description; it never changes."""
    try:
        package = decode_json(path.read_bytes(), _Package)
        digest = sha256(path)
    except (OSError, msgspec.DecodeError):
        return None
    rows = sum(one.rows for one in package.resources if one.format == "csv" and one.name != "lines")
    return PublishedMonth(
        month=path.parent.name,
        created=package.created,
        results=rows,
        files=len(package.resources),
        bytes=sum(one.bytes for one in package.resources),
        parquet=package.parquet,
        sha256=digest,
    )
