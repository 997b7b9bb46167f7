"""A month of a district for the papers' tests, made by rule.

Nothing here was measured. `FakeSummaries` keeps days in memory and answers as the store does.
`python -m tests.report_samples` writes the golden reports anew: look at the difference.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import product
from pathlib import Path

from collector.domain import thresholds_file
from collector.registry.communes import official
from collector.registry.registry import Group, Isp, Line, LineKey, Probe, Registry
from collector.reports import builder, rendering
from collector.reports.builder import Sources
from collector.reports.report import OfficeConfig, Report, ReportKind
from collector.rollup.days import DaySample
from collector.rollup.distribution import distribution
from collector.rollup.periods import Period, Step, start_of_day, week_of
from collector.rollup.queries import Bucket, HourMean, HourProfile, RevisedDay
from collector.rollup.summary import EMPTY, KindCounts, Summary, merge_summaries
from collector.store.records import StoredProbe
from tests import samples
from wire.messages import Info, PlannedKind
from wire.result import Family
from wire.result import Line as WireLine
from wire.site import Site

GOLDEN = Path(__file__).parent / "golden" / "papers"
TENANT = "bach-thong"
GROUP = "bach-thong-cu"
JULY = Period(date(2026, 7, 1), date(2026, 7, 31))
WEEK = week_of(date(2026, 7, 22))
NOW = datetime(2026, 8, 1, 1, 30, tzinfo=UTC)
OFFICE = OfficeConfig(
    parent="UBND tỉnh Thái Nguyên",
    name="Sở Văn hóa, Thể thao và Du lịch",
    place="Thái Nguyên",
    symbol="BC-SVHTTDL",
    signer_title="Giám đốc",
    recipients=["UBND tỉnh (báo cáo)", "UBND các xã", "VNPT, Viettel, FPT Thái Nguyên"],
)


def key(probe: str, line: str) -> LineKey:
    """A line of the district."""
    return LineKey(TENANT, probe, line)


def registry() -> Registry:
    """Four communes, six probes, ten lines of three ISPs; one line has no declared plan."""
    communes = official()
    offices: dict[str, tuple[str, str, dict[str, float | None]]] = {
        "tram-01969-1": ("01969", "UBND xã Phủ Thông", {"vnpt": 300, "viettel": 250}),
        "tram-01969-2": ("01969", "Trạm Y tế xã Phủ Thông", {"vnpt": 150}),
        "tram-01981-1": ("01981", "UBND xã Vĩnh Thông", {"vnpt": 300, "viettel": 250}),
        "tram-02008-1": ("02008", "UBND xã Cẩm Giàng", {"vnpt": 300, "fpt": 300}),
        "tram-02014-1": ("02014", "UBND xã Bạch Thông", {"vnpt": 300, "viettel": None}),
        "tram-02014-2": ("02014", "Trường THCS Bạch Thông", {"viettel": 250}),
    }
    probes = {}
    for name, (commune, office, lines) in offices.items():
        probes[TENANT, name] = Probe(
            tenant=TENANT,
            probe=name,
            commune=commune,
            office=office,
            lines=tuple(
                Line(
                    id=isp,
                    isp=isp,
                    plan_down_bps=None if plan is None else plan * 1e6,
                    plan_up_bps=None if plan is None else plan * 1e6,
                )
                for isp, plan in lines.items()
            ),
        )
    isps = {"vnpt": "VNPT", "viettel": "Viettel", "fpt": "FPT"}
    return Registry(
        communes=communes,
        isps={id_: Isp(id=id_, name=name) for id_, name in isps.items()},
        probes=probes,
        groups={
            GROUP: Group(
                id=GROUP,
                name="huyện Bạch Thông (cũ)",
                communes=("01969", "01981", "02008", "02014"),
            )
        },
    )


# (probe, line): tests a day, mean down, mean up (Mbit/s), deviation, RTT (ms), minutes down a day.
RULES: Mapping[tuple[str, str], tuple[int, float, float, float, float, int]] = {
    ("tram-01969-1", "vnpt"): (40, 281.0, 276.0, 14.0, 12.4, 0),
    ("tram-01969-1", "viettel"): (40, 171.0, 163.0, 22.0, 18.9, 6),
    ("tram-01969-2", "vnpt"): (10, 139.0, 131.0, 9.0, 13.1, 0),
    ("tram-01981-1", "vnpt"): (10, 244.0, 239.0, 30.0, 14.2, 3),
    ("tram-01981-1", "viettel"): (10, 212.0, 204.0, 25.0, 17.5, 0),
    ("tram-02008-1", "vnpt"): (40, 241.0, 250.0, 40.0, 15.8, 2),
    ("tram-02008-1", "fpt"): (1, 262.0, 255.0, 12.0, 21.7, 0),
    ("tram-02014-1", "viettel"): (12, 88.0, 40.0, 10.0, 25.0, 0),
    ("tram-02014-2", "viettel"): (3, 215.0, 209.0, 18.0, 16.0, 45),
}
# This one fell silent on 20 July; ("tram-02014-1", "vnpt") never said a word.
SILENT_FROM = {("tram-02014-2", "viettel"): date(2026, 7, 20)}


@cache
def day_summary(probe: str, line: str, day: date) -> Summary | None:
    """What a line's day came to; None where it was silent."""
    rule = RULES.get((probe, line))
    if rule is None or day >= SILENT_FROM.get((probe, line), date.max):
        return None
    tests, down, up, deviation, rtt, minutes_down = rule
    draw = random.Random(f"{probe} {line} {day}")
    downs = [_near(draw, down, deviation) * 1e6 for _ in range(tests)]
    ups = [_near(draw, up, deviation) * 1e6 for _ in range(tests)]
    rtts = [_near(draw, rtt, 1.5) for _ in range(96)]
    failed = 1 if day.day % 7 == 0 else 0
    return Summary(
        kinds={
            "throughput": KindCounts(
                ok=tests + 1, failed=failed, skipped=1, valid=tests, flags={"cross_traffic": 1}
            ),
            "http": KindCounts(ok=1, valid=1),
            "latency": KindCounts(ok=96, valid=96),
        },
        metrics={
            "throughput_download_whole_bps": distribution(downs),
            "throughput_download_bps": distribution([bps * 1.03 for bps in downs]),
            "throughput_upload_whole_bps": distribution(ups),
            "throughput_upload_bps": distribution([bps * 1.02 for bps in ups]),
            "throughput_rtt_loaded_download_p50_ms": distribution([rtt * 3.1]),
            "throughput_rtt_loaded_upload_p50_ms": distribution([rtt * 4.2]),
            "latency_rtt_mean_ms": distribution(rtts),
            "latency_rtt_p50_ms": distribution(rtts),
            "latency_rtt_ms": distribution(rtts, infinite=1),
            "latency_ipdv_abs_mean_ms": distribution([0.8]),
        },
        sums={
            "latency_sent": 57_600.0,
            "latency_lost": 12.0 + minutes_down * 40,
            "availability_up_minutes": 1_440.0 - minutes_down - 5,
            "availability_down_minutes": float(minutes_down),
            "availability_unknown_minutes": 5.0,
        },
    )


def _near(draw: random.Random, mean: float, deviation: float) -> float:
    """Around the mean, never below 1; by sums and products alone, the same on every machine."""
    return max(mean + deviation * 2 * (draw.random() + draw.random() + draw.random() - 1.5), 1.0)


class FakeSummaries:
    """Days in memory. `changed` are the (line, day) that late results touched, and when."""

    def __init__(self, first: date = date(2026, 6, 15), last: date = JULY.last) -> None:
        self._days = {
            (LineKey(TENANT, probe, line), day): summary
            for probe, line in RULES
            for day in Period(first, last).each_day()
            if (summary := day_summary(probe, line, day)) is not None
        }
        self._families: dict[tuple[LineKey, date], Mapping[Family | None, Summary]] = {}
        self.changed: dict[tuple[LineKey, date], int] = {}
        self.now = 4_711
        self.left = 0

    def put(self, line: LineKey, day: date, summary: Summary) -> None:
        """Another summary of a line's day."""
        self._days[line, day] = summary

    def split(self, line: LineKey, day: date, families: Mapping[Family | None, Summary]) -> None:
        """A line's day as that of some families."""
        self._families[line, day] = families
        self._days[line, day] = merge_summaries(families.values())

    def overview(self, period: Period, tenant: str | None = None) -> Mapping[LineKey, Summary]:
        del tenant
        return self.of_lines(self.lines(), period)

    def overview_by_family(
        self, period: Period
    ) -> Mapping[LineKey, Mapping[Family | None, Summary]]:
        return self.by_family(self.lines(), period)

    def of_lines(self, lines: Sequence[LineKey], period: Period) -> Mapping[LineKey, Summary]:
        return {
            line: merge_summaries(families.values())
            for line, families in self.by_family(lines, period).items()
        }

    def by_family(
        self, lines: Sequence[LineKey], period: Period
    ) -> Mapping[LineKey, Mapping[Family | None, Summary]]:
        found: dict[LineKey, dict[Family | None, Summary]] = {}
        for line, day in product(lines, period.each_day()):
            if (line, day) in self._days:
                whole = {None: self._days[line, day]}
                for family, summary in self._families.get((line, day), whole).items():
                    known = found.setdefault(line, {})
                    known[family] = known.get(family, EMPTY).merged(summary)
        return found

    def series_by_family(
        self, line: LineKey, period: Period, step: Step
    ) -> Mapping[Family | None, list[Bucket]]:
        return {None: self.series(line, period, step)}

    def series(self, line: LineKey, period: Period, step: Step) -> list[Bucket]:
        assert step is Step.DAY
        return [
            Bucket(start_of_day(day), 1, NOW, self._days[line, day])
            for day in period.each_day()
            if (line, day) in self._days
        ]

    def hour_means(
        self, lines: Sequence[LineKey], period: Period, metric: str
    ) -> Mapping[LineKey, Mapping[tuple[int, int], HourMean]]:
        raise NotImplementedError

    def hour_profile(
        self, factors: Mapping[LineKey, float], period: Period, figure: str
    ) -> Mapping[tuple[int, int], HourProfile]:
        raise NotImplementedError

    def hours_of_week(self, line: LineKey, period: Period) -> Mapping[tuple[int, int], Summary]:
        return {
            (day.weekday(), hour): self._days[line, day]
            for day in period.each_day()
            if (line, day) in self._days
            for hour in range(24)
        }

    def daily_by_family(
        self, lines: Sequence[LineKey], period: Period, metric: str
    ) -> Mapping[LineKey, Mapping[Family | None, Sequence[DaySample]]]:
        found: dict[LineKey, dict[Family | None, list[DaySample]]] = {}
        for line, day in product(lines, period.each_day()):
            for family, summary in self.by_family([line], Period(day, day)).get(line, {}).items():
                if (figures := summary.metric(metric)).count:
                    sample = DaySample(day, figures.count, figures.total)
                    found.setdefault(line, {}).setdefault(family, []).append(sample)
        return found

    def week_counts(self, period: Period, kind: str) -> Mapping[LineKey, Mapping[date, int]]:
        counts: dict[LineKey, dict[date, int]] = {}
        span = Period(week_of(period.first).first, week_of(period.last).last)
        for (line, day), summary in self._days.items():
            if span.first <= day <= span.last and (ok := summary.counts(kind).ok):
                weeks = counts.setdefault(line, {})
                monday = day - timedelta(days=day.weekday())
                weeks[monday] = weeks.get(monday, 0) + ok
        return counts

    def lines(self) -> list[LineKey]:
        return sorted({line for line, _ in self._days})

    def revision(self) -> int:
        return self.now

    def waiting(self) -> int:
        return self.left

    def revised_since(
        self, period: Period, lines: Iterable[LineKey], revision: int
    ) -> list[RevisedDay]:
        wanted = set(lines)
        return [
            RevisedDay(line, day, NOW)
            for (line, day), changed in sorted(self.changed.items())
            if line in wanted and period.first <= day <= period.last and changed > revision
        ]


def probes(tests_a_day: int = 41) -> list[StoredProbe]:
    """The probes' own words: each plans the same number of tests a day on each line."""
    known = registry()
    return [
        StoredProbe(
            tenant=TENANT,
            probe=probe.probe,
            revision=1,
            site=Site(probe.commune, probe.office),
            presence=None,
            presence_since=None,
            info=Info(
                probe_version="0.1.0",
                epoch=samples.EPOCH,
                site=Site(probe.commune, probe.office),
                lines=[WireLine(line.id) for line in probe.lines],
                plan=[
                    PlannedKind("throughput", tests_a_day),
                    PlannedKind("http", 1),
                    PlannedKind("latency", 1440),
                ],
                config_hash="0",
                started_at=NOW,
            ),
            health=None,
            health_at=None,
            last_contact_at=NOW,
        )
        for probe in known.probes.values()
    ]


def sources(summaries: FakeSummaries | None = None) -> Sources:
    """All that a report is made of."""
    return Sources(
        summaries=summaries or FakeSummaries(),
        registry=registry(),
        probes=probes(),
        plans=lambda _: {},
        thresholds=thresholds_file.read(),
        office=OFFICE,
    )


def weekly() -> Report:
    """The week of 20 July, of the district."""
    return _paper(ReportKind.WEEKLY, GROUP, WEEK)


def monthly() -> Report:
    """July, of the district."""
    return _paper(ReportKind.MONTHLY, GROUP, JULY)


def bulletin() -> Report:
    """July, of one commune."""
    return _paper(ReportKind.BULLETIN, "01969", JULY)


def _paper(kind: ReportKind, area: str, period: Period) -> Report:
    given = sources()
    return builder.build_report(
        kind, builder.resolve_area(given.registry, area), period, given, now=NOW
    )


def golden() -> dict[str, bytes]:
    """What stands in the folder of golden reports, by file name."""
    made = (
        (weekly(), ("json", "csv")),
        (monthly(), ("json", "csv")),
        (bulletin(), ("txt",)),
    )
    return {
        f"{report.kind}.{ending}": rendering.render(report, rendering.ReportFormat(ending)).content
        for report, endings in made
        for ending in endings
    }


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for name, content in golden().items():
        (GOLDEN / name).write_bytes(content)
