"""Floor 2. The archive of issued reports: a folder with one file per format, never overwritten.

The JSON file of an issue is its record: a later issue is compared with it, and states what has
changed since. File names: `weekly_bach-thong-cu_20260720-20260726_v1.json`.
"""

from __future__ import annotations

import fcntl
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from collector.reports import flat_table, rendering
from collector.reports.rendering import RenderedFile
from collector.reports.report import Report, ReportKind
from collector.rollup.periods import Period

_NAME = re.compile(
    rf"({'|'.join(ReportKind)})_([A-Za-z0-9-]+)_([0-9]{{8}})-([0-9]{{8}})_v([0-9]+)"
    r"\.(?:pdf|xlsx|csv|json|txt)"
)


class ArchiveError(Exception):
    """The folder cannot be read or written; the text is a sentence for a user."""


class Issue(NamedTuple):
    """An issue: one numbered edition of a report, as a list shows it."""

    kind: ReportKind
    area_id: str
    period: Period
    version: int
    at: datetime
    files: list[Path]


class Archive:
    """One folder. Several processes may use it at once: each file is written atomically."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def latest(self, kind: ReportKind, area_id: str, period: Period) -> Report | None:
        """The latest issue of a report; None if there is none.

        Raises:
            ArchiveError: it cannot be read.
        """
        days = f"{period.first:%Y%m%d}-{period.last:%Y%m%d}"
        issues = self._folder.glob(f"{kind}_{area_id}_{days}_v*.json")
        newest = max(issues, key=_version, default=None)
        return None if newest is None else self._read(newest)

    def issues(self) -> list[Issue]:
        """Every issue, newest first, from file names and modification times only.

        Raises:
            ArchiveError: the folder cannot be read.
        """
        found: dict[str, list[Path]] = {}
        try:
            for path in sorted(self._folder.glob("*_v*.*")):
                found.setdefault(path.stem, []).append(path)
            issues = [_issue(stem, paths) for stem, paths in found.items()]
        except OSError as error:
            raise ArchiveError(f"{self._folder} cannot be read: {error.strerror}") from error
        known = [issue for issue in issues if issue is not None]
        return sorted(known, key=lambda issue: (issue.at, issue.version), reverse=True)

    def record(self, name: str) -> tuple[bytes, Report] | None:
        """The JSON of an issue by the name of its files without suffix, and what it says.

        None if there is no such issue. Raises ArchiveError: it cannot be read.
        """
        path = self.file(f"{name}.json")
        if path is None:
            return None
        report = self._read(path)
        try:
            return path.read_bytes(), report
        except OSError as error:
            raise ArchiveError(f"{path} cannot be read: {error.strerror}") from error

    def file(self, name: str) -> Path | None:
        """The path of an archived file by its name; None if there is none."""
        if _NAME.fullmatch(name) is None:
            return None
        path = self._folder / name
        return path if path.is_file() else None

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Lock the folder while a report is issued: a timer and a page may do so at the same time.

        Raises:
            ArchiveError: the folder cannot be written.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            lock = (self._folder / ".lock").open("ab")
        except OSError as error:
            raise ArchiveError(f"{self._folder} cannot be written: {error.strerror}") from error
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def save(self, report: Report, files: Iterable[RenderedFile]) -> list[Path]:
        """Write the files of an issue, its record last. A complete issue is not overwritten.

        Files without a record are left from an issue that failed (disk full), and are replaced.

        Raises:
            ArchiveError: the files cannot be written.
        """
        record = RenderedFile(
            f"{rendering.stem(report)}.json", "application/json", flat_table.as_json(report)
        )
        rest = [file for file in files if file.name != record.name]
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            issued = (self._folder / record.name).exists()
            return [self._write(file, over=not issued) for file in (*rest, record)]
        except OSError as error:
            raise ArchiveError(f"{self._folder} cannot be written: {error.strerror}") from error

    def _write(self, file: RenderedFile, *, over: bool) -> Path:
        target = self._folder / file.name
        handle, name = tempfile.mkstemp(dir=self._folder, prefix=".", suffix=".part")
        try:
            with os.fdopen(handle, "wb") as out:
                out.write(file.content)
                out.flush()
                os.fsync(out.fileno())
            # Readable by the group; mkstemp creates files with mode 0600.
            os.chmod(name, 0o640)
            if over or not target.exists():
                os.replace(name, target)
        finally:
            Path(name).unlink(missing_ok=True)
        return target

    def _read(self, path: Path) -> Report:
        try:
            return flat_table.from_json(path.read_bytes())
        except OSError as error:
            raise ArchiveError(f"{path} cannot be read: {error.strerror}") from error
        except msgspec.DecodeError as error:
            raise ArchiveError(f"{path} is not the record of a report: {error}") from error


def _issue(stem: str, paths: list[Path]) -> Issue | None:
    """The issue that a file name states; None for other files, or an issue without its record."""
    named = _NAME.fullmatch(f"{stem}.json")
    record = next((path for path in paths if path.suffix == ".json"), None)
    if named is None or record is None:
        return None
    kind, area, first, last, version = named.groups()[:5]
    try:
        days = Period(date.fromisoformat(first), date.fromisoformat(last))
    except ValueError:
        return None
    at = datetime.fromtimestamp(record.stat().st_mtime, UTC)
    return Issue(ReportKind(kind), area, days, int(version), at, paths)


def _version(path: Path) -> int:
    digits = path.stem.rpartition("_v")[2]
    return int(digits) if digits.isdecimal() else 0
