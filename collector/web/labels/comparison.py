"""Floor 1. Labels of the heat map of an area."""

from __future__ import annotations

from runtime.language import Phrase

LABELS = {
    "hours_title": Phrase("Theo giờ và thứ trong tuần", "By hour and weekday"),
    "hours_link": Phrase("Xem theo giờ trong tuần", "By hour of the week"),
    "hours_plan": Phrase("Tải xuống so với gói cước", "Download against plan"),
    "hours_down": Phrase("Tải xuống", "Download"),
    "hours_up": Phrase("Tải lên", "Upload"),
    "hours_latency": Phrase("Độ trễ khi rảnh", "Idle latency"),
    "hours_loaded": Phrase("Độ trễ khi đang tải xuống", "Latency under download"),
    "hours_loss": Phrase("Mất gói", "Loss"),
    "hours_availability": Phrase("Độ khả dụng", "Availability"),
    "hours_lines": Phrase("đường truyền", "lines"),
    "hours_of": Phrase("trong", "of"),
    "hours_without_plan": Phrase("các đường còn lại chưa có gói cước", "the others have no plan"),
    "hours_computing": Phrase(
        "Đang tính số liệu của nhiều đường truyền; trang tự tải lại sau vài giây.",
        "The figures of many lines are being computed; the page loads again by itself in seconds.",
    ),
    "hours_again": Phrase("Tải lại", "Load again"),
    "hours_nothing": Phrase(
        "Không có giờ nào có số liệu của ít nhất", "No hour has figures of at least"
    ),
    "hours_legend": Phrase("Chú giải", "Legend"),
    "hours_worst": Phrase("kém nhất", "worst"),
    "hours_few": Phrase("quá ít đường truyền", "too few lines"),
    "hours_below": Phrase("dưới", "below"),
    "hours_cells": Phrase("ô", "cells"),
    "hours_note": Phrase(
        "Mỗi đường truyền tính một lần: trung bình của các đường truyền, mỗi đường lấy trung bình "
        "các mẫu của giờ đó. Ô càng đậm càng tốt, so với chính các ô trong bảng. Không phải giờ "
        "nào đường truyền nào cũng có mẫu, nên hai ô có thể là của những đường truyền khác nhau.",
        "Each line counts once: the mean over lines of each one's mean of that hour. The stronger "
        "the colour, the better, relative to the cells of this table. Not every line has samples "
        "in every hour, so two cells may be of different lines.",
    ),
    "hours_twin": Phrase(
        "Bảng có số đường truyền của từng ô", "As a table with the number of lines in each cell"
    ),
    "hours_weekday": Phrase("Thứ", "Weekday"),
    "hours_unit": Phrase("Đơn vị", "Unit"),
}
