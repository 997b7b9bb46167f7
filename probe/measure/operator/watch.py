"""Floor 3. The operator watch: asks who carries each line, and states it for the line's results.

A thread of the daemon. A configured URL is asked in place of our own measurement server.
"""

from __future__ import annotations

import logging
import threading
from typing import NamedTuple

from probe import clock
from probe.config import Config, LineConfig, ServerConfig
from probe.measure import gateway
from probe.measure.failure import Failure
from probe.measure.measurement import Stop
from probe.measure.operator import address_service, nat_pmp
from probe.measure.operator.answer import Operator, nat_of
from probe.measure.operator.schedule import OperatorSchedule, ReconnectDetector
from runtime.ip_address import IpAddress, parsed
from wire.result import (
    GATEWAY_TARGET,
    Family,
    LatencyResult,
    LineOperator,
    Outcome,
    Result,
    kind_of,
)

log = logging.getLogger(__name__)

_LATENCY = kind_of(LatencyResult)
# How often addresses and routes are looked at; nothing is sent for it.
_LOOK_S = 5.0


class _Signature(NamedTuple):
    """What changes at the probe when a line is connected anew.

    Of an IPv6 address the /64: its interface identifier changes daily (RFC 8981).
    """

    network: str
    gateway: str | None


class OperatorWatch:
    """The operators of all lines. `of` and `note` are thread-safe.

    Args:
        config: the probe's configuration.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._server = next((one for one in config.servers if one.http_port is not None), None)
        self._lock = threading.Lock()
        keys = [(line.id, family) for line in config.lines for family in _families_to_ask(line)]
        self._schedules = {key: OperatorSchedule() for key in keys}
        self._detectors = {key: ReconnectDetector(config.latency.window_s) for key in keys}

    @property
    def enabled(self) -> bool:
        """Whether there is anybody to ask."""
        settings = self._config.operator
        return settings.enabled and (settings.url is not None or self._server is not None)

    def run(self, stop: Stop) -> None:
        """Ask what is due until `stop`."""
        while not stop.is_set():
            self.ask_due(stop)
            stop.wait(_LOOK_S)

    def ask_due(self, stop: Stop) -> None:
        """Ask each line and family that is due, one after the other."""
        if not self.enabled:
            return
        for line in self._config.lines:
            for family in _families_to_ask(line):
                if not stop.is_set():
                    self._ask_if_due(line, family, stop)

    def of(self, line_id: str, family: Family | None) -> LineOperator | None:
        """Who carries a line over a family; over the first that is known where it is None."""
        with self._lock:
            wanted = [family] if family is not None else list(Family)
            known = (self._schedules.get((line_id, one)) for one in wanted)
            return next((one.known for one in known if one is not None and one.known), None)

    def operators(self) -> dict[str, list[LineOperator]]:
        """Who carries each line, over each family that is known."""
        with self._lock:
            return {
                line.id: [
                    known
                    for family in _families_to_ask(line)
                    if (known := self._schedules[line.id, family].known) is not None
                ]
                for line in self._config.lines
            }

    def note(self, result: Result) -> None:
        """Take a result: a line that answers again was perhaps connected anew."""
        if result.kind != _LATENCY or result.target == GATEWAY_TARGET:
            return
        now_s, answered = clock.monotonic_s(), result.outcome is Outcome.OK
        with self._lock:
            for (line_id, family), detector in self._detectors.items():
                if line_id != result.line.id or result.family not in (None, family):
                    continue
                if detector.answers_again(now_s, answered=answered):
                    self._schedules[line_id, family].reconnected()

    def _ask_if_due(self, line: LineConfig, family: Family, stop: Stop) -> None:
        source = address_service.source_address(line, family)
        signature = None if source is None else _signature(line, source)
        with self._lock:
            schedule = self._schedules[line.id, family]
            if not schedule.is_due(clock.monotonic_s(), signature) or source is None:
                return
        found = self._asked(line, family, source, stop)
        with self._lock:
            schedule.asked(clock.monotonic_s(), found)

    def _asked(
        self, line: LineConfig, family: Family, source: IpAddress, stop: Stop
    ) -> LineOperator | None:
        seen = self._look_up(line, family, stop)
        if isinstance(seen, Failure):
            log.info("line %s: public %s address not known: %s", line.id, family, seen.sentence)
            return None
        public = parsed(seen.public_address)
        way = gateway.of_line(line)
        router = None
        if family is Family.IPV4 and public != source and way is not None and ":" not in way:
            router = nat_pmp.router_address(line, way)
        # Whole seconds: it is in every result.
        at = clock.utc_now().replace(microsecond=0)
        return LineOperator(str(public), nat_of(source, public, router), at)

    def _look_up(self, line: LineConfig, family: Family, stop: Stop) -> Operator | Failure:
        settings = self._config.operator
        if settings.url is not None:
            # Imported here, because `requests` would take 4 MB of the daemon's memory.
            from probe.measure.operator import external  # noqa: PLC0415

            seen = external.look_up(line, settings, family)
            assert seen is not None
            return seen
        server = self._server
        assert isinstance(server, ServerConfig)
        return address_service.look_up(line, server, family, settings.timeout_s, stop)


def _families_to_ask(line: LineConfig) -> tuple[Family, ...]:
    """Those configured, else that of the source address, else both: routes decide."""
    if line.families is not None:
        return tuple(line.families)
    if line.source_address is not None:
        return (Family.of(line.source_address),)
    return tuple(Family)


def _signature(line: LineConfig, source: IpAddress) -> _Signature:
    network = str(source)
    if source.version == 6:
        network = ":".join(source.exploded.split(":")[:4])
    return _Signature(network, gateway.of_line(line))
