"""Floor 3. Publishes a closed month of raw results: files, their description, its signature.

Province by province, probe by probe, a few thousand results at a time. A month appears under its
name when it is whole, and is never written over.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby, islice
from pathlib import Path
from typing import NamedTuple

import msgspec

from collector.domain.lines import KnownLine
from collector.open_data import parquet
from collector.open_data.columns import PUBLIC_KINDS, ColumnType, Facts, columns, text
from collector.open_data.csv_file import CsvFile, sha256
from collector.open_data.dictionary import (
    DESCRIPTOR,
    LICENCE,
    LINE_COLUMNS,
    METHOD_DOCUMENT,
    SIGNATURE,
    MonthFacts,
    PublishedFile,
    descriptor,
    schema,
    schema_path,
    sums,
)
from collector.open_data.signing_key import SigningKey
from collector.registry.registry import LineKey
from collector.rollup.periods import Period
from collector.store.records import StoredResult
from collector.store.store import Store
from wire.result import GATEWAY_TARGET, decode_result

_AT_A_TIME = 1_000
SUMS = "SHA256SUMS"
PUBLIC_KEY = "key.pem"


class AlreadyPublishedError(Exception):
    """The month is there."""


class Published(NamedTuple):
    """A month as it was published."""

    path: Path
    files: int
    results: int
    parquet: bool


class MonthPublisher:
    """Publishes months.

    Args:
        store: where the results are.
        lines: every line that is known.
        key: signs.
        root: the folder of months.
        version: of this software, whose docs/method.md is the method.
    """

    def __init__(
        self,
        store: Store,
        lines: Iterable[KnownLine],
        key: SigningKey,
        root: Path,
        version: str,
    ) -> None:
        self._store = store
        self._key = key
        self._root = root
        self._version = version
        self._lines = {line.key: line for line in lines if line.registered and line.province_code}
        self._results: Counter[LineKey] = Counter()
        self._unreadable = 0

    def publish(self, month: Period, now: datetime) -> Published:
        """Publish a month that is over.

        Raises:
            AlreadyPublishedError: it is there, and stays as it is.
            StoreError: the results cannot be read.
            OSError: the files cannot be written; nothing was published.
            ParquetError: as above.
        """
        name = f"{month.first:%Y-%m}"
        whole = self._root / name
        if whole.exists():
            raise AlreadyPublishedError(name)
        self._root.mkdir(parents=True, exist_ok=True)
        partial = self._root / f".{name}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        try:
            files = list(self._files(partial, month))
            self._describe(partial, name, files, now)
            # All of it is on the disk before it is there.
            os.sync()
            partial.rename(whole)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        (self._root / PUBLIC_KEY).write_bytes(self._key.public_pem)
        (self._root / f"key-{self._key.key_id}.pem").write_bytes(self._key.public_pem)
        return Published(whole, len(files), self._results.total(), parquet.is_available())

    def _describe(
        self, folder: Path, name: str, files: Sequence[PublishedFile], now: datetime
    ) -> None:
        facts = MonthFacts(
            month=name,
            published_at=now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            version=self._version,
            key_id=self._key.key_id,
            unreadable=self._unreadable,
            parquet=parquet.is_available(),
        )
        schemas = _schemas(folder, sorted({one.kind for one in files}))
        content = _json(descriptor(facts, files, schemas))
        (folder / DESCRIPTOR).write_bytes(content)
        (folder / SIGNATURE).write_bytes(self._key.sign(content))
        (folder / SUMS).write_text(sums(files, schemas), encoding="ascii")

    def _files(self, folder: Path, month: Period) -> Iterator[PublishedFile]:
        by_place = sorted(self._lines.values(), key=lambda line: (line.province_code, line.key))
        for province, lines in groupby(by_place, lambda line: line.province_code):
            yield from self._of_province(folder, province, list(lines), month)
        yield self._lines_file(folder)

    def _of_province(
        self, folder: Path, province: str, lines: Sequence[KnownLine], month: Period
    ) -> Iterator[PublishedFile]:
        opened: dict[str, CsvFile] = {}
        try:
            for probe in sorted({line.key[:2] for line in lines}):
                self._write_probe(folder, province, probe, month, opened)
        finally:
            for file in opened.values():
                file.close()
        for kind in (kind for kind in PUBLIC_KINDS if kind in opened):
            shape = [(column.name, column.type) for column in columns(kind)]
            yield from self._published(folder, opened[kind], kind, province, shape)

    def _write_probe(
        self,
        folder: Path,
        province: str,
        probe: tuple[str, str],
        month: Period,
        opened: dict[str, CsvFile],
    ) -> None:
        found = self._store.results_of(*probe, month.starts_at, month.ends_at)
        public = (one for one in found if one.kind in PUBLIC_KINDS)
        while some := list(islice(public, _AT_A_TIME)):
            outcomes = self._store.signature_outcomes(some)
            for stored, outcome in zip(some, outcomes, strict=True):
                key = LineKey(stored.tenant, stored.probe, stored.line)
                line = self._lines.get(key)
                if line is None:
                    continue
                target = self._target(stored.target)
                name = self._key.identifier("/".join(key))
                facts = Facts(name, line.commune_code, line.isp_name, target, outcome)
                cells = self._cells(stored, facts)
                if cells is None:
                    self._unreadable += 1
                    continue
                self._results[key] += 1
                if stored.kind not in opened:
                    opened[stored.kind] = _open(folder, stored.kind, province)
                opened[stored.kind].write(cells)

    def _cells(self, stored: StoredResult, facts: Facts) -> list[str] | None:
        try:
            result = decode_result(stored.body)
        except msgspec.DecodeError:
            return None
        return [text(column.cell(result, facts)) for column in columns(stored.kind)]

    def _target(self, target: str | None) -> str | None:
        """The kind of a target, and an identifier in place of its name or address."""
        if target is None or target == GATEWAY_TARGET:
            return target
        kind, _, name = target.partition(":")
        return f"{kind}:{self._key.identifier(target)}" if name else self._key.identifier(target)

    def _lines_file(self, folder: Path) -> PublishedFile:
        file = CsvFile(folder / "lines.csv.gz", [column.name for column in LINE_COLUMNS])
        rows = [
            [text(cell) for cell in _line_cells(self._key.identifier("/".join(key)), line, count)]
            for key, count in self._results.items()
            for line in [self._lines[key]]
        ]
        try:
            for row in sorted(rows):
                file.write(row)
        finally:
            file.close()
        return _described(folder, file.path, "lines", "", "csv", file.rows)

    def _published(
        self,
        folder: Path,
        file: CsvFile,
        kind: str,
        province: str,
        shape: Sequence[tuple[str, ColumnType]],
    ) -> Iterator[PublishedFile]:
        yield _described(folder, file.path, kind, province, "csv", file.rows)
        if parquet.is_available():
            target = file.path.with_name(f"{province}.parquet")
            parquet.write(file.path, target, shape, self._about())
            yield _described(folder, target, kind, province, "parquet", file.rows)

    def _about(self) -> dict[str, str]:
        return {"licence": LICENCE, "method": METHOD_DOCUMENT, "method_version": self._version}


def _schemas(folder: Path, kinds: Iterable[str]) -> dict[str, str]:
    """Write the schemas; returns their digests."""
    found = {}
    for kind in kinds:
        path = folder / schema_path(kind)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(_json(schema(kind)))
        found[kind] = sha256(path)
    return found


def _json(value: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n"


def _open(folder: Path, kind: str, province: str) -> CsvFile:
    (folder / kind).mkdir(exist_ok=True)
    names = [column.name for column in columns(kind)]
    return CsvFile(folder / kind / f"{province}.csv.gz", names)


def _described(
    folder: Path, path: Path, kind: str, province: str, format_: str, rows: int
) -> PublishedFile:
    return PublishedFile(
        path=path.relative_to(folder).as_posix(),
        kind=kind,
        province=province,
        format=format_,
        rows=rows,
        bytes=path.stat().st_size,
        sha256=sha256(path),
    )


def _line_cells(identifier: str, line: KnownLine, results: int) -> list[object]:
    """The cells of `LINE_COLUMNS`."""
    commune = line.commune
    return [
        identifier,
        line.commune_code,
        line.commune_name,
        line.province_code,
        commune.province_name if commune else None,
        commune.latitude if commune else None,
        commune.longitude if commune else None,
        line.isp_name,
        line.plan_down_bps,
        line.plan_up_bps,
        results,
    ]
