"""Floor 2. Kind `latency`: round-trip times to every target of a line, in one thread.

STAMP to the measurement server; ICMP echo to the gateway, to the configured targets and to every
server, over each address family of the line. The targets' windows begin and end together; a
window's result comes Tmax after its end.
"""

from __future__ import annotations

import random
import select
from collections.abc import Callable, Iterator, Sequence

from msgspec import structs

from probe.measure import gateway as gateways
from probe.measure import line_networks
from probe.measure.families import families_of
from probe.measure.latency.clock_offset import ClockOffset, ClockReading
from probe.measure.latency.line_socket import missing_interface
from probe.measure.latency.own_network import is_own_network_fault
from probe.measure.latency.session import NANOSECONDS, LatencyWindow
from probe.measure.latency.summary import validity, window_status, window_values
from probe.measure.latency.target import LatencyTarget, TargetSpec
from probe.measure.lookup import family_of_literal
from probe.measure.measurement import (
    MeasurementRequest,
    MeasurementStatus,
    Progress,
    RawResult,
    failed_result,
)
from probe.measure.own_networks import is_beyond
from runtime import kernel_time
from wire.result import GATEWAY_TARGET, Family, Method, Outcome, Reason, Validity

# How often `stop` is checked; nothing wakes poll(2) for it.
_LOOK_NS = NANOSECONDS // 4


def measure(
    request: MeasurementRequest,
    windows: int | None = None,
    read_clock: Callable[[], tuple[int, int, int]] = kernel_time.clock_reading,
) -> Iterator[RawResult]:
    """Measure every target of the line until `request.stop`, or for a number of windows.

    Args:
        request: the line, the server, the settings.
        windows: how many; None until stopped.
        read_clock: returns monotonic, wall and monotonic time in ns, to detect clock steps.

    Yields:
        For each window one RawResult a target, `timeout_s` after the window's end. A window without
        an answer is `failed` and has values; the next one opens new sockets. A window that `stop`
        cuts short is flagged `short` and has only decided packets; without any it yields nothing,
        as does a window in which no packet was due.
    """
    families = _families(request)
    if windows is not None and (missing := missing_interface(request.line)) is not None:
        for spec in target_specs(request, families):
            raw = failed_result(*missing, target=spec.name, family=spec.family)
            yield structs.replace(raw, validity=[Validity.OWN_LAN])
        return
    while True:
        run = _Run(request, windows, read_clock, families)
        try:
            yield from run.raw_results()
        finally:
            run.close()
        if windows is not None or request.stop.is_set():
            return
        # A family that the line has got since. One that it lost is measured on: it may be down.
        families = tuple(sorted({*families, *_families(request)}))


def target_specs(request: MeasurementRequest, families: Sequence[Family] = ()) -> list[TargetSpec]:
    """The targets of a line over its families, each once.

    STAMP to one server; ICMP echo to every server, because a minute counts as down only where at
    least two targets are silent (docs/method.md#availability, A1). A target that is configured by
    an address is measured over that family; one of a family that the line has not is left out,
    but for a server, whose failure has to be stated.
    """
    servers = {request.server.host, *(server.host for server in request.config.servers)}
    specs = []
    for family in families or (None,):
        for spec in _specs_over(request, family):
            own = family_of_literal(spec.host)
            if own is None or family is None or own is family or spec.name == GATEWAY_TARGET:
                specs.append(spec)
            elif own not in families and spec.host in servers:
                specs.append(spec._replace(family=own))
    return list(dict.fromkeys(specs))


def _specs_over(request: MeasurementRequest, family: Family | None) -> Iterator[TargetSpec]:
    server, line = request.server, request.line
    yield TargetSpec(f"stamp:{server.name}", server.host, server.stamp_port, family)
    hosts = []
    if (router := gateways.of_family(line, family)) is not None:
        yield TargetSpec(GATEWAY_TARGET, router, family=family)
        hosts.append(router)
    others = [other.host for other in request.config.servers]
    for host in (*request.config.latency.icmp_targets, server.host, *others):
        if host not in hosts:
            yield TargetSpec(f"icmp:{host}", host, family=family)
            hosts.append(host)


def _families(request: MeasurementRequest) -> tuple[Family, ...]:
    """The families to measure over; empty where the line has none that is known now."""
    return families_of(request.line) if request.family is None else (request.family,)


class _Run:
    """One call of `measure`."""

    def __init__(
        self,
        request: MeasurementRequest,
        windows: int | None,
        read_clock: Callable[[], tuple[int, int, int]],
        families: tuple[Family, ...],
    ) -> None:
        self._request = request
        self._families = families
        self._has_new_family = False
        self._windows = windows
        self._config = request.config.latency
        self._window_ns = round(self._config.window_s * NANOSECONDS)
        self._start_ns = kernel_time.monotonic_ns()
        self._window_end_ns = self._start_ns + self._window_ns
        self._ended = 0
        self._read_clock = read_clock
        self._clock = ClockOffset(ClockReading(*read_clock()))
        generator = random.Random()  # noqa: S311 - when to send is no secret; nonces only distinguish
        self._targets = [
            LatencyTarget(spec, request.line, self._config, generator, self._start_ns)
            for spec in target_specs(request, families)
        ]

    def close(self) -> None:
        """Close every socket."""
        for target in self._targets:
            target.close()

    def raw_results(self) -> Iterator[RawResult]:
        """See `measure`."""
        while True:
            now_ns = kernel_time.monotonic_ns()
            self._receive()
            if self._request.stop.is_set():
                for target in self._targets:
                    target.session.cut(now_ns)
                yield from self._closed_results(now_ns)
                return
            self._advance_windows(now_ns)
            yield from self._closed_results(now_ns)
            if self._sending():
                for target in self._targets:
                    target.send_if_due(kernel_time.monotonic_ns())
            elif all(target.session.next_close_ns() is None for target in self._targets):
                return
            self._wait()

    def _sending(self) -> bool:
        if self._windows is None:
            return not self._has_new_family
        return self._ended < self._windows

    def _receive(self) -> None:
        # Read before the packets: a step since the last call may lie between a packet's
        # timestamps, and then its delay is not used.
        stepped = self._clock.stepped(ClockReading(*self._read_clock()))
        for target in self._targets:
            if stepped:
                target.session.clock_stepped()
            target.receive(self._clock)

    def _advance_windows(self, now_ns: int) -> None:
        if self._windows is not None:
            span_ns = self._windows * self._window_ns + round(self._config.timeout_s * NANOSECONDS)
            done_ratio = min(1.0, (now_ns - self._start_ns) / span_ns)
            self._request.progress(Progress("latency", done_ratio))
        if not self._sending() or now_ns < self._window_end_ns:
            return
        self._ended += 1
        self._has_new_family = not set(_families(self._request)) <= set(self._families)
        for target in self._targets:
            if self._sending():
                target.session.next_window(now_ns)
            else:
                target.session.end_window(now_ns)
        # On the grid, unless the consumer of the results blocked this loop for a whole window.
        self._window_end_ns = max(self._window_end_ns, now_ns - self._window_ns) + self._window_ns

    def _closed_results(self, now_ns: int) -> Iterator[RawResult]:
        closed = [list(target.session.closed(now_ns)) for target in self._targets]
        # The targets' windows end together, so they are paired by position.
        for windows in zip(*closed, strict=True):
            pairs = list(zip(self._targets, windows, strict=True))
            families = {target.family for target in self._targets}
            sides = {family: self._sides(family, pairs) for family in families}
            for target, window in pairs:
                raw = self._raw_result(target, window, *sides[target.family])
                if window.silent or not window.packets:
                    target.recover()
                if raw is not None and not self._has_no_such_address(target, raw):
                    yield raw

    def _raw_result(
        self,
        target: LatencyTarget,
        window: LatencyWindow,
        gateway: LatencyWindow | None,
        beyond: Sequence[LatencyWindow],
    ) -> RawResult | None:
        raw = _raw_result(target, window, self._method(target))
        if raw is None or target.is_gateway:
            return raw
        if raw.reason is Reason.LINE_DOWN or is_own_network_fault(window, gateway, beyond):
            return structs.replace(raw, validity=[*raw.validity, Validity.OWN_LAN])
        return raw

    def _has_no_such_address(self, target: LatencyTarget, raw: RawResult) -> bool:
        """Whether a host's name has an address of another family only: no failure of this one."""
        return raw.reason is Reason.NAME_RESOLUTION and any(
            other.spec.name == target.spec.name and other.parameters is not None
            for other in self._targets
        )

    def _sides(
        self, family: Family | None, pairs: Sequence[tuple[LatencyTarget, LatencyWindow]]
    ) -> tuple[LatencyWindow | None, list[LatencyWindow]]:
        """Of one family: the gateway's window, None where none is known, and those beyond."""
        own = line_networks.of_line(self._request.line)
        of_family = [pair for pair in pairs if pair[0].family is family]
        gateway = next((window for target, window in of_family if target.is_gateway), None)
        return gateway, [
            window
            for target, window in of_family
            if target.parameters is not None and is_beyond(target.parameters.address, own)
        ]

    def _method(self, target: LatencyTarget) -> Method:
        stamp_port = target.spec.stamp_port
        tool = "ICMP echo" if stamp_port is None else "STAMP (RFC 8762), unauthenticated"
        return Method(
            tool=tool,
            version=None,
            settings={
                "host": target.spec.host,
                "port": stamp_port,
                "socket": target.channel_kind,
                "mean_gap_s": self._config.mean_gap_s,
                "timeout_s": self._config.timeout_s,
                "window_s": self._config.window_s,
            },
        )

    def _wait(self) -> None:
        now_ns = kernel_time.monotonic_ns()
        wake_ns = [now_ns + _LOOK_NS]
        if self._sending():
            wake_ns.append(self._window_end_ns)
            wake_ns += [target.due_ns for target in self._targets]
        poller = select.poll()
        for target in self._targets:
            close_ns = target.session.next_close_ns()
            if close_ns is not None:
                wake_ns.append(close_ns)
            fileno = target.fileno()
            if fileno is not None:
                poller.register(fileno, select.POLLIN)
        # Rounded up: waking just before the time would make a busy loop.
        poller.poll(max(0, -(-(min(wake_ns) - now_ns) // 1_000_000)))


def _is_missing(target: LatencyTarget, window: LatencyWindow) -> bool:
    """Whether the line had no interface in a whole window: what was not there lost no packet."""
    return window.line_down and window.silent and target.has_no_interface


def _raw_result(target: LatencyTarget, window: LatencyWindow, method: Method) -> RawResult | None:
    """The result of a closed window; None where no packet was due and nothing failed."""
    failure = target.failure_of(window)
    values = None
    if window.packets and target.parameters is not None and not _is_missing(target, window):
        values = window_values(window, target.parameters)
        ending = window_status(values, failure, window.most_altered)
    elif failure is not None and not window.cut_short:
        ending = MeasurementStatus(Outcome.FAILED, *failure)
    else:
        return None
    return RawResult(
        outcome=ending.outcome,
        reason=ending.reason,
        detail=ending.detail,
        target=target.spec.name,
        family=target.family,
        values=values,
        validity=validity(window),
        method=method,
        began_s=window.start_ns / NANOSECONDS,
        duration_s=window.duration_ns / NANOSECONDS,
    )
