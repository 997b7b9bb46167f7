"""Floor 1. Labels of what people do about alerts."""

from __future__ import annotations

from runtime.language import Phrase

LABELS = {
    "alert_handle": Phrase("Xử lý cảnh báo", "Handle the alert"),
    "alert_acknowledge": Phrase("Nhận xử lý", "Acknowledge"),
    "alert_acknowledged": Phrase("Đã nhận xử lý", "Acknowledged"),
    "alert_note": Phrase("Ghi chú", "Note"),
    "alert_write_note": Phrase("Lưu ghi chú", "Save the note"),
    "alert_notes": Phrase("Việc đã làm", "What was done"),
    "alert_no_notes": Phrase("Chưa ai ghi gì.", "Nobody has written anything yet."),
    "alert_by": Phrase("Người ghi", "By"),
    "alert_at": Phrase("Lúc", "At"),
    "alert_silence": Phrase("Tạm ngừng thông báo", "Silence"),
    "alert_silenced_until": Phrase("Tạm ngừng thông báo đến", "Silenced until"),
    "alert_silence_note": Phrase(
        "Cảnh báo vẫn được ghi lại và hiển thị. Hết hạn mà cảnh báo còn mở thì thư và webhook được "
        "gửi lúc đó.",
        "The alert is still stored and shown. If it is still open when the time is over, mail and "
        "webhook are sent then.",
    ),
    "alert_scope": Phrase("Phạm vi", "Scope"),
    "alert_scope_this": Phrase("chỉ cảnh báo này", "this alert alone"),
    "alert_scope_probe": Phrase("mọi cảnh báo của trạm", "every alert of the probe"),
    "alert_for": Phrase("Trong", "For"),
    "alert_hours_4": Phrase("4 giờ", "4 hours"),
    "alert_hours_24": Phrase("1 ngày", "1 day"),
    "alert_hours_72": Phrase("3 ngày", "3 days"),
    "alert_hours_168": Phrase("7 ngày", "7 days"),
    "alert_hours_720": Phrase("30 ngày", "30 days"),
    "alert_problem_no_text": Phrase(
        "Chưa lưu: cần nội dung từ 1 đến 500 ký tự.",
        "Not saved: a text of 1 to 500 characters is needed.",
    ),
    "alert_problem_too_long": Phrase(
        "Chưa lưu: nội dung dài quá 500 ký tự. Hãy viết ngắn lại; nội dung bạn đã nhập vẫn ở dưới.",
        "Not saved: the text is longer than 500 characters. What you wrote is still below.",
    ),
    "alert_reason": Phrase("Lý do", "Reason"),
    "alert_silences": Phrase("Đang tạm ngừng thông báo", "Silenced now"),
    "alert_until": Phrase("Đến", "Until"),
    "alert_silence_end": Phrase("Thông báo lại", "Notify again"),
    "alert_every_kind": Phrase("mọi cảnh báo", "every alert"),
    "alert_back": Phrase("Tất cả cảnh báo", "All alerts"),
    "alert_sign_in": Phrase(
        "Đăng nhập để nhận xử lý, ghi chú hoặc tạm ngừng thông báo.",
        "Sign in to acknowledge, note or silence.",
    ),
}
