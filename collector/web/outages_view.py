"""Floor 1. A line's outages by hour or day, and where each was, also of one that is not over yet.

A probe tells an outage when it has ended. Of one that lasts the centre has the minutes down and, as
long as another line of the office brings them, the looks at the path that bad minutes caused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec
from msgspec import Struct

from collector.rollup.periods import Step
from collector.rollup.queries import Bucket
from collector.store.records import LastResult, StoredOutage
from collector.web import words
from collector.web.formatting import Moment, moment
from collector.web.pages import Reader
from wire.result import FaultLocation, PathResult, decode_result

_MOST = 50
# A path measurement this close to an outage belongs to it, as at the probe
# (probe/availability/tracker.py).
_AROUND = timedelta(minutes=2)
_LENGTHS = {Step.HOUR: timedelta(hours=1), Step.DAY: timedelta(days=1)}


class Outage(Struct, frozen=True):
    """An hour or day with minutes down, and where the outages in it were."""

    at: Moment
    down: str
    unknown: str
    faults: list[str]


class FaultNow(Struct, frozen=True):
    """Where an outage that goes on is, and when that was seen."""

    place: str
    at: Moment


class Look(NamedTuple):
    """Where the path of a line was last seen to break."""

    at: datetime
    fault: FaultLocation


def last_look(results: Sequence[LastResult], line: str) -> Look | None:
    """The last look at a line's path, None where there is none or it found no fault."""
    looks = []
    for entry in results:
        if entry.last.line == line:
            try:
                result = decode_result(entry.last.body)
            except msgspec.DecodeError:
                continue  # of another version
            if isinstance(result, PathResult) and result.values is not None:
                looks.append(Look(result.started_at, result.values.fault))
    last = max(looks, default=None)
    return None if last is None or last.fault is FaultLocation.NONE else last


def going_on(
    buckets: Sequence[Bucket],
    told: Sequence[StoredOutage],
    look: Look | None,
    step: Step,
    *,
    down: bool,
) -> Look | None:
    """The look into an outage whose end was not told; None where none is known to go on.

    Args:
        buckets: the line's hours or days, ascending.
        told: its outages as the probe told them when they were over.
        look: where its path was last seen to break.
        step: what the buckets are.
        down: whether the probe says that the line is down now.
    """
    if look is None or _is_of_one_told(look, told):
        return None
    lasting = list(_lasting(buckets, told, _LENGTHS[step]))
    return look if down or (lasting and look.at >= lasting[-1]) else None


def outages(
    buckets: Sequence[Bucket],
    told: Sequence[StoredOutage],
    look: Look | None,
    step: Step,
    reader: Reader,
) -> list[Outage]:
    """The hours or days with minutes down, newest first.

    Args:
        buckets: the line's hours or days, ascending.
        told: its outages as the probe told them when they were over; where the raw result is gone,
            the place is not known.
        look: into the outage that goes on.
        step: what the buckets are.
        reader: for whom.
    """
    length = _LENGTHS[step]
    lasting = list(_lasting(buckets, told, length))
    if look is None or not lasting or look.at < lasting[-1]:
        lasting = []
    shown = []
    for bucket in reversed(buckets):
        if bucket.summary.down_minutes:
            faults = _faults(told, bucket.start, bucket.start + length, reader)
            if look is not None and bucket.start in lasting:
                place = words.FAULTS[look.fault].in_(reader.language)
                faults.append(f"{place} ({reader.word('outage_open')})")
            shown.append(
                Outage(
                    moment(bucket.start, reader.language, reader.timezone),
                    reader.number(bucket.summary.down_minutes),
                    reader.number(bucket.summary.unknown_minutes),
                    faults,
                )
            )
    return shown[:_MOST]


def fault_now(look: Look | None, reader: Reader) -> FaultNow | None:
    """The place of the outage that goes on, for the head of a page."""
    if look is None:
        return None
    place = words.FAULTS[look.fault].in_(reader.language)
    return FaultNow(place, moment(look.at, reader.language, reader.timezone))


def _lasting(
    buckets: Sequence[Bucket], told: Sequence[StoredOutage], length: timedelta
) -> Iterator[datetime]:
    """The last hours or days, one after the other, with more minutes down than were told of."""
    after: datetime | None = None
    for bucket in reversed(buckets):
        known = bucket.summary.up_minutes + bucket.summary.unknown_minutes
        if after is None and not known + bucket.summary.down_minutes:
            continue  # it runs, and its minutes are told when it is over
        end = bucket.start + length
        if after is not None and end != after:
            return
        if bucket.summary.down_minutes <= _minutes_told(told, bucket.start, end):
            return
        yield bucket.start
        after = bucket.start


def _minutes_told(told: Sequence[StoredOutage], begin: datetime, end: datetime) -> float:
    """The minutes of the line's own outages in a time; of the office's network they are unknown."""
    parts = (
        min(outage.ended_at, end) - max(outage.started_at, begin)
        for outage in told
        if outage.fault is not FaultLocation.OWN_LAN
    )
    return sum((part for part in parts if part > timedelta(0)), timedelta(0)) / timedelta(minutes=1)


def _is_of_one_told(look: Look, told: Sequence[StoredOutage]) -> bool:
    return any(
        outage.started_at - _AROUND <= look.at <= outage.ended_at + _AROUND for outage in told
    )


def _faults(
    told: Sequence[StoredOutage], begin: datetime, end: datetime, reader: Reader
) -> list[str]:
    """Where the outages of a time were, each place once, as often as it was: `… (2)`."""
    places = Counter(
        outage.fault for outage in told if outage.started_at < end and outage.ended_at > begin
    )
    return [
        words.FAULTS[fault].in_(reader.language) + (f" ({reader.number(n)})" if n > 1 else "")
        for fault, n in places.most_common()
    ]
