"""Floor 3. Drafts and issues reports, for the command, the timer and the pages.

A draft shows the current figures. An issue is a report of a period that is over, archived in every
format. Issuing again gives the same issue, unless figures, thresholds or registry have changed:
then it makes the next version, which states what has changed.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path

from msgspec import structs

from collector.domain.thresholds import Thresholds
from collector.registry.registry import Registry
from collector.reports import builder, rendering
from collector.reports.archive import Archive, Issue
from collector.reports.builder import Sources
from collector.reports.pdf import TooManyRowsError
from collector.reports.report import OfficeConfig, Report, ReportKind, last_complete_period
from collector.rollup.periods import Period, month_of, week_of
from collector.store.store import Store


def sources_of(store: Store, thresholds: Thresholds, office: OfficeConfig) -> Sources:
    """The data sources of a report, as the store has them now. Raises StoreError."""
    return Sources(
        summaries=store.summaries,
        registry=store.registry.read(),
        probes=store.probes(),
        plans=store.plans,
        thresholds=thresholds,
        office=office,
        maintenance=store.maintenance.read(),
        outages=store.outages,
    )


class RefusalReason(StrEnum):
    """Why a report was refused: a closed list, each with a label for the pages."""

    PERIOD = "period"
    WEEK = "week"
    MONTH = "month"
    NOT_OVER = "not_over"


class ReportRefusedError(ValueError):
    """The request does not fit a report; the text is a sentence, `why` names the page's label."""

    def __init__(self, why: RefusalReason, sentence: str) -> None:
        super().__init__(sentence)
        self.why = why


class ReportService:
    """One per process, thread-safe.

    `sources` is called for each report, so that it has the current registry and plans. Methods may
    raise `ValueError` (unknown area or wrong period; the text is a sentence),
    `collector.store.store.StoreError` and `collector.reports.archive.ArchiveError`.
    """

    def __init__(
        self,
        sources: Callable[[], Sources],
        folder: Path,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._sources = sources
        self.archive = Archive(folder)
        self._now = now

    def draft(self, kind: ReportKind, area_id: str, period: Period | None = None) -> Report:
        """A draft of the current figures. `period` None: the last complete one of its kind."""
        report = self._current(kind, area_id, period)
        period = Period(report.first_day, report.last_day)
        last, revision = self.archive.latest(kind, area_id, period), report.revision
        if revision is not None:
            unchanged = last is not None and last.revision == revision
            revision = None if unchanged else structs.replace(revision, version=None)
        return structs.replace(report, draft=True, revision=revision)

    def _current(self, kind: ReportKind, area_id: str, period: Period | None) -> Report:
        sources = self._sources()
        period = period or last_complete_period(kind, self._now())
        require_period(kind, period)
        area = builder.resolve_area(sources.registry, area_id)
        issued = self.archive.latest(kind, area_id, period)
        return builder.build_report(kind, area, period, sources, now=self._now(), issued=issued)

    def issue(self, kind: ReportKind, area_id: str, period: Period | None = None) -> list[Path]:
        """Issue a report; its files, or those of the latest issue if nothing has changed.

        A report with too many rows for a PDF is issued in the other formats.
        """
        with self.archive.lock():
            return self._issue(kind, area_id, period)

    def _issue(self, kind: ReportKind, area_id: str, period: Period | None) -> list[Path]:
        report = self._current(kind, area_id, period)
        if not report.whole:
            raise ReportRefusedError(
                RefusalReason.NOT_OVER,
                f"{report.first_day} to {report.last_day} is not over: a draft can be made "
                "(--out), but not issued",
            )
        last = self.archive.latest(kind, area_id, Period(report.first_day, report.last_day))
        if last is not None and last.revision == report.revision:
            report = last
        files = []
        for report_format in rendering.formats(kind):
            try:
                files.append(rendering.render(report, report_format))
            except TooManyRowsError:
                continue
        return self.archive.save(report, files)

    def changed_since(self, issue: Issue) -> list[date]:
        """The days of an issue's period whose figures have changed since it was made.

        Empty if a later issue has replaced it, or its area no longer exists.
        """
        last = self.archive.latest(issue.kind, issue.area_id, issue.period)
        if last is None or last.version != issue.version:
            return []
        sources = self._sources()
        try:
            lines = builder.resolve_area(sources.registry, issue.area_id).lines
        except ValueError:
            return []
        revised = sources.summaries.revised_since(issue.period, lines, last.data_revision)
        return sorted({one.day for one in revised})

    def areas(self) -> list[str]:
        """The areas that a timer issues reports for: every group, or "all" if there are none."""
        registry: Registry = self._sources().registry
        return sorted(registry.groups) or [builder.NATION]


def require_period(kind: ReportKind, period: Period) -> None:
    """Check that a period fits the kind of report.

    Raises:
        ReportRefusedError: a weekly report not of a week, a monthly one not of a month.
    """
    if kind is ReportKind.WEEKLY and period != week_of(period.first):
        raise ReportRefusedError(
            RefusalReason.WEEK, f"{period.first} to {period.last} is not a week, Monday to Sunday"
        )
    if kind is ReportKind.MONTHLY and period != month_of(period.first):
        raise ReportRefusedError(
            RefusalReason.MONTH, f"{period.first} to {period.last} is not a month"
        )
