"""Floor 1. Labels of what a line is good for."""

from __future__ import annotations

from runtime.language import Phrase

LABELS = {
    "uses_title": Phrase("Đường truyền đáp ứng được việc gì", "What the line is good for"),
    "uses_of_lines": Phrase("Các đường truyền đáp ứng được việc gì", "What the lines are good for"),
    "uses_of_isps": Phrase(
        "Đường truyền của từng nhà mạng đáp ứng được việc gì", "What each ISP's lines are good for"
    ),
    "uses_of_isps_caption": Phrase(
        "Số đường truyền được đánh giá «tốt», trên số đường truyền đủ mẫu",
        "Lines that are “good”, of those with samples enough",
    ),
    "uses_use": Phrase("Việc sử dụng", "Use"),
    "uses_office_hours": Phrase("Giờ hành chính", "Office hours"),
    "uses_peak_hours": Phrase("Giờ cao điểm buổi tối", "Evening peak"),
    "uses_all_hours": Phrase("Cả ngày", "All hours"),
    "uses_loaded": Phrase("Khi có người đang tải nặng", "While somebody fills the line"),
    "uses_under_load": Phrase("khi tải", "under load"),
    "uses_most_missed": Phrase("thiếu nhiều nhất:", "most lack"),
    "uses_computing": Phrase(
        "Đang tính số liệu của nhiều đường truyền, xong sau vài giây.",
        "The figures of many lines are being computed: some seconds more.",
    ),
    "uses_hours_limit": Phrase(
        "Giờ hành chính và buổi tối được tính riêng khi chọn không quá số đường truyền này:",
        "Office hours and evening are computed apart for at most this many lines:",
    ),
    "uses_held_back": Phrase("Điều cản trở", "What holds it back"),
    "uses_good": Phrase("tốt", "good"),
    "uses_limited": Phrase("hạn chế", "limited"),
    "uses_poor": Phrase("kém", "poor"),
    "uses_unknown": Phrase("chưa đủ mẫu", "too few samples"),
    "uses_score": Phrase("Điểm IQB (0 đến 1)", "IQB score (0 to 1)"),
    "uses_indicator_download": Phrase("tải xuống", "download"),
    "uses_indicator_upload": Phrase("tải lên", "upload"),
    "uses_indicator_latency": Phrase("độ trễ", "latency"),
    "uses_indicator_loss": Phrase("mất gói", "loss"),
    "uses_needs_over": Phrase("cần trên", "needs over"),
    "uses_needs_under": Phrase("cần dưới", "needs under"),
    "uses_supplementary": Phrase(
        "Thông tin bổ sung, không phải kết luận về gói cước.",
        "Supplementary, no verdict about the plan.",
    ),
    "uses_supplementary_within": Phrase(
        "thông tin bổ sung, không phải kết luận về gói cước.",
        "supplementary, no verdict about the plan.",
    ),
    "uses_note": Phrase(
        "«Tốt» là đạt mọi yêu cầu về tốc độ, "
        "độ trễ và mất gói của việc đó; so bằng trung vị. Cột «Khi có người đang tải nặng» thay độ "
        "trễ bằng độ trễ đo được khi đường truyền đang tải đầy; khung IQB không xét độ trễ này và "
        "không xét độ khả dụng.",
        "“Good” means that every requirement for speed, "
        "latency and loss of that use is met; medians are compared. The column “While somebody "
        "fills the line” takes the latency measured under load instead; the IQB framework looks at "
        "neither that latency nor availability.",
    ),
    "uses_source": Phrase("Ngưỡng và trọng số", "Limits and weights"),
    "uses_version": Phrase("phiên bản", "version"),
}
