"""Floor 2. Wraps asyncio: the lease service's TCP port, and its HTTP port for nginx and metrics.

A connection is a lease: what ends it, for whatever reason, gives the slot back. The HTTP port is
for this server alone: nginx asks there (`auth_request`) whether a transfer may be served, and
Prometheus reads the counters. Decides nothing: see `server.leases`.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
import time
from collections.abc import Callable, Collection
from contextlib import suppress

import msgspec

from server.kernel_connections import established
from server.lease_metrics import exposition
from server.leases import LeaseLimits, LeaseTable, Seen, peers_with
from wire import lease
from wire.lease import LeaseRequest, OverlapQuery, Refused, Release

log = logging.getLogger(__name__)
_FIRST_LINE_S = 5.0
_TICK_S = 1.0
# Of all peers, waiting ones included; a probe needs one.
_MOST_CONNECTIONS = 2048
_MOST_HEAD_BYTES = 8192
_BACKLOG = 512
# A ping or an address takes one connection, a transfer several (docs/method.md#http, H1).
_HTTP_TEST_CONNECTIONS = 2


class LeaseService:
    """The lease service on sockets that listen.

    Args:
        limits: what may be granted.
        listeners: for probes.
        http_listener: for nginx and metrics, on the loopback; None for neither.
        proxies: addresses of proxies before nginx, whose connections are nobody's.

    Attributes:
        table: its leases and counters.
    """

    def __init__(
        self,
        limits: LeaseLimits,
        listeners: Collection[socket.socket],
        http_listener: socket.socket | None = None,
        proxies: Collection[str] = (),
    ) -> None:
        self.table = LeaseTable(limits, lambda: secrets.token_urlsafe(16))
        self._limits = limits
        self._listeners = listeners
        self._http_listener = http_listener
        self._proxies = frozenset(proxies)
        self._answers: dict[int, asyncio.Queue[lease.Answer | None]] = {}
        self._connections = 0
        self._last_id = 0
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """End `run` soon; from its own loop."""
        self._stopping.set()

    async def run(self, on_tick: Callable[[], None]) -> None:
        """Serve until `stop`; `on_tick` is called each second, from the loop."""
        servers = [
            await asyncio.start_server(
                self._serve_probe, sock=sock, limit=lease.MOST_BYTES, backlog=_BACKLOG
            )
            for sock in self._listeners
        ]
        if self._http_listener is not None:
            servers.append(
                await asyncio.start_server(
                    self._serve_http, sock=self._http_listener, limit=_MOST_HEAD_BYTES
                )
            )
        try:
            while not self._stopping.is_set():
                self._advance()
                on_tick()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), _TICK_S)
        finally:
            for server in servers:
                server.close()

    def _advance(self) -> None:
        """Observe what runs, end what is overdue, and grant what can be."""
        now_s = time.monotonic()
        self._observe(now_s)
        for lease_id, refused in self.table.overdue(now_s):
            self._answer(lease_id, refused)
        for lease_id, granted in self.table.grants(now_s):
            self._answer(lease_id, granted)

    def _observe(self, now_s: float) -> None:
        http_port = self._limits.http_port
        ports = {*self._limits.iperf3_ports, *([] if http_port is None else [http_port])}
        found = list(established(ports))
        tests: set[Seen] = set()
        for port in ports:
            least = _HTTP_TEST_CONNECTIONS if port == http_port else 1
            tests |= peers_with(found, port, least)
        self.table.observe({one for one in tests if one.address not in self._proxies}, now_s)

    def _answer(self, lease_id: int, answer: lease.Answer | None) -> None:
        if (answers := self._answers.get(lease_id)) is not None:
            answers.put_nowait(answer)

    async def _serve_probe(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._connections += 1
        self._last_id += 1
        lease_id = self._last_id
        try:
            if self._connections <= _MOST_CONNECTIONS:
                await self._converse(lease_id, reader, writer)
        except (OSError, TimeoutError, ValueError, msgspec.MsgspecError) as error:
            # A stranger, or a probe that has gone; neither is this server's fault.
            log.debug("connection %d: %s", lease_id, error)
        finally:
            self._connections -= 1
            self._answers.pop(lease_id, None)
            if self.table.release(lease_id, time.monotonic()) is not None:
                self._advance()
            writer.close()

    async def _converse(
        self, lease_id: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        address = _address(writer)
        message = lease.message_in(await asyncio.wait_for(reader.readline(), _FIRST_LINE_S))
        if isinstance(message, OverlapQuery):
            self._observe(now_s := time.monotonic())
            await _send(writer, self.table.overlap(address, message.seconds, now_s))
        elif isinstance(message, LeaseRequest):
            answers = self._answers[lease_id] = asyncio.Queue()
            answer = self.table.request(lease_id, address, message, time.monotonic())
            answers.put_nowait(answer)
            self._advance()
            await self._hold(lease_id, answers, reader, writer)

    async def _hold(
        self,
        lease_id: int,
        answers: asyncio.Queue[lease.Answer | None],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        """Send each answer until the probe releases, goes, or its lease ends."""
        said = asyncio.ensure_future(reader.readline())
        try:
            while True:
                due = asyncio.ensure_future(answers.get())
                await asyncio.wait({said, due}, return_when=asyncio.FIRST_COMPLETED)
                if said.done():
                    due.cancel()
                    line = said.result()
                    if line and isinstance(lease.message_in(line), Release):
                        await self._released(lease_id, writer)
                    return
                answer = due.result()
                if answer is not None:
                    await _send(writer, answer)
                if answer is None or isinstance(answer, Refused):
                    return
        finally:
            said.cancel()

    async def _released(self, lease_id: int, writer: asyncio.StreamWriter) -> None:
        self._observe(now_s := time.monotonic())
        released = self.table.release(lease_id, now_s)
        self._advance()
        if released is not None:
            await _send(writer, released)

    async def _serve_http(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request; nginx opens a connection for each."""
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _FIRST_LINE_S)
            writer.write(self._http_answer(head.decode("latin-1")))
            await writer.drain()
        except (OSError, TimeoutError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
            log.debug("HTTP: %s", error)
        finally:
            writer.close()

    def _http_answer(self, head: str) -> bytes:
        request, *lines = head.split("\r\n")
        path = request.split(" ")[1] if request.count(" ") == 2 else ""
        fields = {
            name.lower(): text.strip() for name, _, text in (one.partition(":") for one in lines)
        }
        if path == lease.METRICS_PATH:
            return _response("200 OK", exposition(self.table).encode())
        if path != lease.AUTHORIZE_PATH:
            return _response("404 Not Found")
        token = fields.get(lease.TOKEN_HEADER.lower()) or None
        allowed = self.table.authorize(token, fields.get("x-real-ip", ""), time.monotonic())
        return _response("204 No Content" if allowed else "403 Forbidden")


def _response(status: str, body: bytes = b"") -> bytes:
    head = f"HTTP/1.0 {status}\r\nConnection: close\r\n"
    if not status.startswith("204"):
        head += f"Content-Type: text/plain; version=0.0.4\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


def _address(writer: asyncio.StreamWriter) -> str:
    """The peer's address; an IPv4 one also from a socket of both families."""
    address = str(writer.get_extra_info("peername")[0])
    return address.removeprefix("::ffff:") if "." in address else address


async def _send(writer: asyncio.StreamWriter, answer: lease.Answer) -> None:
    writer.write(lease.line_of(answer))
    await writer.drain()
