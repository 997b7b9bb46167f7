"""Floor 1. The words of the pages beside the live one, in Vietnamese and English, as data.

`words.LABELS` names the live page's own and what all pages share; a test holds the two apart.
"""

from __future__ import annotations

from collector.web.words import Phrase

LABELS = {
    # On top of every page
    "nav": Phrase("Các trang", "Pages"),
    "nav_overview": Phrase("Tổng quan", "Overview"),
    "nav_campaign": Phrase("Chiến dịch đo", "Campaign"),
    "nav_isps": Phrase("So sánh nhà mạng", "ISPs compared"),
    "nav_system": Phrase("Tình trạng hệ thống", "System health"),
    "nav_live": Phrase("Trực tiếp", "Live"),
    "nav_public": Phrase("Công khai và số liệu mở", "Public and open data"),
    "nav_registry": Phrase("Sổ đăng ký", "Registry"),
    "nav_audit": Phrase("Nhật ký thao tác", "Audit trail"),
    # Signing in
    "sign_in": Phrase("Đăng nhập", "Sign in"),
    "sign_out": Phrase("Đăng xuất", "Sign out"),
    "sign_in_why": Phrase(
        "Chỉ cần đăng nhập khi yêu cầu trạm đo, sửa sổ đăng ký hoặc lập báo cáo. Xem số liệu thì "
        "không cần.",
        "Sign in only to command a probe, edit the registry or make reports. Reading needs nobody.",
    ),
    "sign_in_wrong": Phrase("Tên hoặc mật khẩu không đúng.", "The name or the password is wrong."),
    "sign_in_wait": Phrase(
        "Đã thử sai nhiều lần. Hãy thử lại sau", "Too many wrong attempts. Try again in"
    ),
    "minutes": Phrase("phút", "minutes"),
    "name": Phrase("Tên đăng nhập", "Name"),
    "password": Phrase("Mật khẩu", "Password"),
    "refused": Phrase("Không thực hiện được", "This cannot be done"),
    # The audit trail
    "audit_caption": Phrase(
        "200 thao tác gần nhất, mới nhất ở trên.", "The last 200 acts, the newest on top."
    ),
    "at": Phrase("Thời điểm", "When"),
    "who": Phrase("Người thực hiện", "Who"),
    "address": Phrase("Địa chỉ mạng", "Address"),
    "action": Phrase("Thao tác", "Act"),
    "subject": Phrase("Đối tượng", "On what"),
    "detail": Phrase("Chi tiết", "Detail"),
    "nothing_yet": Phrase("Chưa có gì.", "Nothing yet."),
}
