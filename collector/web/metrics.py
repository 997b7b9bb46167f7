"""Floor 2. `/metrics` for Prometheus (text format 0.0.4): base units (seconds, bytes, ratios).

Made anew at each scrape from what the store says; nothing is counted here. Figures of lines are
today's means (local day), so that a graph has a point a scrape and no rate() is needed.

The nation has 50,000 series. prometheus-client looks at every name and label of each anew, which is
a second of processor at every scrape; here a line's labels are written once. What a number looks
like is the library's, and so is the parser that the test reads all of it with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime

from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.utils import floatToGoString

from collector.domain.lines import KnownLine, LineState, is_silent
from collector.registry.registry import LineKey
from collector.rollup.summary import EMPTY, Summary
from collector.store.records import StoredProbe, Totals
from collector.web.line_table import DOWN, LATENCY, UP

CONTENT_TYPE = CONTENT_TYPE_LATEST
_number: Callable[[float], str] = floatToGoString


class _Family:
    """One metric of many things, by the labels that tell them apart."""

    def __init__(self, name: str, told: str, kind: str = "gauge") -> None:
        self._name = name
        self._rows = [f"# HELP {name} {told}", f"# TYPE {name} {kind}"]

    def add(self, value: float | None, labels: str = "") -> None:
        """A thing's figure; nothing where there is none."""
        if value is not None:
            self._rows.append(f"{self._name}{labels} {_number(value)}")

    def __str__(self) -> str:
        return "\n".join(self._rows)


def text(
    totals: Totals,
    probes: Iterable[StoredProbe],
    lines: Iterable[KnownLine],
    states: Mapping[LineKey, LineState],
    summaries: Mapping[LineKey, Summary],
    now: datetime,
) -> bytes:
    """The exposition."""
    families = [*_totals(totals), *_probes(probes, now), *_lines(lines, states, summaries)]
    return ("\n".join(map(str, families)) + "\n").encode()


def _labels(**values: str) -> str:
    """Labels as they are written, by their names."""
    written = ",".join(f'{name}="{_escaped(value)}"' for name, value in sorted(values.items()))
    return f"{{{written}}}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _totals(totals: Totals) -> Iterator[_Family]:
    stored = _Family(
        "tramdo_results_stored_total", "Results stored since the store was made", "counter"
    )
    stored.add(totals.results)
    yield stored
    rejected = _Family("tramdo_messages_rejected_total", "Messages that intake refused", "counter")
    for reason, count in totals.rejected.items():
        rejected.add(count, _labels(reason=reason.value))
    yield rejected


def _probes(probes: Iterable[StoredProbe], now: datetime) -> Iterator[_Family]:
    heard = _Family("tramdo_probe_up", "1 while the probe is heard, 0 while it is silent")
    contact = _Family("tramdo_probe_last_contact_timestamp_seconds", "When it was heard last")
    pending = _Family("tramdo_probe_pending_results", "Results that no receipt covers yet")
    heatmap = _Family("tramdo_probe_temperature_celsius", "Of its processor")
    clock = _Family("tramdo_probe_clock_synchronised", "1 while its clock is synchronised")
    for probe in probes:
        labels = _labels(tenant=probe.tenant, probe=probe.probe)
        heard.add(0 if is_silent(probe, now) else 1, labels)
        contact.add(_seconds_since_1970(probe.last_contact_at), labels)
        if (health := probe.health) is not None:
            pending.add(health.pending, labels)
            heatmap.add(health.temperature_c, labels)
            clock.add(health.clock_synchronised, labels)
    yield from (heard, contact, pending, heatmap, clock)


def _lines(
    lines: Iterable[KnownLine],
    states: Mapping[LineKey, LineState],
    summaries: Mapping[LineKey, Summary],
) -> Iterator[_Family]:
    down = _Family("tramdo_line_download_bytes_per_second", "Mean of today, whole transfers")
    up = _Family("tramdo_line_upload_bytes_per_second", "Mean of today, whole transfers")
    rtt = _Family("tramdo_line_rtt_seconds", "Mean of today, to measurement servers")
    loss = _Family("tramdo_line_loss_ratio", "Of today's packets")
    available = _Family("tramdo_line_availability_ratio", "Of today's known minutes")
    good = _Family("tramdo_line_state", "1 for the state that it is in")
    for line in lines:
        tenant, probe, name = line.key
        names = {
            "tenant": tenant,
            "probe": probe,
            "line": name,
            "isp": line.isp,
            "commune_code": line.commune_code,
        }
        labels = _labels(**names)
        summary = summaries.get(line.key, EMPTY)
        good.add(1, _labels(**names, state=states.get(line.key, LineState.NEVER).value))
        down.add(_bytes(summary.metric(DOWN).mean), labels)
        up.add(_bytes(summary.metric(UP).mean), labels)
        rtt.add(_seconds(summary.metric(LATENCY).mean), labels)
        loss.add(summary.loss_ratio, labels)
        available.add(summary.availability_ratio, labels)
    yield from (down, up, rtt, loss, available, good)


def _seconds_since_1970(at: datetime | None) -> float | None:
    return None if at is None else at.timestamp()


def _bytes(bits: float | None) -> float | None:
    return None if bits is None else bits / 8


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000
