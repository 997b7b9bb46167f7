"""Floor 1. What a bundle is asked for, and the names of its files."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from uuid import UUID

from msgspec import Struct

from collector.registry.registry import LineKey, Registry
from collector.reports.report import Level, Report, ReportKind
from collector.rollup.periods import Period, month_of
from wire.result import HOST_LINE

SCHEMA = "tramdo-evidence/1"
MANIFEST = "manifest.json"
# A weekly report shows the four weeks before its own.
_WEEKS_BEFORE = timedelta(weeks=4)


class Question(Struct, frozen=True, kw_only=True):
    """The lines and the whole local days that a bundle is of.

    `as_of` (UTC) bounds a period that is not over. `whole_addresses`: nothing is masked.
    `every_line`: with the results of all lines of these lines' probes, so that no result of
    the probe is there by its digest alone. `issue` names an issued report, which is then in the
    bundle as it was issued; `results_from` is the first day of results, where the report counts
    tests of earlier days.
    """

    lines: tuple[LineKey, ...]
    period: Period
    as_of: datetime
    whole_addresses: bool = False
    every_line: bool = False
    issue: str | None = None
    results_from: date | None = None

    @property
    def results_period(self) -> Period:
        """The days of which there are results."""
        return Period(self.results_from or self.period.first, self.period.last)

    @property
    def probes(self) -> list[tuple[str, str]]:
        """The probes of the lines (tenant, name), ascending."""
        return sorted({(key.tenant, key.probe) for key in self.lines})

    def lines_of(self, probe: tuple[str, str]) -> frozenset[str] | None:
        """The line ids whose results are in the bundle, with that of the box; None: all."""
        if self.every_line:
            return None
        own = {key.line for key in self.lines if (key.tenant, key.probe) == probe}
        return frozenset({*own, HOST_LINE.id})

    def as_table(self) -> dict[str, object]:
        """The question as the manifest has it."""
        return {
            "lines": ["/".join(key) for key in self.lines],
            "first_day": self.period.first,
            "last_day": self.period.last,
            "results_from": self.results_period.first,
            "as_of": self.as_of,
            "issue": self.issue,
            "addresses": "whole" if self.whole_addresses else "masked",
            "results": "every line of the probe" if self.every_line else "these lines",
        }


def parse_line(text: str, registry: Registry) -> LineKey:
    """`TENANT/PROBE/LINE` of the registry.

    Raises:
        ValueError: it is none; the text is a sentence.
    """
    parts = text.split("/")
    if len(parts) != 3:
        raise ValueError(f"{text!r} is not TENANT/PROBE/LINE")
    key = LineKey(*parts)
    if registry.line(key) is None:
        raise ValueError(f"the registry has no line {text!r}")
    return key


def question_of_issue(
    name: str, report: Report, *, whole_addresses: bool, every_line: bool
) -> Question:
    """The question for an issued report, `name` is that of its files without their suffix."""
    period = Period(report.first_day, report.last_day)
    first = month_of(period.last).first
    if report.kind is ReportKind.WEEKLY:
        first = min(first, period.first - _WEEKS_BEFORE)
    return Question(
        lines=tuple(
            sorted(
                LineKey(row.tenant or "", row.probe or "", row.line or "")
                for row in report.at(Level.LINE)
            )
        ),
        period=period,
        as_of=min(report.made_at, period.ends_at),
        whole_addresses=whole_addresses,
        every_line=every_line,
        issue=name,
        results_from=min(first, period.first),
    )


def results_file(tenant: str, probe: str, epoch: UUID) -> str:
    """The name of the file with an epoch's results and signatures."""
    return f"results/{tenant}/{probe}/{epoch}.jsonl.xz"
