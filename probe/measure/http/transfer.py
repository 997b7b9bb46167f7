"""Floor 2. One direction of an HTTP test: parallel connections, counted every 100 ms.

Each connection has a thread, which mostly waits in the kernel; the calling thread counts bytes,
applies the stop rule, and aborts the connections at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, repeat

from probe import clock
from probe.config import HttpConfig
from probe.measure import host
from probe.measure.failure import Failure
from probe.measure.http.connection import LineHttp, Route
from probe.measure.http.early_stop import SAMPLE_S, TransferSample, early_figure
from probe.measure.http.failures import LineHttpError, failure_from
from probe.measure.http.results import TransferRecord
from probe.measure.measurement import Direction, Stop
from wire.http import SIZES_BYTES
from wire.record import Reason

_START = TransferSample(0.0, 0)

# 0 bit/s is a figure of a line that carries nothing; this one carries pings (RFC 2923, 2.1).
_NOTHING_ARRIVED = (
    "Not one byte of the transfer arrived, though the server answers pings: packets of full size "
    "are lost on the way."
)


def transfer(
    direction: Direction,
    route: Route,
    config: HttpConfig,
    stop: Stop,
    observe: Callable[[Sequence[TransferSample]], None],
    *,
    stop_early: bool,
) -> TransferRecord:
    """Fill the line in one direction; never raises for what the network does.

    Args:
        direction: download or upload.
        route: line and server.
        config: the number of connections, durations and timeouts.
        stop: ends it early.
        observe: called with all samples after each new one.
        stop_early: whether the stop rule may end it.
    """
    connections: list[LineHttp] = []
    try:
        with ThreadPoolExecutor(config.connections, thread_name_prefix=f"http-{direction}") as pool:
            opened = list(pool.map(_opened, repeat((route, config.timeout_s), config.connections)))
            connections += [one for one in opened if isinstance(one, LineHttp)]
            failures = [one for one in opened if isinstance(one, Failure)]
            if failures:
                return TransferRecord([_START], failure=failures[0])
            try:
                return _Run(direction, route, connections, config, pool).watch(
                    stop, observe, stop_early=stop_early
                )
            finally:
                # Their threads end by it; leaving the pool waits for them.
                for connection in connections:
                    connection.abort()
    finally:
        for connection in connections:
            connection.close()


def _opened(place: tuple[Route, float]) -> LineHttp | Failure:
    """An open connection that has answered a ping, so that its set-up is not counted."""
    try:
        connection = LineHttp(*place)
    except LineHttpError as error:
        return error.failure
    try:
        connection.ping()
    except LineHttpError as error:
        connection.close()
        return error.failure
    return connection


class _Run:
    """A running transfer."""

    def __init__(
        self,
        direction: Direction,
        route: Route,
        connections: list[LineHttp],
        config: HttpConfig,
        pool: ThreadPoolExecutor,
    ) -> None:
        self._route = route
        self._config = config
        self._connections = connections
        self._uploads = direction is Direction.UPLOAD
        self._counts = [0] * len(connections)
        self._tcp_before = [self._tcp(connection) for connection in connections]
        self._tcp_bytes = list(self._tcp_before)
        self._samples = [_START]
        self._interface = route.line.interface or host.interface_of(route.line.source_address)
        self._carried_before = self._carried()
        self._start_s = self._grew_at_s = clock.monotonic_s()
        self._work = [pool.submit(self._fill, connection) for connection in connections]

    def watch(
        self, stop: Stop, observe: Callable[[Sequence[TransferSample]], None], *, stop_early: bool
    ) -> TransferRecord:
        """Count bytes until the transfer is over."""
        length_s = self._config.warm_up_s + self._config.duration_s
        early = failure = None
        while failure is None:
            due_s = SAMPLE_S * (round(self._samples[-1].at_s / SAMPLE_S) + 1)
            stop.wait(max(0.0, self._start_s + due_s - clock.monotonic_s()))
            self._count()
            observe(self._samples)
            early = early or early_figure(self._samples)
            if self._samples[-1].at_s >= length_s or (stop_early and early is not None):
                break
            failure = self._trouble(stop)
        if failure is None and not self._samples[-1].total_bytes:
            failure = Failure(Reason.TIMEOUT, _NOTHING_ARRIVED)
        return TransferRecord(
            self._samples,
            early,
            interface_bytes=host.counter_increase(self._carried_before, self._carried()),
            tcp_bytes=self._tcp_grown(),
            began_s=self._start_s,
            early_stopped=failure is None and self._samples[-1].at_s < length_s,
            connections_lost=sum(work.done() for work in self._work),
            failure=failure,
            congestion_control=self._connections[0].congestion_control(),
        )

    def _fill(self, connection: LineHttp) -> Failure:
        """Request one body after the other until an error ends it."""
        ask = connection.upload if self._uploads else connection.download
        try:
            for size_bytes in chain(SIZES_BYTES, repeat(SIZES_BYTES[-1])):
                ask(size_bytes)
        except LineHttpError as error:
            return error.failure
        raise AssertionError("the sizes never end")

    def _carried(self) -> int | None:
        return host.carried_bytes(self._interface, received=not self._uploads)

    def _tcp(self, connection: LineHttp) -> int | None:
        return connection.carried_bytes(received=not self._uploads)

    def _tcp_grown(self) -> int | None:
        """The TCP bytes of all connections; a lost connection keeps its last count."""
        grown = [
            host.counter_increase(before, after)
            for before, after in zip(self._tcp_before, self._tcp_bytes, strict=True)
        ]
        known = [one for one in grown if one is not None]
        return sum(known) if len(known) == len(grown) else None

    def _count(self) -> None:
        now_s = clock.monotonic_s()
        for index, connection in enumerate(self._connections):
            count = connection.acknowledged_bytes() if self._uploads else connection.received_bytes
            # A connection that has been lost keeps what it had.
            self._counts[index] = max(self._counts[index], count)
            if (carried := self._tcp(connection)) is not None:
                self._tcp_bytes[index] = carried
        total = sum(self._counts)
        if total > self._samples[-1].total_bytes:
            self._grew_at_s = now_s
        self._samples.append(TransferSample(now_s - self._start_s, total))

    def _trouble(self, stop: Stop) -> Failure | None:
        """Why it cannot go on; None when it can, with fewer connections perhaps."""
        if stop.is_set():
            return Failure(Reason.SHUTTING_DOWN, "The probe is stopping.")
        lost = [work.result() for work in self._work if work.done()]
        busy = [failure for failure in lost if failure.reason is Reason.SERVER_BUSY]
        if busy or len(lost) == len(self._work):
            return (busy or lost)[0]
        if clock.monotonic_s() - self._grew_at_s > self._config.timeout_s:
            return failure_from(TimeoutError(), self._route.line, self._route.peer).failure
        return None
