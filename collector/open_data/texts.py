"""Floor 1. What the columns of open data mean, in Vietnamese and English, by the field's name.

The rules behind them have numbers in docs/method.md. A unit is the end of a column's name.
"""

from __future__ import annotations

from runtime.language import Phrase

KINDS = {
    "throughput": Phrase(
        "Tốc độ TCP theo iperf3, hai chiều", "TCP throughput by iperf3, both ways"
    ),
    "http": Phrase("Ping, tải xuống và tải lên qua HTTP", "Ping, download and upload over HTTP"),
    "latency": Phrase(
        "Độ trễ, biến động và mất gói trong một cửa sổ đo (STAMP hoặc ICMP)",
        "Round-trip time, its variation and loss in one window (STAMP or ICMP)",
    ),
    "dns": Phrase("Phân giải tên miền qua một máy chủ DNS", "Name resolution by one DNS resolver"),
    "web": Phrase("Tải một trang web, theo từng bước", "One web page fetched, by phase"),
    "availability": Phrase(
        "Số phút hoạt động, mất kết nối và không rõ của đường truyền",
        "A line's minutes up, down and unknown",
    ),
    "outage": Phrase("Các lần mất kết nối của đường truyền", "A line's outages"),
    "lines": Phrase(
        "Các đường truyền có kết quả trong tháng, theo danh mục lúc công bố",
        "The lines that have results in the month, by the registry as of publication",
    ),
}
# What stands before the meaning of a field of one direction of a transfer.
PARTS = {"download": Phrase("Tải xuống: ", "Download: "), "upload": Phrase("Tải lên: ", "Upload: ")}

_RTT = ("của các gói có trả lời", "of the packets that were answered")
_LOADED = "trong lúc đường truyền đang tải dữ liệu"
MEANINGS = {
    # Of every kind
    "line": Phrase(
        "Mã của đường truyền, không đổi qua các tháng; không phải tên. Nối với tệp lines.csv",
        "The line's identifier, the same in every month; not its name. Joins lines.csv",
    ),
    "commune_code": Phrase(
        "Mã xã theo danh mục hành chính; là chữ, giữ số 0 ở đầu",
        "Commune code of the official list; a text, with its leading zero",
    ),
    "isp": Phrase("Nhà mạng theo danh mục của trung tâm", "ISP by the centre's registry"),
    "started_at": Phrase("Lúc bắt đầu đo (UTC)", "When the measurement began (UTC)"),
    "duration_s": Phrase("Thời gian đo", "How long it took"),
    "slot_at": Phrase(
        "Thời điểm theo lịch đo (UTC); trống nếu có người yêu cầu đo, hoặc loại đo không theo lịch",
        "Its slot in the timetable (UTC); empty where somebody asked for it, or there are no slots",
    ),
    "family": Phrase("Họ địa chỉ được đo", "The address family that was measured"),
    "target": Phrase(
        "Loại đích và mã của đích, không phải tên hay địa chỉ; `icmp:gateway` là thiết bị mạng của "
        "trụ sở",
        "Kind and identifier of the target, no name or address; `icmp:gateway` is the office's "
        "router",
    ),
    "outcome": Phrase(
        "Kết cục: đo được, không được, hoặc không đo", "How it ended: ok, failed or skipped"
    ),
    "reason": Phrase("Vì sao không đo được hoặc không đo", "Why it failed or was skipped"),
    "validity": Phrase(
        "Các cờ hạn chế việc dùng kết quả, cách nhau bằng dấu cách",
        "Flags that limit its use, separated by blanks",
    ),
    "in_figures": Phrase(
        "Có trong các giá trị trung bình và phân vị của trung tâm hay không",
        "Whether the centre's means and percentiles have it",
    ),
    "signature": Phrase(
        "Chữ ký của trạm đo trên kết quả đã được kiểm tra ra sao",
        "What came of checking the probe's signature of it",
    ),
    "nat": Phrase(
        "Địa chỉ của đường truyền được chuyển đổi ra sao (RFC 3022, RFC 6888)",
        "What translates the line's addresses (RFC 3022, RFC 6888)",
    ),
    "clock_synchronised": Phrase(
        "Đồng hồ của trạm đo có được đồng bộ không", "Whether the probe's clock was synchronised"
    ),
    "method_tool": Phrase("Chương trình đo", "The measuring program"),
    "method_version": Phrase("Phiên bản của chương trình đo", "Its version"),
    "method_settings": Phrase(
        "Các tham số bằng số của phép đo (JSON)", "Its numeric settings in effect (JSON)"
    ),
    "probe_version": Phrase("Phiên bản phần mềm của trạm đo", "The probe's software version"),
    # throughput, http
    "layer": Phrase("Tốc độ là của lớp nào", "What the rates count"),
    "streams": Phrase("Số luồng TCP song song", "Parallel TCP streams"),
    "warm_up_s": Phrase(
        "Thời gian khởi động không tính vào tốc độ ổn định", "Warm-up that steady rates leave out"
    ),
    "download_bps": Phrase(
        "Tốc độ tải xuống ổn định, không tính khởi động", "Download, steady part without warm-up"
    ),
    "download_whole_bps": Phrase(
        "Tốc độ tải xuống toàn phiên (QCVN 34:2022/BTTTT)",
        "Download, all bytes over the whole time (QCVN 34:2022/BTTTT)",
    ),
    "upload_bps": Phrase(
        "Tốc độ tải lên ổn định, không tính khởi động", "Upload, steady part without warm-up"
    ),
    "upload_whole_bps": Phrase(
        "Tốc độ tải lên toàn phiên (QCVN 34:2022/BTTTT)",
        "Upload, all bytes over the whole time (QCVN 34:2022/BTTTT)",
    ),
    "steady_bps": Phrase("tốc độ ổn định", "rate of the steady part"),
    "steady_s": Phrase("thời gian của phần ổn định", "length of the steady part"),
    "whole_s": Phrase("thời gian toàn phiên", "length of the whole transfer"),
    "transferred_bytes": Phrase("số byte tải trọng tại bên nhận", "payload at the receiver"),
    "interface_bytes": Phrase(
        "số byte qua cổng mạng trong lúc đó", "bytes of the interface meanwhile"
    ),
    "retransmits": Phrase("số gói TCP gửi lại", "TCP segments sent again"),
    "congestion_control_sender": Phrase(
        "thuật toán điều khiển nghẽn của bên gửi", "congestion control of the sender"
    ),
    "congestion_control_receiver": Phrase(
        "thuật toán điều khiển nghẽn của bên nhận", "congestion control of the receiver"
    ),
    "cpu_local_ratio": Phrase("tải CPU của trạm đo", "CPU load of the probe"),
    "cpu_remote_ratio": Phrase("tải CPU của máy chủ đo", "CPU load of the server"),
    "complete": Phrase("có đến hết hay không", "whether it went to its end"),
    "receiver_report_bytes": Phrase(
        "số byte do iperf3 bên nhận tự đếm", "bytes as the receiving iperf3 counted them"
    ),
    "receiver_report_s": Phrase(
        "thời gian do iperf3 bên nhận tự đo", "time as the receiving iperf3 measured it"
    ),
    "rtt_loaded_download_p50_ms": Phrase(
        f"RTT trung vị {_LOADED} (tải xuống)", "Median RTT while the line was filled (download)"
    ),
    "rtt_loaded_download_p95_ms": Phrase(
        f"RTT p95 {_LOADED} (tải xuống)", "RTT p95 while the line was filled (download)"
    ),
    "loss_loaded_download_ratio": Phrase(
        f"Tỷ lệ mất gói {_LOADED} (tải xuống)", "Loss while the line was filled (download)"
    ),
    "rtt_loaded_upload_p50_ms": Phrase(
        f"RTT trung vị {_LOADED} (tải lên)", "Median RTT while the line was filled (upload)"
    ),
    "rtt_loaded_upload_p95_ms": Phrase(
        f"RTT p95 {_LOADED} (tải lên)", "RTT p95 while the line was filled (upload)"
    ),
    "loss_loaded_upload_ratio": Phrase(
        f"Tỷ lệ mất gói {_LOADED} (tải lên)", "Loss while the line was filled (upload)"
    ),
    "connections": Phrase("số kết nối HTTP song song", "parallel HTTP connections"),
    "calibration": Phrase(
        "Phép đo chạy đủ thời gian để kiểm tra quy tắc dừng sớm",
        "Run at full length, to measure the stop rule's error",
    ),
    "pings": Phrase("Số lần ping qua HTTP", "HTTP pings"),
    "ping_min_ms": Phrase("Ping nhỏ nhất", "Least ping"),
    "ping_p50_ms": Phrase("Ping trung vị", "Median ping"),
    "jitter_abs_mean_ms": Phrase(
        "Trung bình chênh lệch tuyệt đối giữa hai ping liền nhau",
        "Mean absolute difference of neighbouring pings",
    ),
    "jitter_std_ms": Phrase("Độ lệch chuẩn của ping", "Standard deviation of pings"),
    "connections_lost": Phrase("số kết nối bị mất", "connections that were lost"),
    "early_stopped": Phrase("có dừng sớm không", "whether it was stopped early"),
    "early_bps": Phrase("tốc độ ước lượng của quy tắc dừng sớm", "estimate of the stop rule"),
    "early_at_s": Phrase("lúc có ước lượng đó", "when that estimate was made"),
    "early_bytes": Phrase("số byte đến lúc đó", "bytes until then"),
    "tcp_bytes": Phrase(
        "số byte TCP của chính phép đo, cả tiêu đề và gửi lại",
        "TCP bytes of the test's own connections, headers and retransmissions included",
    ),
    # latency
    "protocol": Phrase("Giao thức", "Protocol"),
    "timeout_s": Phrase("Chờ trả lời tối đa", "How long an answer was waited for"),
    "mean_gap_s": Phrase("Khoảng cách trung bình giữa các gói", "Mean gap between packets"),
    "sent": Phrase("Số gói đã gửi", "Packets sent"),
    "received": Phrase("Số gói có trả lời kịp", "Packets answered in time"),
    "lost": Phrase("Số gói mất", "Packets lost"),
    "late": Phrase("Số gói đến muộn; cũng tính là mất", "Packets that came late; lost too"),
    "duplicates": Phrase("Số trả lời lặp", "Duplicate answers"),
    "reordered": Phrase("Số trả lời sai thứ tự", "Answers out of order"),
    "malformed": Phrase("Số trả lời sai dạng", "Malformed answers"),
    "forged": Phrase(
        "Số trả lời có địa chỉ hoặc phiên không đúng", "Answers of a wrong address or session"
    ),
    "loss_ratio": Phrase("Tỷ lệ mất gói", "Lost over sent"),
    "loss_ratio_upper95": Phrase(
        "Cận trên 95% của tỷ lệ mất gói khi không mất gói nào",
        "Upper 95 % bound of the loss where none was lost",
    ),
    "rtt_min_ms": Phrase(f"RTT nhỏ nhất {_RTT[0]}", f"Least RTT {_RTT[1]}"),
    "rtt_mean_ms": Phrase(f"RTT trung bình {_RTT[0]}", f"Mean RTT {_RTT[1]}"),
    "rtt_p50_ms": Phrase(
        "RTT trung vị; gói mất là vô cùng lớn", "Median RTT; a lost packet is +infinity"
    ),
    "rtt_p95_ms": Phrase(
        "RTT p95; trống nếu dưới 59 gói", "RTT p95; empty with less than 59 packets"
    ),
    "rtt_p99_ms": Phrase(
        "RTT p99; trống nếu dưới 299 gói", "RTT p99; empty with less than 299 packets"
    ),
    "rtt_max_ms": Phrase(f"RTT lớn nhất {_RTT[0]}", f"Greatest RTT {_RTT[1]}"),
    "ipdv_abs_mean_ms": Phrase(
        "Trung bình giá trị tuyệt đối của IPDV (RFC 3393)", "Mean absolute IPDV (RFC 3393)"
    ),
    "pdv_ms": Phrase("Biến động trễ theo pdv_name (RFC 5481)", "PDV as pdv_name says (RFC 5481)"),
    "pdv_name": Phrase("Cách tính pdv_ms", "How pdv_ms is computed"),
    "jitter_rfc3550_ms": Phrase("Jitter theo RFC 3550", "Jitter of RFC 3550"),
    "timestamp_source": Phrase("Nguồn của dấu thời gian", "Where timestamps are taken"),
    "rtt_samples": Phrase("Số gói có RTT", "Packets with a round-trip time"),
    "altered_timestamps": Phrase(
        "Số trả lời có dấu thời gian bị làm tròn", "Answers whose timestamp was rounded on the way"
    ),
    # dns
    "role": Phrase(
        "Máy chủ DNS của đường truyền hay công cộng", "The line's own resolver or a public one"
    ),
    "answered": Phrase("Số câu hỏi có trả lời", "Queries answered"),
    "not_found": Phrase("Số tên không có", "Names that were not found"),
    "refused": Phrase("Số lần bị từ chối", "Queries refused"),
    "server_failures": Phrase("Số lần máy chủ lỗi", "Server failures"),
    "timeouts": Phrase("Số lần hết giờ", "Queries that timed out"),
    "unreachable": Phrase("Số lần không tới được", "Queries that could not be sent"),
    "truncated": Phrase("Số trả lời phải hỏi lại qua TCP", "Answers asked again over TCP"),
    "failure_ratio": Phrase("Tỷ lệ không có trả lời", "Share that was not answered"),
    "uncached_p50_ms": Phrase(
        "Trung vị với tên chưa có trong bộ nhớ đệm", "Median of names that are in no cache"
    ),
    # web
    "status": Phrase("Mã trạng thái HTTP", "HTTP status"),
    "http_version": Phrase("Phiên bản HTTP", "HTTP version"),
    "tls_version": Phrase("Phiên bản TLS", "TLS version"),
    "redirects": Phrase("Số lần chuyển hướng", "Redirects before the page"),
    "redirect_ms": Phrase("Thời gian chuyển hướng", "Time of the redirects"),
    "dns_ms": Phrase("Phân giải tên", "Name resolution"),
    "tcp_ms": Phrase(
        "Kết nối TCP, như trình duyệt (RFC 8305)", "TCP connection, as a browser has it (RFC 8305)"
    ),
    "tls_ms": Phrase("Bắt tay TLS", "TLS handshake"),
    "first_byte_ms": Phrase("Từ yêu cầu đến byte đầu tiên", "From the request to the first byte"),
    "body_ms": Phrase("Tải nội dung", "The body"),
    "total_ms": Phrase("Toàn trang", "The whole page"),
    "body_bytes": Phrase("Số byte nội dung đã truyền", "Bytes of the body as transferred"),
    "failed_phase": Phrase("Bước bị lỗi", "The phase that failed"),
    "tcp_ipv4_ms": Phrase("Kết nối TCP qua IPv4", "TCP connection over IPv4"),
    "tcp_ipv6_ms": Phrase("Kết nối TCP qua IPv6", "TCP connection over IPv6"),
    # availability, outage
    "up_minutes": Phrase("Số phút hoạt động", "Minutes up"),
    "down_minutes": Phrase("Số phút mất kết nối", "Minutes down"),
    "unknown_minutes": Phrase("Số phút không rõ", "Minutes of unknown state"),
    "availability_ratio": Phrase(
        "Hoạt động / (hoạt động + mất kết nối)", "Minutes up over minutes up and down"
    ),
    "unknown_probe_off": Phrase("Số phút không rõ: trạm đo tắt", "Minutes unknown: probe off"),
    "unknown_not_running": Phrase(
        "Số phút không rõ: phần mềm không chạy", "Minutes unknown: the daemon did not run"
    ),
    "unknown_clock": Phrase("Số phút không rõ: đồng hồ nhảy", "Minutes unknown: the clock jumped"),
    "unknown_own_lan": Phrase(
        "Số phút không rõ: mạng nội bộ của trụ sở", "Minutes unknown: the office's own network"
    ),
    "unknown_evidence": Phrase(
        "Số phút không rõ: đo được quá ít", "Minutes unknown: too little was measured"
    ),
    "ipv4_down_minutes": Phrase("Số phút IPv4 không trả lời", "Minutes without answer over IPv4"),
    "ipv6_down_minutes": Phrase("Số phút IPv6 không trả lời", "Minutes without answer over IPv6"),
    "began_at": Phrase("Lúc mất kết nối (UTC, đến phút)", "When it began (UTC, to the minute)"),
    "ended_at": Phrase("Lúc có lại (UTC, đến phút)", "When it ended (UTC, to the minute)"),
    "ended_by": Phrase("Kết thúc bằng gì", "What ended it"),
    "own_lan_minutes": Phrase(
        "Số phút do mạng nội bộ của trụ sở", "Minutes due to the office's own network"
    ),
    "fault": Phrase("Vị trí sự cố", "Where the fault is"),
    "path_measurements": Phrase(
        "Số lần đo đường đi làm căn cứ", "Path measurements that it rests on"
    ),
    # lines
    "province_code": Phrase("Mã tỉnh; là chữ", "Province code; a text"),
    "province": Phrase("Tỉnh, thành phố", "Province"),
    "commune": Phrase("Xã, phường", "Commune"),
    "latitude": Phrase("Vĩ độ của xã (WGS 84)", "Latitude of the commune (WGS 84)"),
    "longitude": Phrase("Kinh độ của xã (WGS 84)", "Longitude of the commune (WGS 84)"),
    "plan_down_bps": Phrase("Tốc độ tải xuống công bố", "Declared download speed"),
    "plan_up_bps": Phrase("Tốc độ tải lên công bố", "Declared upload speed"),
    "results": Phrase("Số kết quả trong tháng", "Results in the month"),
}
# Where a kind means something else by a field of this name.
OF_KIND = {
    ("dns", "sent"): Phrase("Số câu hỏi đã gửi", "Queries sent"),
    ("dns", "forged"): Phrase(
        "Số trả lời có địa chỉ, số hiệu hoặc câu hỏi không đúng",
        "Answers of a wrong address, number or question",
    ),
    ("dns", "malformed"): Phrase(
        "Số câu hỏi chỉ nhận được gói sai dạng", "Queries that got only malformed packets"
    ),
    ("dns", "rtt_p50_ms"): Phrase(
        "Trung vị với các tên trong danh sách", "Median of the listed names"
    ),
    ("dns", "rtt_p95_ms"): Phrase("p95 với các tên trong danh sách", "p95 of the listed names"),
    ("dns", "rtt_min_ms"): Phrase("Trả lời nhanh nhất", "Quickest answer"),
    ("dns", "rtt_max_ms"): Phrase("Trả lời chậm nhất", "Slowest answer"),
    ("web", "complete"): Phrase("Nội dung có đủ không", "Whether the body came whole"),
}
UNITS = {
    "_bps": "bit/s", "_ms": "ms", "_ratio": "1", "_s": "s", "_bytes": "byte", "_minutes": "min",
}  # fmt: skip


def unit(name: str) -> str | None:
    """The unit of a column, by the end of its name; None for counts and what is no number."""
    return next((text for end, text in UNITS.items() if name.endswith(end)), None)


def meaning(kind: str, field: str, part: str = "") -> Phrase:
    """What a column is. Raises KeyError: it has no description."""
    found = OF_KIND.get((kind, field)) or MEANINGS[field]
    if not part:
        return found
    before = PARTS[part]
    return Phrase(before.vi + found.vi, before.en + found.en)
