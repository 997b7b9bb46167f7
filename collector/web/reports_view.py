"""Floor 1. The reports page: the areas to choose from, and issues as rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import NamedTuple

from collector.registry.registry import Registry
from collector.reports.builder import NATION
from collector.reports.report import ReportKind
from collector.rollup.periods import Period
from collector.web.formatting import Moment, moment
from collector.web.presentation import Locale


class IssueRow(NamedTuple):
    """An issue. `changed` are days (dd/mm) whose figures changed since; `files` (format, name)."""

    kind: str
    area: str
    period: str
    version: int
    at: Moment
    changed: list[str]
    files: list[tuple[str, str]]


def areas(registry: Registry, locale: Locale) -> list[tuple[str, str]]:
    """Id and name of each area: groups, communes with a probe, and all of them together."""
    found = [(group.id, group.name) for group in registry.groups.values()]
    codes = sorted({probe.commune for probe in registry.probes.values()})
    found += [(code, registry.communes[code].name) for code in codes]
    return [*found, (NATION, locale.label("all_probes"))]


def issue_row(
    kind: ReportKind,
    area: str,
    period: Period,
    version: int,
    at: datetime,
    changed: Sequence[date],
    files: Mapping[str, str],
    locale: Locale,
) -> IssueRow:
    """The row of an issue. `files` are file names by format."""
    return IssueRow(
        kind=locale.label(f"report_{kind}"),
        area=area,
        period=f"{period.first:%d/%m/%Y}–{period.last:%d/%m/%Y}",
        version=version,
        at=moment(at, locale.language, locale.timezone),
        changed=[f"{day:%d/%m}" for day in changed],
        files=[(file_format.upper(), name) for file_format, name in files.items()],
    )
