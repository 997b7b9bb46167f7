"""Floor 1. Validity flags from host evidence: whether the probe or the line was the limit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from msgspec import Struct

from probe.config import LineConfig
from wire.record import Host, Validity

# A core that is busier than this while a rate is measured was the limit (ours).
_BUSY_RATIO = 0.95
# To assess 0.8 of a plan the host's own ceiling must be this much of it
# (docs/method.md#validity, V6).
LEAST_CEILING_RATIO = 0.9
# A test that came this near to the host's ceiling may have been limited by it (ours).
_AT_CEILING_RATIO = 0.95


# An interface that carried less than this of a test's payload did not carry the test (ours).
_LEAST_CARRIED_RATIO = 0.9


def bypassed_interface(payload_bytes: int, carried_bytes: int | None) -> bool:
    """Whether some of a test's bytes did not pass through the line's interface.

    The counters are read a moment after each sample, so they may miss a little at the start.
    """
    return carried_bytes is not None and carried_bytes < payload_bytes * _LEAST_CARRIED_RATIO


# What the interface may carry above the test's TCP payload: 5 % headers and 5 % margin (ours).
_INTERFACE_SPARE_RATIO = 1.10


def had_cross_traffic(own_bytes: int | None, carried_bytes: int | None) -> bool:
    """Whether an interface carried more in one direction than the test's own bytes explain.

    Cross traffic during a test (docs/method.md#throughput, T10); False where either count is
    unknown.

    Args:
        own_bytes: the test's TCP payload, retransmissions included.
        carried_bytes: the interface's bytes in that direction meanwhile.
    """
    if own_bytes is None or carried_bytes is None:
        return False
    return carried_bytes > own_bytes * _INTERFACE_SPARE_RATIO


def core_ratios(host: Host) -> list[float]:
    """The cores' busy ratios in the steady parts; over the whole test where those are unknown."""
    by_direction = [host.cpu_download_per_core_ratio, host.cpu_upload_per_core_ratio]
    known = [ratios for ratios in by_direction if ratios]
    return [ratio for ratios in known for ratio in ratios] or host.cpu_per_core_ratio


class _Direction(NamedTuple):
    """One direction of a bulk test, in bit/s; None where unknown."""

    measured: float | None
    ceiling: float | None
    plan: float | None

    @property
    def permits_assessment(self) -> bool | None:
        """Whether the ceiling allows to assess the plan; None where either is unknown."""
        if self.ceiling is None or self.plan is None:
            return None
        return self.ceiling >= LEAST_CEILING_RATIO * self.plan

    @property
    def at_ceiling(self) -> bool:
        """Whether the host, not the line, may have been the limit."""
        if self.measured is None or self.ceiling is None or self.permits_assessment:
            return False
        return self.measured >= _AT_CEILING_RATIO * self.ceiling


def validity_from(host: Host, line: LineConfig, values: Struct | None = None) -> list[Validity]:
    """The validity flags that the host evidence calls for.

    `throttled`: the supply voltage was too low. `link_below_plan`: the link to the router is
    slower than the plan, or the host's ceiling is under 0.9 of it, so the plan cannot be assessed
    (docs/method.md#validity, V6). `probe_limited`: a core was busy all the time (of a bulk
    test: while the figure of a direction was taken), the link is half duplex, or the figure came as
    near to the host's ceiling as a host that is the limit brings it. Where the plan can be assessed
    by the ceiling, a figure near it is a good line's: to flag it would leave only the bad ones.

    Args:
        host: the evidence.
        line: what was bought.
        values: what was found, for its `download_bps` and `upload_bps` where it has them.
    """
    ways = list(_directions(host, line, values))
    flags = []
    half_duplex = host.link_duplex == "half"
    busy = any(ratio > _BUSY_RATIO for ratio in core_ratios(host))
    if half_duplex or busy or any(way.at_ceiling for way in ways):
        flags.append(Validity.PROBE_LIMITED)
    if host.throttled:
        flags.append(Validity.THROTTLED)
    link_bps = host.link_speed_bps
    below = link_bps is not None and any((way.plan or 0.0) > link_bps for way in ways)
    if below or any(way.permits_assessment is False for way in ways):
        flags.append(Validity.LINK_BELOW_PLAN)
    return flags


def _directions(host: Host, line: LineConfig, values: Struct | None) -> Iterator[_Direction]:
    for name, ceiling_bps, plan_bps in (
        ("download_bps", host.ceiling_download_bps, line.plan_download_bps),
        ("upload_bps", host.ceiling_upload_bps, line.plan_upload_bps),
    ):
        yield _Direction(getattr(values, name, None), ceiling_bps, plan_bps)
