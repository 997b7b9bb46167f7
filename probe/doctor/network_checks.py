"""Floor 2. Network checks of the doctor: each line, each server over each line, the broker.

Only connects: an iperf3 server sees a connection that ends, a broker an MQTT session without
subscriptions, and that only while the daemon has none.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime

from msgspec import structs

from probe import clock
from probe.config import Config, LineConfig, ServerConfig
from probe.doctor.check import CheckResult, bad, certificate, good, unknown, warning
from probe.measure import gateway
from probe.measure.failure import Failure
from probe.measure.latency.line_socket import LineSocketError, icmp_refusal, line_fault
from probe.measure.line_stream import connect
from probe.measure.lookup import Address, Lookup, resolved
from runtime import secret_file
from runtime.broker import BrokerConfig
from runtime.language import Phrase
from runtime.mqtt import try_connection
from runtime.result_labels import REASONS
from wire.record import Reason

_WAIT_S = 5.0
_BROKER = Phrase("máy chủ nhận tin (MQTT)", "broker")


def icmp() -> Iterator[CheckResult]:
    """Whether ICMP echo may be sent, without which half of latency and all paths are not known."""
    if (refusal := icmp_refusal()) is not None:
        yield bad(Phrase("quyền gửi ICMP", "permission to send ICMP"), refusal, _PERMIT_ICMP)


_PERMIT_ICMP = Phrase(
    'sudo sysctl -w net.ipv4.ping_group_range="0 2147483647"; ghi vào /etc/sysctl.d để giữ sau '
    "khi khởi động lại",
    'sudo sysctl -w net.ipv4.ping_group_range="0 2147483647"; in /etc/sysctl.d it lasts',
)


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
                if server.lease_port is not None:
                    yield _leases(line, server, server.lease_port)


def _server(line: LineConfig, server: ServerConfig) -> CheckResult:
    part = Phrase(f"{server.name} qua {line.id}", f"{server.name} by {line.id}")
    lookup = Lookup(server.host, server.iperf3_ports[0], line.source_address)
    deadline_s, pause = clock.monotonic_s() + _WAIT_S, threading.Event()
    lookup.refresh()
    while lookup.address is None and clock.monotonic_s() < deadline_s:
        pause.wait(0.05)
    if lookup.address is None:
        why = lookup.failure.sentence if lookup.failure else "no address"
        seen = Phrase(f"không phân giải được tên miền {server.host}", why)
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


def _leases(line: LineConfig, server: ServerConfig, port: int) -> CheckResult:
    """Check that the server's lease service is reached; tests go on without it."""
    part = Phrase(f"{server.name} qua {line.id}: cấp chỗ đo", f"{server.name} by {line.id}: leases")
    found = resolved(Lookup(server.host, port, line.source_address), threading.Event(), _WAIT_S)
    if isinstance(found, Failure):
        seen = Phrase(f"không phân giải được tên miền {server.host}", found.sentence)
        return warning(part, seen, _SEE_RESOLVER)
    try:
        connect(line, found[0], clock.monotonic_s() + _WAIT_S).close()
    except LineSocketError as error:
        return warning(part, _refusal(found[0], error.failure), _SEE_LEASES)
    return good(part, Phrase(f"cổng {port} nhận kết nối", f"port {port} takes us"))


_SEE_LEASES = Phrase(
    "vẫn đo được, nhưng có thể trùng lượt của trạm khác; xem `tramdo-lease` và tường lửa ở máy chủ "
    "đo, và `servers.lease_port`",
    "tests go on, but may meet those of other probes; see the server's `tramdo-lease` and its "
    "firewall, and `servers.lease_port`",
)
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
    vi = _REFUSALS_VI.get(failure.reason, REASONS[failure.reason].vi)
    return Phrase(f"{address.ip} cổng {address.port}: {vi}", failure.sentence)


def broker(
    config: BrokerConfig, now: datetime, client_id: str, *, connected: bool = False
) -> Iterator[CheckResult]:
    """Check each node: whether it accepts an MQTT connection of ours, when its certificate ends.

    Args:
        config: how it is reached.
        now: for the end of its certificate.
        client_id: of the attempt.
        connected: whether the daemon is connected. Then no attempt is made, because a broker that
            takes the user name for the client identifier would end the daemon's session.
    """
    for node in config.each():
        yield from _node(node, now, client_id, connected=connected)


def _node(
    config: BrokerConfig, now: datetime, client_id: str, *, connected: bool
) -> Iterator[CheckResult]:
    where = Phrase(f"{config.host} cổng {config.port}", f"{config.host} port {config.port}")
    if config.proxy is not None:
        seen = Phrase(
            f"{where.vi} qua proxy: `tramdo-probe status` cho biết có kết nối được không",
            f"{where.en} by a proxy: `tramdo-probe status` shows whether it is reached",
        )
        yield unknown(_BROKER, seen)
        return
    attempt = structs.replace(config, connect_timeout_s=_WAIT_S)
    failure = None if connected else try_connection(attempt, client_id, kept=False)
    if failure is not None:
        said = failure.sentence()
        seen = Phrase(f"{where.vi}: {said.vi}", f"{where.en}: {said.en}")
        yield bad(_BROKER, seen, failure.advice())
        return
    if not config.tls:
        seen = Phrase(f"{where.vi} kết nối được, không dùng TLS", f"{where.en}, without TLS")
        yield good(_BROKER, seen)
        return
    seen = Phrase(f"{where.vi} kết nối được", f"{where.en} is reached and accepts us")
    yield good(_BROKER, seen)
    its = Phrase("chứng thư máy chủ nhận tin", "broker's certificate")
    yield certificate(its, _end_of_certificate(config), now, _CONTACT_CENTRE)


_CONTACT_CENTRE = Phrase(
    "báo trung tâm cấp lại chứng thư máy chủ (`tramdo-authority server-cert`)",
    "ask the centre for a new server certificate: `tramdo-authority server-cert`",
)


def _context(config: BrokerConfig) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=config.ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if config.certificate_file is not None and config.key_file is not None:
        secret_file.require_private(config.key_file)
        context.load_cert_chain(config.certificate_file, config.key_file)
    return context


def _end_of_certificate(config: BrokerConfig) -> datetime | None:
    """When the broker's certificate ends; None where it cannot be seen."""
    host = config.host or ""
    try:
        with (
            socket.create_connection((host, config.port), _WAIT_S) as plain,
            _context(config).wrap_socket(plain, server_hostname=host) as secured,
        ):
            shown = (secured.getpeercert() or {}).get("notAfter")
    except (OSError, ValueError):
        return None
    if not isinstance(shown, str):
        return None
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(shown), UTC)
