"""Floor 1. Which figures of which kinds are rolled up, under which names.

A metric's name is KIND_FIELD with its unit. A kind that is not named here is rolled up by its
`headline` (distributions of figures with a unit, sums of counts), so a new kind is on the pages
without a change here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from wire.result import GATEWAY_TARGET, KINDS, Validity

# Latency is a figure of the line only where the target is a measurement server in the country
# (docs/method.md#roll-ups, R6); latency to the gateway has its own metrics.
_SERVER = "stamp:"

_UNITS = ("_bps", "_ms", "_ratio", "_s")


class Metric(NamedTuple):
    """The metric `name`, of the field `field` of a kind's values."""

    name: str
    field: str


class KindMetrics(NamedTuple):
    """The metrics of a kind: distributions of valid figures, and exact sums."""

    figures: tuple[Metric, ...]
    sums: tuple[Metric, ...]


_THROUGHPUT = (
    "download_bps", "download_whole_bps", "upload_bps", "upload_whole_bps",
    "rtt_loaded_download_p50_ms", "rtt_loaded_download_p95_ms",
    "rtt_loaded_upload_p50_ms", "rtt_loaded_upload_p95_ms",
)  # fmt: skip
_LATENCY = ("rtt_mean_ms", "rtt_p50_ms", "rtt_p95_ms", "ipdv_abs_mean_ms", "pdv_ms", "loss_ratio")
_FIGURES = {
    "throughput": _THROUGHPUT,
    "latency": _LATENCY,
    "http": (
        "download_bps", "download_whole_bps", "upload_bps", "upload_whole_bps", "ping_p50_ms",
        "jitter_abs_mean_ms",
    ),
    "dns": ("rtt_p50_ms", "uncached_p50_ms", "failure_ratio"),
    "web": ("total_ms", "first_byte_ms"),
}  # fmt: skip
_SUMS = {
    "latency": ("sent", "lost"),
    "dns": ("sent", "answered"),
    "availability": (
        "up_minutes",
        "down_minutes",
        "unknown_minutes",
        "ipv4_down_minutes",
        "ipv6_down_minutes",
    ),
}

# Latency while a transfer fills the line. What is added here is filled in older rows by
# `collector/store/figure_fill.py`.
OVERVIEW_LOADED = (
    "throughput_rtt_loaded_download_p50_ms",
    "throughput_rtt_loaded_upload_p50_ms",
)
# The metrics, sums and kinds that `Summaries.overview` returns; each is a column in the store.
OVERVIEW_METRICS = (
    "throughput_download_bps",
    "throughput_download_whole_bps",
    "throughput_upload_bps",
    "throughput_upload_whole_bps",
    "latency_rtt_mean_ms",
    "latency_loss_ratio",
    "http_download_bps",
    "http_upload_bps",
    *OVERVIEW_LOADED,
)
OVERVIEW_SUMS = (
    "latency_sent",
    "latency_lost",
    "availability_up_minutes",
    "availability_down_minutes",
    "availability_unknown_minutes",
    "availability_ipv4_down_minutes",
    "availability_ipv6_down_minutes",
)
OVERVIEW_KINDS = ("throughput", "latency", "http")

# A result with one of these flags is stored, counted as attempted and shown, but is in no mean and
# no percentile. An unsynchronised clock makes the time uncertain, not the figure.
INVALIDATING = frozenset(Validity) - {Validity.CLOCK_UNSYNCED, Validity.CLOCK_REPAIRED}
# Kind `http` stops early by design, as i-Speed does; verdicts read kind `throughput` alone
# (docs/method.md#http, H9). A slow link to the router does not falsify delays, losses and lookups.
# Minutes up and down count whatever the state of the box, unless their time is unknown; else a box
# with a weak link or supply would have no availability at all.
_OF_ANY_KIND = frozenset(
    {Validity.TIME_IN_FUTURE, Validity.TIME_ANCIENT, Validity.SIGNATURE_MISMATCH}
)
_OF_DELAYS = INVALIDATING - {Validity.LINK_BELOW_PLAN}
_INVALIDATING_OF = {
    "http": INVALIDATING - {Validity.EARLY_STOPPED},
    "latency": _OF_DELAYS,
    "dns": _OF_DELAYS,
    "web": _OF_DELAYS,
    "path": _OF_DELAYS,
    "availability": _OF_ANY_KIND,
    "outage": _OF_ANY_KIND,
}


# A flag of the centre: a speed test on demand. Its time is chosen by a user, which biases the mean;
# it is stored, shown and counted as a test, but is in no mean and no verdict.
ON_DEMAND = "on_demand"


def invalidating(kind: str) -> frozenset[Validity]:
    """The flags that keep a result of this kind out of the figures."""
    return _INVALIDATING_OF.get(kind, INVALIDATING)


@lru_cache(maxsize=1 << 12)
def metric_kind(kind: str, target: str | None) -> str | None:
    """The kind in the metric names of a result; "gateway_latency" for latency to the gateway.

    None for latency to a target of the owner's choice: it is counted, not averaged.
    """
    if kind != "latency":
        return kind
    if target is not None and target.startswith(_SERVER):
        return kind
    return "gateway_latency" if target == GATEWAY_TARGET else None


@cache
def kind_metrics(kind: str) -> KindMetrics:
    """The metrics of a kind as `metric_kind` names it."""
    wire_kind = kind.removeprefix("gateway_")
    headline = _headline(wire_kind)
    figures = _FIGURES.get(wire_kind, tuple(f for f in headline if f.endswith(_UNITS)))
    sums = _SUMS.get(wire_kind, tuple(f for f in headline if not f.endswith(_UNITS)))
    return KindMetrics(
        tuple(Metric(f"{kind}_{field}", field) for field in figures),
        tuple(Metric(f"{kind}_{field}", field) for field in sums),
    )


@cache
def reader(kind: str) -> Callable[[Any], tuple[float | None, ...]]:
    """A function from a kind's values to its figures, then its sums (order of `kind_metrics`)."""
    metrics = kind_metrics(kind)
    fields = [metric.field for metric in (*metrics.figures, *metrics.sums)]
    if len(fields) > 1:
        return attrgetter(*fields)
    return lambda values: tuple(getattr(values, field) for field in fields)


def _headline(kind: str) -> tuple[str, ...]:
    result_type = KINDS.get(kind)
    if result_type is None:
        return ()
    (values,) = (f.type for f in msgspec.structs.fields(result_type) if f.name == "values")
    for option in getattr(values, "__args__", (values,)):
        if names := getattr(option, "headline", None):
            return tuple(names)
    return ()
