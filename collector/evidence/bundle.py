"""Floor 2. Writes the bundle of evidence that answers a question, from the store.

All of it is a function of the question and of what is stored: the same bytes for the same.
"""

from __future__ import annotations

import base64
import itertools
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec import Struct, structs

from collector.evidence.chain_lines import EpochLines, ResultCounts
from collector.evidence.question import Question, results_file
from collector.evidence.zip_file import BundleFile
from collector.registry.registry import LineKey
from collector.reports import builder
from collector.reports.builder import Sources
from collector.reports.report import Area, ReportKind
from collector.rollup.periods import month_of
from collector.store.messages import EpochKey
from collector.store.records import StoredResult
from collector.store.store import Store
from wire.ledger import Ledger

_HERE = Path(__file__).parent
# What of a report is of the moment or of other lines, and not of the question.
_NOT_OF_THE_QUESTION = ("made_at", "data_revision", "waiting", "revision", "weeks", "commune_month")
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
    """A bundle that was written: the SHA-256 of its manifest, its results, those not rolled up."""

    sha256: str
    results: int
    waiting: int


def write(path: Path, question: Question, sources: BundleSources) -> Written:
    """Write a bundle.

    Raises:
        OSError: the file cannot be written.
        collector.store.store.StoreError: the store cannot be read. In both cases there is no file.
    """
    counts, epochs = ResultCounts(), list[EpochKey]()
    with BundleFile(path) as bundle:
        for name in ("README.vi.md", "README.md", "method.md"):
            bundle.add(name, (_HERE / name).read_bytes())
        _write_context(bundle, question, sources)
        for probe in question.probes:
            period = question.period
            results = sources.store.results_of(*probe, period.starts_at, period.ends_at)
            for epoch, some in itertools.groupby(results, lambda one: one.epoch):
                epochs.append(EpochKey(*probe, epoch))
                lines = EpochLines(
                    sources.store, epochs[-1], question.lines_of(probe), sources.shown, counts
                )
                bundle.add_lines(results_file(*probe, epoch), lines.lines(some))
        bundle.add_json("ledgers.json", list(_ledgers(sources.store, epochs)))
        bundle.add_json("left_out.json", counts.left_out())
        digest = bundle.finish({"question": question.as_table(), "version": sources.version})
    return Written(digest, counts.results, sources.store.summaries.waiting())


def _write_context(bundle: BundleFile, question: Question, sources: BundleSources) -> None:
    if sources.authority_pem:
        bundle.add("authority.pem", sources.authority_pem)
    bundle.add_json("certificates.json", list(_certificates(question, sources.store)))
    bundle.add_json("registry.json", _registry(question, sources))
    bundle.add_json("thresholds.json", sources.report.thresholds)
    bundle.add_json("plans.json", list(_plans(question, sources)))
    bundle.add_json("report.json", _report(question, sources))


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


def _registry(question: Question, sources: BundleSources) -> dict[str, object]:
    """The entries of these lines, and each recorded change of them."""
    registry = sources.report.registry
    probes = []
    for name in question.probes:
        probe = registry.probe(*name)
        if probe is not None:
            own = tuple(line for line in probe.lines if LineKey(*name, line.id) in question.lines)
            probes.append(structs.replace(probe, lines=own))
    isps = sorted({line.isp for probe in probes for line in probe.lines})
    return {
        "probes": probes,
        "isps": [registry.isps[isp] for isp in isps if isp in registry.isps],
        "communes": [
            registry.communes[code]
            for code in sorted({probe.commune for probe in probes})
            if code in registry.communes
        ],
        "changes": list(_changes(question, sources.store)),
    }


def _changes(question: Question, store: Store) -> Iterator[dict[str, object]]:
    keys = {
        *(("probe", "/".join(name)) for name in question.probes),
        *(("line", "/".join(key)) for key in question.lines),
    }
    after = 0
    while some := store.registry.changes(after):
        for one in some:
            if (one.change.thing, one.change.key) in keys:
                # Who made it is of the centre's staff, and no evidence.
                yield {"at": one.at, **one.change._asdict()}
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


def _report(question: Question, sources: BundleSources) -> Mapping[str, object]:
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
