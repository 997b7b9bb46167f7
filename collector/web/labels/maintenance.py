"""Floor 1. Labels of planned maintenance."""

from __future__ import annotations

from runtime.language import Phrase

LABELS = {
    "nav_maintenance": Phrase("Bảo trì có kế hoạch", "Planned maintenance"),
    "maintenance_lead": Phrase(
        "Doanh nghiệp viễn thông hoặc cơ quan báo trước việc sửa chữa, nâng cấp thì ghi vào đây. "
        "Trong lúc làm, cảnh báo của các đường truyền liên quan chưa được gửi đi. Báo cáo nêu độ "
        "khả dụng cả khi tính và khi không tính bảo trì; ghi sau khi đã bắt đầu thì không được "
        "tính là có kế hoạch.",
        "Work that an ISP or an office announces is entered here. While it is done, alerts of the "
        "lines concerned are held back. Reports give availability both with and without planned "
        "maintenance; what is entered after the work began does not count as planned.",
    ),
    "maintenance_announce": Phrase("Ghi một thông báo bảo trì", "Enter an announcement"),
    "maintenance_sign_in": Phrase(
        "Đăng nhập để ghi, sửa hoặc rút thông báo bảo trì.",
        "Sign in to enter, correct or withdraw an announcement.",
    ),
    "maintenance_isp": Phrase("Nhà mạng", "ISP"),
    "maintenance_every_isp": Phrase("mọi nhà mạng", "every ISP"),
    "maintenance_place": Phrase("Xã, phường hoặc tỉnh", "Commune or province"),
    "maintenance_line": Phrase("Một đường truyền", "One line"),
    "maintenance_line_note": Phrase(
        "Điền ít nhất một trong ba ô; để trống là tất cả. Đường truyền ghi dạng đơn vị/trạm/mã, "
        "như trong địa chỉ trang của nó.",
        "Fill in at least one of the three; an empty one is all of them. A line is "
        "TENANT/PROBE/LINE, as in the address of its page.",
    ),
    "maintenance_from": Phrase("Bắt đầu", "From"),
    "maintenance_to": Phrase("Kết thúc", "To"),
    "maintenance_reason": Phrase("Nội dung, văn bản", "What is done, by which letter"),
    "maintenance_reason_example": Phrase(
        "Viettel nâng cấp cáp, công văn số 123/VTL ngày 20/11/2026",
        "Viettel replaces a cable, letter 123/VTL of 20 November 2026",
    ),
    "maintenance_save": Phrase("Ghi thông báo", "Enter"),
    "maintenance_correct": Phrase("Sửa thông báo", "Correct it"),
    "maintenance_withdraw": Phrase("Rút thông báo", "Withdraw it"),
    "maintenance_note": Phrase("Lý do sửa hoặc rút", "Why it is corrected or withdrawn"),
    "maintenance_scope": Phrase("Phạm vi", "Scope"),
    "maintenance_recorded": Phrase("Ghi lúc", "Entered at"),
    "maintenance_author": Phrase("Người ghi", "By"),
    "maintenance_action": Phrase("Việc", "Entry"),
    "maintenance_action_announced": Phrase("Thông báo", "Announced"),
    "maintenance_action_corrected": Phrase("Sửa", "Corrected"),
    "maintenance_action_withdrawn": Phrase("Rút", "Withdrawn"),
    "maintenance_entries": Phrase("Mọi lần ghi", "Every entry"),
    "maintenance_entries_note": Phrase(
        "Không lần ghi nào bị sửa hay xóa. Phần được tính là có kế hoạch: đã báo trước khi bắt đầu "
        "và đến nay vẫn giữ.",
        "No entry is changed or deleted. What counts as planned was announced before it began and "
        "still stands.",
    ),
    "maintenance_changed": Phrase("Sửa lúc", "Changed at"),
    "maintenance_planned_from": Phrase("Tính là có kế hoạch từ", "Counts as planned from"),
    "maintenance_planned_until": Phrase("Tính là có kế hoạch đến", "Counts as planned until"),
    "maintenance_lines": Phrase("Đường truyền", "Lines"),
    "maintenance_counts": Phrase("Tính là có kế hoạch", "Counts as planned"),
    "maintenance_status": Phrase("Tình trạng", "Status"),
    "maintenance_planned": Phrase("Báo trước", "In advance"),
    "maintenance_partly": Phrase("Báo trước một phần", "Partly in advance"),
    "maintenance_late": Phrase("Báo muộn", "Late"),
    "maintenance_withdrawn": Phrase("Đã rút", "Withdrawn"),
    "maintenance_open": Phrase("Sắp tới và đang làm", "Coming and being done"),
    "maintenance_over": Phrase("Đã qua", "Over"),
    "maintenance_all": Phrase("Tất cả", "All"),
    "maintenance_back": Phrase("Mọi thông báo bảo trì", "All announcements"),
    "maintenance_held": Phrase(
        "Bảo trì có kế hoạch: chưa gửi thông báo đến", "Planned maintenance: held back until"
    ),
    "maintenance_minutes": Phrase("phút trong bảo trì có kế hoạch", "min in planned maintenance"),
    "maintenance_of_line": Phrase(
        "Bảo trì có kế hoạch trong thời gian này", "Planned maintenance in this time"
    ),
    "maintenance_with": Phrase("Độ khả dụng tính cả bảo trì", "Availability with maintenance"),
    "maintenance_without": Phrase(
        "không tính số phút gián đoạn trong bảo trì đã báo trước:",
        "without the minutes of outages in maintenance announced in advance:",
    ),
    "maintenance_minutes_head": Phrase("Gián đoạn trong đó (phút)", "Outages in it (minutes)"),
    "maintenance_problem_no_scope": Phrase(
        "Chưa điền phạm vi: nhà mạng, nơi hoặc đường truyền.",
        "No scope: an ISP, a place or a line is needed.",
    ),
    "maintenance_problem_no_reason": Phrase(
        "Cần nội dung từ 1 đến 500 ký tự.", "What is done is needed, 1 to 500 characters."
    ),
    "maintenance_problem_not_plain": Phrase(
        "Nội dung và lý do phải là một dòng, không có ký tự ẩn.",
        "What is done and why are one line each, without characters that are not seen.",
    ),
    "maintenance_problem_changed": Phrase(
        "Có người vừa sửa thông báo này: hãy xem các lần ghi bên dưới rồi lưu lại nếu vẫn cần.",
        "Somebody has changed this meanwhile: look at the entries below, and save again if needed.",
    ),
    "maintenance_problem_too_long": Phrase(
        "Thời gian kết thúc phải sau lúc bắt đầu, dài nhất 31 ngày.",
        "It ends after it begins, and within 31 days.",
    ),
    "maintenance_problem_too_far": Phrase(
        "Bắt đầu sớm nhất 92 ngày trước, muộn nhất 366 ngày nữa.",
        "It begins at most 92 days ago and 366 days from now.",
    ),
    "maintenance_problem_no_note": Phrase(
        "Cần lý do sửa hoặc rút.", "Why it is corrected or withdrawn is needed."
    ),
    "maintenance_problem_place": Phrase(
        "Không rõ nơi này; hãy ghi tên kèm tỉnh, hoặc mã:",
        "Which place is not clear; give its name with its province, or its code:",
    ),
    "maintenance_problem_line": Phrase(
        "Sổ đăng ký không có đường truyền này:", "The registry has no such line:"
    ),
    "maintenance_problem_time": Phrase(
        "Thời gian không đúng dạng ngày và giờ.", "A time is not a date and a time."
    ),
    "maintenance_problem_over": Phrase(
        "Thông báo này đã rút, không sửa được nữa.", "It is withdrawn and cannot be changed."
    ),
}
