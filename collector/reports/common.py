"""Floor 1. The parts that weekly and monthly report share: head, method, thresholds, recipients."""

from __future__ import annotations

from typing import TypeVar

from collector.registry.planned_maintenance import MaintenanceStatus
from collector.reports import formatting
from collector.reports.formatting import DOTS, MISSING
from collector.reports.layout import Head, Section, Table
from collector.reports.report import Level, Maintenance, Report, ReportRow, SpeedStats
from collector.rollup.periods import VIETNAM
from wire.figures import MEGABIT

INDICATIVE = "so sánh tham khảo"
DRAFT = "BẢN NHÁP"


def head(report: Report, about: str) -> Head:
    """All above the body except the Quốc hiệu. The office assigns the document number."""
    office = report.office
    made = report.made_at.astimezone(VIETNAM)
    # The date is that of signing, filled in by the office.
    signed_on = f"ngày …… tháng {formatting.month(made.month)} năm {made.year}"
    return Head(
        parent=_or_dots(office.parent).upper(),
        office=_or_dots(office.name).upper(),
        number=f"Số: ……/{office.symbol or 'BC-……'}",
        place_and_date=f"{office.place or DOTS}, {signed_on}",
        date=signed_on,
        type_name="BÁO CÁO",
        about=about,
        notes=[
            *_draft(report),
            *_period_not_over(report),
            *_not_rolled_up(report),
            *_revised(report),
        ],
    )


def recipients(report: Report) -> list[str]:
    """Nơi nhận. The last one is always the office's own archive."""
    named = [f"- {name};" for name in report.office.recipients] or ["- ………………………;", "- ………………………;"]
    return [*named, "- Lưu: VT."]


def signer_title(report: Report) -> str:
    """The title above the signature; two lines where somebody signs for the office."""
    return _or_dots(report.office.signer_title).upper()


def signer_name(report: Report) -> str:
    """The name below the signature; empty where the office writes or stamps it by hand."""
    return report.office.signer_name or ""


def footer(report: Report) -> str:
    """The footer of each page: area, period, thresholds, data revision, issue."""
    edition = DRAFT if report.draft else f"lần phát hành {report.version}"
    return (
        f"{report.area}, {formatting.day(report.first_day)}–{formatting.day(report.last_day)} · "
        f"{INDICATIVE} · ngưỡng {report.thresholds.version} · "
        f"số liệu {report.data_revision} · {edition}"
    )


def scope(report: Report) -> list[str]:
    """What was measured, by whom, how much of it is there. The method is docs/method.md's."""
    total = report.total
    communes = len({row.commune_code for row in report.rows if row.commune_code})
    return [
        (
            "Số liệu do trạm đo đặt cố định tại trụ sở cơ quan tự động ghi nhận qua dây mạng, trên "
            f"từng đường truyền: {formatting.number(total.lines)} đường truyền tại "
            f"{formatting.number(communes)} xã, phường, đặc khu; "
            f"{formatting.number(total.lines_measured)} đường truyền có kết quả."
        ),
        (
            "Số liệu có tính chất so sánh tham khảo, không thay thế kết quả đo kiểm của cơ quan "
            "quản lý và không phải kết luận về chất lượng dịch vụ của doanh nghiệp theo quy định "
            "của pháp luật."
        ),
    ]


def method() -> list[str]:
    """The method, each point with its source."""
    return [
        (
            "Tốc độ đo bằng iperf3 qua TCP, nhiều kết nối song song, lần lượt từng "
            "chiều, tính tại phía nhận; tốc độ dùng để so sánh là tốc độ cả phiên tải, gồm cả giai "
            "đoạn khởi đầu (QCVN 34:2022/BTTTT)."
        ),
        (
            "Tốc độ trung bình là trung bình cộng của các mẫu hợp lệ, kèm khoảng tin cậy 95%. Các "
            "mẫu gần nhau không độc lập, nên khoảng tin cậy tính theo chênh lệch giữa trung bình "
            "của từng đợt nhiều ngày liền (dòng gộp nhiều đường truyền thì cộng thêm chênh lệch "
            "giữa các đường truyền), phân phối Student; mẫu trải trên chưa đủ 25 ngày thì không "
            "nêu. Chỉ nêu «đạt» hoặc «không đạt» khi toàn bộ khoảng tin cậy nằm về một phía của "
            "ngưỡng."
        ),
        (
            "Độ trễ là thời gian khứ hồi của gói STAMP (RFC 8762) đến máy chủ đo trong nước, gửi "
            "liên tục với khoảng cách ngẫu nhiên; gói không trả lời trong 3 giây tính là mất."
        ),
        (
            "Độ khả dụng = thời gian có dịch vụ / (thời gian có dịch vụ + thời gian gián đoạn); "
            "thời gian không rõ (mất điện tại trạm đo, lỗi mạng nội bộ…) không tính và được nêu "
            "riêng. Bảo trì có kế hoạch vẫn tính vào độ khả dụng; con số không tính bảo trì được "
            "nêu bên cạnh."
        ),
        (
            "Mẫu bị ghi nhận có yếu tố ảnh hưởng (đường truyền đang có người dùng, thiết bị đo quá "
            "tải, dừng sớm…) và lần đo theo yêu cầu, ngoài lịch, được giữ lại, tính vào số lần đã "
            "đo, không tính vào trung bình. Kết quả đo HTTP chỉ tính vào số lần đo, không dùng để "
            "so với tốc độ công bố."
        ),
        (
            "Đường truyền có cả IPv4 và IPv6 được đo qua từng họ địa chỉ. Nhận xét so với tốc độ "
            "công bố tính chung mọi mẫu của hai họ địa chỉ, vì QCVN 34:2022/BTTTT đánh giá dịch "
            "vụ, không tách theo họ địa chỉ; số liệu riêng của IPv4 và IPv6 có trong báo cáo tháng "
            "và bảng tính kèm theo, không có nhận xét."
        ),
    ]


def families(report: Report) -> Table | None:
    """The area over each address family; None where no result states one."""
    rows = report.at(Level.FAMILY)
    return _families_table("Kết quả theo họ địa chỉ", ["Họ địa chỉ"], rows) if rows else None


def line_families(report: Report) -> Table | None:
    """Each line over each address family; None where no result states one."""
    rows = report.at(Level.LINE_FAMILY)
    names = ["Cơ quan", "Đường truyền", "Họ địa chỉ"]
    return _families_table("Chất lượng theo họ địa chỉ", names, rows) if rows else None


def _families_table(caption: str, names: list[str], rows: list[ReportRow]) -> Table:
    by_line = len(names) > 1
    return Table(
        caption=caption,
        columns=[
            *names, "Hợp lệ", "Tải xuống (Mbit/s)", "Khoảng tin cậy 95%", "Tải lên (Mbit/s)",
            "Độ trễ (ms)", "Mất gói",
        ],
        widths=[22, 14, 10, 9, 9, 14, 9, 7, 6] if by_line else [16, 14, 14, 18, 14, 12, 12],
        numeric=[*[False] * len(names), *[True] * 6],
        rows=[
            [
                *([row.office or "", f"{row.line} ({row.isp})"] if by_line else []),
                formatting.family(row),
                formatting.share_of(row.valid, row.attempted),
                formatting.mbps(row.download.mean_bps),
                formatting.interval(row.download),
                formatting.mbps(row.upload.mean_bps),
                formatting.number(row.rtt_mean_ms, 1),
                formatting.percent(row.loss_ratio, 2),
            ]
            for row in rows
        ],
    )  # fmt: skip


def completeness(total: ReportRow) -> str:
    """Valid of attempted tests, and the share of planned ones that were received."""
    planned = (
        "" if total.planned is None else f" trên {formatting.number(total.planned)} lần dự kiến"
    )
    return (
        f"Số lần đo tốc độ đã thực hiện: {formatting.number(total.attempted)}{planned}; hợp lệ: "
        f"{formatting.share_of(total.valid, total.attempted)}; chưa thực hiện được theo lịch "
        f"(đường truyền bận, máy chủ bận…): {formatting.number(total.skipped)}; "
        f"{_completeness_ratio(total)}."
    )


def _completeness_ratio(total: ReportRow) -> str:
    """How complete the figures are, and of how many lines that can be said."""
    if total.completeness_ratio is None:
        return "chưa tính được mức đầy đủ của số liệu vì chưa có kế hoạch đo"
    known = total.lines if total.lines_planned is None else total.lines_planned
    of = "" if known == total.lines else f" (của {known}/{total.lines} đường truyền có kế hoạch đo)"
    return f"mức đầy đủ của số liệu: {formatting.percent(total.completeness_ratio)}{of}"


def thresholds(report: Report) -> Section:
    """Every threshold with its source and whether it was verified."""
    shown = {
        "speed_share": ("Tốc độ trung bình so với tốc độ công bố", "≥ {}%", 100),
        "speed_samples": ("Số mẫu mỗi chiều", "≥ {}", 1),
        "latency_mean_ms": ("Độ trễ trung bình", "≤ {} ms", 1),
        "availability": ("Độ khả dụng", "≥ {}%", 100),
        "commune_month_samples": ("Số mẫu mỗi xã trong tháng", "≥ {}", 1),
        "week_measurements": ("Số lần đo mỗi tuần", "≥ {}", 1),
    }
    rows = []
    for name, threshold in report.thresholds.all().items():
        title, pattern, scale = shown[name]
        limit = threshold.limit * scale
        digits = 0 if abs(limit - round(limit)) < 1e-9 else 1
        rows.append(
            [
                title,
                pattern.format(formatting.number(limit, digits)),
                threshold.source,
                "Đã kiểm chứng" if threshold.verified else "Chưa kiểm chứng, không kết luận",
            ]
        )
    supplementary = "Mất gói, biến động độ trễ, độ trễ khi tải"
    rows.append([supplementary, MISSING, MISSING, "Bổ sung, không có ngưỡng quốc gia"])
    return Section(
        heading=f"Ngưỡng so sánh (phiên bản {report.thresholds.version})",
        tables=[
            Table(
                caption="",
                columns=["Chỉ tiêu", "Ngưỡng", "Nguồn", "Tình trạng"],
                widths=[34, 14, 28, 24],
                numeric=[False, False, False, False],
                rows=rows,
            )
        ],
    )


def published(report: Report) -> Table:
    """Published figures of other sources, for comparison."""
    return Table(
        caption="Số liệu đã công bố để đối chiếu (Mbit/s, Internet cố định)",
        columns=["Phạm vi", "Tải xuống", "Tải lên", "Nguồn"],
        widths=[46, 16, 16, 22],
        numeric=[False, True, True, False],
        rows=[
            [
                one.subject_vi,
                formatting.number(one.download_mbps, 2),
                formatting.number(one.upload_mbps, 2),
                one.source,
            ]
            for one in report.thresholds.published
        ],
    )


T = TypeVar("T")


def given(*parts: T | None) -> list[T]:
    """Those paragraphs or tables that this report has; None stands for one that it has not."""
    return [part for part in parts if part is not None]


_STATUS = {
    MaintenanceStatus.PLANNED: "Báo trước",
    MaintenanceStatus.PARTLY: "Báo trước một phần",
    MaintenanceStatus.LATE: "Báo muộn, không tính là có kế hoạch",
    MaintenanceStatus.WITHDRAWN: "Đã rút",
}


def maintenance(report: Report) -> Table | None:
    """What was announced of planned maintenance in the period; None where nothing was."""
    if not report.maintenance:
        return None
    return Table(
        caption="Bảo trì có kế hoạch",
        columns=[
            "Phạm vi", "Từ", "Đến", "Nội dung, văn bản", "Ghi nhận lúc", "Tình trạng",
            "Đường truyền", "Gián đoạn trong đó (phút)",
        ],
        widths=[18, 11, 11, 22, 11, 13, 7, 7],
        numeric=[False, False, False, False, False, False, True, True],
        rows=[
            [
                one.scope,
                formatting.clock(one.starts_at),
                formatting.clock(one.ends_at),
                one.reason,
                _recorded(one),
                _status(one),
                formatting.number(one.lines),
                formatting.number(one.down_minutes),
            ]
            for one in report.maintenance
        ],
    )  # fmt: skip


def _recorded(one: Maintenance) -> str:
    first = formatting.clock(one.announced_at)
    return first if one.entries == 1 else f"{first}; sửa {formatting.clock(one.changed_at)}"


def _status(one: Maintenance) -> str:
    if one.status is not MaintenanceStatus.PARTLY or one.planned_from is None:
        return _STATUS[one.status]
    until = formatting.clock(one.planned_until) if one.planned_until else MISSING
    return f"{_STATUS[one.status]}: {formatting.clock(one.planned_from)} – {until}"


def availability_both(report: Report) -> str | None:
    """Availability with planned maintenance and without; None where none was announced."""
    total = report.total
    if not report.maintenance:
        return None
    return (
        f"Trong kỳ có {formatting.number(len(report.maintenance))} thông báo bảo trì có kế hoạch. "
        "Độ khả dụng tính cả thời gian bảo trì: "
        f"{formatting.percent(total.availability_ratio, 2)}; "
        f"không tính {formatting.number(total.planned_down_minutes)} phút gián đoạn nằm trong bảo "
        "trì đã báo trước: "
        f"{formatting.percent(total.availability_without_planned_ratio, 2)}. Bảo trì báo sau khi "
        "đã bắt đầu không được tính là có kế hoạch."
    )


def plan(row: ReportRow) -> str:
    """Vd/Vu of a row, Mbit/s."""
    if row.download.declared_bps is None and row.upload.declared_bps is None:
        return "chưa có"
    return f"{_declared(row.download)}/{_declared(row.upload)}"


def _declared(direction: SpeedStats) -> str:
    declared = direction.declared_bps
    digits = 0 if declared is None or declared % MEGABIT == 0 else 1
    return formatting.mbps(declared, digits)


def _or_dots(text: str | None) -> str:
    """The configured text, which may be empty; dots to fill by hand where it is not configured."""
    return DOTS if text is None else text


def _draft(report: Report) -> list[str]:
    if not report.draft:
        return []
    return [f"{DRAFT}, chưa phát hành; lập lúc {formatting.clock(report.made_at)}"]


def _period_not_over(report: Report) -> list[str]:
    if report.whole:
        return []
    return [f"Kỳ báo cáo chưa kết thúc; số liệu đến {formatting.clock(report.made_at)}"]


def _not_rolled_up(report: Report) -> list[str]:
    if not report.waiting:
        return []
    return [f"Còn {formatting.number(report.waiting)} kết quả đã nhận nhưng chưa được tổng hợp"]


def _revised(report: Report) -> list[str]:
    revision = report.revision
    if revision is None:
        return []
    reasons = []
    if revision.days:
        days = ", ".join(formatting.day(one) for one in list(revision.days)[:10])
        more = f" và {len(revision.days) - 10} ngày khác" if len(revision.days) > 10 else ""
        reasons.append(f"có kết quả bổ sung của ngày {days}{more}")
    if revision.thresholds_changed:
        reasons.append("ngưỡng so sánh đã thay đổi")
    if revision.registry_changed:
        reasons.append("sổ đăng ký (đường truyền, gói cước, cơ quan) đã thay đổi")
    if revision.plans_changed:
        reasons.append("kế hoạch đo của trạm đo được gửi đến sau hoặc đã thay đổi")
    replaced = (
        f"bản phát hành lần {revision.replaces_version} lúc "
        f"{formatting.clock(revision.replaces_issued_at)}"
    )
    if revision.maintenance_changed:
        reasons.append("thông báo bảo trì có kế hoạch được bổ sung, sửa hoặc rút")
    if report.draft:
        return [f"Khác với {replaced}: {'; '.join(reasons)}"]
    return [
        (
            f"BẢN SỬA ĐỔI, phát hành lần {revision.version}; thay thế {replaced}; "
            f"lý do: {'; '.join(reasons)}"
        )
    ]
