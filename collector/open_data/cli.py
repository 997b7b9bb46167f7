"""Floor 3. `tramdo-collector open-data`: publishes the raw results of a closed month."""

from __future__ import annotations

import argparse
import sys
from datetime import date, datetime, timedelta
from pathlib import Path

from collector.domain.lines import KnownLine
from collector.open_data import parquet
from collector.open_data.publish import AlreadyPublishedError, MonthPublisher
from collector.open_data.settings import OpenDataConfig
from collector.open_data.signing_key import SigningKeyError, load_or_create
from collector.rollup.periods import Period, local_day, month_of, parse_period
from collector.store.store import Store, StoreError

OK, FAILED, BAD_INPUT = 0, 1, 2
# Results of a month that come so much later are not in its files.
CLOSED_AFTER = timedelta(days=2)


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the options of `open-data`."""
    command.add_argument(
        "--month", metavar="2026-10", help="which one (default: the last one that is closed)"
    )
    command.add_argument(
        "--by-holder",
        action="store_true",
        help="only where this collector does the store's maintenance: for timers",
    )


def run(
    options: argparse.Namespace,
    config: OpenDataConfig,
    store: Store,
    lines: list[KnownLine],
    version: str,
    raw_days: int,
    now: datetime,
) -> int:
    """Publish the month. Returns the exit code; a month that is published already is no fault."""
    try:
        month = _month(options.month, now)
        _require_kept(month, raw_days, now)
    except ValueError as error:
        print(error, file=sys.stderr)
        return BAD_INPUT
    try:
        key = load_or_create(Path(config.key_file))
        publisher = MonthPublisher(store, lines, key, Path(config.path), version)
        done = publisher.publish(month, now)
    except AlreadyPublishedError as error:
        print(f"{error} is published and stays as it is")
        return OK
    except (SigningKeyError, StoreError, parquet.ParquetError) as error:
        print(error, file=sys.stderr)
        return FAILED
    except OSError as error:
        print(f"{error.filename or config.path}: {error.strerror}", file=sys.stderr)
        return FAILED
    print(f"{done.path}: {done.results} results in {done.files} files, signed by {key.key_id}")
    if not done.parquet:
        print("CSV only: for Parquet, `pip install 'tramdo[parquet]'` (DuckDB)")
    return OK


def _month(text: str | None, now: datetime) -> Period:
    if text is None:
        return month_of(_last_closed(now))
    month = parse_period(text)
    if month != month_of(month.first):
        raise ValueError(f"{text!r} is no month")
    if month.ends_at + CLOSED_AFTER > now:
        raise ValueError(f"{text} is closed {CLOSED_AFTER.days} days after its end")
    return month


def _last_closed(now: datetime) -> date:
    this_month = local_day(now - CLOSED_AFTER).replace(day=1)
    return this_month - timedelta(days=1)


def _require_kept(month: Period, raw_days: int, now: datetime) -> None:
    if raw_days and month.starts_at < now - timedelta(days=raw_days):
        raise ValueError(
            f"raw results of {month.first:%Y-%m} are not kept any more: `store.raw_days` is "
            f"{raw_days}"
        )
