"""Floor 2. Network checks of the doctor: each line, each server over each line, the broker.

Only connects: an iperf3 server sees a connection that ends, a broker a TLS handshake. An MQTT
session would take over the daemon's own, which has the same client identifier.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime

from probe import clock
from probe.config import Config, LineConfig, ServerConfig
from probe.doctor.check import CheckResult, bad, certificate, good, unknown
from probe.measure import gateway
from probe.measure.failure import Failure
from probe.measure.latency.line_socket import LineSocketError, line_fault
from probe.measure.line_stream import connect
from probe.measure.lookup import Address, Lookup
from runtime import secret_file
from runtime.broker import BrokerConfig
from runtime.language import Phrase
from wire.result import Reason

_WAIT_S = 5.0
# With TLS 1.3 a broker rejects the client's certificate only after the handshake.
_SECOND_THOUGHT_S = 1.0
_BROKER = Phrase("máy chủ nhận tin (MQTT)", "broker")


def lines(config: Config) -> Iterator[CheckResult]:
    """Check each line's interface, address and gateway."""
    for line in config.lines:
        part = Phrase(f"đường truyền {line.id}", f"line {line.id}")
        lack = line_fault(line)
        if lack is not None:
            yield bad(part, lack, _PLUG_IN)
            continue
        way = " ".join(filter(None, [line.interface, line.source_address]))
        seen = Phrase(f"{way} hoạt động", f"{way} is up")
        if (via := gateway.of_line(line)) is not None:
            seen = Phrase(f"{seen.vi}, gateway {via}", f"{seen.en}, gateway {via}")
        yield good(part, seen)


_PLUG_IN = Phrase(
    "cắm dây mạng, hoặc sửa `interface` và `source_address`; xem `ip address`",
    "plug in the cable, or mend `interface` and `source_address`; see `ip address`",
)


def servers(config: Config) -> Iterator[CheckResult]:
    """Check each server over each line, which proves its route."""
    for line in config.lines:
        if line_fault(line) is None:
            for server in config.servers:
                yield _server(line, server)


def _server(line: LineConfig, server: ServerConfig) -> CheckResult:
    part = Phrase(f"{server.name} qua {line.id}", f"{server.name} by {line.id}")
    lookup = Lookup(server.host, server.iperf3_ports[0], line.source_address)
    deadline_s, pause = clock.monotonic_s() + _WAIT_S, threading.Event()
    lookup.refresh()
    while lookup.address is None and clock.monotonic_s() < deadline_s:
        pause.wait(0.05)
    if lookup.address is None:
        sentence = lookup.failure.sentence if lookup.failure else "no address"
        seen = Phrase(f"không phân giải được tên miền {server.host}", sentence)
        return bad(part, seen, _SEE_RESOLVER)
    refused = []
    for port in server.iperf3_ports:
        address = lookup.address._replace(port=port)
        began_s = clock.monotonic_s()
        try:
            connect(line, address, began_s + _WAIT_S).close()
        except LineSocketError as error:
            refused.append(_refusal(address, error.failure))
        else:
            took_ms = (clock.monotonic_s() - began_s) * 1e3
            taken = Phrase(
                f"iperf3 ở {address.ip} cổng {port} nhận kết nối ({took_ms:.0f} ms)",
                f"iperf3 on {address.ip} port {port} takes us ({took_ms:.0f} ms)",
            )
            return good(part, taken)
    seen = Phrase("; ".join(one.vi for one in refused), " ".join(one.en for one in refused))
    return bad(part, seen, _SEE_ROUTE)


_SEE_RESOLVER = Phrase(
    "kiểm tra DNS của đường truyền (`resolvectl`) và `servers.host`",
    "see the line's resolver (`resolvectl`), and `servers.host`",
)
_SEE_ROUTE = Phrase(
    "kiểm tra bảng định tuyến của đường truyền (`ip rule`, `ip route`), iperf3 và tường lửa của "
    "máy chủ đo",
    "see the line's route (`ip rule`, `ip route`), the server's iperf3 and its firewall",
)
_REFUSALS_VI = {
    Reason.TIMEOUT: "không trả lời trong thời gian chờ",
    Reason.CONNECTION_REFUSED: "không có chương trình nào nhận kết nối",
    Reason.CONNECTION_LOST: "kết nối bị cắt",
    Reason.UNREACHABLE: "không có đường đi tới",
    Reason.LINE_DOWN: "đường truyền mất kết nối",
    Reason.PERMISSION_DENIED: "hệ điều hành không cho phép kết nối",
}


def _refusal(address: Address, failure: Failure) -> Phrase:
    vi = _REFUSALS_VI.get(failure.reason, failure.sentence)
    return Phrase(f"{address.ip} cổng {address.port}: {vi}", failure.sentence)


def broker(config: BrokerConfig, now: datetime) -> Iterator[CheckResult]:
    """Check that the broker is reached and accepts our certificate, and the end of its own."""
    where = Phrase(f"{config.host} cổng {config.port}", f"{config.host} port {config.port}")
    if config.proxy is not None:
        seen = Phrase(
            f"{where.vi} qua proxy: `tramdo-probe status` cho biết có kết nối được không",
            f"{where.en} by a proxy: `tramdo-probe status` tells whether it is reached",
        )
        yield unknown(_BROKER, seen)
        return
    try:
        with socket.create_connection((config.host, config.port), _WAIT_S) as plain:
            if not config.tls:
                seen = Phrase(
                    f"{where.vi} nhận kết nối, không dùng TLS", f"{where.en} listens, without TLS"
                )
                yield good(_BROKER, seen)
                return
            with _context(config).wrap_socket(plain, server_hostname=config.host) as secured:
                refusal = _second_thought(secured)
                ends_at = _end_of(secured)
                version = secured.version()
    except (OSError, ValueError) as error:
        seen = Phrase(f"{where.vi}: {_cause_vi(error)}", f"{where.en}: {error}")
        yield bad(_BROKER, seen, _todo(error))
        return
    if refusal is not None:
        seen = Phrase(
            f"{where.vi} từ chối chứng thư của trạm ({refusal})",
            f"{where.en} refuses our certificate: {refusal}",
        )
        yield bad(_BROKER, seen, _RENEW)
    else:
        seen = Phrase(f"{where.vi} kết nối được, {version}", f"{where.en} is reached, {version}")
        yield good(_BROKER, seen)
    its = Phrase("chứng thư máy chủ nhận tin", "broker's certificate")
    yield certificate(its, ends_at, now, _CONTACT_CENTRE)


_CONTACT_CENTRE = Phrase(
    "báo trung tâm cấp lại chứng thư máy chủ (`tramdo-authority server-cert`)",
    "tell the centre: `server-cert` anew",
)
_RENEW = Phrase(
    "cấp lại chứng thư (docs/security.md, A probe's key); tên trong chứng thư phải đúng là tên "
    "trạm này",
    "renew it (docs/security.md, A probe's key), and see that its name is this probe's",
)


def _cause_vi(error: Exception) -> str:
    # Other errors are quoted, so that they can be looked up.
    match error:
        case ssl.SSLCertVerificationError():
            return f"không xác minh được chứng thư của máy chủ ({error.verify_message})"
        case ssl.SSLError():
            return f"không thiết lập được kết nối TLS ({error.reason or error})"
        case socket.gaierror():
            return "không phân giải được tên miền"
        case TimeoutError():
            return "không trả lời trong thời gian chờ"
        case ConnectionRefusedError():
            return "từ chối kết nối"
        case PermissionError() | FileNotFoundError():
            return f"không dùng được tệp khóa hoặc chứng thư ({error})"
        case _:
            return f"không kết nối được ({error})"


def _todo(error: Exception) -> Phrase:
    match error:
        case ssl.SSLCertVerificationError():
            return Phrase(
                "`broker.ca_file` là của bộ ký khác, `broker.host` không đúng tên trong chứng thư, "
                "hoặc đồng hồ hệ thống sai",
                "`broker.ca_file` is another authority's, `broker.host` is not its name, "
                "or the clock is wrong",
            )
        case ssl.SSLError():
            return _RENEW
        case socket.gaierror():
            return Phrase(
                "kiểm tra DNS (`resolvectl`) và `broker.host`",
                "see the resolver (`resolvectl`), and `broker.host`",
            )
        case PermissionError() | FileNotFoundError():
            return Phrase(
                "đặt tệp đúng chỗ và chỉ cho tài khoản này đọc",
                "put the file there, and let only this user read it",
            )
        case _:
            return Phrase(
                "kiểm tra mạng có cho cổng này đi ra không; cách khác là `transport` qua cổng 443",
                "see whether the network lets the port out; `transport` and port 443 are the "
                "other way",
            )


def _context(config: BrokerConfig) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=config.ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if config.certificate_file is not None and config.key_file is not None:
        secret_file.require_private(config.key_file)
        context.load_cert_chain(config.certificate_file, config.key_file)
    return context


def _second_thought(secured: ssl.SSLSocket) -> str | None:
    secured.settimeout(_SECOND_THOUGHT_S)
    try:
        secured.recv(1)
    except TimeoutError:
        return None
    except OSError as error:
        return str(error)
    return None


def _end_of(secured: ssl.SSLSocket) -> datetime | None:
    shown = (secured.getpeercert() or {}).get("notAfter")
    if not isinstance(shown, str):
        return None
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(shown), UTC)
