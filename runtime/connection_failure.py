"""Floor 2. Why there is no connection to the broker: one cause, and what to do about it.

The cause is found from what the operating system, TLS and MQTT report (`of_error`,
`of_reason_code`, `of_end`); a refusal by the broker wins over the end that follows it.
"""

from __future__ import annotations

import socket
import ssl
from enum import StrEnum

from msgspec import Struct

from runtime.language import Phrase
from runtime.secret_file import SecretFileError


class FailureCause(StrEnum):
    """The cause of a missing connection: a closed list."""

    CREDENTIALS = "credentials"
    CLIENT_CERTIFICATE = "client_certificate"
    SERVER_CERTIFICATE = "server_certificate"
    NOT_TLS = "not_tls"
    PROTOCOL = "protocol"
    CLOSED = "closed"
    NO_ANSWER = "no_answer"
    REFUSED = "refused"
    NAME_RESOLUTION = "name_resolution"
    UNREACHABLE = "unreachable"
    LOCAL_FILE = "local_file"
    NAME_TAKEN = "name_taken"
    BROKER_BUSY = "broker_busy"
    NOT_ALLOWED = "not_allowed"
    NOT_SUBSCRIBED = "not_subscribed"
    LOST = "lost"


class ConnectionFailure(Struct, frozen=True):
    """A cause and its detail, and at which address where the broker has several.

    What the operating system, TLS or the broker reported is quoted in its own words; `detail_vi` is
    the detail in Vietnamese where it is a sentence of ours.
    """

    cause: FailureCause
    detail: str
    detail_vi: str | None = None
    address: str | None = None

    def sentence(self) -> Phrase:
        """What happened, for a person."""
        what, where = _WHAT[self.cause], f"{self.address}: " if self.address else ""
        return Phrase(
            f"{where}{what.vi} ({self.detail_vi or self.detail})",
            f"{where}{what.en} ({self.detail})",
        )

    def advice(self) -> Phrase:
        """What to do about it."""
        return _ADVICE[self.cause]

    def report(self) -> Phrase:
        """What happened, and what to do about it."""
        what, todo = self.sentence(), self.advice()
        return Phrase(f"{what.vi}: {todo.vi}", f"{what.en}: {todo.en}")

    def __str__(self) -> str:
        return self.sentence().en


_QUOTA_EXCEEDED = 0x97
# MQTT 5, 2.4; those of 3.1.1 are translated by paho.
_REASON_CODES = {
    0x84: FailureCause.PROTOCOL,
    0x85: FailureCause.CREDENTIALS,  # client identifier not valid
    0x86: FailureCause.CREDENTIALS,
    0x87: FailureCause.CREDENTIALS,
    0x88: FailureCause.BROKER_BUSY,
    0x89: FailureCause.BROKER_BUSY,
    0x8A: FailureCause.CREDENTIALS,  # banned
    0x8C: FailureCause.CREDENTIALS,  # bad authentication method
    0x8E: FailureCause.NAME_TAKEN,
    _QUOTA_EXCEEDED: FailureCause.BROKER_BUSY,
    0x9F: FailureCause.BROKER_BUSY,
}


def of_reason_code(value: int, text: str) -> ConnectionFailure:
    """The failure of a CONNACK or DISCONNECT with a reason code."""
    return ConnectionFailure(_REASON_CODES.get(value, FailureCause.LOST), text)


def of_publish_code(value: int, text: str) -> ConnectionFailure:
    """The failure of a PUBACK with a reason code: the connection stands, a message is refused."""
    if value == _QUOTA_EXCEEDED:
        return ConnectionFailure(FailureCause.BROKER_BUSY, text)
    return ConnectionFailure(FailureCause.NOT_ALLOWED, text)


def of_subscribe_code(value: int, text: str) -> ConnectionFailure:
    """The failure of a SUBACK with a reason code: the connection stands, and nothing comes."""
    if value == _QUOTA_EXCEEDED:
        return ConnectionFailure(FailureCause.BROKER_BUSY, text)
    return ConnectionFailure(FailureCause.NOT_SUBSCRIBED, text)


def of_error(error: Exception) -> ConnectionFailure:
    """The failure of a connection that could not be made."""
    if isinstance(error, SecretFileError):
        return ConnectionFailure(FailureCause.LOCAL_FILE, error.sentence.en, error.sentence.vi)
    return ConnectionFailure(_cause_of(error), str(error) or type(error).__name__)


def of_tls_text(text: str) -> ConnectionFailure:
    """The failure behind a TLS error that is only known by its text.

    With TLS 1.3 a server rejects a certificate after the handshake, and a client sees an alert
    (RFC 8446, 6) on the first read.
    """
    upper = text.upper()
    if "ALERT" in upper:
        return ConnectionFailure(FailureCause.CLIENT_CERTIFICATE, text)
    if "WRONG_VERSION" in upper or "RECORD_LAYER" in upper or "PACKET_LENGTH" in upper:
        return ConnectionFailure(FailureCause.NOT_TLS, text)
    return ConnectionFailure(FailureCause.LOST, text)


def of_log(text: str, *, answered: bool) -> ConnectionFailure:
    """The failure behind an error that the MQTT library logged."""
    failure = of_tls_text(text)
    if failure.cause is FailureCause.LOST:
        return of_end(answered=answered, text=text)
    return failure


def of_end(*, answered: bool, text: str | None = None) -> ConnectionFailure:
    """The failure of a connection that ended without a word; `answered`: after its CONNACK."""
    cause = FailureCause.LOST if answered else FailureCause.CLOSED
    if text is None:
        return ConnectionFailure(cause, "the connection ended", "kết nối đã chấm dứt")
    return ConnectionFailure(cause, text)


def of_silence(wait_s: float, packet: str = "CONNACK") -> ConnectionFailure:
    """The failure of a connection on which no CONNACK (or SUBACK) came in time."""
    return ConnectionFailure(
        FailureCause.NO_ANSWER,
        f"no {packet} within {wait_s:g} s",
        f"không có {packet} trong {wait_s:g} giây",
    )


def of_takeovers(count: int, lasted_s: float) -> ConnectionFailure:
    """The failure of connections that end one after another, each soon after it was accepted."""
    return ConnectionFailure(
        FailureCause.NAME_TAKEN,
        f"{count} connections in a row ended after {lasted_s:.0f} s or so",
        f"{count} kết nối liên tiếp bị ngắt sau khoảng {lasted_s:.0f} giây",
    )


def _cause_of(error: Exception) -> FailureCause:
    match error:
        case ssl.SSLCertVerificationError():
            return FailureCause.SERVER_CERTIFICATE
        case ssl.SSLEOFError() | ssl.SSLZeroReturnError() | ConnectionResetError():
            return FailureCause.CLOSED
        case TimeoutError():
            return FailureCause.NO_ANSWER
        case ssl.SSLError():
            cause = of_tls_text(error.reason or str(error)).cause
            return FailureCause.NOT_TLS if cause is FailureCause.LOST else cause
        case socket.gaierror():
            return FailureCause.NAME_RESOLUTION
        case ConnectionRefusedError():
            return FailureCause.REFUSED
        case FileNotFoundError() | PermissionError() | IsADirectoryError():
            return FailureCause.LOCAL_FILE
        case OSError():
            return FailureCause.UNREACHABLE
        case _:
            return FailureCause.LOCAL_FILE  # a file that others can read, or that is no key


_WHAT = {
    FailureCause.CREDENTIALS: Phrase(
        "máy chủ nhận tin từ chối tên hoặc mật khẩu", "the broker refused the name or the password"
    ),
    FailureCause.CLIENT_CERTIFICATE: Phrase(
        "máy chủ nhận tin từ chối chứng thư của bên này", "the broker refused our certificate"
    ),
    FailureCause.SERVER_CERTIFICATE: Phrase(
        "không xác minh được chứng thư của máy chủ nhận tin",
        "the broker's certificate is not valid for us",
    ),
    FailureCause.NOT_TLS: Phrase("cổng này không dùng TLS", "the port does not speak TLS"),
    FailureCause.PROTOCOL: Phrase(
        "máy chủ nhận tin không hỗ trợ phiên bản MQTT này",
        "the broker does not speak this version of MQTT",
    ),
    FailureCause.CLOSED: Phrase(
        "máy chủ ngắt kết nối mà không trả lời", "the broker closed the connection without a word"
    ),
    FailureCause.NO_ANSWER: Phrase("không có trả lời trong thời gian chờ", "no answer in time"),
    FailureCause.REFUSED: Phrase(
        "không có chương trình nào nhận kết nối", "nothing accepts the connection"
    ),
    FailureCause.NAME_RESOLUTION: Phrase(
        "không phân giải được tên miền", "the name does not resolve"
    ),
    FailureCause.UNREACHABLE: Phrase("không có đường tới máy chủ", "there is no way to the broker"),
    FailureCause.LOCAL_FILE: Phrase(
        "không dùng được tệp khóa, chứng thư hoặc mật khẩu",
        "a key, certificate or password file cannot be used",
    ),
    FailureCause.NAME_TAKEN: Phrase(
        "có vẻ một thiết bị khác đang dùng cùng tên này",
        "another box or program seems to use this name",
    ),
    FailureCause.BROKER_BUSY: Phrase(
        "máy chủ nhận tin quá tải hoặc đang đóng", "the broker is overloaded or shuts down"
    ),
    FailureCause.NOT_ALLOWED: Phrase(
        "máy chủ nhận tin không cho phép gửi vào chủ đề này", "the broker does not allow this topic"
    ),
    FailureCause.NOT_SUBSCRIBED: Phrase(
        "máy chủ nhận tin từ chối gửi tin về", "the broker refused a subscription"
    ),
    FailureCause.LOST: Phrase("kết nối bị ngắt", "the connection was lost"),
}
_ADVICE = {
    FailureCause.CREDENTIALS: Phrase(
        "kiểm tra `broker.username`, `broker.password_file`; tên phải đúng là tên trạm này; cổng "
        "`broker.port` phải đúng loại (8883 chứng thư, 8884 mật khẩu)",
        "see `broker.username` and `broker.password_file`; the name must be this probe's; "
        "`broker.port` must fit (8883 for a certificate, 8884 for a password)",
    ),
    FailureCause.CLIENT_CERTIFICATE: Phrase(
        "cấp lại chứng thư (docs/security.md, A probe's key); tên trong chứng thư phải đúng là tên "
        "trạm này, đồng hồ phải đúng; nếu dùng mật khẩu thì cổng `broker.port` là 8884",
        "renew it (docs/security.md, A probe's key); its name must be this probe's, and the clock "
        "right; with a password, `broker.port` is 8884",
    ),
    FailureCause.SERVER_CERTIFICATE: Phrase(
        "`broker.ca_file` là của bộ ký khác, `broker.host` (`addresses`) không đúng tên trong "
        "chứng thư, chứng thư máy chủ hết hạn, hoặc đồng hồ hệ thống sai",
        "`broker.ca_file` is another authority's, `broker.host` (`addresses`) is not its name, it "
        "has ended, or the clock is wrong",
    ),
    FailureCause.NOT_TLS: Phrase(
        "kiểm tra `broker.port`; cổng không TLS cần `broker.tls = false`",
        "see `broker.port`; a plain port needs `broker.tls = false`",
    ),
    FailureCause.PROTOCOL: Phrase(
        "đặt `broker.protocol = 311` (MQTT 3.1.1)", "set `broker.protocol = 311` (MQTT 3.1.1)"
    ),
    FailureCause.CLOSED: Phrase(
        "thử `broker.protocol = 311`; cổng TLS cần `broker.tls = true`; hoặc máy chủ nhận tin đã "
        "đủ số kết nối (`max_connections`): xem nhật ký của nó",
        "try `broker.protocol = 311`; a TLS port needs `broker.tls = true`; or the broker has as "
        "many connections as it takes (`max_connections`): see its log",
    ),
    FailureCause.NO_ANSWER: Phrase(
        "kiểm tra `broker.port` và tường lửa; cách khác là `transport` qua cổng 443",
        "see `broker.port` and firewalls; `transport` and port 443 are the other way",
    ),
    FailureCause.REFUSED: Phrase(
        "kiểm tra `broker.host` (`addresses`), `broker.port` và máy chủ nhận tin có đang chạy "
        "không",
        "see `broker.host` (`addresses`), `broker.port`, and whether the broker runs",
    ),
    FailureCause.NAME_RESOLUTION: Phrase(
        "kiểm tra DNS (`resolvectl`) và `broker.host` (`addresses`)",
        "see the resolver (`resolvectl`), and `broker.host` (`addresses`)",
    ),
    FailureCause.UNREACHABLE: Phrase(
        "kiểm tra mạng có cho cổng này đi ra không; cách khác là `transport` qua cổng 443",
        "see whether the network lets the port out; `transport` and port 443 are the other way",
    ),
    FailureCause.LOCAL_FILE: Phrase(
        "đặt tệp đúng chỗ và chỉ cho tài khoản này đọc",
        "put the file there, and let only this user read it",
    ),
    FailureCause.NAME_TAKEN: Phrase(
        "tìm thiết bị thứ hai (thẻ nhớ sao chép?) và tắt nó, hoặc cấp cho nó tên và chứng thư "
        "riêng",
        "find the second box (a cloned card?) and switch it off, or give it a name of its own",
    ),
    FailureCause.BROKER_BUSY: Phrase(
        "chờ; nếu kéo dài thì xem nhật ký và giới hạn của máy chủ nhận tin",
        "wait; if it lasts, see the broker's log and limits",
    ),
    FailureCause.NOT_ALLOWED: Phrase(
        "kiểm tra quyền của trạm trên máy chủ nhận tin (docs/security.md)",
        "see the probe's rights at the broker (docs/security.md)",
    ),
    FailureCause.NOT_SUBSCRIBED: Phrase(
        "chờ, chương trình tự đăng ký lại; nếu kéo dài thì xem quyền trên máy chủ nhận tin "
        "(docs/security.md) và nhật ký của nó",
        "wait, it is asked for again; if it lasts, see the rights at the broker "
        "(docs/security.md) and its log",
    ),
    FailureCause.LOST: Phrase("chờ; trạm tự kết nối lại", "wait; it connects again by itself"),
}
