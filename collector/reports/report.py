"""Floor 1. A report: its figures and what is printed beside them, before any layout.

PDF, XLSX, CSV, JSON and the bulletin are made of one Report, so that they cannot disagree. Units
are in the field names; the fields are those of `--format json`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from enum import StrEnum

from msgspec import Struct

from collector.domain.assessment import NoVerdictReason, Verdict
from collector.domain.thresholds import Thresholds
from collector.registry.planned_maintenance import MaintenanceStatus
from collector.registry.registry import LineKey
from collector.rollup.periods import Period, local_day, month_of, period_before, week_of
from wire.record import Text

SCHEMA = "tramdo-paper/1"


class ReportKind(StrEnum):
    """The kinds of report."""

    WEEKLY = "weekly"
    MONTHLY = "monthly"
    BULLETIN = "bulletin"


class Level(StrEnum):
    """What a row covers. `isp_plan`: the lines of one ISP with one declared plan.

    `family` and `line_family`: the area and a line over one address family.
    """

    AREA = "area"
    COMMUNE = "commune"
    ISP_PLAN = "isp_plan"
    LINE = "line"
    FAMILY = "family"
    LINE_FAMILY = "line_family"


class Area(Struct, frozen=True, kw_only=True):
    """What a report covers. `id` is a group's id, a commune or province code, or "all"."""

    id: Text
    name: Text
    lines: tuple[LineKey, ...]


def last_complete_period(kind: ReportKind, now: datetime) -> Period:
    """The last week or month that is over, in local time."""
    today = local_day(now)
    return period_before(week_of(today) if kind is ReportKind.WEEKLY else month_of(today))


class OfficeConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who issues reports: the table `[papers.office]`. A missing key becomes a dotted line.

    A people's committee has no superior above its name (Nghị định 30/2020/NĐ-CP): `parent = ""`.
    `name` and `signer_title` may have two lines: "TM. ỦY BAN NHÂN DÂN", "CHỦ TỊCH".
    """

    parent: Text | None = None
    name: Text | None = None
    place: Text | None = None
    # After the number: "BC-VHTT" in "Số: …/BC-VHTT".
    symbol: Text | None = None
    signer_title: Text | None = None
    signer_name: Text | None = None
    recipients: list[Text] = []


class SpeedStats(Struct, frozen=True, kw_only=True):
    """Speed in one direction: whole transfers of kind `throughput`, the mean and its 95 % interval.

    `declared_bps` is Vd or Vu where all lines of the row declare the same. `share` is mean /
    declared. The verdict is `none` for a row of several plans.
    """

    declared_bps: float | None
    samples: int
    mean_bps: float | None
    mean_low_bps: float | None
    mean_high_bps: float | None
    median_bps: float | None
    p05_bps: float | None
    steady_mean_bps: float | None
    share: float | None
    verdict: Verdict
    why: NoVerdictReason | None


class ReportRow(Struct, frozen=True, kw_only=True):
    """One row of a report. Ratios are 0..1; an unknown value is None.

    `tests` counts successful speed tests of kinds `throughput` and `http`, as the campaign does.
    `attempted`, `valid`, `skipped` count the same kinds; `planned` is from the probes' plans, and
    `completeness_ratio` of the `lines_planned` lines whose plan is known.
    `lines_met` and `lines_not_met` count the lines with a verdict in both directions.

    `family` is "ipv4", "ipv6" or "unstated" (probes before 0.2.0) at the levels of families, which
    have no verdict, no plan of tests and no minutes: these are of a line, whatever the family.
    `ipv4_down_minutes` and `ipv6_down_minutes` are those in which that family did not answer.
    """

    level: Level
    commune_code: str | None = None
    commune: str | None = None
    office: str | None = None
    tenant: str | None = None
    probe: str | None = None
    line: str | None = None
    isp: str | None = None
    lines: int
    lines_measured: int
    lines_met: int
    lines_not_met: int
    tests: int
    attempted: int
    valid: int
    skipped: int
    planned: int | None
    completeness_ratio: float | None
    download: SpeedStats
    upload: SpeedStats
    rtt_windows: int
    rtt_mean_ms: float | None
    rtt_median_ms: float | None
    rtt_p95_ms: float | None
    rtt_verdict: Verdict
    rtt_why: NoVerdictReason | None
    rtt_loaded_download_ms: float | None
    rtt_loaded_upload_ms: float | None
    delay_variation_ms: float | None
    packets_sent: int
    loss_ratio: float | None
    up_minutes: int | None
    down_minutes: int | None
    unknown_minutes: int | None
    availability_ratio: float | None
    availability_verdict: Verdict
    availability_why: NoVerdictReason | None
    family: Text | None = None
    ipv4_down_minutes: int | None = None
    ipv6_down_minutes: int | None = None
    # None in issues of a version before 0.2.0.
    lines_planned: int | None = None
    # Of `down_minutes`, those in planned maintenance, and the availability without them; None at
    # the levels of families, and in issues of a version before 0.2.0.
    planned_down_minutes: int | None = None
    availability_without_planned_ratio: float | None = None

    @property
    def is_silent(self) -> bool:
        """Whether nothing was received: no test, failed ones included, and no minute up or down."""
        return not (self.attempted or self.skipped or self.up_minutes or self.down_minutes)


class CommuneMonth(Struct, frozen=True):
    """A commune's speed tests from the first of the month to the report's last day."""

    commune_code: str
    commune: str
    tests: int
    needed: int


class Week(Struct, frozen=True):
    """One week of the trend: `lines_enough` of `lines` had the weekly minimum of tests."""

    monday: date
    lines: int
    lines_enough: int
    tests: int


class Maintenance(Struct, frozen=True, kw_only=True):
    """An announcement of planned maintenance in the period, and what it did to the report's lines.

    `number` is the centre's. `scope` is in words, `isp`, `place` and `line` as it was entered ("":
    every one). `planned_from` and `planned_until` are the time that counts as planned: what was
    announced before it began, and still stands. So many `lines` of the report are concerned, now or
    by an earlier entry; `down_minutes` are theirs within the planned time.
    """

    number: int
    scope: str
    isp: str
    place: str
    line: str
    starts_at: datetime
    ends_at: datetime
    reason: str
    announced_at: datetime
    changed_at: datetime
    entries: int
    status: MaintenanceStatus
    planned_from: datetime | None
    planned_until: datetime | None
    lines: int
    down_minutes: int


class Revision(Struct, frozen=True, kw_only=True):
    """Why this report replaces an earlier issue; in a draft, why it would (`version` None)."""

    version: int | None
    replaces_version: int
    replaces_issued_at: datetime
    days: Sequence[date]
    thresholds_changed: bool
    # Lines, offices, places or declared plans of the rows have changed.
    registry_changed: bool = False
    # A probe's plan was received, or differs: completeness is reckoned by it.
    plans_changed: bool = False
    # Planned maintenance of the period was announced, corrected or withdrawn.
    maintenance_changed: bool = False


class Report(Struct, frozen=True, kw_only=True):
    """All content of a report.

    `data_revision` is the roll-ups' revision, by which later changes are found. `waiting` results,
    of any day, were stored but not rolled up when it was made. `whole`: the period was over.
    A `draft` has no issue number.
    """

    schema: str = SCHEMA
    kind: ReportKind
    area_id: str
    area: str
    first_day: date
    last_day: date
    whole: bool
    made_at: datetime
    data_revision: int
    waiting: int
    revision: Revision | None
    office: OfficeConfig
    thresholds: Thresholds
    rows: Sequence[ReportRow]
    weeks: Sequence[Week] = ()
    commune_month: Sequence[CommuneMonth] = ()
    draft: bool = False
    # None in issues of a version before 0.2.0, which knew of none.
    maintenance: Sequence[Maintenance] | None = None

    @property
    def version(self) -> int | None:
        """The issue number; None of a draft."""
        if self.draft:
            return None
        return self.revision.version if self.revision else 1

    def at(self, level: Level) -> list[ReportRow]:
        """The rows of a level, in their order."""
        return [row for row in self.rows if row.level is level]

    @property
    def total(self) -> ReportRow:
        """The row of the whole area."""
        return self.at(Level.AREA)[0]
