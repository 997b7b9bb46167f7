"""Floor 2. Makes the bundle of evidence that answers a question, from the store.

All of it is a function of the question and of what is stored: the same bytes for the same.
"""

from __future__ import annotations

import base64
import itertools
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, structs

from collector.evidence.chain_lines import EpochLines, ResultCounts
from collector.evidence.question import Question, results_file
from collector.evidence.registry_entries import registry_table
from collector.evidence.zip_stream import ZipStream
from collector.registry.changes import RecordedChange
from collector.reports import builder
from collector.reports.builder import Sources
from collector.reports.maintenance import LOOKED_BACK
from collector.reports.report import Area, ReportKind
from collector.rollup.periods import month_of
from collector.store.messages import EpochKey
from collector.store.records import StoredResult
from collector.store.store import Store
from wire.decoding import decode_json
from wire.ledger import Ledger

_HERE = Path(__file__).parent
# What of a report is of the moment or of other lines, and not of the question.
_NOT_OF_THE_QUESTION = ("made_at", "data_revision", "waiting", "revision", "weeks", "commune_month")
# The registry as it is.
LATEST = datetime.max.replace(tzinfo=UTC)
Shown = Callable[[StoredResult], bytes]


class BundleSources(Struct, frozen=True, kw_only=True):
    """The data sources of a bundle. `shown` returns a result's bytes as the reader may have them.

    `authority_pem` is empty where none is configured. `version` is the program's.
    """

    store: Store
    report: Sources
    authority_pem: bytes
    shown: Shown
    version: str


class Written(Struct, frozen=True):
    """A bundle that was made: its bytes, its manifest's SHA-256, its results, those not rolled up.

    `waiting` is 0 for an issued report, whose figures are what they were.
    """

    bytes: int
    sha256: str
    results: int
    waiting: int


class BundlePieces:
    """A bundle, made while its pieces are taken; once, by any threads one after the other.

    `written` is None until all were taken. Iterating may raise
    `collector.store.store.StoreError`.

    Args:
        question: what it answers.
        sources: of which it is made.
        issued: the JSON of the issued report that the question names, as it is archived.
    """

    def __init__(
        self, question: Question, sources: BundleSources, issued: bytes | None = None
    ) -> None:
        self._question, self._sources, self._issued = question, sources, issued
        self._counts = ResultCounts()
        self.written: Written | None = None

    def __iter__(self) -> Iterator[bytes]:
        """The pieces, none of them empty."""
        archive, length = ZipStream(), 0
        for piece in self._files(archive):
            if piece:
                length += len(piece)
                yield piece
        waiting = self._sources.store.summaries.waiting() if self._issued is None else 0
        self.written = Written(length, archive.digest, self._counts.results, waiting)

    def _files(self, archive: ZipStream) -> Iterator[bytes]:
        report = self._report()
        question, store = _looking_back(self._question, report), self._sources.store
        for name in ("README.vi.md", "README.md", "method.md"):
            yield from archive.add(name, (_HERE / name).read_bytes())
        yield from self._context(archive, report)
        epochs = list[EpochKey]()
        for probe in question.probes:
            days = question.results_period
            results = store.results_of(*probe, days.starts_at, days.ends_at)
            for epoch, some in itertools.groupby(results, lambda one: one.epoch):
                epochs.append(EpochKey(*probe, epoch))
                lines = EpochLines(
                    store,
                    epochs[-1],
                    question.lines_of(probe),
                    self._sources.shown,
                    self._counts,
                )
                yield from archive.add_lines(results_file(*probe, epoch), lines.lines(some))
        yield from archive.add_json("ledgers.json", list(_ledgers(store, epochs)))
        yield from archive.add_json("left_out.json", self._counts.left_out())
        about = {"question": question.as_table(), "version": self._sources.version}
        yield from archive.finish(about)

    def _context(self, archive: ZipStream, report: Mapping[str, Any]) -> Iterator[bytes]:
        question, sources = self._question, self._sources
        if sources.authority_pem:
            yield from archive.add("authority.pem", sources.authority_pem)
        certificates = list(_certificates(question, sources.store))
        yield from archive.add_json("certificates.json", certificates)
        yield from archive.add_json(
            "registry.json",
            registry_table(
                sources.report.registry,
                list(_changes(sources.store)),
                question.lines,
                _made_at(report) if self._issued is not None else LATEST,
            ),
        )
        yield from archive.add_json("thresholds.json", report["thresholds"])
        yield from archive.add_json("plans.json", list(_plans(question, sources)))
        yield from archive.add_json("maintenance.json", list(_maintenance(question, sources)))
        if self._issued is None:
            yield from archive.add_json("report.json", report)
        else:
            yield from archive.add("report.json", self._issued)

    def _report(self) -> Mapping[str, Any]:
        if self._issued is not None:
            return decode_json(self._issued, dict[str, Any])
        return _report(self._question, self._sources)


def write(path: Path, bundle: BundlePieces) -> Written:
    """Write a bundle to a file, which gets its name when it is whole.

    Raises:
        OSError: the file cannot be written.
        collector.store.store.StoreError: the store cannot be read. In both cases there is no file.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            for piece in bundle:
                file.write(piece)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    assert bundle.written is not None
    return bundle.written


def _certificates(question: Question, store: Store) -> Iterator[dict[str, object]]:
    for tenant, probe in question.probes:
        for one in store.certificates(tenant, probe):
            yield {
                "tenant": tenant,
                "probe": probe,
                "key": one.key,
                "begins_at": one.begins,
                "ends_at": one.ends,
                "certificate": base64.b64encode(one.der).decode("ascii"),
            }


def _changes(store: Store) -> Iterator[RecordedChange]:
    after = 0
    while some := store.registry.changes(after):
        yield from some
        after = some[-1].number


def _plans(question: Question, sources: BundleSources) -> Iterator[dict[str, object]]:
    present = {(one.tenant, one.probe): one.info for one in sources.report.probes}
    months = sorted({month_of(day).first for day in question.period.each_day()})
    for tenant, probe in question.probes:
        info = present.get((tenant, probe))
        yield {
            "tenant": tenant,
            "probe": probe,
            "lines": sorted(line.id for line in info.lines) if info else [],
            "present": info.plan if info else None,
            "months": {
                f"{month:%Y-%m}": sources.report.plans(month).get((tenant, probe))
                for month in months
            },
        }


def _maintenance(question: Question, sources: BundleSources) -> Iterator[dict[str, object]]:
    """Each entry of each announcement with work in the period; who wrote it is no evidence."""
    period = question.period
    for one in sources.report.maintenance:
        if one.touches(period.starts_at, period.ends_at):
            for entry in one.entries:
                yield {
                    "number": one.number,
                    "recorded_at": entry.recorded_at,
                    "action": entry.action,
                    **structs.asdict(entry.scope),
                    "starts_at": entry.starts_at,
                    "ends_at": entry.ends_at,
                    "reason": entry.reason,
                    "note": entry.note,
                }


def _looking_back(question: Question, report: Mapping[str, Any]) -> Question:
    """The question with results of the day before, where the report has planned maintenance."""
    if not report.get("maintenance"):
        return question
    before = question.period.first - LOOKED_BACK
    return structs.replace(question, results_from=min(before, question.results_period.first))


def _report(question: Question, sources: BundleSources) -> Mapping[str, Any]:
    """The rows of these lines as a report of them alone has them now."""
    whole = question.period == month_of(question.period.first)
    report = builder.build_report(
        ReportKind.MONTHLY if whole else ReportKind.BULLETIN,
        Area(id="evidence", name="", lines=question.lines),
        question.period,
        sources.report,
        now=question.as_of,
    )
    table: dict[str, object] = msgspec.to_builtins(structs.replace(report, draft=True))
    return {name: value for name, value in table.items() if name not in _NOT_OF_THE_QUESTION}


def _made_at(report: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(report["made_at"])


def _ledgers(store: Store, epochs: list[EpochKey]) -> Iterator[dict[str, object]]:
    """Of each epoch what the store has had, and what the probe has given up."""
    for tenant, probe in sorted({key[:2] for key in epochs}):
        for key, (known, stored) in sorted(
            store.epochs(tenant, probe).items(), key=lambda one: str(one[0].epoch)
        ):
            if key in epochs:
                yield {
                    "tenant": tenant,
                    "probe": probe,
                    "epoch": key.epoch,
                    "given_up": _given_up(known, stored),
                }


def _given_up(known: Ledger, stored: Ledger) -> list[tuple[int, int]]:
    """The ranges of `known` that `stored` does not have."""
    missing = [*stored.missing, (stored.stored_through + 1, known.stored_through)]
    return [
        (max(first, low), min(last, high))
        for low, high in missing
        for first, last in known.ranges
        if first <= high and last >= low
    ]


def as_of(now: datetime, ends_at: datetime) -> datetime:
    """Until when figures are of a period: its end where it is over."""
    return min(now, ends_at).replace(microsecond=0)
