"""Floor 1. Which figures of which kinds are rolled up, under which names.

A metric's name is KIND_FIELD with its unit. A kind that is not named here is rolled up by its
`headline` (distributions of what ends in a unit, sums of counts), so a new kind is on the pages
before anybody has thought of it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from wire.result import GATEWAY_TARGET, KINDS, Validity

# The figures of kind `latency` speak of the line only where the target is a measurement server in
# the country (docs/method.md#roll-ups, R6); the gateway has its own names.
_SERVER = "stamp:"

_UNITS = ("_bps", "_ms", "_ratio", "_s")


class Metric(NamedTuple):
    """One figure of a result's values: `field` of kind's values goes into metric `name`."""

    name: str
    field: str


class KindMetrics(NamedTuple):
    """What is rolled up of a kind: figures of valid results, and counts that add up exactly."""

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
    "availability": ("up_minutes", "down_minutes", "unknown_minutes"),
}

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
)
OVERVIEW_SUMS = (
    "latency_sent",
    "latency_lost",
    "availability_up_minutes",
    "availability_down_minutes",
    "availability_unknown_minutes",
)
OVERVIEW_KINDS = ("throughput", "latency", "http")

# With one of these flags a result is kept, counted as attempted and shown, but is in no mean and
# no percentile. A clock that was not synchronised makes the time uncertain, not the figure.
INVALIDATING = frozenset(Validity) - {Validity.CLOCK_UNSYNCED, Validity.CLOCK_REPAIRED}
# What i-Speed does is to stop early; of kind `http` those are the very figures that it is for.
# They enter no verdict about a plan: verdicts read kind `throughput` alone
# (docs/method.md#http, H9).
# A slow link to the router says nothing of delays, losses and names; and minutes up and down are
# facts whatever the box was like: only where it is not known of which time they are do they not
# count. Else a box whose link or supply is weak would have no availability at all.
_OF_DELAYS = INVALIDATING - {Validity.LINK_BELOW_PLAN}
_INVALIDATING_OF = {
    "http": INVALIDATING - {Validity.EARLY_STOPPED},
    "latency": _OF_DELAYS,
    "dns": _OF_DELAYS,
    "web": _OF_DELAYS,
    "path": _OF_DELAYS,
    "availability": frozenset({Validity.TIME_IN_FUTURE, Validity.TIME_ANCIENT}),
    "outage": frozenset({Validity.TIME_IN_FUTURE, Validity.TIME_ANCIENT}),
}


# Beside the probe's own flags: a speed test that no plan made. Who presses the button chooses the
# moment, and so the mean: it is kept, shown, counted as a test, and in no mean and no verdict.
ON_DEMAND = "on_demand"


def invalidating(kind: str) -> frozenset[Validity]:
    """The flags that keep a result of this kind out of the figures."""
    return _INVALIDATING_OF.get(kind, INVALIDATING)


@lru_cache(maxsize=1 << 12)
def metric_kind(kind: str, target: str | None) -> str | None:
    """Under which kind's names a result's figures go: latency to the gateway has its own.

    None for latency to anything else than a measurement server or the gateway: counted, not
    averaged, for what they are is the owner's choice.
    """
    if kind != "latency":
        return kind
    if target is not None and target.startswith(_SERVER):
        return kind
    return "gateway_latency" if target == GATEWAY_TARGET else None


@cache
def kind_metrics(kind: str) -> KindMetrics:
    """What is rolled up of a kind (as `metric_kind` names it)."""
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
    """Takes a kind's figures, then its sums, out of its values, in the order of `kind_metrics`."""
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
