"""Floor 2. Wraps sockets and TLS for the doctor: each line to each server, and the broker's door.

Says nothing over what it opens: an iperf3 server sees a connection that ends, a broker a handshake.
A session of MQTT would throw out the daemon's own, which bears the same name.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime

from probe import clock
from probe.config import Config, LineConfig, ServerConfig
from probe.doctor.finding import Finding, bad, certificate, good, unknown
from probe.measure import gateway
from probe.measure.latency.line_socket import LineSocketError, line_trouble
from probe.measure.line_stream import connect
from probe.measure.lookup import Lookup
from runtime import secret_file
from runtime.broker import BrokerConfig

_WAIT_S = 5.0
# Under TLS 1.3 a broker says after the handshake that it dislikes our certificate.
_SECOND_THOUGHT_S = 1.0


def lines(config: Config) -> Iterator[Finding]:
    """Each line's interface, address and way out."""
    for line in config.lines:
        part = f"line {line.id}"
        trouble = line_trouble(line)
        if trouble is not None:
            todo = "plug in the cable, or mend `interface` and `source_address`; see `ip address`"
            yield bad(part, trouble.sentence, todo)
            continue
        way = " ".join(filter(None, [line.interface, line.source_address]))
        via = gateway.of_line(line)
        yield good(part, f"{way} is up" + (f", gateway {via}" if via else ""))


def servers(config: Config) -> Iterator[Finding]:
    """Each server by each line: the only proof that its route is there."""
    for line in config.lines:
        if line_trouble(line) is None:
            for server in config.servers:
                yield _server(line, server)


def _server(line: LineConfig, server: ServerConfig) -> Finding:
    part = f"{server.name} by {line.id}"
    lookup = Lookup(server.host, server.iperf3_ports[0], line.source_address)
    deadline_s, pause = clock.monotonic_s() + _WAIT_S, threading.Event()
    lookup.refresh()
    while lookup.address is None and clock.monotonic_s() < deadline_s:
        pause.wait(0.05)
    if lookup.address is None:
        sentence = lookup.trouble.sentence if lookup.trouble else "no address"
        return bad(part, sentence, "see the line's resolver (`resolvectl`), and `servers.host`")
    refused = []
    for port in server.iperf3_ports:
        address = lookup.address._replace(port=port)
        began_s = clock.monotonic_s()
        try:
            connect(line, address, began_s + _WAIT_S).close()
        except LineSocketError as error:
            refused.append(error.trouble.sentence)
        else:
            took_ms = (clock.monotonic_s() - began_s) * 1e3
            return good(part, f"iperf3 on {address.ip} port {port} takes us ({took_ms:.0f} ms)")
    todo = "see the line's route (`ip rule`, `ip route`), the server's iperf3 and its firewall"
    return bad(part, " ".join(refused), todo)


def broker(config: BrokerConfig, now: datetime) -> Iterator[Finding]:
    """Whether it is reached, whether it takes our certificate, until when its own holds."""
    where = f"{config.host} port {config.port}"
    if config.proxy is not None:
        yield unknown(
            "broker", f"{where} by a proxy: `tramdo-probe status` tells whether it is reached"
        )
        return
    try:
        with socket.create_connection((config.host, config.port), _WAIT_S) as plain:
            if not config.tls:
                yield good("broker", f"{where} listens, without TLS")
                return
            with _context(config).wrap_socket(plain, server_hostname=config.host) as secured:
                refusal = _second_thought(secured)
                ends_at = _end_of(secured)
                version = secured.version()
    except (OSError, ValueError) as error:
        yield bad("broker", f"{where}: {error}", _todo(error))
        return
    if refusal is not None:
        yield bad("broker", f"{where} refuses our certificate: {refusal}", _RENEW)
    else:
        yield good("broker", f"{where} is reached, {version}")
    yield certificate("broker's certificate", ends_at, now, "tell the centre: `server-cert` anew")


_RENEW = "renew it (docs/security.md, A probe's key), and see that its name is this probe's"


def _todo(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            "`broker.ca_file` is another authority's, `broker.host` is not its name, "
            "or the clock is wrong"
        )
    if isinstance(error, ssl.SSLError):
        return _RENEW
    if isinstance(error, socket.gaierror):
        return "see the resolver (`resolvectl`), and `broker.host`"
    if isinstance(error, PermissionError):
        return "let only this user read it"
    return "see whether the network lets the port out; `transport` and port 443 are the other way"


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
