"""Floor 1. Labels of reasons and validity flags, for the centre's pages and the probe's commands.

A test checks that each Reason and Validity has a label.
"""

from __future__ import annotations

from runtime.language import Phrase
from wire.record import Reason, Validity

REASONS = {
    Reason.LINE_DOWN: Phrase("đường truyền mất kết nối", "the line is down"),
    Reason.NAME_RESOLUTION: Phrase("không phân giải được tên miền", "the name did not resolve"),
    Reason.UNREACHABLE: Phrase("không có đường tới máy chủ đo", "the target is unreachable"),
    Reason.CONNECTION_REFUSED: Phrase(
        "máy chủ đo từ chối kết nối", "the target refused the connection"
    ),
    Reason.CONNECTION_LOST: Phrase("kết nối đứt giữa chừng", "the connection was lost"),
    Reason.TIMEOUT: Phrase("quá thời gian chờ", "timed out"),
    Reason.NO_REPLY: Phrase("không có phản hồi", "no reply"),
    Reason.PROTOCOL_ERROR: Phrase("phản hồi sai giao thức", "protocol error in the reply"),
    Reason.NAME_NOT_FOUND: Phrase("tên miền không tồn tại", "the name does not exist"),
    Reason.QUERY_REFUSED: Phrase(
        "máy chủ tên miền từ chối trả lời", "the resolver refused to answer"
    ),
    Reason.SERVER_FAILURE: Phrase(
        "máy chủ tên miền báo lỗi", "the resolver reported a server failure"
    ),
    Reason.TLS_ERROR: Phrase(
        "không thiết lập được kết nối an toàn (TLS)", "no secure connection (TLS)"
    ),
    Reason.HTTP_STATUS: Phrase("trang trả về mã lỗi HTTP", "the page answered with an HTTP error"),
    Reason.TOOL_MISSING: Phrase(
        "trạm đo thiếu công cụ đo", "a measurement tool is missing on the probe"
    ),
    Reason.TOOL_FAILED: Phrase("công cụ đo gặp lỗi", "the tool failed"),
    Reason.PERMISSION_DENIED: Phrase("trạm đo thiếu quyền để đo", "the probe lacks permission"),
    Reason.SERVER_BUSY: Phrase("máy chủ đo đang bận", "the server was busy"),
    Reason.SLOT_MISSED: Phrase("đã lỡ giờ đo", "the slot was missed"),
    Reason.CROSS_TRAFFIC: Phrase("đường truyền đang được sử dụng", "the line was in use"),
    Reason.SHUTTING_DOWN: Phrase("trạm đo đang tắt", "the probe was shutting down"),
}

VALIDITIES = {
    Validity.CLOCK_UNSYNCED: Phrase("đồng hồ chưa đồng bộ", "clock not synchronised"),
    Validity.CLOCK_STEPPED: Phrase(
        "đồng hồ bị chỉnh trong lúc đo", "clock stepped during the measurement"
    ),
    Validity.CROSS_TRAFFIC: Phrase(
        "có lưu lượng khác trong lúc đo", "other traffic during the measurement"
    ),
    Validity.EARLY_STOPPED: Phrase("dừng sớm khi tốc độ ổn định", "stopped early, once stable"),
    Validity.LINK_BELOW_PLAN: Phrase("cổng mạng chậm hơn gói cước", "network port below the plan"),
    Validity.PROBE_LIMITED: Phrase("trạm đo đã tới giới hạn", "the probe was the limit"),
    Validity.THROTTLED: Phrase("trạm đo giảm xung (nóng, yếu nguồn)", "the probe was throttled"),
    Validity.SERVER_LOW: Phrase(
        "máy chủ đo cho số thấp hơn các máy chủ khác", "this server reads lower than the others"
    ),
    Validity.SERVER_CONTENTION: Phrase(
        "máy chủ đo phục vụ lượt đo khác cùng lúc", "the server carried another test at the time"
    ),
    Validity.INTERFACE_MISMATCH: Phrase(
        "số đếm của cổng mạng không khớp", "interface counters do not match"
    ),
    Validity.OWN_LAN: Phrase(
        "mạng nội bộ của cơ quan bị gián đoạn trong lúc đo", "the office's own network was down"
    ),
    Validity.CLOCK_REPAIRED: Phrase("giờ đo đã được hiệu chỉnh", "time corrected afterwards"),
    Validity.SIGNATURE_MISMATCH: Phrase("không khớp chữ ký của trạm", "not what the probe signed"),
    Validity.TIME_IN_FUTURE: Phrase("giờ đo ở tương lai", "timestamp in the future"),
    Validity.TIME_ANCIENT: Phrase("giờ đo quá xa trong quá khứ", "timestamp too far in the past"),
    Validity.SHORT: Phrase("đo ngắn hơn quy định", "shorter than required"),
}
