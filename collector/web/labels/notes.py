"""Floor 1. Labels of notes on a line's charts."""

from __future__ import annotations

from runtime.language import Phrase

LABELS = {
    "note": Phrase("Ghi chú", "Note"),
    "notes_title": Phrase("Ghi chú của đường truyền", "Notes on the line"),
    "notes_lead": Phrase(
        "Số trong bảng là số trên biểu đồ. Ghi chú không hiện ở trang công khai.",
        "The numbers are those on the charts. Notes are not on the public pages.",
    ),
    "notes_none": Phrase(
        "Chưa có ghi chú nào trong khoảng thời gian này.", "There is no note of this time."
    ),
    "notes_other": Phrase("Ghi chú của thời gian khác", "Notes of other times"),
    "notes_withdrawn": Phrase("Ghi chú đã rút", "Withdrawn notes"),
    "notes_newest": Phrase("mới nhất", "newest"),
    "note_time": Phrase("Thời điểm", "Time"),
    "note_text": Phrase("Nội dung", "Text"),
    "note_author": Phrase("Người ghi", "By"),
    "note_written": Phrase("Ghi lúc", "Written"),
    "note_corrected": Phrase("sửa", "corrected"),
    "note_withdrawn": Phrase("rút", "withdrawn"),
    "note_before": Phrase("Trước khi sửa", "Before the correction"),
    "note_add": Phrase("Viết ghi chú", "Write a note"),
    "note_correct_one": Phrase("Sửa ghi chú", "Correct a note"),
    "note_not_saved": Phrase("Chưa lưu ghi chú.", "The note was not saved."),
    "note_now": Phrase("Ghi chú này hiện nay:", "This note says now:"),
    "note_starts": Phrase("Từ lúc", "From"),
    "note_ends": Phrase("Đến lúc (nếu kéo dài)", "Until (of a longer time)"),
    "note_what": Phrase("Việc gì đã xảy ra", "What happened"),
    "note_example": Phrase("ví dụ: đổi modem", "as: new modem"),
    "note_save": Phrase("Lưu ghi chú", "Save the note"),
    "note_correct": Phrase("Sửa", "Correct"),
    "note_withdraw": Phrase("Rút ghi chú", "Withdraw"),
    "note_sign_in": Phrase("Đăng nhập để viết ghi chú.", "Sign in to write a note."),
    "note_rules": Phrase(
        "Một dòng, tối đa 300 ký tự. Sửa hay rút thì nội dung cũ vẫn được lưu.",
        "One line of plain text, at most 300 characters. What is corrected or withdrawn is kept.",
    ),
    "note_problem_text": Phrase(
        "Cần nội dung từ 1 đến 300 ký tự.", "A text of 1 to 300 characters is needed."
    ),
    "note_problem_not_plain": Phrase(
        "Nội dung phải là một dòng, không có ký tự ẩn.",
        "The text is one line without characters that are not seen.",
    ),
    "note_problem_future": Phrase(
        "Chưa ghi chú được cho thời gian sau hôm nay.", "A note is not about the future."
    ),
    "note_problem_ends": Phrase(
        "Lúc kết thúc phải sau lúc bắt đầu, trong vòng 366 ngày.",
        "A note ends after it begins, within 366 days.",
    ),
    "note_problem_time": Phrase(
        "Thời gian không đúng dạng ngày và giờ.", "A time is not a date and a time."
    ),
    "note_problem_changed": Phrase(
        "Có người vừa sửa ghi chú này: hãy xem nội dung mới rồi lưu lại nếu vẫn cần.",
        "Somebody has changed this note meanwhile: look at it, and save again if needed.",
    ),
    "note_problem_full": Phrase(
        "Đường truyền này đã có 2.000 ghi chú, không thêm được nữa.",
        "This line has 2,000 notes, which is the most.",
    ),
    "note_problem_withdrawn": Phrase("Ghi chú này đã rút.", "This note is withdrawn."),
    "file_series_start": Phrase("Từ", "From"),
    "file_step": Phrase("Độ dài (giờ, ngày)", "Step (hour, day)"),
    "file_notes": Phrase("Ghi chú", "Notes"),
}
