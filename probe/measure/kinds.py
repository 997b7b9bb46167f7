"""Floor 3. The table of kinds: what can be measured, and how it is started."""

from __future__ import annotations

from functools import partial

from msgspec import Struct

from probe.measure.http import probe as http_probe
from probe.measure.latency import probe as latency_probe
from probe.measure.measurement import Measure
from probe.measure.throughput import probe as throughput_probe
from wire.result import HttpResult, LatencyResult, ThroughputResult, kind_of


class MeasureKind(Struct, frozen=True):
    """How a kind is measured.

    `once` ends by itself; `continuous`, where a kind has it, goes on until stopped. A `bulk` kind
    fills the line, so one runs at a time on a host.
    """

    once: Measure
    continuous: Measure | None = None
    bulk: bool = False


MEASURES: dict[str, MeasureKind] = {
    kind_of(ThroughputResult): MeasureKind(throughput_probe.measure, bulk=True),
    kind_of(HttpResult): MeasureKind(http_probe.measure, bulk=True),
    kind_of(LatencyResult): MeasureKind(
        partial(latency_probe.measure, windows=1), continuous=latency_probe.measure
    ),
}
