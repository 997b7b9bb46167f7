"""Floor 1. The bulletin: the same figures as plain text, for loudspeakers and the commune's portal.

Short sentences, rounded figures, units spelt out. It states what was measured, what it means for a
household, and that it does not replace a regulatory measurement.
"""

from __future__ import annotations

from collector.domain.assessment import Verdict
from collector.registry.planned_maintenance import MaintenanceStatus
from collector.reports import formatting
from collector.reports.report import Level, Maintenance, Report, ReportRow, SpeedStats
from collector.rollup.periods import Period, month_of
from runtime.language import within_sentence
from wire.figures import MEGABIT

# More lines than these are summarised by commune.
_MAX_LINES = 4
# More announcements than these are counted.
_MAX_ANNOUNCED = 5


def text(report: Report) -> str:
    """The bulletin in Vietnamese: paragraphs separated by an empty line."""
    parts = [_title(report), "Kính thưa bà con và các cơ quan, đơn vị!", _opening(report)]
    lines = report.at(Level.LINE)
    if any(not line.is_silent for line in lines):
        shown = lines if len(lines) <= _MAX_LINES else report.at(Level.COMMUNE)
        parts += [_paragraph(row, report) for row in shown[:20]]
        if len(shown) > 20:
            parts.append(f"Số liệu của {len(shown) - 20} nơi khác có trên cổng thông tin.")
    parts.append(_maintenance(report))
    if any(not line.is_silent for line in lines):
        parts.append(_reliability(report))
    parts.append(_closing())
    return "\n\n".join(part for part in parts if part) + "\n"


def _title(report: Report) -> str:
    draft = ["BẢN NHÁP, CHƯA PHÁT HÀNH"] if report.draft else []
    lines = [*draft, f"BẢN TIN CHẤT LƯỢNG INTERNET – {report.area.upper()}", f"({_when(report)})"]
    if report.revision is not None and not report.draft:
        lines.append(
            f"Bản sửa đổi, thay bản phát hành lúc "
            f"{formatting.clock(report.revision.replaces_issued_at)}"
        )
    return "\n".join(lines)


def _when(report: Report) -> str:
    if Period(report.first_day, report.last_day) == month_of(report.first_day):
        return f"Tháng {report.first_day.month} năm {report.first_day.year}"
    return f"Từ ngày {formatting.day(report.first_day)} đến ngày {formatting.day(report.last_day)}"


def _opening(report: Report) -> str:
    total = report.total
    if total.is_silent:
        return (
            f"{_when(report)}, trạm đo không ghi nhận được kết quả nào. Đề nghị cơ "
            "quan có trạm đo kiểm tra nguồn điện và dây mạng."
        )
    if not total.tests:
        return (
            f"{_when(report)}, các trạm đo đặt tại trụ sở cơ quan không đo được tốc độ Internet "
            "lần nào."
        )
    several = "đường truyền" if total.lines > 1 else "đường truyền duy nhất"
    return (
        f"{_when(report)}, các trạm đo đặt tại trụ sở cơ quan đã đo tốc độ Internet "
        f"{formatting.number(total.tests)} lần trên "
        f"{formatting.number(total.lines_measured)} {several}."
    )


def _paragraph(row: ReportRow, report: Report) -> str:
    name = _name(row)
    if row.is_silent:
        return f"{name}: chưa có kết quả đo trong thời gian này."
    if not row.tests:
        tried = "" if not row.attempted else f" ({formatting.number(row.attempted)} lần đo đều lỗi)"
        return f"{name}: không đo được tốc độ{tried}. {_outages(row)}".rstrip()
    sentences = [
        (
            f"{name}: tải xuống trung bình {_speed(row.download)}, tải lên trung bình "
            f"{_speed(row.upload)}{_against_plan(row)}."
        )
    ]
    if row.rtt_mean_ms is not None:
        sentences.append(
            f"Thời gian phản hồi trung bình {formatting.number(row.rtt_mean_ms)} mi-li-giây."
        )
    sentences.append(_outages(row))
    sentences += _verdicts(row, report)
    return " ".join(sentence for sentence in sentences if sentence)


def _name(row: ReportRow) -> str:
    if row.level is Level.COMMUNE:
        return row.commune or ""
    of = f" của {row.isp}" if row.isp else f" «{row.line}»"
    at = f" tại {within_sentence(row.office)}" if row.office else ""
    return f"Đường truyền{of}{at}"


def _speed(direction: SpeedStats) -> str:
    if direction.mean_bps is None:
        return "chưa có số liệu"
    mbps = direction.mean_bps / MEGABIT
    return f"khoảng {formatting.number(mbps, 0 if mbps >= 10 else 1)} mê-ga-bít trên giây"


def _against_plan(row: ReportRow) -> str:
    share = row.download.share
    if share is None:
        return ""
    return f"; tải xuống bằng khoảng {formatting.percent(share, 0)} tốc độ nhà mạng công bố"


def _verdicts(row: ReportRow, report: Report) -> list[str]:
    limit = formatting.percent(report.thresholds.speed_share.limit, 0)
    directions = (("tải xuống", row.download), ("tải lên", row.upload))
    sentences = []
    for verdict, words in (
        (Verdict.MET, f"đạt từ {limit} tốc độ công bố trở lên"),
        (Verdict.NOT_MET, f"thấp hơn mức {limit} tốc độ công bố"),
    ):
        shown = [word for word, direction in directions if direction.verdict is verdict]
        if shown:
            sentences.append(f"Tốc độ {' và '.join(shown)} {words}.")
    return sentences


def _outages(row: ReportRow) -> str:
    if not row.up_minutes and not row.down_minutes:
        return ""
    if not row.down_minutes:
        return "Không ghi nhận gián đoạn."
    of = (
        f", trong đó {_spelt(row.planned_down_minutes)} do bảo trì đã báo trước"
        if row.planned_down_minutes
        else ""
    )
    return f"Tổng thời gian gián đoạn {_spelt(row.down_minutes)}{of}."


def _spelt(minutes: int) -> str:
    """90 minutes as 1 giờ 30 phút."""
    parts = zip(divmod(minutes, 60), ("giờ", "phút"), strict=True)
    return " ".join(f"{formatting.number(count)} {unit}" for count, unit in parts if count)


def _maintenance(report: Report) -> str:
    """The planned maintenance of the period, and availability with it and without."""
    announced = [
        one for one in report.maintenance or () if one.status is not MaintenanceStatus.WITHDRAWN
    ]
    if not announced:
        return ""
    sentences = [_announcement(one) for one in announced[:_MAX_ANNOUNCED]]
    if len(announced) > _MAX_ANNOUNCED:
        more = formatting.number(len(announced) - _MAX_ANNOUNCED)
        sentences.append(f"Ngoài ra còn {more} đợt bảo trì khác.")
    return " ".join([*sentences, *_availability_both(report.total)])


def _announcement(one: Maintenance) -> str:
    early = one.status in (MaintenanceStatus.PLANNED, MaintenanceStatus.PARTLY)
    said = "có báo trước" if early else "báo muộn nên không tính là có kế hoạch"
    return (
        f"Bảo trì đường truyền{_scope(one)} từ {formatting.clock(one.starts_at)} đến "
        f"{formatting.clock(one.ends_at)}, {said}: {one.reason.rstrip('.')}."
    )


def _scope(one: Maintenance) -> str:
    """Of whom and where, within a sentence: ` của VNPT tại xã Phủ Thông, tỉnh Thái Nguyên`."""
    parts = one.scope.split(" · ")
    of = f" của {parts.pop(0)}" if one.isp and parts else ""
    line = f" «{parts.pop(0)}»" if one.line and parts else ""
    names = [within_sentence(name) for part in parts for name in part.split(", ")]
    return f"{line}{of}{' tại ' if names else ''}{', '.join(names)}"


def _availability_both(total: ReportRow) -> list[str]:
    if total.availability_ratio is None or total.planned_down_minutes is None:
        return []
    if not total.planned_down_minutes:
        return ["Không ghi nhận gián đoạn nào trong thời gian bảo trì đã báo trước."]
    both = (total.availability_ratio, total.availability_without_planned_ratio)
    counted, without = (formatting.percent(ratio, 2) for ratio in both)
    return [
        (
            f"Tỷ lệ thời gian có mạng là {counted}; không tính "
            f"{_spelt(total.planned_down_minutes)} gián đoạn trong thời gian bảo trì đã báo trước "
            f"thì là {without}."
        )
    ]


def _reliability(report: Report) -> str:
    total = report.total
    whole = (
        ""
        if total.completeness_ratio is None
        else f" Mức đầy đủ của số liệu là {formatting.percent(total.completeness_ratio, 0)}."
    )
    families = " Số liệu tính chung IPv4 và IPv6." if report.at(Level.FAMILY) else ""
    return (
        f"Trong {formatting.number(total.attempted)} lần đo đã thực hiện có "
        f"{formatting.number(total.valid)} lần hợp lệ.{whole}{families} Đây là số liệu "
        "tham khảo, đo tự động qua dây mạng tại trụ sở cơ quan, không thay thế kết quả đo kiểm của "
        "cơ quan quản lý; "
        f"ngưỡng so sánh phiên bản ngày {_version(report)}."
    )


def _version(report: Report) -> str:
    year, month, day = report.thresholds.version.split("-")
    return f"{day}/{month}/{year}"


def _closing() -> str:
    return (
        "Bà con có thể tự đo tại nhà bằng ứng dụng i-Speed của Trung tâm Internet Việt Nam "
        "(VNNIC). Nếu mạng thường xuyên chậm hoặc gián đoạn, đề nghị báo cho nhà mạng và Ủy "
        "ban nhân dân xã, phường nơi cư trú."
    )
