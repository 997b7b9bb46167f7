"""Floor 1. A line's outages by hour or day with their fault locations, an ongoing one included.

A probe reports an outage when it has ended. Of an ongoing one the centre has the minutes down and,
if another line of the office can deliver them, the path measurements that bad minutes triggered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec
from msgspec import Struct

from collector.registry.planned_maintenance import (
    LineOutage,
    PlannedMaintenance,
    minutes_within,
)
from collector.rollup.periods import Step
from collector.rollup.queries import Bucket
from collector.store.records import LastResult, StoredOutage
from collector.web.formatting import Moment, moment
from collector.web.labels import measurement
from collector.web.presentation import Locale
from wire.result import FaultLocation, PathResult, decode_result

_MOST = 50
# A path measurement this close to an outage belongs to it, as at the probe
# (probe/availability/tracker.py).
_AROUND = timedelta(minutes=2)
_LENGTHS = {Step.HOUR: timedelta(hours=1), Step.DAY: timedelta(days=1)}


class OutageMinutes(NamedTuple):
    """Minutes down, unknown, and down in planned maintenance."""

    down: int
    unknown: int
    planned: int


class OutageRow(Struct, frozen=True):
    """An hour or day with minutes down, and the fault locations of its outages.

    `planned` are the minutes of them in planned maintenance, "" for none. `minutes` are numbers.
    """

    at: Moment
    down: str
    unknown: str
    faults: list[str]
    minutes: OutageMinutes
    planned: str = ""


class CurrentFault(Struct, frozen=True):
    """The fault location of an ongoing outage, and when it was observed."""

    place: str
    at: Moment


class PathObservation(NamedTuple):
    """A fault location that a path measurement found, and when."""

    at: datetime
    fault: FaultLocation


def last_path_observation(results: Sequence[LastResult], line: str) -> PathObservation | None:
    """The last path measurement of a line; None where there is none or it found no fault."""
    observations = []
    for entry in results:
        if entry.last.line == line:
            try:
                result = decode_result(entry.last.body)
            except msgspec.DecodeError:
                continue  # of another version
            if isinstance(result, PathResult) and result.values is not None:
                observations.append(PathObservation(result.started_at, result.values.fault))
    last = max(observations, default=None)
    return None if last is None or last.fault is FaultLocation.NONE else last


def ongoing_fault(
    buckets: Sequence[Bucket],
    reported: Sequence[StoredOutage],
    observation: PathObservation | None,
    step: Step,
    *,
    down: bool,
) -> PathObservation | None:
    """The path observation of an outage without a reported end; None where none is ongoing.

    Args:
        buckets: the line's hours or days, ascending.
        reported: its outages as the probe reported them after their end.
        observation: the last fault that a path measurement found.
        step: the buckets' length.
        down: whether the probe reports the line as down now.
    """
    if observation is None or _belongs_to_reported(observation, reported):
        return None
    lasting = list(_ongoing_buckets(buckets, reported, _LENGTHS[step]))
    return observation if down or (lasting and observation.at >= lasting[-1]) else None


def outages(
    buckets: Sequence[Bucket],
    reported: Sequence[StoredOutage],
    observation: PathObservation | None,
    step: Step,
    locale: Locale,
    planned: Sequence[PlannedMaintenance] = (),
    counted: Sequence[LineOutage] = (),
    most: int = _MOST,
) -> list[OutageRow]:
    """The hours or days with minutes down, newest first.

    Args:
        buckets: the line's hours or days, ascending.
        reported: the outages that the probe has reported as ended; without a raw result the
            location is unknown.
        observation: the path observation of the ongoing outage.
        step: the buckets' length.
        locale: the visitor's.
        planned: the planned maintenance of the line.
        counted: those of `reported` that planned maintenance takes minutes from
            (`collector.reports.maintenance.counted_outages`).
        most: at most so many rows.
    """
    length = _LENGTHS[step]
    lasting = list(_ongoing_buckets(buckets, reported, length))
    if observation is None or not lasting or observation.at < lasting[-1]:
        lasting = []
    shown = []
    for bucket in [one for one in reversed(buckets) if one.summary.down_minutes][:most]:
        end = bucket.start + length
        faults = _faults(reported, bucket.start, end, locale)
        if observation is not None and bucket.start in lasting:
            place = measurement.FAULTS[observation.fault].in_(locale.language)
            faults.append(f"{place} ({locale.label('outage_open')})")
        within = minutes_within(planned, counted, bucket.start, end)
        shown.append(_row(bucket, faults, within, locale))
    return shown


def _row(bucket: Bucket, faults: list[str], planned: int, locale: Locale) -> OutageRow:
    minutes = OutageMinutes(bucket.summary.down_minutes, bucket.summary.unknown_minutes, planned)
    return OutageRow(
        moment(bucket.start, locale.language, locale.timezone),
        locale.number(minutes.down),
        locale.number(minutes.unknown),
        faults,
        minutes,
        locale.number(planned) if planned else "",
    )


def fault_now(observation: PathObservation | None, locale: Locale) -> CurrentFault | None:
    """The fault location of the ongoing outage, for the head of a page."""
    if observation is None:
        return None
    place = measurement.FAULTS[observation.fault].in_(locale.language)
    return CurrentFault(place, moment(observation.at, locale.language, locale.timezone))


def _ongoing_buckets(
    buckets: Sequence[Bucket], reported: Sequence[StoredOutage], length: timedelta
) -> Iterator[datetime]:
    """The last consecutive hours or days with more minutes down than reported outages explain."""
    after: datetime | None = None
    for bucket in reversed(buckets):
        known = bucket.summary.up_minutes + bucket.summary.unknown_minutes
        if after is None and not known + bucket.summary.down_minutes:
            continue  # the current bucket: its minutes are reported when it is over
        end = bucket.start + length
        if after is not None and end != after:
            return
        if bucket.summary.down_minutes <= _reported_minutes(reported, bucket.start, end):
            return
        yield bucket.start
        after = bucket.start


def _reported_minutes(reported: Sequence[StoredOutage], begin: datetime, end: datetime) -> float:
    """Minutes of reported outages in a time, without those of the office's own network."""
    parts = (
        min(outage.ended_at, end) - max(outage.started_at, begin)
        for outage in reported
        if outage.fault is not FaultLocation.OWN_LAN
    )
    return sum((part for part in parts if part > timedelta(0)), timedelta(0)) / timedelta(minutes=1)


def _belongs_to_reported(observation: PathObservation, reported: Sequence[StoredOutage]) -> bool:
    return any(
        outage.started_at - _AROUND <= observation.at <= outage.ended_at + _AROUND
        for outage in reported
    )


def _faults(
    reported: Sequence[StoredOutage], begin: datetime, end: datetime, locale: Locale
) -> list[str]:
    """The fault locations of the outages in a time, each once, with its count: `… (2)`."""
    places = Counter(
        outage.fault for outage in reported if outage.started_at < end and outage.ended_at > begin
    )
    return [
        measurement.FAULTS[fault].in_(locale.language) + (f" ({locale.number(n)})" if n > 1 else "")
        for fault, n in places.most_common()
    ]
