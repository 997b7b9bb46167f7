"""Floor 1. The monthly quality report: each commune, each ISP by declared plan, each line.

An indicative comparison (docs/method.md#not-claimed, N3): an ISP's lines are shown with the
interval of their mean and in the order of names, never as a rank.
"""

from __future__ import annotations

from collector.reports import common, formatting
from collector.reports.formatting import MISSING
from collector.reports.layout import Document, Section, Table
from collector.reports.report import Level, Report, ReportRow, SpeedStats


def document(report: Report) -> Document:
    """The monthly report, in Vietnamese."""
    about = (
        f"Chất lượng Internet cố định tháng {formatting.month(report.first_day.month)} năm "
        f"{report.first_day.year} đo tại trụ sở cơ quan – {report.area} ({common.INDICATIVE})"
    )
    return Document(
        head=common.head(report, about),
        sections=[
            Section(heading="I. PHẠM VI VÀ PHƯƠNG PHÁP", paragraphs=common.scope(report)),
            _overall(report),
            _by_isp(report),
            _notes(),
        ],
        recipients=common.recipients(report),
        signer_title=common.signer_title(report),
        signer_name=common.signer_name(report),
        appendices=[_by_commune(report), _by_line(report), _method(report)],
        footer=common.footer(report),
        watermark=common.DRAFT if report.draft else "",
    )


def _overall(report: Report) -> Section:
    total = report.total
    enough = sum(one.tests >= one.needed for one in report.commune_month)
    needed = formatting.number(report.thresholds.commune_month_samples.limit)
    points = [
        common.completeness(total),
        (
            f"Số xã, phường, đặc khu đủ {needed} mẫu trong tháng (theo số liệu của trạm đo): "
            f"{formatting.share_of(enough, len(report.commune_month))}."
        ),
        (
            f"Tải xuống trung bình {_speed(total.download)}; "
            f"tải lên trung bình {_speed(total.upload)}."
        ),
        (
            f"Độ trễ trung bình {formatting.number(total.rtt_mean_ms, 1)} ms (trung vị "
            f"{formatting.number(total.rtt_median_ms, 1)} ms, phân vị 95% là "
            f"{formatting.number(total.rtt_p95_ms, 1)} ms); tỷ lệ mất gói "
            f"{formatting.percent(total.loss_ratio, 2)} trên "
            f"{formatting.number(total.packets_sent)} gói."
        ),
        (
            f"Độ khả dụng {formatting.percent(total.availability_ratio, 2)}; gián đoạn "
            f"{formatting.number(total.down_minutes)} phút, không rõ "
            f"{formatting.number(total.unknown_minutes)} phút trên tổng số các đường truyền."
        ),
        *common.given(common.availability_both(report)),
        (
            f"So với tốc độ công bố: {formatting.number(total.lines_met)} đường truyền đạt, "
            f"{formatting.number(total.lines_not_met)} không đạt, "
            f"{formatting.number(total.lines - total.lines_met - total.lines_not_met)} "
            "chưa kết luận."
        ),
    ]
    return Section(
        heading="II. KẾT QUẢ CHUNG",
        points=points,
        tables=[
            *common.given(common.maintenance(report), common.families(report)),
            _communes_short(report),
        ],
    )


def _communes_short(report: Report) -> Table:
    return Table(
        caption="Kết quả theo xã, phường, đặc khu (số liệu đầy đủ tại Phụ lục I)",
        columns=[
            "Xã, phường, đặc khu", "Đường truyền", "Số mẫu", "Tải xuống (Mbit/s)",
            "Tải lên (Mbit/s)", "Độ trễ (ms)", "Khả dụng", "Đạt / không đạt / chưa kết luận",
        ],
        widths=[22, 11, 11, 12, 11, 10, 11, 12],
        numeric=[False, *[True] * 7],
        rows=[
            [
                row.commune or "",
                formatting.share_of(row.lines_measured, row.lines),
                formatting.number(row.tests),
                formatting.mbps(row.download.mean_bps),
                formatting.mbps(row.upload.mean_bps),
                formatting.number(row.rtt_mean_ms, 1),
                formatting.percent(row.availability_ratio, 2),
                _verdicts(row),
            ]
            for row in report.at(Level.COMMUNE)
        ],
    )  # fmt: skip


def _by_isp(report: Report) -> Section:
    rows = []
    for row in report.at(Level.ISP_PLAN):
        for word, direction in (("Xuống", row.download), ("Lên", row.upload)):
            rows.append(
                [
                    f"{row.isp} ({common.plan(row)})",
                    formatting.number(row.lines),
                    word,
                    formatting.share_of(direction.samples, _needed(report)),
                    formatting.mbps(direction.mean_bps),
                    formatting.interval(direction),
                    formatting.percent(direction.share, 0),
                    formatting.verdict(direction),
                ]
            )
    return Section(
        heading="III. KẾT QUẢ THEO DOANH NGHIỆP VÀ GÓI CƯỚC",
        paragraphs=[
            ("Xếp theo tên, không xếp hạng: các doanh nghiệp có số đường truyền, gói cước và địa "
            "bàn khác nhau. Mỗi dòng gộp các đường truyền cùng doanh nghiệp, cùng tốc độ công bố "
            "Vd/Vu (Mbit/s). Chưa đủ số mẫu hoặc khoảng tin cậy chứa ngưỡng thì không kết luận.")
        ],
        tables=[
            Table(
                caption="Tốc độ trung bình so với tốc độ công bố",
                columns=[
                    "Doanh nghiệp (Vd/Vu)", "Đường truyền", "Chiều", "Số mẫu",
                    "Trung bình (Mbit/s)", "Khoảng tin cậy 95%", "So với công bố", "Nhận xét",
                ],
                widths=[18, 9, 8, 12, 11, 14, 10, 18],
                numeric=[False, True, False, True, True, True, True, False],
                rows=rows,
            )
        ],
    )  # fmt: skip


def _notes() -> Section:
    return Section(
        heading="IV. LƯU Ý KHI SỬ DỤNG SỐ LIỆU",
        points=[
            (
                "Độ trễ và độ khả dụng được nêu cạnh ngưỡng nhưng không kết luận khi ngưỡng chưa "
                "được kiểm chứng (Phụ lục III)."
            ),
            (
                "Mất gói, biến động độ trễ và độ trễ khi tải là chỉ tiêu bổ sung, không có ngưỡng "
                "quốc gia."
            ),
            "Số mẫu của trạm đo là số đếm riêng, không cộng vào số mẫu i-Speed của VNNIC.",
        ],
    )


def _by_commune(report: Report) -> Section:
    return Section(
        heading="Kết quả theo xã, phường, đặc khu",
        tables=[
            _quality(report.at(Level.COMMUNE), by_line=False, planned=bool(report.maintenance))
        ],
    )


def _by_line(report: Report) -> Section:
    return Section(
        heading="Kết quả theo từng đường truyền",
        tables=[
            _quality(report.at(Level.LINE), by_line=True, planned=bool(report.maintenance)),
            _against_plan(report),
            *common.given(common.line_families(report)),
        ],
    )


def _quality(rows: list[ReportRow], *, by_line: bool, planned: bool) -> Table:
    """The figures of communes or lines; `planned`: availability without planned maintenance too."""
    names = ["Cơ quan", "Đường truyền"] if by_line else ["Xã, phường, đặc khu", "Đường truyền"]
    widths = [20, 12] if by_line else [22, 10]
    return Table(
        caption="Chất lượng đo được" if by_line else "",
        columns=[
            *names, "Hợp lệ", "Mức đầy đủ", "Tải xuống TB", "Tải xuống trung vị", "Tải lên TB",
            "Tải lên trung vị", "Trễ TB (ms)", "Trễ p95 (ms)", "Trễ khi tải (ms)", "Mất gói",
            "Khả dụng", *(["Trừ bảo trì"] if planned else []), "Không rõ (phút)",
        ],
        widths=[*widths, 7, 5, 6, 6, 6, 6, 5, 5, 6, 5, 6, *([6] if planned else []), 5],
        numeric=[False, False, *[True] * (13 if planned else 12)],
        rows=[
            [
                (row.office if by_line else row.commune) or "",
                _line_name(row) if by_line else formatting.share_of(row.lines_measured, row.lines),
                formatting.share_of(row.valid, row.attempted),
                formatting.percent(row.completeness_ratio, 0),
                formatting.mbps(row.download.mean_bps),
                formatting.mbps(row.download.median_bps),
                formatting.mbps(row.upload.mean_bps),
                formatting.mbps(row.upload.median_bps),
                formatting.number(row.rtt_mean_ms, 1),
                formatting.number(row.rtt_p95_ms, 1),
                _loaded(row),
                formatting.percent(row.loss_ratio, 2),
                formatting.percent(row.availability_ratio, 2),
                *([_without_planned(row)] if planned else []),
                formatting.number(row.unknown_minutes),
            ]
            for row in rows
        ],
    )  # fmt: skip


def _without_planned(row: ReportRow) -> str:
    return formatting.percent(row.availability_without_planned_ratio, 2)


def _against_plan(report: Report) -> Table:
    return Table(
        caption="So với tốc độ công bố",
        columns=[
            "Cơ quan", "Đường truyền", "Vd/Vu (Mbit/s)", "Mẫu xuống", "Xuống: khoảng tin cậy 95%",
            "Nhận xét chiều xuống", "Mẫu lên", "Lên: khoảng tin cậy 95%", "Nhận xét chiều lên",
        ],
        widths=[20, 12, 9, 8, 11, 12, 8, 9, 11],
        numeric=[False, False, True, True, True, False, True, True, False],
        rows=[
            [
                row.office or "",
                _line_name(row),
                common.plan(row),
                formatting.share_of(row.download.samples, _needed(report)),
                formatting.interval(row.download),
                formatting.verdict(row.download),
                formatting.share_of(row.upload.samples, _needed(report)),
                formatting.interval(row.upload),
                formatting.verdict(row.upload),
            ]
            for row in report.at(Level.LINE)
        ],
    )  # fmt: skip


def _method(report: Report) -> Section:
    limits = common.thresholds(report).tables
    return Section(
        heading="Phương pháp và ngưỡng so sánh",
        points=common.method(),
        tables=[*limits, *([common.published(report)] if report.thresholds.published else [])],
    )


def _needed(report: Report) -> int:
    return int(report.thresholds.speed_samples.limit)


def _speed(direction: SpeedStats) -> str:
    mean, interval = formatting.mbps(direction.mean_bps), formatting.interval(direction)
    return f"{mean} Mbit/s (khoảng tin cậy 95%: {interval})"


def _verdicts(row: ReportRow) -> str:
    open_ = row.lines - row.lines_met - row.lines_not_met
    return f"{row.lines_met} / {row.lines_not_met} / {open_}"


def _loaded(row: ReportRow) -> str:
    if row.rtt_loaded_download_ms is None and row.rtt_loaded_upload_ms is None:
        return MISSING
    down = formatting.number(row.rtt_loaded_download_ms)
    return f"{down}/{formatting.number(row.rtt_loaded_upload_ms)}"


def _line_name(row: ReportRow) -> str:
    return f"{row.line} ({row.isp})" if row.isp else str(row.line)
