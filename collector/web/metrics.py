"""Floor 2. `/metrics` for Prometheus (text format 0.0.4): base units (seconds, bytes, ratios).

Built at each scrape from the store; nothing is counted in this process. Figures of lines are the
means of the local day, so gauges, not counters.

The nation has 50,000 series. prometheus-client validates every name and label of each, a second of
CPU per scrape; here a line's labels are written once. Numbers are formatted by the library, and a
test reads the output with its parser.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime

from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.utils import floatToGoString

from collector.domain.lines import KnownLine, LineState, is_silent
from collector.ingest.status import IngestStatus
from collector.registry.registry import LineKey
from collector.rollup.summary import EMPTY, Summary
from collector.store.leases import without_homes
from collector.store.records import StoredProbe, Totals
from collector.web import families_view
from collector.web.families_view import Families
from collector.web.line_table import DOWN, LATENCY, UP

CONTENT_TYPE = CONTENT_TYPE_LATEST
_number: Callable[[float], str] = floatToGoString


class Family:
    """A metric family: its HELP, TYPE and samples."""

    def __init__(self, name: str, description: str, kind: str = "gauge") -> None:
        self._name = name
        self._rows = [f"# HELP {name} {description}", f"# TYPE {name} {kind}"]

    def add(self, value: float | None, labels: str = "") -> None:
        """Add a sample; nothing where the value is None."""
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
    by_family: Mapping[LineKey, Families],
    now: datetime,
    status: IngestStatus | None = None,
) -> bytes:
    """All metrics in the text exposition format."""
    lines = list(lines)
    families = [
        *_totals(totals),
        *_probes(probes, now),
        *_lines(lines, states, summaries),
        *_address_families(lines, by_family),
        *(_leases(status) if status and status.holder else ()),
    ]
    return ("\n".join(map(str, families)) + "\n").encode()


def labels_text(**values: str) -> str:
    """Labels in exposition format, sorted by name."""
    written = ",".join(f'{name}="{_escaped(value)}"' for name, value in sorted(values.items()))
    return f"{{{written}}}"


class _LineLabels:
    """The labels of a line, escaped once for all its samples: as `labels_text` writes them."""

    __slots__ = ("_commune", "_line", "_tenant", "text")

    def __init__(self, line: KnownLine) -> None:
        tenant, probe, name = map(_escaped, line.key)
        self._commune = f'{{commune_code="{_escaped(line.commune_code)}",'
        self._line = f'isp="{_escaped(line.isp)}",line="{name}",probe="{probe}",'
        self._tenant = f'tenant="{tenant}"}}'
        self.text = f"{self._commune}{self._line}{self._tenant}"

    def with_family(self, family: str) -> str:
        """The same with the label of an address family."""
        return f'{self._commune}family="{family}",{self._line}{self._tenant}'

    def with_state(self, state: LineState) -> str:
        """The same with the label of a state."""
        return f'{self._commune}{self._line}state="{state}",{self._tenant}'


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _totals(totals: Totals) -> Iterator[Family]:
    stored = Family(
        "tramdo_results_stored_total", "Results stored since the store was created", "counter"
    )
    stored.add(totals.results)
    yield stored
    rejected = Family(
        "tramdo_messages_rejected_total", "Messages rejected by validation", "counter"
    )
    for reason, count in totals.rejected.items():
        rejected.add(count, labels_text(reason=reason.value))
    yield rejected


def _probes(probes: Iterable[StoredProbe], now: datetime) -> Iterator[Family]:
    heard = Family("tramdo_probe_up", "1 while the probe is in contact, 0 while it is silent")
    contact = Family(
        "tramdo_probe_last_contact_timestamp_seconds", "Time of the last message from the probe"
    )
    pending = Family("tramdo_probe_pending_results", "Results that no receipt covers yet")
    heatmap = Family("tramdo_probe_temperature_celsius", "CPU temperature of the probe")
    clock = Family("tramdo_probe_clock_synchronised", "1 while the probe's clock is synchronised")
    for probe in probes:
        labels = labels_text(tenant=probe.tenant, probe=probe.probe)
        heard.add(0 if is_silent(probe, now) else 1, labels)
        contact.add(unix_time(probe.last_contact_at), labels)
        if (health := probe.health) is not None:
            pending.add(health.pending, labels)
            heatmap.add(health.temperature_c, labels)
            clock.add(health.clock_synchronised, labels)
    yield from (heard, contact, pending, heatmap, clock)


def _lines(
    lines: Iterable[KnownLine],
    states: Mapping[LineKey, LineState],
    summaries: Mapping[LineKey, Summary],
) -> Iterator[Family]:
    down = Family(
        "tramdo_line_download_bytes_per_second", "Mean download of the local day, whole transfers"
    )
    up = Family(
        "tramdo_line_upload_bytes_per_second", "Mean upload of the local day, whole transfers"
    )
    rtt = Family(
        "tramdo_line_rtt_seconds", "Mean round-trip time of the local day, to measurement servers"
    )
    loss = Family("tramdo_line_loss_ratio", "Packet loss of the local day")
    available = Family(
        "tramdo_line_availability_ratio", "Availability of the local day, over known minutes"
    )
    good = Family("tramdo_line_state", "1 for the current state of the line")
    for line in lines:
        of_line = _LineLabels(line)
        labels, summary = of_line.text, summaries.get(line.key, EMPTY)
        good.add(1, of_line.with_state(states.get(line.key, LineState.NEVER)))
        down.add(_bytes(summary.metric(DOWN).mean), labels)
        up.add(_bytes(summary.metric(UP).mean), labels)
        rtt.add(_seconds(summary.metric(LATENCY).mean), labels)
        loss.add(summary.loss_ratio, labels)
        available.add(summary.availability_ratio, labels)
    yield from (down, up, rtt, loss, available, good)


def _address_families(
    lines: Iterable[KnownLine], by_family: Mapping[LineKey, Families]
) -> Iterator[Family]:
    """Each address family of each line, under names of their own: a sum counts nothing twice."""
    down = Family(
        "tramdo_line_family_download_bytes_per_second",
        "Mean download of the local day over one address family, whole transfers",
    )
    up = Family(
        "tramdo_line_family_upload_bytes_per_second",
        "Mean upload of the local day over one address family, whole transfers",
    )
    rtt = Family(
        "tramdo_line_family_rtt_seconds",
        "Mean round-trip time of the local day over one address family",
    )
    loss = Family(
        "tramdo_line_family_loss_ratio", "Packet loss of the local day over one address family"
    )
    for line in lines:
        measured = families_view.measured(by_family.get(line.key, {}))
        if not measured:
            continue
        of_line = _LineLabels(line)
        for family, summary in measured.items():
            labels = of_line.with_family(family.value if family else families_view.UNSTATED)
            down.add(_bytes(summary.metric(DOWN).mean), labels)
            up.add(_bytes(summary.metric(UP).mean), labels)
            rtt.add(_seconds(summary.metric(LATENCY).mean), labels)
            loss.add(summary.loss_ratio, labels)
    yield from (down, up, rtt, loss)


def _leases(status: IngestStatus) -> Iterator[Family]:
    """Where several collectors share the store; each is asked for its own."""
    held = Family("tramdo_lease_held", "1 while this collector holds the lease")
    taken = Family("tramdo_lease_taken_total", "How often the lease was taken", "counter")
    for one in without_homes(status.leases):
        labels = labels_text(lease=one.name)
        held.add(1 if one.is_held_by(status.holder) else 0, labels)
        taken.add(one.generation, labels)
    yield from (held, taken)


def unix_time(at: datetime | None) -> float | None:
    """A time as a sample of a metric: seconds since 1970."""
    return None if at is None else at.timestamp()


def _bytes(bits: float | None) -> float | None:
    return None if bits is None else bits / 8


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000
