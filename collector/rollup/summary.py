"""Floor 1. A Summary: counts and statistics of a line's results over some time, mergeable.

Hours merge to days, days to months, lines to a commune, an ISP, a group, the nation.
"""

from __future__ import annotations

import struct
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import NamedTuple, TypeVar

from msgspec import Struct

from collector.registry.registry import LineKey
from collector.rollup.distribution import (
    COUNT_MOST,
    Distribution,
    delays,
    distribution,
    merge_all,
)
from collector.rollup.metrics import (
    ON_DEMAND,
    invalidating,
    kind_metrics,
    metric_kind,
    reader,
)
from wire.messages import PlannedKind
from wire.result import HOST_LINE, KIND_OF, Family, Outcome, Result

N = TypeVar("N", int, float)

# Round-trip times of all packets of all `latency` windows: percentiles of packets, not of windows.
PACKETS = "rtt_ms"
# The kinds that are speed tests, which the campaign counts.
SPEED_KINDS = ("throughput", "http")


def speed_tests_a_day(plan: Iterable[PlannedKind], line: str) -> float:
    """The number of speed tests a day in a plan for a line; an entry without a line is for each."""
    return sum(
        planned.per_line_and_day
        for planned in plan
        if planned.kind in SPEED_KINDS and planned.line in (None, line)
    )


class KindCounts(Struct, frozen=True, array_like=True, gc=False):
    """Counts of the results of one kind; `valid` are the `ok` ones without an invalidating flag."""

    ok: int = 0
    failed: int = 0
    skipped: int = 0
    valid: int = 0
    reasons: dict[str, int] = {}
    flags: dict[str, int] = {}

    @property
    def attempted(self) -> int:
        """`ok` and `failed`; a skipped one was not begun."""
        return self.ok + self.failed

    def merged(self, other: KindCounts) -> KindCounts:
        """The counts of both."""
        return KindCounts(
            self.ok + other.ok,
            self.failed + other.failed,
            self.skipped + other.skipped,
            self.valid + other.valid,
            _added(self.reasons, other.reasons),
            _added(self.flags, other.flags),
        )


class Summary(Struct, frozen=True, array_like=True, gc=False):
    """Counts by kind, distributions and exact sums by metric (`collector.rollup.metrics`)."""

    kinds: dict[str, KindCounts] = {}
    metrics: Mapping[str, Distribution] = {}
    sums: Mapping[str, float] = {}

    def counts(self, kind: str) -> KindCounts:
        """The counts of a kind, zeros where there are no results."""
        return self.kinds.get(kind, _NO_COUNTS)

    def metric(self, name: str) -> Distribution:
        """A metric, empty where there are no figures."""
        return self.metrics.get(name, _NO_FIGURES)

    @property
    def speed_tests(self) -> int:
        """The number of `ok` speed tests, by which pages and reports count the campaign."""
        return sum(self.counts(kind).ok for kind in SPEED_KINDS)

    @property
    def planned_completed(self) -> int:
        """The number of planned speed tests whose result was received, skipped ones included.

        Tests on demand are not planned and do not fill a gap in the plan.
        """
        counts = [self.counts(kind) for kind in SPEED_KINDS]
        come = sum(count.attempted + count.skipped for count in counts)
        return come - sum(count.flags.get(ON_DEMAND, 0) for count in counts)

    @property
    def loss_ratio(self) -> float | None:
        """Packets lost / packets sent, to measurement servers; None where none was sent."""
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
        """Minutes of unknown state; shown beside the availability, in no ratio."""
        return int(self.sums.get("availability_unknown_minutes", 0))

    def family_down_minutes(self, family: Family) -> int | None:
        """Minutes in which an address family did not answer; the line may have been up in them.

        None where the line does not have it, or its probe does not report it.
        """
        minutes = self.sums.get(f"availability_{family}_down_minutes")
        return None if minutes is None else int(minutes)

    @property
    def availability_ratio(self) -> float | None:
        """up / (up + down) (docs/method.md#roll-ups, R8); None where neither is known."""
        known = self.up_minutes + self.down_minutes
        return self.up_minutes / known if known else None

    def merged(self, other: Summary) -> Summary:
        """The Summary of both."""
        kinds, metrics = dict(self.kinds), dict(self.metrics)
        for kind, counts in other.kinds.items():
            kinds[kind] = kinds[kind].merged(counts) if kind in kinds else counts
        for name, figures in other.metrics.items():
            metrics[name] = metrics[name].merged(figures) if name in metrics else figures
        return Summary(kinds, metrics, _added(self.sums, other.sums))


_NO_COUNTS = KindCounts()
_NO_FIGURES = Distribution()
EMPTY = Summary()


def merge_summaries(parts: Iterable[Summary]) -> Summary:
    """The Summary of all parts: what `merged` makes of them, one by one."""
    every = list(parts)
    if len(every) == 1:
        return every[0]
    kinds: dict[str, KindCounts] = {}
    metrics: dict[str, list[Distribution]] = {}
    for part in every:
        for kind, counts in part.kinds.items():
            kinds[kind] = kinds[kind].merged(counts) if kind in kinds else counts
        for name, figures in part.metrics.items():
            metrics.setdefault(name, []).append(figures)
    return Summary(
        kinds,
        {name: merge_all(some) for name, some in metrics.items()},
        merge_sums(part.sums for part in every),
    )


def merge_metrics(parts: Iterable[Summary], names: Iterable[str]) -> Summary:
    """What `merge_summaries` has of these metrics, and all its sums; no counts by kind."""
    some = list(parts)
    metrics: dict[str, Distribution] = {}
    for name in names:
        known = [part.metrics[name] for part in some if name in part.metrics]
        if known:
            metrics[name] = merge_all(known)
    return Summary({}, metrics, merge_sums(part.sums for part in some))


def merge_sums(parts: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Exact sums of all parts by metric."""
    sums: dict[str, float] = {}
    for part in parts:
        for name, more in part.items():
            sums[name] = sums[name] + more if name in sums else more
    return sums


class ResultGroup(Struct, frozen=True, array_like=True, gc=False):
    """What some results of one kind and target add to a Summary: counts, and figures as they are.

    `named` is the kind in the metrics' names, None where only the counts are added. `figures` has a
    column for each of `kind_metrics`, figures before sums. `packets` are the delays of all packets
    (us), unsigned 32-bit integers, little-endian; a list where one of them needs more. `lost` had
    none.
    """

    kind: str
    named: str | None
    counts: KindCounts
    figures: list[Sequence[float | None]] = []
    packets: bytes | list[int] = b""
    lost: int = 0


def group_of(kind: str, target: str | None, results: list[Result]) -> ResultGroup:
    """The group of results of one kind and target."""
    counts, valid = _counted(kind, results)
    named = metric_kind(kind, target)
    if named is None:
        return ResultGroup(kind, None, counts)
    # A failed latency window has values too: all of its packets were lost.
    values = [result.values for result in valid if result.values is not None]
    if not values:
        return ResultGroup(kind, None, counts)
    columns: list[Sequence[float | None]] = list(zip(*map(reader(named), values), strict=True))
    if not hasattr(values[0], "rtt_us"):
        return ResultGroup(kind, named, counts, columns)
    delays_us: list[int] = []
    lost = 0
    for value in values:
        # A window without the delays of its packets is in no percentile of packets, nor are its
        # lost ones. In one that lost all of them each is +infinity (RFC 7679, section 5).
        if (some := getattr(value, "rtt_us", None)) is not None:
            delays_us += some
            lost += getattr(value, "lost", 0)
    return ResultGroup(kind, named, counts, columns, _packed(delays_us), min(lost, COUNT_MOST))


def summary_of(groups: Iterable[ResultGroup]) -> Summary:
    """The Summary of all results of some groups, the figures in the groups' order.

    A column of figures at a time: a third of the cost of a result at a time.
    """
    kinds: dict[str, KindCounts] = {}
    parts: dict[str, list[ResultGroup]] = {}
    for group in groups:
        known = kinds.get(group.kind)
        kinds[group.kind] = group.counts if known is None else known.merged(group.counts)
        if group.named is not None:
            parts.setdefault(group.named, []).append(group)
    metrics: dict[str, Distribution] = {}
    sums: dict[str, float] = {}
    for named, same in parts.items():
        _add_metrics(named, same, metrics, sums)
    return Summary(kinds, metrics, sums)


def _add_metrics(
    named: str, groups: list[ResultGroup], metrics: dict[str, Distribution], sums: dict[str, float]
) -> None:
    """Add the metrics and sums of groups that have the same names."""
    wanted = kind_metrics(named)
    cells = [_known(same) for same in zip(*(group.figures for group in groups), strict=True)]
    for metric, figures in zip(wanted.figures, cells, strict=False):
        if figures:
            metrics[metric.name] = distribution(figures)
    for metric, added in zip(wanted.sums, cells[len(wanted.figures) :], strict=False):
        # A float, for counts that a broken probe invents may exceed 64 bits.
        if added:
            sums[metric.name] = float(sum(added))
    packets = _unpacked([group.packets for group in groups])
    lost = min(sum(group.lost for group in groups), COUNT_MOST)
    if packets or lost:
        metrics[f"{named}_{PACKETS}"] = delays(packets, lost)


def _known(columns: Sequence[Sequence[float | None]]) -> Sequence[float]:
    """The figures of some columns, without None."""
    whole = columns[0] if len(columns) == 1 else chain.from_iterable(columns)
    return [cell for cell in whole if cell is not None]


def _packed(delays_us: list[int]) -> bytes | list[int]:
    try:
        return struct.pack(f"<{len(delays_us)}I", *delays_us)
    except struct.error:
        return delays_us


def _unpacked(parts: Sequence[bytes | list[int]]) -> Sequence[int]:
    """The delays of all parts, in their order."""
    packed = [part for part in parts if isinstance(part, bytes)]
    if len(packed) < len(parts):
        return [delay for part in parts for delay in _as_integers(part)]
    return _as_integers(b"".join(packed))


def _as_integers(packets: bytes | list[int]) -> Sequence[int]:
    if isinstance(packets, list):
        return packets
    return struct.unpack(f"<{len(packets) // 4}I", packets)


def _counted(kind: str, results: list[Result]) -> tuple[KindCounts, list[Result]]:
    """The counts of results of one kind, and the results that enter the figures."""
    outcomes = [result.outcome for result in results]
    ok = outcomes.count(Outcome.OK)
    failed = 0 if ok == len(outcomes) else outcomes.count(Outcome.FAILED)
    reasons = [result.reason.value for result in results if result.reason is not None]
    flags = [flag.value for result in results for flag in result.validity]
    valid, valid_ok = results, ok
    if kind in SPEED_KINDS:
        valid = [result for result in results if result.slot_at is not None]
        flags += [ON_DEMAND] * (len(results) - len(valid))
    if flags:
        keeping_out = invalidating(kind)
        valid = [result for result in valid if keeping_out.isdisjoint(result.validity)]
        valid_ok = sum(result.outcome is Outcome.OK for result in valid)
    counts = KindCounts(
        ok, failed, len(outcomes) - ok - failed, valid_ok, dict(Counter(reasons)),
        dict(Counter(flags)),
    )  # fmt: skip
    return counts, valid


def _added(one: Mapping[str, N], other: Mapping[str, N]) -> dict[str, N]:
    total = dict(one)
    for name, more in other.items():
        total[name] = total[name] + more if name in total else more
    return total


class HourKey(NamedTuple):
    """An hour of a line and family; `start_s` is its beginning (s since 1970, UTC)."""

    line: LineKey
    start_s: int
    family: Family | None = None


class HourGroups(Struct, frozen=True, array_like=True, gc=False):
    """The groups of a line's results of one hour and address family, and which that is."""

    tenant: str
    probe: str
    line: str
    family: Family | None
    start_s: int
    groups: list[ResultGroup]

    @property
    def key(self) -> HourKey:
        """Of which hour, line and family the results are."""
        return HourKey(LineKey(self.tenant, self.probe, self.line), self.start_s, self.family)


def group_by_hour(results: Iterable[tuple[str, str, Result]]) -> list[HourGroups]:
    """Group (tenant, probe, result) triples by line, family and hour.

    A result belongs to the hour in which it started. Results of the host (`HOST_LINE`) and results
    from before 1970 are left out.
    """
    hours: _Hours = defaultdict(lambda: defaultdict(list))
    host = HOST_LINE.id
    for tenant, probe, result in results:
        line = result.line.id
        hour = int(result.started_at.timestamp() // 3600)
        if hour >= 0 and line != host:
            what = KIND_OF[type(result)], result.target
            hours[tenant, probe, line, result.family, hour * 3600][what].append(result)
    return [
        HourGroups(*key, [group_of(kind, target, same) for (kind, target), same in groups.items()])
        for key, groups in hours.items()
    ]


_Hours = dict[tuple[str, str, str, Family | None, int], dict[tuple[str, str | None], list[Result]]]


def fold(results: Iterable[tuple[str, str, Result]]) -> dict[HourKey, Summary]:
    """Summaries of (tenant, probe, result) triples, as `group_by_hour` groups them."""
    return {hour.key: summary_of(hour.groups) for hour in group_by_hour(results)}
