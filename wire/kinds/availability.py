"""Floor 1. Kinds `availability` and `outage`: minutes up, down and unknown, and outages."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from msgspec import Struct

from wire.kinds.path import FaultLocation
from wire.record import Count, Ratio, Result, Text, Utc


class AvailabilityValues(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The minutes of one line and period (docs/method.md#availability).

    The period is `started_at` and `duration_s`, whole minutes by the wall clock. A minute is up
    where a target beyond the office answered or a test went through; down where the gateway
    answered and none of at least 2 targets did; else unknown, each for one cause:
    `unknown_probe_off` (another boot), `unknown_not_running` (the same boot, no daemon),
    `unknown_clock` (the wall clock jumped over it), `unknown_own_lan` (nothing answered, nor did
    the gateway), `unknown_evidence` (too little was measured). Absent minutes are unknown too.
    availability = up / (up + down), None where both are 0; for longer times sum the counts first.
    A minute is up where either address family is: `ipv4_down_minutes` and `ipv6_down_minutes` are
    those in which at least 2 targets of that family were tried and none answered while the office's
    own network worked; None where that family was not measured, and from older probes.
    """

    headline: ClassVar = ("availability_ratio", "down_minutes", "unknown_minutes")

    up_minutes: Count
    down_minutes: Count
    unknown_minutes: Count
    availability_ratio: Ratio | None
    unknown_probe_off: Count
    unknown_not_running: Count
    unknown_clock: Count
    unknown_own_lan: Count
    unknown_evidence: Count
    gateway: Text | None
    targets: list[Text]
    ipv4_down_minutes: Count | None = None
    ipv6_down_minutes: Count | None = None

    def __post_init__(self) -> None:
        """Check that the causes add up."""
        causes = (
            self.unknown_probe_off
            + self.unknown_not_running
            + self.unknown_clock
            + self.unknown_own_lan
            + self.unknown_evidence
        )
        if causes != self.unknown_minutes:
            raise ValueError("the causes do not add up to `unknown_minutes`")


class AvailabilityResult(Result, frozen=True, kw_only=True, tag="availability"):
    """How many minutes of a period a line was up, down, unknown."""

    values: AvailabilityValues | None


class OutageEnd(StrEnum):
    """What ended an outage, as far as known."""

    UP = "up"
    # It may have lasted longer: nothing was known from there on, or the fault moved elsewhere.
    UNKNOWN = "unknown"
    FAULT_MOVED = "fault_moved"


class OutageValues(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An outage: a run of minutes in which nothing beyond the office answered.

    From `began_at` to `ended_at`, to the minute. `down_minutes` count against the line;
    `own_lan_minutes` do not, as the gateway did not answer either; `unknown_minutes` lie between
    minutes of the outage. `fault` is the fault location by `path_measurements` path measurements.
    Where the time was repaired (`clock_repaired`), `started_at` and `duration_s` are right, and
    `began_at` and `ended_at` are by the probe's clock.
    """

    headline: ClassVar = ("down_minutes", "own_lan_minutes")

    began_at: Utc
    ended_at: Utc
    ended_by: OutageEnd
    down_minutes: Count
    own_lan_minutes: Count
    unknown_minutes: Count
    fault: FaultLocation
    path_measurements: Count

    def __post_init__(self) -> None:
        """Check that it ends after it began."""
        if self.ended_at <= self.began_at:
            raise ValueError("`ended_at` comes after `began_at`")


class OutageResult(Result, frozen=True, kw_only=True, tag="outage"):
    """One outage of a line, with start, end and fault location."""

    values: OutageValues | None
