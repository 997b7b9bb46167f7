"""Floor 3. The desk where papers are made and issued: for the command, the timer and the pages.

A draft is a paper as the figures are now. An issue is a paper of a period that is over, kept in
every format; asked for again, it is the same issue, unless figures or thresholds have changed: then
it is the next one, and says so.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path

from collector.domain.thresholds import Thresholds
from collector.registry.registry import Registry
from collector.reports import builder, rendering
from collector.reports.archive import Archive, Issue
from collector.reports.builder import Sources
from collector.reports.pdf import TooLongError
from collector.reports.report import OfficeConfig, Paper, PaperKind
from collector.rollup.periods import Period, local_day, month_of, week_of
from collector.store.store import Store


def sources_of(store: Store, thresholds: Thresholds, office: OfficeConfig) -> Sources:
    """What a paper is made of, as the store has it now. Raises StoreError."""
    return Sources(
        summaries=store.summaries,
        registry=store.registry.read(),
        probes=store.probes(),
        plans=store.plans,
        thresholds=thresholds,
        office=office,
    )


class Unfit(StrEnum):
    """Why no paper can be made of what was asked for: a closed list, for which pages have words."""

    PERIOD = "period"
    WEEK = "week"
    MONTH = "month"
    NOT_OVER = "not_over"


class UnfitError(ValueError):
    """What was asked for is no paper's; the text is a sentence, `why` for who has words."""

    def __init__(self, why: Unfit, sentence: str) -> None:
        super().__init__(sentence)
        self.why = why


class Desk:
    """One for a process; any thread may ask.

    `sources` is called for each paper, so that it has the registry and the plans as they are then.
    Methods may raise `ValueError` (no such area, the wrong period, a sentence each),
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

    def draft(self, kind: PaperKind, area_id: str, period: Period | None = None) -> Paper:
        """The paper as it is now. `period` None: the last whole one of its kind."""
        sources = self._sources()
        period = period or last_whole(kind, self._now())
        require_period(kind, period)
        area = builder.area(sources.registry, area_id)
        issued = self.archive.last(kind, area_id, period)
        return builder.paper(kind, area, period, sources, now=self._now(), issued=issued)

    def issue(self, kind: PaperKind, area_id: str, period: Period | None = None) -> list[Path]:
        """Issue it; its files. Those of the last issue where nothing has changed since.

        A paper too long for a PDF is issued in the other formats.
        """
        with self.archive.issuing():
            return self._issue(kind, area_id, period)

    def _issue(self, kind: PaperKind, area_id: str, period: Period | None) -> list[Path]:
        paper = self.draft(kind, area_id, period)
        if not paper.whole:
            raise UnfitError(
                Unfit.NOT_OVER,
                f"{paper.first_day} to {paper.last_day} is not over: it can be drawn up (--out), "
                "not issued",
            )
        last = self.archive.last(kind, area_id, Period(paper.first_day, paper.last_day))
        if last is not None and last.revision == paper.revision:
            paper = last
        files = []
        for paper_format in rendering.formats(kind):
            try:
                files.append(rendering.printed(paper, paper_format))
            except TooLongError:
                continue
        return self.archive.keep(paper, files)

    def changed_since(self, issue: Issue) -> list[date]:
        """The days of an issue's period whose figures have changed since it was made.

        Empty too where a later issue has taken its place, and for an area that is no more.
        """
        last = self.archive.last(issue.kind, issue.area_id, issue.period)
        version = last.revision.version if last and last.revision else 1
        if last is None or version != issue.version:
            return []
        sources = self._sources()
        try:
            lines = builder.area(sources.registry, issue.area_id).lines
        except ValueError:
            return []
        revised = sources.summaries.revised_since(issue.period, lines, last.data_revision)
        return sorted({one.day for one in revised})

    def areas(self) -> list[str]:
        """What a timer issues papers for: every group, or the whole where there are none."""
        registry: Registry = self._sources().registry
        return sorted(registry.groups) or [builder.NATION]


def last_whole(kind: PaperKind, now: datetime) -> Period:
    """The last week or month that is over."""
    today = local_day(now)
    if kind is PaperKind.WEEKLY:
        monday = week_of(today).first
        return week_of(monday.fromordinal(monday.toordinal() - 1))
    first = month_of(today).first
    return month_of(first.fromordinal(first.toordinal() - 1))


def require_period(kind: PaperKind, period: Period) -> None:
    """Refuse a period that the paper is not about.

    Raises:
        ValueError: a weekly report of anything but a week, a monthly one of anything but a month.
    """
    if kind is PaperKind.WEEKLY and period != week_of(period.first):
        raise UnfitError(
            Unfit.WEEK, f"{period.first} to {period.last} is not a week, Monday to Sunday"
        )
    if kind is PaperKind.MONTHLY and period != month_of(period.first):
        raise UnfitError(Unfit.MONTH, f"{period.first} to {period.last} is not a month")
