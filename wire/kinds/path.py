"""Floor 1. Kind `path`: the first hops of a line, and the fault location."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from msgspec import Meta, Struct

from wire.record import Count, Milliseconds, Result, Text


class FaultLocation(StrEnum):
    """Where a fault is: own network, the ISP's access, beyond (docs/method.md#path, P3)."""

    NONE = "none"
    OWN_LAN = "own_lan"
    ISP_ACCESS = "isp_access"
    BEYOND = "beyond"
    # No gateway is known and nothing answers, or (in an outage) there was no path measurement.
    UNDETERMINED = "undetermined"


class HopAnswer(StrEnum):
    """A hop's answer to packets whose TTL ends there."""

    TIME_EXCEEDED = "time_exceeded"
    REACHED = "reached"
    UNREACHABLE = "unreachable"
    SILENT = "silent"


class PathHop(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One hop towards the first target; `rtt_ms` is the shortest of its answers."""

    hop: Annotated[int, Meta(ge=1, le=64)]
    address: Text | None
    answer: HopAnswer
    sent: Count
    answered: Count
    rtt_ms: Milliseconds | None


class PathTarget(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Whether a target beyond the access line answers."""

    name: Text
    address: Text | None
    reached: bool
    rtt_ms: Milliseconds | None
    trouble: Text | None


class PathValues(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the packets of a line get to (docs/method.md#path).

    `gateway_rtt_ms` is the office's own router, `access_rtt_ms` the first hop of the ISP's behind
    it (`access_address`), `target_rtt_ms` the first target that answered. A result without a
    `slot_at` was made because a latency window was degraded, or on demand.
    """

    headline: ClassVar = ("gateway_rtt_ms", "access_rtt_ms", "target_rtt_ms")

    fault: FaultLocation
    gateway: Text | None
    gateway_reached: bool | None
    gateway_rtt_ms: Milliseconds | None
    access_address: Text | None
    access_rtt_ms: Milliseconds | None
    target_rtt_ms: Milliseconds | None
    targets_reached: Count
    targets: list[PathTarget]
    hops: list[PathHop]


class PathResult(Result, frozen=True, kw_only=True, tag="path"):
    """The first hops with their round-trip times, and the fault location if there is a fault."""

    values: PathValues | None
