"""Floor 3. `tramdo-collector rollup check | rebuild`: roll-ups compared with raw results.

`rebuild` mends what differs, on record in the audit trail.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from time import sleep

from collector.registry.registry import LineKey
from collector.rollup.comparison import BucketDifference, FigureDifference
from collector.rollup.periods import Period, local_day, parse_period
from collector.store.rollup_sample import period_name
from collector.store.store import RebuildRefusedError, Store, StoreError

OK, FAILED, BAD_INPUT, DIFFERS = 0, 1, 2, 3
_SHOWN_FIGURES = 3
_FAILURES_MOST = 5
# Line and what was done, for the audit trail. May raise.
Record = Callable[[str, str], None]


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the arguments of `rollup`."""
    command.add_argument(
        "action",
        choices=("check", "rebuild"),
        help="check: what differs from raw results; rebuild: make that anew from raw results",
    )
    command.add_argument("--line", required=True, metavar="TENANT/PROBE/LINE", help="a line")
    command.add_argument(
        "--period",
        required=True,
        help="2026-07, 2026-W30, 2026-07-25 or 2026-07-01..2026-07-15",
    )


def run(options: argparse.Namespace, store: Store, record: Record, now: datetime) -> int:
    """Compare or mend; prints what differed. Returns the exit code.

    `check` ends with 3 where something differs. What has been mended stays so, whatever comes.
    """
    try:
        line = _line(options.line, store)
        period = _until_today(parse_period(options.period), now)
    except ValueError as error:
        print(error, file=sys.stderr)
        return BAD_INPUT
    mend = options.action == "rebuild"
    if mend:
        record(options.line, f"{period.first}..{period.last}: begins")
    buckets = differing = 0
    try:
        for day, whole_month in _parts(period):
            found = _again(store, line, day, now, whole_month=whole_month, mend=mend)
            buckets += 1
            differing += bool(found)
            _show(period_name(day, whole_month=whole_month), found)
    except RebuildRefusedError as error:
        print(f"{error}: it cannot be compared", file=sys.stderr)
        return BAD_INPUT
    finally:
        if mend and differing:
            record(options.line, f"{period.first}..{period.last}: {differing} made anew")
    verb = "made anew from raw results" if mend else "differ from raw results"
    print(f"{buckets} days and months compared, {differing} {verb}")
    return DIFFERS if differing and not mend else OK


def _line(text: str, store: Store) -> LineKey:
    parts = text.split("/")
    if len(parts) != 3:
        raise ValueError(f"{text!r} is not TENANT/PROBE/LINE")
    line = LineKey(*parts)
    if line not in store.summaries.lines() and store.registry.read().line(line) is None:
        raise ValueError(f"no line {text!r} is in the registry or has results")
    return line


def _until_today(period: Period, now: datetime) -> Period:
    today = local_day(now)
    if period.first > today:
        raise ValueError(f"{period.first} has not begun")
    return Period(period.first, min(period.last, today))


def _parts(period: Period) -> list[tuple[date, bool]]:
    """The days, then the months that they are of."""
    days = list(period.each_day())
    months = sorted({day.replace(day=1) for day in days})
    return [*((day, False) for day in days), *((month, True) for month in months)]


def _again(
    store: Store, line: LineKey, day: date, now: datetime, *, whole_month: bool, mend: bool
) -> list[BucketDifference]:
    """One part; again where the store was busy, as a backup or a large batch keeps it."""
    failures = 0
    while True:
        try:
            if mend:
                return store.rebuild_rollups(line, day, now, whole_month=whole_month)
            return store.rollup_differences(line, day, whole_month=whole_month)
        except StoreError:
            failures += 1
            if failures > _FAILURES_MOST:
                raise
            sleep(1)


def _show(period: str, found: Sequence[BucketDifference]) -> None:
    for bucket in found:
        start = datetime.fromtimestamp(bucket.start_s, UTC)
        family = f" {bucket.family}" if bucket.family else ""
        print(f"{period}: {bucket.step} {start:%Y-%m-%dT%H:%MZ}{family}")
        for figure in bucket.figures[:_SHOWN_FIGURES]:
            print(f"  {_described(figure)}")
        if (more := len(bucket.figures) - _SHOWN_FIGURES) > 0:
            print(f"  and {more} more figures")


def _described(one: FigureDifference) -> str:
    def shown(value: float | None) -> str:
        return "none" if value is None else f"{value:.12g}"

    return f"{one.figure}: {shown(one.rolled_up)} rolled up, {shown(one.raw)} in raw results"
