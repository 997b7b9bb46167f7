"""Floor 1. Labels of the heat map of an area, and of lines and communes on one chart."""

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
        "các mẫu của giờ đó. Ô càng đậm càng tốt, so với chính các ô trong bảng. Không phải đường "
        "truyền nào cũng có mẫu ở mọi giờ, nên hai ô có thể là của những đường truyền khác nhau.",
        "Each line counts once: the mean over lines of each one's mean of that hour. The stronger "
        "the colour, the better, relative to the cells of this table. Not every line has samples "
        "in every hour, so two cells may be of different lines.",
    ),
    "hours_twin": Phrase(
        "Bảng có số đường truyền của từng ô", "As a table with the number of lines in each cell"
    ),
    "hours_weekday": Phrase("Thứ", "Weekday"),
    "hours_unit": Phrase("Đơn vị", "Unit"),
    "compare_title": Phrase("So sánh trên một biểu đồ", "Compared on one chart"),
    "compare_with": Phrase("So sánh với", "Compare with"),
    "compare_find": Phrase("Tìm xã, phường hoặc trạm", "Find a commune or a probe"),
    "compare_add": Phrase("Thêm vào biểu đồ", "Add to the chart"),
    "compare_near": Phrase("Cùng xã", "In the same communes"),
    "compare_remove": Phrase("Bỏ", "Remove"),
    "compare_chosen": Phrase("Đang so sánh", "Compared"),
    "compare_most": Phrase("Tối đa bốn đường truyền hoặc xã.", "Four lines or communes at most."),
    "compare_none": Phrase(
        "Chưa chọn đường truyền hay xã nào: tìm theo tên.",
        "No line or commune is chosen yet: find one by its name.",
    ),
    "compare_nothing": Phrase("Không tìm thấy nơi có trạm đo", "No measured place was found for"),
    "compare_figures": Phrase("Số liệu của kỳ", "Figures of the period"),
    "compare_differences": Phrase("Chênh lệch so với", "Difference from"),
    "compare_pair": Phrase("So sánh", "Compared"),
    "compare_higher": Phrase("cao hơn rõ rệt", "clearly higher"),
    "compare_lower": Phrase("thấp hơn rõ rệt", "clearly lower"),
    "compare_unknown": Phrase(
        "mỗi bên cần mẫu trải ít nhất 25 ngày để kết luận", "each needs samples of 25 days"
    ),
    "compare_note": Phrase(
        "Số liệu của xã là trung bình các đường truyền của xã, mỗi đường tính một lần. Khoảng tin "
        "cậy 95% của chênh lệch là của chính các đường truyền này; gói cước có thể khác nhau.",
        "A commune's figure is the mean over its lines, each counted once. The 95% interval of a "
        "difference is that of these very lines; their plans may differ.",
    ),
    "compare_loss": Phrase("Mất gói", "Loss"),
    "compare_subject": Phrase("Mã", "Code"),
    "compare_name": Phrase("Tên", "Name"),
    "compare_half": Phrase("Nửa khoảng tin cậy 95%", "Half of the 95% interval"),
    "compare_charts": Phrase("Biểu đồ", "Charts"),
    "compare_as_table": Phrase("Xem số liệu dạng bảng", "Show as a table"),
    "compare_no_table": Phrase("Ẩn bảng", "Hide the table"),
}
