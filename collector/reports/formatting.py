"""Floor 1. Numbers and dates as a Vietnamese office writes them: 1.234,5 and ngày 05/01/2026."""

from __future__ import annotations

from datetime import date, datetime

from collector.domain.assessment import NoVerdictReason, Verdict
from collector.reports.report import ReportRow, SpeedStats
from collector.rollup.periods import VIETNAM
from runtime import language
from wire.figures import MEGABIT

# Shown for an unknown value; an empty cell could be taken for a printing error.
MISSING = "–"
DOTS = "…" * 8


def number(value: float | None, digits: int = 0) -> str:
    """1234.5 as 1.234,5; None as a dash, never as 0."""
    if value is None:
        return MISSING
    return language.number(f"{value:,.{digits}f}").vi


def mbps(bps: float | None, digits: int = 1) -> str:
    """Mbit/s."""
    return number(None if bps is None else bps / MEGABIT, digits)


def percent(ratio: float | None, digits: int = 1) -> str:
    """A ratio of 0..1 as percent, with the sign. A ratio below 1 is never rounded to 100 %."""
    if ratio is None:
        return MISSING
    shown = ratio * 100
    if ratio < 1 and round(shown, digits) >= 100:
        shown = 100 - 10.0**-digits
    return f"{number(shown, digits)}%"


def share_of(part: int, whole: int) -> str:
    """3/12."""
    return f"{number(part)}/{number(whole)}"


def day(value: date) -> str:
    """25/07/2026."""
    return f"{value:%d/%m/%Y}"


def month(value: int) -> str:
    """A month's number: January and February with a 0 before it (Nghị định 30/2020/NĐ-CP)."""
    return f"{value:02d}" if value <= 2 else str(value)


def clock(at: datetime) -> str:
    """14:05 ngày 25/07/2026, in Vietnam's time zone."""
    local = at.astimezone(VIETNAM)
    return f"{local:%H:%M} ngày {local:%d/%m/%Y}"


def family(row: ReportRow) -> str:
    """The address family of a row that has one."""
    return {"ipv4": "IPv4", "ipv6": "IPv6"}.get(row.family or "", "Không rõ")


def interval(direction: SpeedStats) -> str:
    """The 95 % interval of a mean, Mbit/s: 238,1–240,3."""
    if direction.mean_low_bps is None or direction.mean_high_bps is None:
        return MISSING
    return f"{mbps(max(direction.mean_low_bps, 0))}–{mbps(direction.mean_high_bps)}"


def verdict(direction: SpeedStats) -> str:
    """The verdict on a direction, or the reason why there is none."""
    return verdict_text(direction.verdict, direction.why)


def verdict_text(said: Verdict, why: NoVerdictReason | None) -> str:
    """A verdict, or the reason why there is none, as a table cell."""
    if why is not None:
        return _WHY[why]
    return "Đạt" if said is Verdict.MET else "Không đạt"


_WHY = {
    NoVerdictReason.NO_SAMPLES: "Không có số liệu",
    NoVerdictReason.SEVERAL_PLANS: "Nhiều gói cước",
    NoVerdictReason.NO_DECLARED_SPEED: "Chưa có tốc độ công bố",
    NoVerdictReason.THRESHOLD_UNVERIFIED: "Chưa kết luận (ngưỡng chưa kiểm chứng)",
    NoVerdictReason.INSUFFICIENT_SAMPLES: "Chưa đủ mẫu",
    NoVerdictReason.SAME_HOUR: "Mẫu chỉ trong một khung giờ",
    NoVerdictReason.INSUFFICIENT_DAYS: "Chưa đủ số ngày có mẫu",
    NoVerdictReason.ONE_LINE: "Mới có số liệu của một đường truyền",
    NoVerdictReason.INTERVAL_CONTAINS_THRESHOLD: "Chưa kết luận (khoảng tin cậy chứa ngưỡng)",
    NoVerdictReason.SUPPLEMENTARY: "Chỉ tiêu bổ sung",
    NoVerdictReason.ONE_FAMILY: "Không kết luận riêng từng họ địa chỉ",
}
