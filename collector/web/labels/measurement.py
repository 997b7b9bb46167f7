"""Floor 1. Labels of results (outcomes, reasons, flags, kinds, figures) and of the live page.

A test checks that each Outcome, Reason, Validity, Presence and kind has a label.
"""

from __future__ import annotations

from typing import NamedTuple

from runtime import result_labels
from runtime.language import Phrase
from wire.messages import Presence
from wire.result import FaultLocation, Outcome


class Figure(NamedTuple):
    """A figure of a kind: its field, and the factor from the field's unit to the displayed one."""

    field: str
    label: Phrase
    unit: Phrase
    factor: float


OUTCOMES = {
    Outcome.OK: Phrase("Đo được", "Measured"),
    Outcome.FAILED: Phrase("Không đo được", "Failed"),
    Outcome.SKIPPED: Phrase("Bỏ qua", "Skipped"),
}

REASONS, VALIDITIES = result_labels.REASONS, result_labels.VALIDITIES

PRESENCES = {
    Presence.ONLINE: Phrase("Đang kết nối", "Online"),
    Presence.OFFLINE: Phrase("Đã tắt", "Offline"),
    Presence.LOST: Phrase("Mất liên lạc", "Lost"),
}
PRESENCE_UNKNOWN = Phrase("Không rõ trạng thái", "State unknown")

KINDS = {
    "throughput": Phrase("Tốc độ (TCP)", "Throughput (TCP)"),
    "http": Phrase("Tốc độ (HTTP)", "Throughput (HTTP)"),
    "latency": Phrase("Độ trễ", "Latency"),
    "dns": Phrase("Phân giải tên miền (DNS)", "Name resolution (DNS)"),
    "web": Phrase("Truy cập trang web", "Web pages"),
    "path": Phrase("Đường đi và vị trí sự cố", "Path and fault location"),
    "availability": Phrase("Độ khả dụng", "Availability"),
    "outage": Phrase("Mất kết nối", "Outages"),
    "results_dropped": Phrase("Kết quả trạm không giữ được", "Results dropped by the probe"),
}

_STEADY = Phrase("ổn định, Mbit/s", "steady state, Mbit/s")
_WHOLE = Phrase("toàn phiên, Mbit/s", "whole transfer, Mbit/s")
_DOWNLOAD, _UPLOAD = Phrase("Tải xuống", "Download"), Phrase("Tải lên", "Upload")
_MS, _P50 = Phrase("ms", "ms"), Phrase("p50, ms", "p50, ms")
_PERCENT, _MINUTES = Phrase("%", "%"), Phrase("phút", "min")
_FAULT = Figure("fault", Phrase("Vị trí sự cố", "Fault"), Phrase("nơi", "where"), 1)

# Which figures a kind shows, and in which order.
FIGURES = {
    "throughput": (
        Figure("download_bps", _DOWNLOAD, _STEADY, 1e-6),
        Figure("download_whole_bps", _DOWNLOAD, _WHOLE, 1e-6),
        Figure("upload_bps", _UPLOAD, _STEADY, 1e-6),
        Figure("upload_whole_bps", _UPLOAD, _WHOLE, 1e-6),
    ),
    "http": (
        Figure("download_bps", _DOWNLOAD, _STEADY, 1e-6),
        Figure("upload_bps", _UPLOAD, _STEADY, 1e-6),
        Figure("ping_p50_ms", Phrase("Ping trung vị", "Ping median"), _P50, 1),
        Figure("jitter_abs_mean_ms", Phrase("Biến động ping", "Ping variation"), _MS, 1),
    ),
    "results_dropped": (
        Figure("count", Phrase("Số kết quả", "Results"), Phrase("đã phải bỏ", "dropped"), 1),
    ),
    "latency": (
        Figure("rtt_p50_ms", Phrase("RTT trung vị", "RTT median"), _P50, 1),
        Figure("rtt_p95_ms", Phrase("RTT p95", "RTT p95"), _MS, 1),
        Figure("loss_ratio", Phrase("Mất gói", "Loss"), _PERCENT, 100),
    ),
    "dns": (
        Figure("rtt_p50_ms", Phrase("Trả lời trung vị", "Answer median"), _P50, 1),
        Figure("uncached_p50_ms", Phrase("Tên chưa có sẵn", "Names not in cache"), _P50, 1),
        Figure("failure_ratio", Phrase("Tỷ lệ lỗi", "Failures"), _PERCENT, 100),
    ),
    "web": (
        Figure("dns_ms", Phrase("DNS", "DNS"), _MS, 1),
        Figure("tcp_ms", Phrase("TCP", "TCP"), _MS, 1),
        Figure("tls_ms", Phrase("TLS", "TLS"), _MS, 1),
        Figure("first_byte_ms", Phrase("Byte đầu tiên", "First byte"), _MS, 1),
        Figure("total_ms", Phrase("Toàn trang", "Whole page"), _MS, 1),
    ),
    "path": (
        _FAULT,
        Figure("gateway_rtt_ms", Phrase("Tới thiết bị mạng", "To the gateway"), _MS, 1),
        Figure("access_rtt_ms", Phrase("Tới nhà mạng", "To the ISP"), _MS, 1),
        Figure("target_rtt_ms", Phrase("Tới đích", "To the target"), _MS, 1),
    ),
    "availability": (
        Figure("availability_ratio", Phrase("Khả dụng", "Available"), _PERCENT, 100),
        Figure("up_minutes", Phrase("Hoạt động", "Up"), _MINUTES, 1),
        Figure("down_minutes", Phrase("Mất kết nối", "Down"), _MINUTES, 1),
        Figure("unknown_minutes", Phrase("Không rõ", "Unknown"), _MINUTES, 1),
    ),
    "outage": (
        _FAULT,
        Figure("down_minutes", Phrase("Mất kết nối", "Down"), _MINUTES, 1),
        Figure("own_lan_minutes", Phrase("Do mạng nội bộ", "Own network"), _MINUTES, 1),
    ),
}

# Fault locations, in words for the office.
FAULTS = {
    FaultLocation.NONE: Phrase("Không có sự cố", "No fault"),
    FaultLocation.OWN_LAN: Phrase("Mạng nội bộ của trụ sở", "The office's own network"),
    FaultLocation.ISP_ACCESS: Phrase(
        "Đường truy nhập của nhà mạng", "The Internet provider's access line"
    ),
    FaultLocation.BEYOND: Phrase(
        "Phía sau đường truy nhập của nhà mạng", "Beyond the provider's access line"
    ),
    FaultLocation.UNDETERMINED: Phrase("Chưa xác định được", "Not determined"),
}

LABELS = {
    "title": Phrase("Chất lượng Internet tại các trạm đo", "Internet quality at the probes"),
    "product": Phrase("Trạm đo chất lượng Internet", "Internet quality probes"),
    "print_at": Phrase("Số liệu lúc", "As of"),
    "skip": Phrase("Tới nội dung chính", "Skip to content"),
    "language": Phrase("Ngôn ngữ", "Language"),
    "summary": Phrase("Tổng quan", "Overview"),
    "probes": Phrase("Trạm đo", "Probes"),
    "probes_online": Phrase("trạm đang kết nối", "probes online"),
    "results_stored": Phrase("kết quả đã lưu", "results stored"),
    "messages_rejected": Phrase("thông điệp MQTT bị từ chối", "messages rejected"),
    "shown_of_all": Phrase("Số kết quả gần nhất được hiển thị:", "Last results shown:"),
    "no_probes": Phrase(
        "Chưa có trạm đo nào gửi kết quả. Trang này tự cập nhật khi có trạm kết nối.",
        "No probe has sent results yet. This page updates itself when one connects.",
    ),
    "commune": Phrase("Mã xã", "Commune code"),
    "group": Phrase("Nhóm", "Group"),
    "probe": Phrase("Trạm", "Probe"),
    "since": Phrase("từ", "since"),
    "last_contact": Phrase("Liên lạc gần nhất", "Last contact"),
    "pending": Phrase("Chờ gửi", "Pending"),
    "pending_unit": Phrase("kết quả", "results"),
    "version": Phrase("Phiên bản", "Version"),
    "signed": Phrase("Chữ ký đã kiểm tra", "Signatures checked"),
    "unknown": Phrase("chưa có", "none yet"),
    "line": Phrase("Đường truyền", "Line"),
    "host_line": Phrase("Bản thân trạm đo", "The probe itself"),
    "no_results": Phrase("Chưa có kết quả đo.", "No results yet."),
    "target": Phrase("Đích đo", "Target"),
    "outcome": Phrase("Kết quả", "Outcome"),
    "measured_at": Phrase("Thời điểm đo", "Measured at"),
    "last_good": Phrase("Lần đo được gần nhất", "Last successful measurement"),
    "remarks": Phrase("Lưu ý", "Remarks"),
    "unreadable": Phrase(
        "Không đọc được: trạm đo dùng phiên bản khác",
        "Unreadable: the probe runs a different version",
    ),
    "live_on": Phrase("Tự cập nhật", "Live"),
    "live_off": Phrase("Mất kết nối, đang nối lại", "Connection lost, reconnecting"),
    "live_at": Phrase("cập nhật lúc", "updated at"),
    "no_script": Phrase(
        "Trang tự tải lại sau mỗi phút vì trình duyệt không chạy JavaScript.",
        "The page reloads every minute because this browser runs no JavaScript.",
    ),
    "method": Phrase("Phương pháp đo", "Method"),
    "method_throughput": Phrase(
        "Tốc độ (TCP) là tải trọng TCP tính tại bên nhận. «Ổn định» không tính giai đoạn khởi "
        "động; «toàn phiên» là tổng số byte chia cho toàn bộ thời gian (cách tính của QCVN "
        "34:2022/BTTTT).",
        "Throughput (TCP) is TCP payload at the receiver. “Steady state” excludes the warm-up; "
        "“whole transfer” is all bytes over the whole duration (as in QCVN 34:2022/BTTTT).",
    ),
    "method_http": Phrase(
        "Tốc độ (HTTP) tính theo nội dung tải qua nhiều kết nối HTTP song song; phép đo dừng sớm "
        "được ghi rõ và không dùng để kết luận về gói cước.",
        "Throughput (HTTP) is content over several parallel HTTP connections; a test that stopped "
        "early is marked and is not used to assess a plan.",
    ),
    "method_latency": Phrase(
        "Độ trễ là thời gian khứ hồi (RTT). Gói mất được tính là vô cùng lớn; phân vị không có "
        "giá trị khi mẫu quá nhỏ. Khi không mất gói nào, «≤» là cận trên 95% của tỷ lệ mất gói.",
        "Latency is the round-trip time (RTT). A lost packet counts as infinite; a percentile "
        "has no value when the sample is too small. With no loss, “≤” is the 95% upper bound.",
    ),
    "method_availability": Phrase(
        "Độ khả dụng = số phút hoạt động / (số phút hoạt động + số phút mất kết nối). Một phút chỉ "
        "tính là mất kết nối khi thiết bị mạng của trụ sở vẫn trả lời mà ít nhất 2 đích đo đều "
        "không trả lời; phút không đủ căn cứ (mất điện, mạng nội bộ hỏng) để riêng là «không rõ».",
        "Availability = minutes up / (up + down). A minute is down only if the office's gateway "
        "answered and none of at least 2 targets did; without enough evidence (no power, a fault "
        "in the office's own network) it is “unknown” and shown separately.",
    ),
    "method_indicative": Phrase(
        "Số liệu để so sánh tham khảo, không thay thế phép đo kiểm theo quy chuẩn.",
        "Figures for indicative comparison; they do not replace a regulatory measurement.",
    ),
    "timezone": Phrase("Múi giờ", "Time zone"),
}

MONTHS_EN = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

PACKETS = Phrase("gói", "packets")

TARGETS = {
    # Targets that have a role in the office instead of a name.
    "gateway": Phrase("Thiết bị mạng trụ sở", "Office gateway"),
}
