"""Floor 3. A month of a region in PostgreSQL: growth a day, what the nation would need, retention.

Each line's results of the default plan (a latency window a minute to three targets, and one result
in twenty of another kind, from `bench.workload`) go through the collector's own validation, store,
hourly roll-ups, partitions and the packing of each night, in envelopes of 2 as probes send them,
by a simulated clock; later days are the first with other dates and numbers. Nothing is inserted
beside the product. Commits of the month wait for no disk, which changes no size.

`--lines N` is how many lines; what is reckoned for the nation, 6,642 lines, is N's figures by the
line, without what the parts of a day have when they are empty. The last quarter of the last day is
stored as live as it gets: a commit and roll-ups each minute, a checkpoint every five, since full
pages in the WAL go with checkpoints; few lines share a page then, so the WAL is an upper bound.

Then retention: while results are stored as fast as it goes, durably, a quarter of the days is
dropped, at first alone, and then another one while a reader holds all of them. `longest commit` is
what ingest waits.

`backup`: the data files under zstd at level 3, as pgBackRest compresses them.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import psycopg
import zstandard

from bench.report import IntegerOption, Options, Outcome, Row, Target, at_most, note, run
from bench.workload import Stream, Workload
from collector.ingest.validation import validate
from collector.store.messages import ValidatedMessage
from collector.store.postgresql import PostgresqlStore
from tests import postgresql
from tests.postgresql import PostgresqlServer

_LINES = IntegerOption("lines", 4, "how many lines the region has")
_DAYS, _QUICK_DAYS = 30, 4
_QUICK_LINES = 2
NATION_LINES = 3_321 * 2
_RAW_DAYS = 90
_ENVELOPE = 2
# Of the nation's 350 results a second in the linger of a commit, 0.2 s.
_MESSAGES_A_BATCH = 35
# Latency envelopes of a probe's minute, and each twentieth of another kind beside them.
_ENVELOPES_A_MINUTE = 3 * 20 / 19
_ROLL_MINUTES = 60
_STORE_MINUTES = 5
_CHECKPOINT_MINUTES = 5
_DAY = timedelta(days=1)
_LONGEST_S = 5.0
_SEQ = re.compile(rb'"seq":([0-9]+)')
# Full pages compressed, as deploy/database has it.
_SERVER = {
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    "jit": "off",
    "wal_compression": "zstd",
}


class Sizes(NamedTuple):
    """Of the database, in bytes; WAL is what has been written since the server began."""

    database: int
    raw: int
    rollups: int
    wal: int


class Region:
    """A store, and the probes whose days are put into it, two lines each."""

    def __init__(self, server: PostgresqlServer, lines: int, first: date) -> None:
        self.conninfo = server.conninfo(server.new_database())
        self.store = PostgresqlStore(f"{self.conninfo} options='-c synchronous_commit=off'")
        self.first = datetime(first.year, first.month, first.day, tzinfo=UTC)
        work = Workload(0, _ENVELOPE, lines // 2, self.first)
        self._first_day: list[list[tuple[str, bytes]]] = []
        self._streams = [Stream(work, number) for number in range(work.probes)]
        self.results = 0

    def day(self, day: int) -> None:
        """Store a day as it comes, but for commits and roll-ups, which are fewer."""
        self.store.maintain(self.first + day * _DAY, None)
        self._minutes(day, range(1, 1_441), _STORE_MINUTES, _ROLL_MINUTES)

    def live_day(self, day: int) -> int:
        """Store a day whose last quarter is live; the bytes of WAL of four of them."""
        self.store.maintain(self.first + day * _DAY, None)
        self._minutes(day, range(1, 1_081), _STORE_MINUTES, _ROLL_MINUTES)
        start = self.sizes().wal
        for minute in range(1_081, 1_441, _CHECKPOINT_MINUTES):
            self._checkpoint()
            self._minutes(day, range(minute, minute + _CHECKPOINT_MINUTES), 1, 1)
        return 4 * (self.sizes().wal - start)

    def _minutes(self, day: int, minutes: range, store_each: int, roll_each: int) -> None:
        waiting: list[ValidatedMessage] = []
        for minute in minutes:
            now = self.first + day * _DAY + timedelta(minutes=minute, seconds=15)
            waiting += self.messages(day * 1_440 + minute - 1, now)
            if minute % store_each == 0:
                self.store_all(waiting, now)
                waiting = []
            if minute % roll_each == 0:
                self._roll_up(now)

    def reopen(self) -> None:
        """From now on each commit waits for the disk."""
        self.store.close()
        self.store = PostgresqlStore(self.conninfo)

    def night(self, day: int) -> None:
        """Pack what is older than half a day, as from one o'clock on."""
        before = self.first + (day + 1) * _DAY - timedelta(hours=12)
        while self.store.repack(before):
            pass

    def messages(self, minute: int, now: datetime) -> list[ValidatedMessage]:
        """All probes' envelopes of a minute since the first day, validated."""
        day, place = divmod(minute, 1_440)
        if day == 0:
            self._first_day.append(self._made(minute))
        return [
            validate(topic, self._on_day(payload, day), now)
            for topic, payload in self._first_day[place]
        ]

    def _made(self, minute: int) -> list[tuple[str, bytes]]:
        count = int((minute + 1) * _ENVELOPES_A_MINUTE) - int(minute * _ENVELOPES_A_MINUTE)
        return [stream.envelope(_ENVELOPE) for _ in range(count) for stream in self._streams]

    def _on_day(self, payload: bytes, day: int) -> bytes:
        """An envelope of the first day with the dates and numbers of a later one."""
        # The later date first: the one of the first day may become it.
        for later in (1, 0):
            old, new = (self.first + (later + days) * _DAY for days in (0, day))
            payload = payload.replace(f"{old:%Y-%m-%d}".encode(), f"{new:%Y-%m-%d}".encode())
        of_a_day = sum(len(made) for made in self._first_day) // len(self._streams) * _ENVELOPE
        return _SEQ.sub(lambda found: b'"seq":%d' % (int(found[1]) + day * of_a_day), payload)

    def store_all(self, messages: Sequence[ValidatedMessage], now: datetime) -> float:
        """Store messages, a batch a commit; the longest commit's seconds."""
        longest_s = 0.0
        for begin in range(0, len(messages), _MESSAGES_A_BATCH):
            began_s = time.monotonic()
            batch = messages[begin : begin + _MESSAGES_A_BATCH]
            self.results += self.store.store_batch(batch, now).stored
            longest_s = max(longest_s, time.monotonic() - began_s)
        return longest_s

    def sizes(self) -> Sizes:
        """Its sizes now, after a vacuum as autovacuum would have made it."""
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            connection.execute("VACUUM")
            rows = connection.execute(
                "SELECT c.relname, pg_total_relation_size(c.oid) FROM pg_class AS c "
                "JOIN pg_namespace AS n ON n.oid = c.relnamespace "
                "WHERE c.relkind = 'r' AND n.nspname = 'public'"
            ).fetchall()
            whole, wal = connection.execute(
                "SELECT pg_database_size(current_database()), "
                "pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint"
            ).fetchone() or (0, 0)
        rollups = sum(size for name, size in rows if name.startswith("rollup_"))
        return Sizes(whole, sum(size for _, size in rows) - rollups, rollups, wal)

    def _roll_up(self, now: datetime) -> None:
        while self.store.roll_up(now):
            pass

    def _checkpoint(self) -> None:
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            connection.execute("CHECKPOINT")


def measured(options: Options) -> Outcome:
    lines = _QUICK_LINES if options.quick else options.number
    days = _QUICK_DAYS if options.quick else _DAYS
    scratch = Path(tempfile.mkdtemp(prefix="tramdo-region-", dir="/var/tmp"))
    scratch.chmod(0o755)  # the server runs as another user
    try:
        with postgresql.running(_SERVER, scratch) as server:
            # Its last day is yesterday, so that partitions are made as they are at a centre.
            region = Region(server, lines, datetime.now(UTC).date() - days * _DAY)
            try:
                return _outcome(region, lines, days, scratch)
            finally:
                region.store.close()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _outcome(region: Region, lines: int, days: int, scratch: Path) -> Outcome:
    region.store.maintain(region.first - _DAY, None)
    empty = region.sizes()
    # A part of each table for one more day.
    region.store.maintain(region.first, None)
    before = region.sizes()
    of_a_part = before.database - empty.database
    month, live = _month(region, days, before)
    rows = list(_growth(region, lines, days, of_a_part, month, live))
    rows += _backup(region, scratch, lines * days)
    rows += _nation(rows)
    region.reopen()
    retained = list(_retention(region, days))
    rows += [_row(name, "s", value) for name, value in retained]
    return Outcome(rows, list(_targets(retained)))


def _targets(retained: Sequence[tuple[str, float]]) -> Iterator[Target]:
    for name, value in retained:
        if name.startswith("longest commit while"):
            yield at_most(f"{name}, s", value, _LONGEST_S)


def _month(region: Region, days: int, before: Sizes) -> tuple[list[Sizes], int]:
    """The sizes after each night, and the WAL of a day that is as live as it gets."""
    found, live = [before], 0
    for day in range(days):
        began_s = time.monotonic()
        if day == days - 1:
            live = region.live_day(day)
        else:
            region.day(day)
        region.night(day)
        found.append(region.sizes())
        note(
            f"day {day + 1}: {region.results} results, {found[-1].database / 1e6:.0f} MB, "
            f"{time.monotonic() - began_s:.0f} s"
        )
    return found, live


def _growth(
    region: Region, lines: int, days: int, of_a_part: int, month: Sequence[Sizes], live: int
) -> Iterator[Row]:
    line_days = lines * days
    before, after, half = month[0], month[-1], len(month) // 2
    yield _row("results", "a line and day", region.results / line_days)
    yield _row("results stored", "all", region.results)
    for name in ("database", "raw", "rollups"):
        grown = getattr(after, name) - getattr(before, name)
        grown -= of_a_part * days if name != "rollups" else 0
        yield _row(f"{name}, after the night", "bytes a line and day", grown / line_days)
    yield _row("parts of a day without results", "bytes", of_a_part)
    first = (month[half].database - before.database) / half
    second = (after.database - month[half].database) / (len(month) - 1 - half)
    yield _row("growth of the later days", "of the earlier days'", second / first)
    yield _row("database", "bytes a result", (after.database - before.database) / region.results)
    wal = after.wal - before.wal
    yield _row("WAL with nights, roll-ups each hour", "bytes a line and day", wal / line_days)
    yield _row("WAL of a live day", "bytes a line and day", live / lines)


def _backup(region: Region, scratch: Path, line_days: int) -> list[Row]:
    """The database's files, compressed one by one."""
    compressor = zstandard.ZstdCompressor(level=3)
    whole = packed = 0
    with psycopg.connect(region.conninfo, autocommit=True) as connection:
        connection.execute("CHECKPOINT")
        row = connection.execute(
            "SELECT oid FROM pg_database WHERE datname = current_database()"
        ).fetchone()
    assert row is not None
    for path in scratch.glob(f"*/data/base/{row[0]}/*"):
        if path.is_file():
            content = path.read_bytes()
            whole, packed = whole + len(content), packed + len(compressor.compress(content))
    return [_row("full backup, zstd 3", "of the data files", packed / whole),
            _row("full backup", "bytes a line and day", packed / line_days)]  # fmt: skip


def _nation(rows: Sequence[Row]) -> list[Row]:
    """Reckoned: what a line and day has, times the nation's lines."""
    by_name = {str(row["figure"]): float(str(row["value"])) for row in rows}
    live = by_name["WAL of a live day"] * NATION_LINES
    of_day = NATION_LINES / 1e9
    raw, rollups = by_name["raw, after the night"], by_name["rollups, after the night"]
    return [
        _row("nation, reckoned: results", "million a day", by_name["results"] * NATION_LINES / 1e6),
        _row("nation, reckoned: growth", "GB a day", by_name["database, after the night"] * of_day),
        _row("nation, reckoned: raw results of 90 days", "GB", raw * of_day * _RAW_DAYS),
        _row("nation, reckoned: roll-ups of a year", "GB", rollups * of_day * 365),
        _row("nation, reckoned: WAL", "GB a day", live / 1e9),
        _row("nation, reckoned: WAL to the standby", "Mbit/s", live * 8 / 86_400 / 1e6),
        _row("nation, reckoned: full backup at 90 days", "GB",
             by_name["full backup"] * of_day * _RAW_DAYS),
    ]  # fmt: skip


def _row(name: str, unit: str, value: float) -> Row:
    return {"figure": name, "value": round(value, 3 if value < 100 else 0), "unit": unit}


def _retention(region: Region, days: int) -> Iterator[tuple[str, float]]:
    """The longest commit of ingest: alone, while old days are dropped, and beside a reader."""
    end = region.first + days * _DAY
    feed = _Feed(region, days)
    with feed.running():
        time.sleep(5)
    yield "longest commit", feed.longest_s
    quarter = max(days // 4, 1)
    with feed.running():
        began_s = time.monotonic()
        dropped = _drop_before(region, end, days - quarter)
        dropping_s = time.monotonic() - began_s
    yield f"longest commit while {dropped} parts are dropped", feed.longest_s
    yield "dropping them", dropping_s
    with _reader(region), feed.running():
        _drop_before(region, end, days - 2 * quarter)
    yield "longest commit while parts that somebody reads are dropped", feed.longest_s


class _Feed:
    """Stores results as fast as it goes, in a thread of its own, while the block lasts."""

    def __init__(self, region: Region, days: int) -> None:
        self._region = region
        self._minute = days * 1_440
        self.longest_s = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        self.longest_s = 0.0
        ends = threading.Event()
        feeder = threading.Thread(target=self._feed, args=(ends,), daemon=True)
        feeder.start()
        try:
            time.sleep(1)
            yield
            time.sleep(1)
        finally:
            ends.set()
            feeder.join()

    def _feed(self, ends: threading.Event) -> None:
        region = self._region
        while not ends.is_set():
            now = region.first + timedelta(minutes=self._minute + 1, seconds=15)
            messages = region.messages(self._minute, now)
            self.longest_s = max(self.longest_s, region.store_all(messages, now))
            self._minute += 1


def _drop_before(region: Region, now: datetime, raw_days: int) -> int:
    """Drop what is older, as the centre's maintenance does hourly; how many parts went."""
    before = _parts(region)
    try:
        while region.store.maintain(now, raw_days).deleted:
            pass
    except Exception as error:  # noqa: BLE001 - the centre logs it and tries again
        note(f"not dropped: {error}")
    return before - _parts(region)


def _parts(region: Region) -> int:
    with psycopg.connect(region.conninfo) as connection:
        row = connection.execute("SELECT count(*) FROM pg_inherits").fetchone()
    return int(row[0]) if row else 0


@contextmanager
def _reader(region: Region) -> Iterator[None]:
    """Somebody reads every day, and does not end (a dump, a question in SQL)."""
    with psycopg.connect(region.conninfo) as connection:
        connection.execute("SELECT count(*) FROM results").fetchone()
        yield


if __name__ == "__main__":
    sys.exit(run("region", measured, number=_LINES))
