"""Floor 2. `/metrics` for Prometheus, by prometheus-client: base units (seconds, bytes, ratios).

Made anew at each scrape from what the store says; nothing is counted here. Figures of lines are
today's means (local day), so that a graph has a point a scrape and no rate() is needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from collector.registry.registry import LineKey
from collector.rollup.summary import EMPTY, Summary
from collector.store.store import StoredProbe, Totals
from collector.web.known_lines import KnownLine, State, is_silent
from collector.web.line_table import DOWN, LATENCY, UP

CONTENT_TYPE = CONTENT_TYPE_LATEST
_PROBE = ("tenant", "probe")
_LINE = ("tenant", "probe", "line", "isp", "commune_code")


def text(
    totals: Totals,
    probes: Iterable[StoredProbe],
    lines: Iterable[KnownLine],
    states: Mapping[LineKey, State],
    summaries: Mapping[LineKey, Summary],
    now: datetime,
) -> bytes:
    """The exposition."""
    registry = CollectorRegistry()
    registry.register(
        _Ready(
            [
                *_totals(totals),
                *_probes(probes, now),
                *_lines(lines, states, summaries),
            ]
        )
    )
    return generate_latest(registry)


class _Ready(Collector):
    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = list(metrics)

    def collect(self) -> Iterator[Metric]:
        """The metrics, as they were made."""
        return iter(self._metrics)


def _totals(totals: Totals) -> Iterator[Metric]:
    stored = CounterMetricFamily("tramdo_results_stored", "Results stored since the store was made")
    stored.add_metric([], totals.results)
    yield stored
    rejected = CounterMetricFamily(
        "tramdo_messages_rejected", "Messages that intake refused", labels=["reason"]
    )
    for reason, count in totals.rejected.items():
        rejected.add_metric([reason.value], count)
    yield rejected


def _probes(probes: Iterable[StoredProbe], now: datetime) -> Iterator[Metric]:
    heard = GaugeMetricFamily(
        "tramdo_probe_up", "1 while the probe is heard, 0 while it is silent", labels=_PROBE
    )
    contact = GaugeMetricFamily(
        "tramdo_probe_last_contact_timestamp_seconds", "When it was heard last", labels=_PROBE
    )
    pending = GaugeMetricFamily(
        "tramdo_probe_pending_results", "Results that no receipt covers yet", labels=_PROBE
    )
    heat = GaugeMetricFamily("tramdo_probe_temperature_celsius", "Of its processor", labels=_PROBE)
    clock = GaugeMetricFamily(
        "tramdo_probe_clock_synchronised", "1 while its clock is synchronised", labels=_PROBE
    )
    for probe in probes:
        names = [probe.tenant, probe.probe]
        heard.add_metric(names, 0 if is_silent(probe, now) else 1)
        if probe.last_contact_at is not None:
            contact.add_metric(names, probe.last_contact_at.timestamp())
        if probe.health is None:
            continue
        pending.add_metric(names, probe.health.pending)
        if probe.health.temperature_c is not None:
            heat.add_metric(names, probe.health.temperature_c)
        if probe.health.clock_synchronised is not None:
            clock.add_metric(names, int(probe.health.clock_synchronised))
    yield from (heard, contact, pending, heat, clock)


def _lines(
    lines: Iterable[KnownLine],
    states: Mapping[LineKey, State],
    summaries: Mapping[LineKey, Summary],
) -> Iterator[Metric]:
    down = GaugeMetricFamily(
        "tramdo_line_download_bytes_per_second", "Mean of today, whole transfers", labels=_LINE
    )
    up = GaugeMetricFamily(
        "tramdo_line_upload_bytes_per_second", "Mean of today, whole transfers", labels=_LINE
    )
    rtt = GaugeMetricFamily(
        "tramdo_line_rtt_seconds", "Mean of today, to measurement servers", labels=_LINE
    )
    loss = GaugeMetricFamily("tramdo_line_loss_ratio", "Of today's packets", labels=_LINE)
    available = GaugeMetricFamily(
        "tramdo_line_availability_ratio", "Of today's known minutes", labels=_LINE
    )
    good = GaugeMetricFamily(
        "tramdo_line_state", "1 for the state that it is in", labels=(*_LINE, "state")
    )
    for line in lines:
        names = [*line.key, line.isp, line.commune_code]
        summary = summaries.get(line.key, EMPTY)
        good.add_metric([*names, states.get(line.key, State.NEVER).value], 1)
        for metric, value in (
            (down, _bytes(summary.metric(DOWN).mean)),
            (up, _bytes(summary.metric(UP).mean)),
            (rtt, _seconds(summary.metric(LATENCY).mean)),
            (loss, summary.loss_ratio),
            (available, summary.availability_ratio),
        ):
            if value is not None:
                metric.add_metric(names, value)
    yield from (down, up, rtt, loss, available, good)


def _bytes(bits: float | None) -> float | None:
    return None if bits is None else bits / 8


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000
