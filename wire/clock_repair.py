"""Floor 1. Clock repair: the real time of results of a probe whose clock was not synchronised.

A Pi has no clock battery. Until NTP sets it, its wall clock may be years wrong, while
CLOCK_BOOTTIME is exact. So each result has its boot id and the seconds since boot (`Clock`), and an
envelope with results of an unsynchronised clock has a `ClockNote`: at which time a boot had which
boot time. From both the collector computes when a result really began.

    started_at = known.at - (known.boottime_s - result.clock.boottime_s)

The boot counts by the same crystal that the wall clock would: 50 ppm is 4 s a day.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, TypeVar

from msgspec import Meta, Struct, structs

from wire.record import Clock, Result, Seconds, Text, Utc, Validity

R = TypeVar("R", bound=Result)
MAX_KNOWN_BOOTS = 20
# The text in an encoded result of an unsynchronised clock.
UNSYNCHRONISED = b'"synchronised":false'


class KnownBoot(Struct, frozen=True, forbid_unknown_fields=True):
    """A boot whose time is known: `boottime_s` seconds after it, the time was `at`."""

    boot_id: Text
    boottime_s: Seconds
    at: Utc


class ClockNote(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The sender's clocks. `sending` is its reading at the envelope's `sent_at`."""

    sending: Clock
    known: Annotated[list[KnownBoot], Meta(max_length=MAX_KNOWN_BOOTS)] = []


def began_at(clock: Clock, known: Sequence[KnownBoot]) -> datetime | None:
    """When a result with this reading began; None where its boot is unknown."""
    for boot in known:
        if boot.boot_id == clock.boot_id:
            return _before(boot.at, boot.boottime_s - clock.boottime_s)
    return None


def began_before(clock: Clock, sending: Clock, received_at: datetime) -> datetime | None:
    """When a result began, by the time of receipt; late by the time of transmission.

    For a sender whose clock is not synchronised yet. None for a result of another boot.
    """
    if clock.boot_id is None or clock.boot_id != sending.boot_id:
        return None
    return _before(received_at, sending.boottime_s - clock.boottime_s)


def repaired(result: R, started_at: datetime) -> R:
    """The result with its real time; `stated_at` keeps the time of the wall clock."""
    try:
        shift = started_at - result.started_at
        slot_at = None if result.slot_at is None else result.slot_at + shift
    except OverflowError:
        slot_at = None
    flags = {*result.validity} - {Validity.CLOCK_UNSYNCED} | {Validity.CLOCK_REPAIRED}
    return structs.replace(
        result,
        started_at=started_at,
        slot_at=slot_at,
        validity=sorted(flags),
        clock=structs.replace(result.clock, stated_at=result.started_at),
    )


def _before(at: datetime, seconds: float) -> datetime | None:
    try:
        return at - timedelta(seconds=seconds)
    except OverflowError:
        return None
