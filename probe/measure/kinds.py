"""Floor 3. The table of kinds that can be measured, and their functions."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from msgspec import Struct

from probe.config import Config
from probe.measure.dns import probe as dns_probe
from probe.measure.http import probe as http_probe
from probe.measure.latency import probe as latency_probe
from probe.measure.leased import leased
from probe.measure.measurement import MeasureFunction
from probe.measure.path import probe as path_probe
from probe.measure.throughput import probe as throughput_probe
from probe.measure.web import probe as web_probe
from wire.result import (
    DnsResult,
    HttpResult,
    LatencyResult,
    PathResult,
    ThroughputResult,
    WebResult,
    kind_of,
)


def _always(_: Config) -> bool:
    return True


class MeasureKind(Struct, frozen=True):
    """How a kind is measured.

    `once` ends by itself; `continuous`, where a kind has it, runs until stopped. A `bulk` kind
    fills the line, so one runs at a time on a host. `enabled` says whether a configuration
    enables it; for bulk kinds their share does.
    """

    once: MeasureFunction
    continuous: MeasureFunction | None = None
    bulk: bool = False
    enabled: Callable[[Config], bool] = _always


MEASURES: dict[str, MeasureKind] = {
    kind_of(ThroughputResult): MeasureKind(
        leased(kind_of(ThroughputResult), throughput_probe.measure), bulk=True
    ),
    kind_of(HttpResult): MeasureKind(leased(kind_of(HttpResult), http_probe.measure), bulk=True),
    kind_of(LatencyResult): MeasureKind(
        partial(latency_probe.measure, windows=1), continuous=latency_probe.measure
    ),
    kind_of(DnsResult): MeasureKind(
        dns_probe.measure, enabled=lambda config: bool(config.dns.names)
    ),
    kind_of(WebResult): MeasureKind(
        web_probe.measure, enabled=lambda config: bool(config.web.pages)
    ),
    kind_of(PathResult): MeasureKind(path_probe.measure),
}
