"""Floor 2. One question to one resolver over one line: UDP, and TCP where it does not fit.

Each query has a socket of its own, so its port cannot be guessed (RFC 5452 §9.2) and no late answer
to the query before arrives on it. Delays are from kernel timestamps where there are any.
"""

from __future__ import annotations

import secrets
import select
from collections.abc import Iterator

from probe import clock
from probe.config import LineConfig
from probe.measure.dns import method
from probe.measure.dns.message import (
    UDP_PAYLOAD_BYTES,
    DnsAnswer,
    DnsDiscard,
    DnsQuestion,
    decode_answer,
    encode_question,
)
from probe.measure.dns.method import PlannedQuery, QueryExchange
from probe.measure.failure import Failure
from probe.measure.latency import line_socket
from probe.measure.latency.line_socket import LineSocket, LineSocketError, SentTimestamp
from probe.measure.line_stream import DeadlineReader, connect, stream_failure
from probe.measure.lookup import Address
from probe.measure.measurement import Stop
from runtime import kernel_time
from wire.record import Reason

# How often `stop` is checked; nothing wakes poll(2) for it.
_LOOK_S = 0.25
_LENGTH_BYTES = 2  # RFC 1035 §4.2.2


class DnsClient:
    """A DNS client for one resolver over one line.

    Args:
        line: the line to send by.
        resolver: address and port of the resolver.
        timeout_s: for each of UDP and TCP.
        stop: ends a wait early; the query then counts as timed out.
    """

    def __init__(self, line: LineConfig, resolver: Address, timeout_s: float, stop: Stop) -> None:
        self._line = line
        self._resolver = resolver
        self._timeout_s = timeout_s
        self._stop = stop
        self._edns = True

    @property
    def edns_bytes(self) -> int:
        """The UDP payload size that queries state by EDNS; 0 where the resolver has no EDNS."""
        return UDP_PAYLOAD_BYTES if self._edns else 0

    def ask(self, query: PlannedQuery) -> QueryExchange:
        """Send a query and return what came of it.

        A resolver that knows no EDNS is asked once more without, and from then on only so. The
        delay is that of the query which was answered.

        Raises:
            BadNameError: the name breaks the rules of RFC 1035.
        """
        exchange = self._exchange(query)
        if not self._edns or not method.lacks_edns(exchange) or self._stop.is_set():
            return exchange
        self._edns = False
        plain = self._exchange(query)
        # What is no better without EDNS was not about EDNS.
        self._edns = method.lacks_edns(plain) or plain.answer is None
        return method.with_discarded(plain, exchange)

    def _exchange(self, query: PlannedQuery) -> QueryExchange:
        question = DnsQuestion(query.name, query.record_type, secrets.randbits(16))
        packet = encode_question(question, edns=self._edns)
        try:
            sock = line_socket.open_udp(self._line, self._resolver)
        except LineSocketError as error:
            return QueryExchange(failure=error.failure)
        try:
            over_udp = _UdpQuery(sock, question).until_answer(packet, self._timeout_s, self._stop)
        except LineSocketError as error:
            return QueryExchange(failure=error.failure)
        finally:
            sock.close()
        return self._over_tcp(question, packet, over_udp) if over_udp.truncated else over_udp

    def _over_tcp(
        self, question: DnsQuestion, packet: bytes, over_udp: QueryExchange
    ) -> QueryExchange:
        """Repeat the query over TCP after a truncated answer (RFC 7766)."""
        began_s = clock.monotonic_s()
        deadline_s = began_s + self._timeout_s
        answer: DnsAnswer | None = None
        failure: Failure | None = None
        malformed = over_udp.malformed
        try:
            with connect(self._line, self._resolver, deadline_s) as sock:
                sock.sendall(len(packet).to_bytes(_LENGTH_BYTES, "big") + packet)
                reader = DeadlineReader(sock, deadline_s)
                length = int.from_bytes(_exactly(reader, _LENGTH_BYTES), "big")
                decoded = decode_answer(_exactly(reader, length), question)
            if isinstance(decoded, DnsDiscard):
                malformed += 1
            else:
                answer = decoded
        except LineSocketError as error:
            failure = error.failure
        except (OSError, EOFError) as error:
            os_error = error if isinstance(error, OSError) else ConnectionAbortedError()
            failure = stream_failure(os_error, self._line, self._resolver)
        return QueryExchange(
            answer=answer,
            failure=failure,
            rtt_ms=over_udp.rtt_ms,
            tcp_ms=None if answer is None else (clock.monotonic_s() - began_s) * 1000,
            truncated=True,
            malformed=malformed,
            forged=over_udp.forged,
        )


class _UdpQuery:
    """One query over UDP."""

    def __init__(self, sock: LineSocket, question: DnsQuestion) -> None:
        self._sock = sock
        self._question = question
        self._sent_ns = 0
        self._departed_wall_ns: int | None = None
        self._malformed = 0
        self._forged = 0

    def until_answer(self, packet: bytes, timeout_s: float, stop: Stop) -> QueryExchange:
        poller = select.poll()
        poller.register(self._sock.fileno(), select.POLLIN)
        self._sent_ns = kernel_time.monotonic_ns()
        deadline_s = clock.monotonic_s() + timeout_s
        self._sock.send(packet)
        while not stop.is_set():
            for found in self._taken_in():
                return found
            left_s = deadline_s - clock.monotonic_s()
            if left_s <= 0:
                break
            poller.poll(-(-min(left_s, _LOOK_S) * 1000 // 1))
        failure = Failure(Reason.SHUTTING_DOWN, "The probe ends.") if stop.is_set() else None
        return QueryExchange(failure=failure, malformed=self._malformed, forged=self._forged)

    def _taken_in(self) -> Iterator[QueryExchange]:
        # The send timestamp first: the answer may be waiting already.
        for report in self._sock.reports():
            if isinstance(report, SentTimestamp):
                self._departed_wall_ns = report.wall_ns
            else:
                yield QueryExchange(failure=report, malformed=self._malformed, forged=self._forged)
        for arrival in self._sock.arrivals():
            decoded = decode_answer(arrival.packet, self._question)
            if decoded is DnsDiscard.FORGED or not arrival.from_peer:
                self._forged += 1
            elif isinstance(decoded, DnsDiscard):
                self._malformed += 1
            else:
                yield self._answered(decoded, arrival.wall_ns)

    def _answered(self, answer: DnsAnswer, wall_ns: int | None) -> QueryExchange:
        kernel_ns = None
        if wall_ns is not None and self._departed_wall_ns is not None:
            kernel_ns = wall_ns - self._departed_wall_ns
        return QueryExchange(
            answer=None if answer.truncated else answer,
            truncated=answer.truncated,
            rtt_ms=method.delay_ms(kernel_ns, kernel_time.monotonic_ns() - self._sent_ns),
            malformed=self._malformed,
            forged=self._forged,
        )


def _exactly(reader: DeadlineReader, count: int) -> bytes:
    """Read exactly `count` bytes; EOFError where the connection ends before."""
    body = b""
    while len(body) < count:
        piece = reader.read(count - len(body))
        if not piece:
            raise EOFError
        body += piece
    return body
