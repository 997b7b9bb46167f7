"""Floor 1. The weekly campaign report: which lines were measured, and which offices to follow up.

The letter of 2021 (1770/UBND-VHTT) asks each office for two measurements a week, and its recipients
to monitor and urge the offices ("theo dõi, đôn đốc"): part III is that list.
"""

from __future__ import annotations

from collector.reports import common, formatting
from collector.reports.layout import Document, Section, Table
from collector.reports.report import Level, Report, ReportRow


def document(report: Report) -> Document:
    """The weekly report, in Vietnamese."""
    first = report.first_day.isocalendar()
    about = (
        f"Kết quả đo chất lượng Internet tuần {first.week:02d} năm {first.year} "
        f"(từ ngày {formatting.day(report.first_day)} đến ngày {formatting.day(report.last_day)})"
        f" – {report.area} ({common.INDICATIVE})"
    )
    return Document(
        head=common.head(report, about),
        sections=[
            Section(heading="I. PHẠM VI VÀ PHƯƠNG PHÁP", paragraphs=common.scope(report)),
            _results(report),
            _to_urge(report),
            _proposals(report),
        ],
        recipients=common.recipients(report),
        signer_title=common.signer_title(report),
        signer_name=common.signer_name(report),
        appendices=[_lines(report), _method(report)],
        footer=common.footer(report),
        watermark=common.DRAFT if report.draft else "",
    )


def below_minimum(report: Report) -> list[ReportRow]:
    """The lines with fewer tests in the week than the letter asks for, fewest first."""
    least = report.thresholds.week_measurements.limit
    return sorted((row for row in report.at(Level.LINE) if row.tests < least), key=_fewest)


def _fewest(row: ReportRow) -> tuple[int, str, str]:
    return (row.tests, row.commune_code or "", f"{row.probe} {row.line}")


def _results(report: Report) -> Section:
    total, below = report.total, below_minimum(report)
    least = formatting.number(report.thresholds.week_measurements.limit)
    enough = total.lines - len(below)
    communes = Table(
        caption="Kết quả trong tuần theo xã, phường, đặc khu",
        columns=[
            "Xã, phường, đặc khu", "Đường truyền", f"Đủ {least} lần/tuần", "Lần đo", "Hợp lệ",
            "Tải xuống (Mbit/s)", "Tải lên (Mbit/s)", "Độ trễ (ms)", "Mức đầy đủ",
        ],
        widths=[22, 10, 10, 8, 10, 11, 10, 9, 10],
        numeric=[False, *[True] * 8],
        rows=[_commune(report, row) for row in report.at(Level.COMMUNE)],
    )  # fmt: skip
    return Section(
        heading="II. KẾT QUẢ ĐO TRONG TUẦN",
        paragraphs=[
            (
                f"Có {formatting.share_of(enough, total.lines)} đường truyền được đo từ {least} "
                f"lần trở lên trong tuần; tổng số {formatting.number(total.tests)} lần đo tốc độ."
            ),
            common.completeness(total),
            *common.given(common.availability_both(report)),
        ],
        tables=[
            communes,
            *common.given(common.maintenance(report)),
            _trend(report),
        ],
    )


def _commune(report: Report, row: ReportRow) -> list[str]:
    least = report.thresholds.week_measurements.limit
    lines = [line for line in report.at(Level.LINE) if line.commune_code == row.commune_code]
    enough = sum(line.tests >= least for line in lines)
    return [
        row.commune or "",
        formatting.share_of(row.lines_measured, row.lines),
        formatting.share_of(enough, row.lines),
        formatting.number(row.tests),
        formatting.share_of(row.valid, row.attempted),
        formatting.mbps(row.download.mean_bps),
        formatting.mbps(row.upload.mean_bps),
        formatting.number(row.rtt_mean_ms, 1),
        formatting.percent(row.completeness_ratio, 0),
    ]


def _trend(report: Report) -> Table:
    rows = []
    for week in report.weeks:
        iso = week.monday.isocalendar()
        rows.append(
            [
                f"Tuần {iso.week:02d}/{iso.year}",
                formatting.day(week.monday),
                formatting.number(week.tests),
                formatting.share_of(week.lines_enough, week.lines),
                formatting.percent(week.lines_enough / week.lines if week.lines else None, 0),
            ]
        )
    return Table(
        caption="Diễn biến các tuần gần đây",
        columns=["Tuần", "Từ ngày", "Lần đo", "Đường truyền đủ số lần đo", "Tỷ lệ"],
        widths=[20, 20, 18, 26, 16],
        numeric=[False, False, True, True, True],
        rows=rows,
    )


def _to_urge(report: Report) -> Section:
    below = below_minimum(report)
    least = formatting.number(report.thresholds.week_measurements.limit)
    needed = formatting.number(report.thresholds.commune_month_samples.limit)
    few = [one for one in report.commune_month if one.tests < one.needed]
    tables = []
    if below:
        tables.append(
            Table(
                caption=f"Đường truyền có dưới {least} lần đo trong tuần",
                columns=["Xã, phường, đặc khu", "Cơ quan", "Đường truyền", "Lần đo", "Lần lỗi"],
                widths=[24, 34, 20, 11, 11],
                numeric=[False, False, False, True, True],
                rows=[
                    [
                        row.commune or "",
                        row.office or "",
                        _line_name(row),
                        formatting.number(row.tests),
                        formatting.number(row.attempted - row.tests),
                    ]
                    for row in below
                ],
            )
        )
    if few:
        tables.append(
            Table(
                caption=f"Xã, phường, đặc khu chưa đủ {needed} mẫu trong tháng "
                f"(tính đến ngày {formatting.day(report.last_day)}, theo số liệu của trạm đo)",
                columns=["Mã", "Xã, phường, đặc khu", "Số mẫu"],
                widths=[20, 50, 30],
                numeric=[False, False, True],
                rows=[
                    [one.commune_code, one.commune, formatting.share_of(one.tests, one.needed)]
                    for one in few
                ],
            )
        )
    return Section(
        heading="III. ĐƠN VỊ CẦN THEO DÕI, ĐÔN ĐỐC",
        paragraphs=[
            (
                f"Có {formatting.number(len(below))} đường truyền chưa đủ {least} lần đo trong "
                f"tuần và {formatting.number(len(few))} xã, phường, đặc khu chưa đủ {needed} "
                "mẫu trong tháng. Số mẫu của trạm đo không cộng vào số mẫu i-Speed của VNNIC."
            )
        ],
        tables=tables,
    )


def _proposals(report: Report) -> Section:
    points = []
    lines = report.at(Level.LINE)
    if any(row.is_silent for row in lines):
        points.append(
            "Đề nghị cơ quan có đường truyền chưa có kết quả nào trong tuần kiểm tra nguồn điện, "
            "dây mạng và đèn báo của trạm đo; nếu đèn báo bình thường mà vẫn không có kết quả thì "
            "báo cho cán bộ kỹ thuật."
        )
    if any(row.tests == 0 and not row.is_silent for row in lines):
        points.append(
            "Đề nghị doanh nghiệp viễn thông phối hợp với cơ quan kiểm tra đường truyền mà trong "
            "tuần trạm đo vẫn hoạt động nhưng không lần đo tốc độ nào thành công."
        )
    if any(row.tests > 0 for row in below_minimum(report)):
        points.append(
            "Đề nghị cơ quan có số lần đo dưới mức tối thiểu giữ cho trạm đo hoạt động liên tục và "
            "không để đường truyền bị chiếm dụng toàn bộ trong khung giờ đo."
        )
    points.append(
        "Đề nghị các cơ quan, đơn vị và người dân tiếp tục tự đo bằng ứng dụng i-Speed của VNNIC."
    )
    return Section(heading="IV. ĐỀ NGHỊ", points=points)


def _lines(report: Report) -> Section:
    return Section(
        heading="Số lần đo của từng đường truyền",
        tables=[
            Table(
                caption="",
                columns=[
                    "Xã, phường, đặc khu", "Cơ quan", "Đường truyền", "Lần đo", "Hợp lệ",
                    "Chưa thực hiện được", "Dự kiến", "Mức đầy đủ", "Khả dụng",
                ],
                widths=[16, 26, 15, 7, 8, 8, 7, 7, 6],
                numeric=[False, False, False, *[True] * 6],
                rows=[
                    [
                        row.commune or "",
                        row.office or "",
                        _line_name(row),
                        formatting.number(row.tests),
                        formatting.share_of(row.valid, row.attempted),
                        formatting.number(row.skipped),
                        formatting.number(row.planned),
                        formatting.percent(row.completeness_ratio, 0),
                        formatting.percent(row.availability_ratio, 2),
                    ]
                    for row in report.at(Level.LINE)
                ],
            )
        ],
    )  # fmt: skip


def _method(report: Report) -> Section:
    limits = common.thresholds(report)
    return Section(
        heading="Phương pháp và ngưỡng so sánh", points=common.method(), tables=limits.tables
    )


def _line_name(row: ReportRow) -> str:
    return f"{row.line} ({row.isp})" if row.isp else str(row.line)
