"""Floor 1. Which bytes count against the month that the clock shows, whatever the clock did.

A clock that was months ahead for one test must not open the month's budget anew, nor use up that of
a month to come. A month is believed where the kernel says that the clock is synchronised, unless
two such readings contradict each other (docs/method.md#plan, B13). Bytes that were moved by another
clock, or that carry a month to come, count by the time that the host has run since: that is no more
than has passed, so at worst they count too long.
"""

from __future__ import annotations

from datetime import date, datetime, tzinfo

from msgspec import Struct, structs

from probe.plan.usage import ClockEvidence, Spent, Usage, in_month, month_of, with_bulk_result
from wire.record import Result

_DAY_S = 86_400.0
# The longest month, with an hour for a zone whose clocks go back in it: October in New York.
_LONGEST_MONTH_S = 31 * _DAY_S + 3600.0
# By how much wall clock and time since boot may part while the clock is synchronised (ours).
_AGREE_S = 120.0


class ClockReading(Struct, frozen=True):
    """A host's clocks at a moment; `boot_id` is None where the boot is not known."""

    boot_id: str | None
    boottime_s: float
    wall_s: float
    synchronised: bool


def advanced(before: ClockEvidence, reading: ClockReading) -> ClockEvidence:
    """What is known of time after a reading.

    Two synchronised readings contradict each other where the clock went back, or ahead within a
    boot, by more than the time that passed. Then no month is believed for as long as one lasts.
    """
    same_boot = reading.boot_id is not None and reading.boot_id == before.boot_id
    since_boot_s = before.boottime_s if same_boot else 0.0
    passed_s = 0.0 if reading.boot_id is None else max(0.0, reading.boottime_s - since_boot_s)
    run_s = before.run_s + passed_s
    distrusted_until_s, wall_s = before.distrusted_until_s, before.wall_s
    wall_run_s, wall_boot_id = before.wall_run_s, before.wall_boot_id
    if reading.synchronised:
        if wall_s is not None:
            ahead_s = reading.wall_s - wall_s - (run_s - wall_run_s)
            within_boot = wall_boot_id is not None and wall_boot_id == reading.boot_id
            if ahead_s < -_AGREE_S or (within_boot and ahead_s > _AGREE_S):
                distrusted_until_s = run_s + _LONGEST_MONTH_S
        wall_s, wall_run_s, wall_boot_id = reading.wall_s, run_s, reading.boot_id
    return ClockEvidence(
        run_s=run_s,
        boot_id=reading.boot_id,
        boottime_s=reading.boottime_s,
        wall_s=wall_s,
        wall_run_s=wall_run_s,
        wall_boot_id=wall_boot_id,
        distrusted_until_s=distrusted_until_s,
        is_trusted=reading.synchronised and run_s >= distrusted_until_s,
    )


def with_contradiction(usage: Usage, evidence: ClockEvidence) -> Usage | None:
    """The usage with the evidence of a contradiction that it does not know yet; else None.

    Nothing is measured while a budget is used up, so a clock that jumps away and back meanwhile
    would leave no trace in the readings of tests.
    """
    if evidence.distrusted_until_s <= usage.clock.distrusted_until_s:
        return None
    return structs.replace(usage, clock=evidence)


def month_usage(usage: Usage, day: date, evidence: ClockEvidence, zone: tzinfo) -> Usage:
    """The usage of a day's month: what counts against its budget. `day` is one of that zone."""
    used: dict[str, int] = {}
    for spent in _spent(usage):
        if _counts(spent, day, evidence, zone):
            for line_id, spent_bytes in spent.used_bytes.items():
                used[line_id] = used.get(line_id, 0) + spent_bytes
    rolled = _rolled(usage, day, evidence)
    return structs.replace(rolled, month=month_of(day), used_bytes=used)


def with_test(
    usage: Usage, result: Result, day: date, evidence: ClockEvidence, zone: tzinfo
) -> Usage:
    """The usage with a bulk test's bytes, on a day of that zone by the clock."""
    before = _spent(usage)
    counted = with_bulk_result(
        structs.replace(_rolled(usage, day, evidence), used_bytes={}), result
    )
    month = month_of(day) if evidence.is_trusted else ""
    spent = Spent(month, evidence.run_s, counted.used_bytes)
    if before and (last := before[-1]).month == month and _same_day(last, spent):
        used = {
            line_id: last.used_bytes.get(line_id, 0) + spent.used_bytes.get(line_id, 0)
            for line_id in last.used_bytes.keys() | spent.used_bytes.keys()
        }
        before, spent = before[:-1], structs.replace(spent, used_bytes=used)
    kept = [one for one in before if evidence.run_s - one.run_s <= _LONGEST_MONTH_S]
    # The file shows the month's sum as before.
    shown = month_usage(structs.replace(counted, spent=[*kept, spent]), day, evidence, zone)
    return structs.replace(counted, used_bytes=shown.used_bytes, spent=shown.spent, clock=evidence)


def _counts(spent: Spent, day: date, evidence: ClockEvidence, zone: tzinfo) -> bool:
    month, age_s = month_of(day), evidence.run_s - spent.run_s
    if not evidence.is_trusted:
        return age_s <= _LONGEST_MONTH_S
    if spent.month and spent.month <= month:
        return spent.month == month
    # A believed clock is a synchronised one: its last reading is of now.
    now_s = 0.0 if evidence.wall_s is None else evidence.wall_s
    began_s = datetime(day.year, day.month, 1, tzinfo=zone).timestamp()
    return age_s <= now_s - began_s + _AGREE_S


def _rolled(usage: Usage, day: date, evidence: ClockEvidence) -> Usage:
    """The usage with the tests' mean bytes of months that have ended.

    By a clock that is not believed only where it has not been for a month: else a plan would go by
    assumed bytes for ever where an office lets no NTP through.
    """
    month = month_of(day)
    if not evidence.is_trusted and evidence.run_s - evidence.wall_run_s <= _LONGEST_MONTH_S:
        return usage if usage.month else structs.replace(usage, month=month)
    if evidence.is_trusted and month < usage.month:
        return structs.replace(usage, month=month)
    rolled = in_month(usage, month)
    return structs.replace(rolled, spent=usage.spent, clock=usage.clock)


def _spent(usage: Usage) -> list[Spent]:
    """What was spent; of a file of an older version the month's sum."""
    if not usage.spent and usage.used_bytes:
        return [Spent(usage.month, 0.0, usage.used_bytes)]
    return usage.spent


def _same_day(one: Spent, other: Spent) -> bool:
    return one.run_s // _DAY_S == other.run_s // _DAY_S
