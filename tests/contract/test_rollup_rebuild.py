"""Roll-ups held against raw results, and made anew from them, in every store."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from time import sleep

import pytest
from msgspec import structs

from collector.cli import main
from collector.registry.registry import LineKey
from collector.rollup.comparison import BucketDifference
from collector.rollup.periods import VIETNAM, Period, Step
from collector.rollup.summary import Summary
from collector.store import rollup_tables
from collector.store.maintenance import Maintenance
from collector.store.messages import ResultsMessage
from collector.store.postgresql import PostgresqlStore
from collector.store.settings import StoreConfig
from collector.store.sqlite import SqliteStore
from collector.store.store import RebuildRefusedError, StoreError
from collector.users.user_store import UserStore
from tests import samples
from tests.contract.test_rollups import JULY, NOW, VNPT, at, message, put, roll
from wire.result import GATEWAY_TARGET, Family, Outcome, Reason, Result, Validity

AnyStore = SqliteStore | PostgresqlStore
OpenStore = Callable[[], AnyStore]
DAY = date(2026, 7, 25)


@pytest.fixture
def store(open_store: OpenStore) -> Iterator[AnyStore]:
    with closing(open_store()) as opened:
        yield opened


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[AnyStore]:
    """For what no database does its own way."""
    with closing(SqliteStore(tmp_path / "results.sqlite")) as opened:
        yield opened


def window(begin: datetime, rtt_us: list[int], family: Family | None, lost: int) -> Result:
    """A latency window with the delays of its packets, as a probe of today sends it."""
    sent = samples.latency(
        started_at=begin, family=family, rtt_ms=rtt_us[0] / 1e3, lost=lost, sent=60
    )
    assert sent.values is not None
    return structs.replace(sent, values=structs.replace(sent.values, rtt_us=rtt_us))


def hour_of_results(hour: int, day: int = DAY.day) -> list[Result]:
    """Results of every sort that the roll-ups tell apart."""
    begin = at(day, hour)
    failed = samples.latency(started_at=begin, outcome=Outcome.FAILED, reason=Reason.TIMEOUT)
    return [
        *(
            samples.latency(
                started_at=begin + timedelta(seconds=place),
                family=family,
                rtt_ms=3.1 + hour + place / 7,
                lost=place % 3,
            )
            for place, family in enumerate((Family.IPV4, Family.IPV6, None, Family.IPV4))
        ),
        *(
            window(
                begin + timedelta(minutes=1 + place),
                [3_003 + 7 * hour + place * packet for packet in range(60)],
                family,
                place % 2,
            )
            for place, family in enumerate((Family.IPV4, Family.IPV6, Family.IPV4))
        ),
        samples.latency(started_at=begin, target=GATEWAY_TARGET, rtt_ms=0.3),
        samples.latency(started_at=begin, target="icmp:203.0.113.9", rtt_ms=9.0),
        failed,
        samples.throughput(started_at=begin, download_bps=1e8 + hour / 3),
        structs.replace(samples.throughput(started_at=begin, download_bps=7e7), slot_at=None),
        samples.throughput(started_at=begin, validity=[Validity.SIGNATURE_MISMATCH]),
        samples.availability(started_at=begin),
    ]


def messages(hour: int, day: int = DAY.day) -> list[ResultsMessage]:
    first = day * 1_000 + hour * 20 + 1
    return [message([one]) for one in enumerate(hour_of_results(hour, day), first)]


def fill(store: AnyStore, hours: range = range(3), day: int = DAY.day) -> None:
    """Each hour is stored, and rolled up before the next one begins."""
    for hour in hours:
        store.store_batch(messages(hour, day), NOW)
        roll(store)


def bodies(store: AnyStore) -> dict[tuple[object, ...], bytes]:
    return {
        (step, line_id, start_s): bytes(body)
        for step in Step
        for line_id, start_s, body in store.read_sql(
            f"SELECT line_id, start_s, body FROM rollup_{step}_summary"
        )
    }


def revisions(store: AnyStore, step: Step) -> list[int]:
    return [row[0] for row in store.read_sql(f"SELECT revision FROM rollup_{step}")]


def damage(store: AnyStore, step: Step, change: Callable[[Summary], Summary]) -> None:
    """Change the earliest bucket of a step, as a fault of ours or of a disk would."""
    line_id, start_s, body = min(
        store.read_sql(f"SELECT line_id, start_s, body FROM rollup_{step}_summary"),
        key=lambda row: (row[1], row[0]),
    )
    changed = rollup_tables.encode(change(rollup_tables.decode(bytes(body))))
    with store.database.transaction() as transaction:
        transaction.execute(
            f"UPDATE rollup_{step}_summary SET body = ? WHERE line_id = ? AND start_s = ?",
            (changed, line_id, start_s),
        )


def with_faster_rtt(summary: Summary) -> Summary:
    """One sample too many, and a tenth more in the sum."""
    known = summary.metrics["latency_rtt_mean_ms"]
    wrong = structs.replace(known, count=known.count + 1, total=known.total * 1.1)
    return structs.replace(summary, metrics={**summary.metrics, "latency_rtt_mean_ms": wrong})


def names(found: list[BucketDifference]) -> set[str]:
    return {figure.figure for bucket in found for figure in bucket.figures}


def test_what_ingest_made_agrees(store: AnyStore) -> None:
    fill(store)
    assert store.rollup_differences(VNPT, DAY) == []
    assert store.rollup_differences(VNPT, DAY, whole_month=True) == []
    before = bodies(store)
    assert store.rebuild_rollups(VNPT, DAY, NOW) == []
    assert bodies(store) == before
    # A line that nobody knows has neither.
    assert store.rollup_differences(LineKey("a", "b", "c"), DAY) == []


def test_sums_in_another_order_agree(sqlite: AnyStore) -> None:
    """As a centre rolls up while an hour lasts: sums differ in their last bits, nothing else."""
    for hour in range(2):
        for one in reversed(messages(hour)):
            sqlite.store_batch([one], NOW)
            roll(sqlite)
    before = bodies(sqlite)
    assert sqlite.rollup_differences(VNPT, DAY) == []
    assert sqlite.rebuild_rollups(VNPT, DAY, NOW) == []
    assert bodies(sqlite) == before


@pytest.mark.parametrize("step", [Step.HOUR, Step.DAY])
def test_a_changed_bucket_is_named_and_mended_to_the_bit(store: AnyStore, step: Step) -> None:
    fill(store)
    before, revision = bodies(store), store.summaries.revision()
    damage(store, step, with_faster_rtt)
    (found,) = store.rollup_differences(VNPT, DAY)
    assert found.step is step
    by_name = {figure.figure: figure for figure in found.figures}
    assert by_name["latency_rtt_mean_ms_count"].rolled_up == (
        (by_name["latency_rtt_mean_ms_count"].raw or 0) + 1
    )
    assert "latency_rtt_mean_ms_sum" in by_name
    assert "throughput_download_bps_sum" not in by_name
    assert bodies(store) != before

    assert store.rebuild_rollups(VNPT, DAY, NOW) == [found]
    assert bodies(store) == before
    assert store.rollup_differences(VNPT, DAY) == []
    # A report of that day is outdated where the day has changed, and only then.
    revised = store.summaries.revised_since(Period(DAY, DAY), [VNPT], revision)
    assert [one.day for one in revised] == ([DAY] if step is Step.DAY else [])


def test_columns_that_differ_from_their_summary_are_found(sqlite: AnyStore) -> None:
    fill(sqlite)
    before = sqlite.read_sql("SELECT * FROM rollup_day ORDER BY line_id")
    with sqlite.database.transaction() as transaction:
        transaction.execute("UPDATE rollup_day SET latency_rtt_mean_ms_sum = 1.0")
    assert names(sqlite.rebuild_rollups(VNPT, DAY, NOW)) == {"sql_columns.latency_rtt_mean_ms_sum"}
    after = sqlite.read_sql("SELECT * FROM rollup_day ORDER BY line_id")
    assert [row[4:] for row in after] == [row[4:] for row in before]


def test_lost_and_invented_buckets_are_mended(sqlite: AnyStore) -> None:
    fill(sqlite)
    before = bodies(sqlite)
    (first_s,), (last_s,) = sqlite.read_sql(
        "SELECT min(start_s) FROM rollup_hour UNION ALL SELECT max(start_s) FROM rollup_hour"
    )
    with sqlite.database.transaction() as transaction:
        for table in ("rollup_hour", "rollup_hour_summary"):
            transaction.execute(f"DELETE FROM {table} WHERE start_s = ?", (first_s,))
            transaction.execute(
                f"UPDATE {table} SET start_s = start_s + 7200 WHERE start_s = ?", (last_s,)
            )
    sqlite.rebuild_rollups(VNPT, DAY, NOW)
    after = bodies(sqlite)
    empty = rollup_tables.encode(Summary())
    assert {key: body for key, body in after.items() if body != empty} == before
    assert {key[2] for key, body in after.items() if body == empty} == {last_s + 7200}
    assert sqlite.rollup_differences(VNPT, DAY) == []


def test_a_month_is_made_of_its_hours(sqlite: AnyStore) -> None:
    fill(sqlite, day=24)
    fill(sqlite)
    before = bodies(sqlite)
    damage(sqlite, Step.MONTH, with_faster_rtt)
    assert sqlite.rollup_differences(VNPT, DAY) == []
    (found,) = sqlite.rollup_differences(VNPT, DAY, whole_month=True)
    assert found.step is Step.MONTH
    assert sqlite.rebuild_rollups(VNPT, DAY, NOW, whole_month=True) == [found]
    assert bodies(sqlite) == before


def test_what_waits_to_be_rolled_up_counts_once(store: AnyStore) -> None:
    fill(store, range(2))
    damage(store, Step.HOUR, with_faster_rtt)
    for hour in (0, 1):
        late = samples.latency(started_at=at(DAY.day, hour), family=Family.IPV4, rtt_ms=40.0)
        store.store_batch([message([(900 + hour, late)])], NOW)
    assert store.summaries.waiting() == 2
    (found,) = store.rebuild_rollups(VNPT, DAY, NOW)
    assert found.step is Step.HOUR
    assert store.summaries.waiting() == 0
    put(store, samples.latency(started_at=at(DAY.day, 1), rtt_ms=41.0), first_seq=950)
    assert store.rollup_differences(VNPT, DAY) == []
    assert store.rollup_differences(VNPT, DAY, whole_month=True) == []


def test_what_is_gone_is_not_mended(sqlite: AnyStore) -> None:
    fill(sqlite)
    damage(sqlite, Step.DAY, with_faster_rtt)
    before = bodies(sqlite)
    # By its word first: nothing is deleted yet, of the day before.
    sqlite.maintain(NOW, (NOW.date() - DAY).days)
    with pytest.raises(RebuildRefusedError, match="2026-07-25: raw results are kept since"):
        sqlite.rebuild_rollups(VNPT, DAY, NOW)
    assert bodies(sqlite) == before


def test_hours_that_are_gone_make_no_month(sqlite: AnyStore) -> None:
    fill(sqlite)
    sqlite.maintain(NOW, None, 10)
    with pytest.raises(RebuildRefusedError, match="hours are kept since"):
        sqlite.rebuild_rollups(VNPT, DAY, NOW, whole_month=True)


def test_a_damaged_block_makes_no_roll_up(sqlite: AnyStore) -> None:
    fill(sqlite)
    damage(sqlite, Step.DAY, with_faster_rtt)
    before = bodies(sqlite)
    with sqlite.database.transaction() as transaction:
        transaction.execute("UPDATE result_blocks SET body = ? WHERE number = 3", (b"\0" * 40,))
    with pytest.raises(RebuildRefusedError, match="of 42 stored results, 41 can be read"):
        sqlite.rebuild_rollups(VNPT, DAY, NOW)
    assert bodies(sqlite) == before


def test_raw_results_that_are_gone_without_a_word_are_no_zero(sqlite: AnyStore) -> None:
    fill(sqlite)
    before = bodies(sqlite)
    with sqlite.database.transaction() as transaction:
        transaction.execute("DELETE FROM result_blocks")
        for kind in ("latency", "throughput", "availability"):
            transaction.execute(f"DELETE FROM {kind}_facts")
    with pytest.raises(RebuildRefusedError, match="there are roll-ups and no raw result"):
        sqlite.rebuild_rollups(VNPT, DAY, NOW)
    assert bodies(sqlite) == before


def test_packed_results_are_as_good(sqlite: AnyStore) -> None:
    fill(sqlite)
    before = bodies(sqlite)
    while sqlite.repack(NOW + timedelta(hours=1)):
        pass
    damage(sqlite, Step.HOUR, with_faster_rtt)
    assert sqlite.rebuild_rollups(VNPT, DAY, NOW)
    assert bodies(sqlite) == before


def test_a_note_is_kept_until_the_day_is_rebuilt(store: AnyStore) -> None:
    fill(store)
    damage(store, Step.DAY, with_faster_rtt)
    found = store.rollup_differences(VNPT, DAY)
    store.note_differences(VNPT, str(DAY), found, NOW)
    store.note_differences(VNPT, str(DAY), found, NOW + timedelta(days=1))
    (noted,) = store.noted_differences()
    assert (noted.line, noted.period, noted.found_at) == (VNPT, str(DAY), NOW)
    assert noted.figures == len(found[0].figures)
    assert noted.figure == found[0].figures[0].figure
    assert (noted.raw, noted.rolled_up) == (6.0, 7.0)
    store.rebuild_rollups(VNPT, DAY, NOW)
    assert store.noted_differences() == []
    store.note_differences(VNPT, str(DAY), found, NOW)
    store.note_differences(VNPT, str(DAY), [], NOW)
    assert store.noted_differences() == []
    store.note_differences(VNPT, str(DAY), found, NOW)
    store.maintain(NOW, (NOW.date() - DAY).days - 2)
    assert store.noted_differences() == []


def until_done(act: Callable[[], object]) -> None:
    """As ingest does: the store may be busy for some seconds."""
    for _ in range(60):
        try:
            act()
        except StoreError:
            sleep(1)
        else:
            return
    raise AssertionError("the store was busy for a minute")


def test_ingest_goes_on_beside_it(open_store: OpenStore) -> None:
    """As two processes: one stores and rolls up, the other rebuilds what is damaged meanwhile."""
    with closing(open_store()) as ingesting, closing(open_store()) as mending:
        _rebuild_beside(ingesting, mending)


def _rebuild_beside(ingesting: AnyStore, mending: AnyStore) -> None:
    done = threading.Event()
    failures: list[BaseException] = []

    def ingest() -> None:
        try:
            for hour in range(2):
                for one in messages(hour):
                    until_done(partial(ingesting.store_batch, [one], NOW))
                    until_done(partial(ingesting.roll_up, NOW))
        except BaseException as error:  # noqa: BLE001 - shown by the test
            failures.append(error)
        finally:
            done.set()

    thread = threading.Thread(target=ingest)
    thread.start()
    rebuilt = 0
    while not done.is_set():
        if mending.summaries.lines():
            until_done(lambda: damage(mending, Step.HOUR, with_faster_rtt))
        until_done(lambda: mending.rebuild_rollups(VNPT, DAY, NOW))
        rebuilt += 1
        sleep(0.02)
    thread.join()
    assert failures == []
    assert rebuilt
    mending.rebuild_rollups(VNPT, DAY, NOW)
    roll(ingesting)
    assert ingesting.summaries.waiting() == 0
    assert mending.rollup_differences(VNPT, DAY) == []
    (month,) = ingesting.summaries.series(VNPT, JULY, Step.MONTH)
    assert month.summary.counts("latency").attempted == 2 * 10
    assert mending.rollup_differences(VNPT, DAY, whole_month=True) == []


def test_the_clock_of_a_day_is_vietnam_s(sqlite: AnyStore) -> None:
    put(sqlite, samples.latency(started_at=at(25, 0)), samples.latency(started_at=at(25, 23)))
    put(sqlite, samples.latency(started_at=at(24, 23)), first_seq=10)
    assert sqlite.rollup_differences(VNPT, DAY) == []
    damage(sqlite, Step.HOUR, with_faster_rtt)
    assert sqlite.rollup_differences(VNPT, DAY) == []
    assert sqlite.rollup_differences(VNPT, DAY - timedelta(days=1))


def test_the_night_finds_what_differs_and_notes_it(sqlite: AnyStore) -> None:
    fill(sqlite)
    damage(sqlite, Step.DAY, with_faster_rtt)
    maintenance = Maintenance(sqlite, StoreConfig(raw_days=0, repack=False), lambda: None)
    morning = datetime(2026, 7, 26, 5, 30, tzinfo=VIETNAM)
    while maintenance.run_once(morning):
        pass
    assert sqlite.noted_differences() == []
    # With one line, its turn is one night of thirty.
    for night in range(30):
        now = datetime(2026, 7, 26, 1, 30, tzinfo=VIETNAM) + timedelta(days=night)
        while maintenance.run_once(now):
            pass
    (noted,) = sqlite.noted_differences()
    assert (noted.line, noted.period) == (VNPT, str(DAY))


def command(path: Path, *arguments: str) -> int:
    """`tramdo-collector rollup`, on a store in this folder."""
    config = path / "collector.toml"
    config.write_text(
        f'[broker]\nhost = "127.0.0.1"\n[store]\npath = "{path}/results.sqlite"\n'
        f'[web]\npeople_file = "{path}/people.sqlite"\n'
    )
    return main(["rollup", *arguments, "--config", str(config)])


def test_the_command_mends_on_record(
    sqlite: AnyStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(sqlite)
    before = bodies(sqlite)
    damage(sqlite, Step.DAY, with_faster_rtt)
    asked = ("--line", "/".join(VNPT), "--period", str(DAY))
    assert command(tmp_path, "check", *asked) == 3
    assert "latency_rtt_mean_ms_count: 7 rolled up, 6 in raw results" in capsys.readouterr().out
    trail = UserStore(tmp_path / "people.sqlite")
    assert trail.audit_events(9) == []

    assert command(tmp_path, "rebuild", *asked) == 0
    assert "2 days and months compared, 1 made anew" in capsys.readouterr().out
    assert bodies(sqlite) == before
    assert [(one.action, one.subject, one.detail) for one in trail.audit_events(9)] == [
        ("rollup_rebuild", "/".join(VNPT), f"{DAY}..{DAY}: 1 made anew"),
        ("rollup_rebuild", "/".join(VNPT), f"{DAY}..{DAY}: begins"),
    ]
    assert command(tmp_path, "check", *asked) == 0
    assert command(tmp_path, "check", "--line", "a/b/c", "--period", str(DAY)) == 2
    assert command(tmp_path, "check", "--line", "/".join(VNPT), "--period", "2099-01") == 2
    sqlite.maintain(NOW, 1)
    assert command(tmp_path, "rebuild", *asked) == 2
    assert "raw results are kept since" in capsys.readouterr().err


def test_a_night_is_noted_from_its_first_work_until_all_is_done(tmp_path: Path) -> None:
    with closing(SqliteStore(tmp_path / "results.sqlite")) as store:
        maintenance = Maintenance(store, StoreConfig(raw_days=0), lambda: None)
        noon, night = (datetime(2026, 7, 25, hour, 0, tzinfo=UTC) for hour in (5, 18))
        later = [night + timedelta(minutes=minute) for minute in range(3)]
        nights = []
        for when in (noon, *later):
            maintenance.run_once(when)
            nights.append(maintenance.night)
    # 18:00 UTC is one in the morning in Vietnam.
    assert nights[0] is None
    run = nights[-1]
    assert run is not None
    assert (run.began_at, run.failure) == (night, None)
    assert run.ended_at in later
