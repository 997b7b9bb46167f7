"""Floor 1. A Summary: what a line's results of some time come to; mergeable with any other.

Hours merge to days, days to months, lines to a commune, an ISP, a group, the nation.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TypeVar

from msgspec import Struct

from collector.rollup.distribution import Distribution, distribution
from collector.rollup.metrics import invalidating, kind_metrics, metric_kind, reader
from wire.result import Outcome, Result

N = TypeVar("N", int, float)

# Raw round-trip times of kind `latency`, all packets of all windows: its percentiles are those of
# packets, not of windows. Named apart from the per-window metrics.
PACKETS = "rtt_ms"


class KindCounts(Struct, frozen=True, array_like=True):
    """The results of one kind, counted; `valid` of the `ok` bear no flag that invalidates them."""

    ok: int = 0
    failed: int = 0
    skipped: int = 0
    valid: int = 0
    reasons: dict[str, int] = {}
    flags: dict[str, int] = {}

    @property
    def attempted(self) -> int:
        """What was begun: `ok` and `failed`. A skipped one was put off, and is told apart."""
        return self.ok + self.failed

    def merged(self, other: KindCounts) -> KindCounts:
        """Of both."""
        return KindCounts(
            self.ok + other.ok,
            self.failed + other.failed,
            self.skipped + other.skipped,
            self.valid + other.valid,
            _added(self.reasons, other.reasons),
            _added(self.flags, other.flags),
        )


class Summary(Struct, frozen=True, array_like=True):
    """Counts by kind, distributions and exact sums by metric (`collector.rollup.metrics`)."""

    kinds: dict[str, KindCounts] = {}
    metrics: dict[str, Distribution] = {}
    sums: dict[str, float] = {}

    def counts(self, kind: str) -> KindCounts:
        """The counts of a kind, zeros where it was never measured."""
        return self.kinds.get(kind, _NOTHING)

    def metric(self, name: str) -> Distribution:
        """A metric, empty where it was never measured."""
        return self.metrics.get(name, _NO_FIGURES)

    @property
    def loss_ratio(self) -> float | None:
        """Packets lost of packets sent to measurement servers; None where none was sent."""
        sent = self.sums.get("latency_sent", 0)
        return self.sums.get("latency_lost", 0) / sent if sent else None

    @property
    def up_minutes(self) -> int:
        """Minutes up (kind `availability`)."""
        return int(self.sums.get("availability_up_minutes", 0))

    @property
    def down_minutes(self) -> int:
        """Minutes down."""
        return int(self.sums.get("availability_down_minutes", 0))

    @property
    def unknown_minutes(self) -> int:
        """Minutes of which nobody knows; shown beside the availability, in no ratio."""
        return int(self.sums.get("availability_unknown_minutes", 0))

    @property
    def availability_ratio(self) -> float | None:
        """up / (up + down) (METHOD, Availability); None where neither is known."""
        known = self.up_minutes + self.down_minutes
        return self.up_minutes / known if known else None

    def merged(self, other: Summary) -> Summary:
        """Of both."""
        kinds, metrics = dict(self.kinds), dict(self.metrics)
        for kind, counts in other.kinds.items():
            kinds[kind] = kinds[kind].merged(counts) if kind in kinds else counts
        for name, figures in other.metrics.items():
            metrics[name] = metrics[name].merged(figures) if name in metrics else figures
        return Summary(kinds, metrics, _added(self.sums, other.sums))


_NOTHING = KindCounts()
_NO_FIGURES = Distribution()
EMPTY = Summary()


def merge_summaries(parts: Iterable[Summary]) -> Summary:
    """Of all parts."""
    whole = EMPTY
    for part in parts:
        whole = whole.merged(part)
    return whole


class Tally:
    """Takes results one by one; what they come to is a Summary."""

    def __init__(self) -> None:
        self._counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        self._reasons: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        self._flags: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        # A row of figures and sums for each valid result, by kind: columns are made at the end.
        self._rows: dict[str, list[tuple[float | None, ...]]] = defaultdict(list)
        self._packets: dict[str, list[float]] = defaultdict(list)
        self._infinite: dict[str, int] = defaultdict(int)

    def take(self, kind: str, result: Result) -> None:
        """Count a result; its figures too when it is valid."""
        counts = self._counts[kind]
        counts[_PLACES[result.outcome]] += 1
        if result.reason is not None:
            self._reasons[kind][result.reason.value] += 1
        if result.validity:
            for flag in result.validity:
                self._flags[kind][flag.value] += 1
            if not invalidating(kind).isdisjoint(result.validity):
                return
        if result.outcome is Outcome.OK:
            counts[3] += 1
        named = metric_kind(kind, result.target)
        values = result.values
        # A failed latency window has values too: all of its packets were lost, and that counts.
        if values is None or named is None:
            return
        self._rows[named].append(reader(named)(values))
        if rtt_us := getattr(values, "rtt_us", None):
            name = f"{named}_{PACKETS}"
            self._packets[name].extend([rtt / 1000 for rtt in rtt_us])
            self._infinite[name] += getattr(values, "lost", 0)

    def summary(self) -> Summary:
        """What it comes to so far."""
        metrics = {
            name: distribution(packets, self._infinite[name])
            for name, packets in self._packets.items()
        }
        sums: dict[str, float] = {}
        for named, rows in self._rows.items():
            wanted = kind_metrics(named)
            columns = [
                [cell for cell in column if cell is not None] for column in zip(*rows, strict=True)
            ]
            for metric, figures in zip(wanted.figures, columns, strict=False):
                if figures:
                    metrics[metric.name] = distribution(figures)
            for metric, counts in zip(wanted.sums, columns[len(wanted.figures) :], strict=False):
                sums[metric.name] = sum(counts)
        kinds = {
            kind: KindCounts(
                ok,
                failed,
                skipped,
                valid,
                dict(self._reasons.get(kind, {})),
                dict(self._flags.get(kind, {})),
            )
            for kind, (ok, failed, skipped, valid) in self._counts.items()
        }
        return Summary(kinds, metrics, sums)


_PLACES = {Outcome.OK: 0, Outcome.FAILED: 1, Outcome.SKIPPED: 2}


def _added(one: Mapping[str, N], other: Mapping[str, N]) -> dict[str, N]:
    total = dict(one)
    for name, more in other.items():
        total[name] = total[name] + more if name in total else more
    return total
