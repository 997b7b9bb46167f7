"""Floor 1. Wrong times made right: a result of a probe whose clock was not known yet.

A Pi has no clock battery. Until NTP has told it better, its wall clock may be years wrong, while
CLOCK_BOOTTIME counts well. So each result says its boot and the seconds since it (`Clock`), and an
envelope that carries results of an unknown clock says what is known by now (`ClockNote`): at which
time a boot had which boottime. Who takes the envelope in can work out when a result really began.

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
# In an encoded result, where it says that its clock was not known.
UNSYNCHRONISED = b'"synchronised":false'


class KnownBoot(Struct, frozen=True, forbid_unknown_fields=True):
    """A boot whose time became known: at `boottime_s` since it, it was `at`."""

    boot_id: Text
    boottime_s: Seconds
    at: Utc


class ClockNote(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a sender knows of its clocks. `sending` is its reading at the envelope's `sent_at`."""

    sending: Clock
    known: Annotated[list[KnownBoot], Meta(max_length=MAX_KNOWN_BOOTS)] = []


def began_at(clock: Clock, known: Sequence[KnownBoot]) -> datetime | None:
    """When a result with this reading began; None where nothing is known of its boot."""
    for boot in known:
        if boot.boot_id == clock.boot_id:
            return _before(boot.at, boot.boottime_s - clock.boottime_s)
    return None


def began_before(clock: Clock, sending: Clock, received_at: datetime) -> datetime | None:
    """When a result began, if it was sent as it was received; late by what it was on its way.

    For a sender whose clock is not known yet. None for a result of another boot.
    """
    if clock.boot_id is None or clock.boot_id != sending.boot_id:
        return None
    return _before(received_at, sending.boottime_s - clock.boottime_s)


def repaired(result: R, started_at: datetime) -> R:
    """The result with its real time; what the wall clock had said is kept beside it."""
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
