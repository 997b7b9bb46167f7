"""One suite for every store: what `collector.store.store` promises, on each backend."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID

import msgspec
import pytest
from msgspec import structs

from collector.ingest.validation import validate
from collector.registry.registry import LineKey
from collector.store.individual import store_individually
from collector.store.messages import (
    EpochKey,
    NumberedResult,
    RejectedMessage,
    ResultsMessage,
    StatusMessage,
    ValidatedMessage,
)
from collector.store.postgresql import PostgresqlStore
from collector.store.records import MaintenanceResult, NamedEpochs
from collector.store.sql_store import SqlStore
from collector.store.sqlite import SqliteStore
from collector.store.store import Store, StoreError
from tests import samples
from tests.contract.conftest import OpenStore
from wire import messages
from wire.ledger import Ledger
from wire.messages import Presence, Rejection, State
from wire.result import (
    DropCause,
    FaultLocation,
    Line,
    Outcome,
    Reason,
    Result,
    ResultsDroppedValues,
    decode_result,
    encode_result,
)

NOW = datetime(2026, 7, 25, 5, 2, 0, 123456, tzinfo=UTC)
KEY = EpochKey(samples.TENANT, samples.PROBE, samples.EPOCH)


def results(
    numbered: Sequence[tuple[int, Result]], *, epoch: UUID = samples.EPOCH, at: datetime = NOW
) -> ResultsMessage:
    kind = numbered[0][1].kind
    topic = f"tramdo/v1/{samples.TENANT}/{samples.PROBE}/m/{kind}"
    judged = validate(topic, samples.envelope(numbered, epoch=epoch), at)
    assert isinstance(judged, ResultsMessage), judged
    return judged


def latencies(*seqs: int, epoch: UUID = samples.EPOCH, at: datetime = NOW) -> ResultsMessage:
    return results([(seq, samples.latency(rtt_ms=10.0 + seq)) for seq in seqs], epoch=epoch, at=at)


def reported(
    message: State | messages.Info | messages.Health,
    *,
    at: datetime = NOW,
    retained: bool = False,
) -> StatusMessage:
    return StatusMessage(samples.TENANT, samples.PROBE, at, retained, message)


def rejected(text: str = "nonsense", reason: Rejection = Rejection.NOT_JSON) -> RejectedMessage:
    return RejectedMessage("tramdo/v1/a/b/m/latency", text.encode(), NOW, reason, "why")


def test_two_collectors_that_store_in_turns_count_each_result_once(open_store: OpenStore) -> None:
    """What one remembers of an epoch is not true any more once the other has stored."""
    one, other = open_store(), open_store()
    assert one.store_batch([latencies(1, 2)], NOW).stored == 2
    assert one.store_batch([latencies(3)], NOW).stored == 1
    assert other.store_batch([latencies(4, 5)], NOW).stored == 2
    again = one.store_batch([latencies(3, 4, 5, 6)], NOW)
    assert (again.stored, again.duplicates) == (1, 3)
    (ledger,) = again.ledgers.values()
    assert ledger.ranges == ((1, 6),)
    assert [row.seq for row in other.results_after(0, 10)] == [1, 2, 3, 4, 5, 6]
    one.close()
    other.close()


def test_a_last_result_is_found_after_another_collector_has_deleted_its_series(
    open_store: OpenStore,
) -> None:
    one, other = open_store(), open_store()
    later = NOW + timedelta(days=40)
    again = samples.latency(started_at=later)
    one.store_batch([results([(1, samples.latency())])], NOW)
    while any(other.maintain(later, 30)):
        pass
    assert one.last_results(samples.TENANT, samples.PROBE) == []
    one.store_batch([results([(2, again)], at=later)], later)
    (found,) = other.last_results(samples.TENANT, samples.PROBE)
    assert found.last.seq == 2
    one.close()
    other.close()


def test_an_empty_store_says_so(store: Store) -> None:
    assert store.probes() == []
    assert store.probe("a", "b") is None
    assert store.ledgers() == {}
    assert store.results_after(0, 10) == []
    assert store.last_results("a", "b") == []
    assert store.rejected_after(0, 10) == []
    assert store.revision() == 0
    assert store.totals() == (0, 0, {})


def test_a_result_comes_back_as_it_was_sent(store: Store) -> None:
    result = samples.throughput()
    done = store.store_batch([results([(1, result)])], NOW + timedelta(seconds=2))
    assert (done.stored, done.duplicates, done.rejected) == (1, 0, 0)
    (stored,) = store.results_after(0, 10)
    assert stored.body == encode_result(result)
    assert (stored.tenant, stored.probe, stored.epoch, stored.seq) == (*KEY, 1)
    assert (stored.kind, stored.line, stored.target) == ("throughput", "vnpt", result.target)
    assert stored.received_at == NOW
    assert stored.stored_at == NOW + timedelta(seconds=2)


def test_a_batch_of_any_number_of_rows_is_stored_whole(store: Store) -> None:
    """SQLite writes them by statements of a few sizes: beside the edges of each."""
    expected: list[int] = []
    for rows in (1, 3, 5, 15, 63, 85, 255, 257, 341, 700):
        seqs = range(len(expected) + 1, len(expected) + rows + 1)
        # A block and a row of facts each.
        done = store.store_batch([latencies(seq) for seq in seqs], NOW)
        assert (done.stored, done.duplicates) == (rows, 0)
        expected += seqs
    assert [row.seq for row in store.results_after(0, 5_000)] == expected
    assert isinstance(store, SqlStore)
    assert store.read_sql("SELECT count(*) FROM latency_facts") == [(len(expected),)]


def test_a_repeat_is_counted_and_changes_nothing(store: Store) -> None:
    store.store_batch([latencies(1, 2)], NOW)
    before = store.results_after(0, 10)
    done = store.store_batch([latencies(2, 3), latencies(1), latencies(3)], NOW)
    assert (done.stored, done.duplicates, done.rejected) == (1, 3, 0)
    after = store.results_after(0, 10)
    assert after[:2] == before
    assert [row.seq for row in after] == [1, 2, 3]
    assert store.totals().results == 3


def test_the_ledger_is_told_for_every_epoch_touched(store: Store) -> None:
    done = store.store_batch([latencies(1, 2, 5), latencies(1, epoch=samples.OTHER_EPOCH)], NOW)
    other = KEY._replace(epoch=samples.OTHER_EPOCH)
    assert done.ledgers == {KEY: Ledger(((1, 2), (5, 5))), other: Ledger(((1, 1),))}
    again = store.store_batch([latencies(2)], NOW)
    assert again.ledgers == {KEY: Ledger(((1, 2), (5, 5)))}
    assert store.store_batch([reported(State(Presence.ONLINE, NOW))], NOW).ledgers == {}


def test_of_each_probe_the_ledger_of_its_latest_epoch(store: Store) -> None:
    store.store_batch([latencies(1, 2)], NOW)
    store.store_batch([latencies(1, epoch=samples.OTHER_EPOCH)], NOW)
    assert store.ledgers() == {KEY._replace(epoch=samples.OTHER_EPOCH): Ledger(((1, 1),))}


def test_the_ledger_of_any_epoch_and_an_empty_one_of_an_unknown(store: Store) -> None:
    other = KEY._replace(epoch=samples.OTHER_EPOCH)
    unknown = EpochKey("another", samples.PROBE, samples.EPOCH)
    assert store.ledgers_of([KEY]) == {KEY: Ledger()}
    store.store_batch([latencies(1, 2, 5), latencies(1, epoch=samples.OTHER_EPOCH)], NOW)
    assert store.ledgers_of([unknown, KEY, other]) == {
        KEY: Ledger(((1, 2), (5, 5))),
        other: Ledger(((1, 1),)),
        unknown: Ledger(),
    }
    many = [KEY, *(KEY._replace(epoch=UUID(int=number)) for number in range(2_500))]
    assert sum(bool(ledger.ranges) for ledger in store.ledgers_of(many).values()) == 1
    assert store.ledgers_of([]) == {}


def test_the_epochs_that_each_probe_named_last(store: Store) -> None:
    assert store.named_epochs() == []
    store.store_batch([latencies(1)], NOW)
    assert store.named_epochs() == [], "it has sent no info yet"
    store.store_batch([reported(samples.info())], NOW)
    place = samples.TENANT, samples.PROBE
    assert store.named_epochs() == [NamedEpochs(*place, (samples.EPOCH,))]
    info = structs.replace(
        samples.info(), epochs=[samples.EPOCH, samples.OTHER_EPOCH], receipt_generation=7
    )
    store.store_batch([reported(info)], NOW)
    assert store.named_epochs() == [
        NamedEpochs(*place, (samples.OTHER_EPOCH, samples.EPOCH), True, 7)
    ]


def test_each_generation_of_receipts_is_higher_than_any_before(open_store: OpenStore) -> None:
    store = open_store()
    first = store.open_generation(NOW)
    assert store.open_generation(NOW) == first + 1, "in the same millisecond"
    ahead = store.open_generation(NOW + timedelta(days=1_825))
    back = store.open_generation(NOW - timedelta(days=3_650))
    assert first < ahead < back
    store.close()
    later = open_store()
    assert later.open_generation(NOW) > back
    later.close()
    assert first == int(NOW.timestamp() * 1000), "above those of a store that is lost"


def test_what_is_stored_is_there_after_reopening(open_store: OpenStore) -> None:
    first = open_store()
    first.store_batch([latencies(1, 2, 4), reported(samples.info()), rejected()], NOW)
    rows, probes, ledgers = first.results_after(0, 10), first.probes(), first.ledgers()
    kept = first.rejected_after(0, 10)
    first.close()
    first.close()
    second = open_store()
    assert second.results_after(0, 10) == rows
    assert second.probes() == probes
    assert second.ledgers() == ledgers
    assert second.rejected_after(0, 10) == kept
    second.close()


def test_results_are_paged_in_the_order_of_their_coming(store: Store) -> None:
    store.store_batch([latencies(3), latencies(1, 2)], NOW)
    store.store_batch([latencies(4)], NOW)
    first = store.results_after(0, 3)
    rest = store.results_after(first[-1].number, 3)
    assert [row.seq for row in first + rest] == [3, 1, 2, 4]
    assert store.newest_results(2) == (first + rest)[-2:]
    numbers = [row.number for row in first + rest]
    assert numbers == sorted(set(numbers))


def test_the_last_result_is_the_highest_number_not_the_latest_to_come(store: Store) -> None:
    store.store_batch([latencies(7, 8)], NOW)
    store.store_batch([latencies(2)], NOW + timedelta(minutes=1))
    (entry,) = store.last_results(samples.TENANT, samples.PROBE)
    assert entry.last.seq == 8
    assert entry.last_ok == entry.last


def test_a_new_epoch_takes_over(store: Store) -> None:
    store.store_batch([latencies(7, 8)], NOW)
    store.store_batch([latencies(1, epoch=samples.OTHER_EPOCH)], NOW)
    (entry,) = store.last_results(samples.TENANT, samples.PROBE)
    assert (entry.last.epoch, entry.last.seq) == (samples.OTHER_EPOCH, 1)


def test_the_last_good_result_stands_beside_a_failure(store: Store) -> None:
    failure = samples.latency(lost=60, outcome=Outcome.FAILED, reason=Reason.NO_REPLY)
    store.store_batch([results([(1, samples.latency()), (2, failure)])], NOW)
    (entry,) = store.last_results(samples.TENANT, samples.PROBE)
    assert decode_result(entry.last.body).reason is Reason.NO_REPLY
    assert entry.last_ok is not None
    assert entry.last_ok.seq == 1
    store.store_batch([latencies(3)], NOW)
    (entry,) = store.last_results(samples.TENANT, samples.PROBE)
    assert entry.last.seq == 3
    assert entry.last_ok == entry.last


def test_a_line_that_never_worked_has_no_last_good_result(store: Store) -> None:
    failure = samples.throughput(outcome=Outcome.FAILED, reason=Reason.LINE_DOWN)
    store.store_batch([results([(1, failure)])], NOW)
    (entry,) = store.last_results(samples.TENANT, samples.PROBE)
    assert entry.last_ok is None


def test_last_results_are_apart_by_line_kind_and_target(store: Store) -> None:
    store.store_batch(
        [
            results(
                [
                    (1, samples.latency(target="b")),
                    (2, samples.latency(target="a")),
                    (3, samples.latency(target="a", line=samples.VIETTEL)),
                ]
            ),
            results([(4, samples.throughput(target="a"))]),
        ],
        NOW,
    )
    entries = [e.last for e in store.last_results(samples.TENANT, samples.PROBE)]
    assert [(e.line, e.kind, e.target) for e in entries] == [
        ("viettel", "latency", "a"),
        ("vnpt", "latency", "a"),
        ("vnpt", "latency", "b"),
        ("vnpt", "throughput", "a"),
    ]


def test_no_target_and_an_empty_one_are_the_same_place(store: Store) -> None:
    failure = msgspec.structs.replace(
        samples.latency(target="", outcome=Outcome.FAILED, reason=Reason.NO_REPLY), target=None
    )
    store.store_batch([results([(1, samples.latency(target="")), (2, failure)])], NOW)
    (entry,) = store.last_results(samples.TENANT, samples.PROBE)
    assert entry.last.target is None
    assert entry.last_ok is not None
    assert entry.last_ok.target == ""


def test_what_a_probe_says_of_itself_is_kept(store: Store) -> None:
    store.store_batch(
        [
            reported(State(Presence.ONLINE, NOW)),
            reported(samples.info()),
            reported(samples.health(pending=7)),
        ],
        NOW,
    )
    (probe,) = store.probes()
    assert probe == store.probe(samples.TENANT, samples.PROBE)
    assert probe.presence is Presence.ONLINE
    assert probe.presence_since == NOW
    assert probe.info == samples.info()
    assert probe.site == samples.SITE
    assert probe.health == samples.health(pending=7)
    assert probe.health_at == NOW
    assert probe.last_contact_at == NOW


def test_results_alone_make_a_probe_known(store: Store) -> None:
    store.store_batch([latencies(1)], NOW)
    (probe,) = store.probes()
    assert probe.site == samples.SITE
    assert probe.last_contact_at == NOW
    assert probe.presence is None
    assert probe.info is None


def test_presence_since_moves_only_with_the_presence(store: Store) -> None:
    later = NOW + timedelta(minutes=5)
    store.store_batch([reported(State(Presence.ONLINE))], NOW)
    store.store_batch([reported(State(Presence.ONLINE), at=later)], later)
    assert store.probes()[0].presence_since == NOW
    store.store_batch([latencies(1)], later)
    assert store.probes()[0].presence_since == NOW
    store.store_batch([reported(State(Presence.LOST), at=later)], later)
    assert store.probes()[0].presence_since == later


def test_a_second_last_will_counts_from_its_own_time(store: Store) -> None:
    """Between the two the probe was heard, which had ended the first."""
    later, latest = NOW + timedelta(minutes=5), NOW + timedelta(minutes=9)
    store.store_batch([reported(State(Presence.LOST))], NOW)
    store.store_batch([latencies(1)], later)
    assert store.probes()[0].presence_since == NOW
    store.store_batch([reported(State(Presence.LOST), at=latest, retained=True)], latest)
    assert store.probes()[0].presence_since == NOW, "kept by the broker: of an unknown time"
    store.store_batch([reported(State(Presence.LOST), at=latest)], latest)
    assert store.probes()[0].presence_since == latest


def test_a_last_will_and_a_retained_message_are_no_contact(store: Store) -> None:
    store.store_batch([reported(State(Presence.ONLINE, None), retained=True)], NOW)
    assert store.probes()[0].last_contact_at is None
    assert store.probes()[0].presence_since is None
    store.store_batch([reported(samples.info(), retained=True)], NOW)
    assert store.probes()[0].last_contact_at is None
    store.store_batch([latencies(1)], NOW)
    store.store_batch([reported(State(Presence.LOST))], NOW + timedelta(hours=1))
    assert store.probes()[0].last_contact_at == NOW


def test_revisions_tell_what_changed(store: Store) -> None:
    store.store_batch([latencies(1)], NOW)
    seen = store.revision()
    assert store.probes(changed_after=seen) == []
    other = StatusMessage(samples.TENANT, "tram-2", NOW, False, State(Presence.ONLINE))
    store.store_batch([other], NOW)
    assert [probe.probe for probe in store.probes(changed_after=seen)] == ["tram-2"]
    assert store.revision() > seen


def test_rejected_messages_are_bounded_and_counted(store: Store) -> None:
    done = store.store_batch([rejected(str(number)) for number in range(5)], NOW)
    assert done.rejected == 5
    store.store_batch([rejected("x" * 50_000, Rejection.TOO_LARGE)], NOW)
    kept = store.rejected_after(0, 10)
    assert [row.payload_head[:5] for row in kept] == [b"3", b"4", b"xxxxx"]
    assert kept[-1].payload_bytes == 50_000
    assert len(kept[-1].payload_head) < 50_000
    assert store.totals().rejected == {Rejection.NOT_JSON: 5, Rejection.TOO_LARGE: 1}
    assert store.rejected_after(kept[1].number, 10) == kept[2:]


def test_an_empty_batch_stores_nothing(store: Store) -> None:
    assert store.store_batch([], NOW) == (0, 0, 0, {})


def test_a_batch_that_fails_leaves_nothing(store: Store) -> None:
    broken: list[ValidatedMessage] = [latencies(1, 2), rejected("\x00")]
    broken.append(rejected(reason=Rejection.TOPIC))
    # No store can write this number: SQLite and PostgreSQL have 64 bits.
    record = latencies(3).records[0]
    beyond = type(record)(2**70, record.result, record.body)
    broken.append(
        ResultsMessage("a", "b", NOW, False, "latency", samples.EPOCH, samples.SITE, (beyond,))
    )
    with pytest.raises(OverflowError):
        store.store_batch(broken, NOW)
    assert store.results_after(0, 10) == []
    assert store.ledgers() == {}
    assert store.probes() == []
    assert store.totals() == (0, 0, {})
    assert store.store_batch([latencies(1)], NOW).stored == 1


def test_the_next_batch_is_prepared_while_one_is_on_its_way(store: Store) -> None:
    finish = store.begin_batch([latencies(1, 2)], NOW)
    again = store.begin_batch([latencies(2, 3)], NOW)
    assert finish() == (2, 0, 0, {KEY: Ledger(((1, 2),))})
    assert again() == (1, 1, 0, {KEY: Ledger(((1, 3),))})
    assert again() == (1, 1, 0, {KEY: Ledger(((1, 3),))})
    assert [row.seq for row in store.results_after(0, 10)] == [1, 2, 3]


def test_a_batch_that_nobody_waits_for_is_stored(open_store: OpenStore) -> None:
    first = open_store()
    first.begin_batch([latencies(1)], NOW)
    first.close()
    second = open_store()
    assert [row.seq for row in second.results_after(0, 10)] == [1]
    second.close()


def test_a_batch_that_fails_on_its_way_leaves_nothing(store: Store) -> None:
    record = latencies(3).records[0]
    beyond = type(record)(2**70, record.result, record.body)
    broken = ResultsMessage("a", "b", NOW, False, "latency", samples.EPOCH, samples.SITE, (beyond,))
    with pytest.raises(OverflowError):
        store.begin_batch([latencies(1, 2), broken], NOW)()
    assert store.results_after(0, 10) == []
    assert store.begin_batch([latencies(1)], NOW)().stored == 1


def test_a_repeat_within_a_batch_is_stored_once_and_last(store: Store) -> None:
    done = store.store_batch([results([(1, samples.latency()), (1, samples.latency())])], NOW)
    assert (done.stored, done.duplicates) == (1, 1)
    (entry,) = store.last_results(samples.TENANT, samples.PROBE)
    assert decode_result(entry.last.body).started_at == samples.NOON


def test_a_large_batch_has_every_row_in_both_tables(store: Store) -> None:
    assert isinstance(store, SqliteStore | PostgresqlStore)
    first = latencies(*range(1, 131))
    assert store.store_batch([first], NOW).stored == 130
    assert store.store_batch([latencies(*range(101, 231))], NOW).stored == 100
    rows = store.results_after(0, 1_000)
    assert [row.seq for row in rows] == list(range(1, 231))
    assert [row.body for row in rows[:130]] == [record.body for record in first.records]
    found = store.read_sql("SELECT number, rtt_p50_ms FROM latency_results ORDER BY number")
    assert found == [(row.number, 10.0 + row.seq) for row in rows]


def test_the_outages_of_a_line_with_where_they_were(store: Store) -> None:
    def minutes(count: int) -> datetime:
        return samples.NOON + timedelta(minutes=count)

    store.store_batch(
        [
            results(
                [
                    (1, samples.outage(began_at=minutes(-20), down=10)),
                    (2, samples.outage(began_at=minutes(-5), down=10, fault=FaultLocation.BEYOND)),
                    (3, samples.outage(began_at=minutes(30), down=3)),
                    (4, samples.outage(began_at=minutes(60), down=3)),
                    (5, samples.outage(line=samples.VIETTEL, began_at=minutes(5), down=1)),
                ]
            )
        ],
        NOW,
    )
    line = LineKey(samples.TENANT, samples.PROBE, samples.VNPT.id)
    assert store.outages(line, minutes(0), minutes(60)) == [
        (minutes(-5), minutes(5), FaultLocation.BEYOND, 10, True),
        # Its time is ahead of the centre's: a flag keeps it out of the figures.
        (minutes(30), minutes(33), FaultLocation.ISP_ACCESS, 3, False),
    ]
    assert store.outages(line._replace(probe="another"), minutes(0), minutes(60)) == []


def test_readers_see_whole_batches_while_writing_goes_on(open_store: OpenStore) -> None:
    writer, reader = open_store(), open_store()
    halt = threading.Event()
    torn: list[int] = []

    def read() -> None:
        while not halt.is_set():
            count = len(reader.results_after(0, 10_000))
            if count % 10:
                torn.append(count)

    thread = threading.Thread(target=read)
    thread.start()
    for batch in range(30):
        writer.store_batch([latencies(*range(batch * 10 + 1, batch * 10 + 11))], NOW)
    halt.set()
    thread.join()
    assert torn == []
    assert len(reader.results_after(0, 10_000)) == 300
    writer.close()
    reader.close()


# SQLite alone


def test_sqlite_a_lock_is_a_store_error_and_passes(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    store = SqliteStore(path)
    store.store_batch([latencies(1)], NOW)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="database is locked"):
        store.store_batch([latencies(2)], NOW)
    assert len(store.results_after(0, 100)) == 1
    other.execute("ROLLBACK")
    other.close()
    assert store.store_batch([latencies(2)], NOW).stored == 1
    store.close()


def test_sqlite_a_full_disk_is_a_store_error_and_passes(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "results.sqlite")
    store.store_batch([latencies(1)], NOW)
    writer = store.database._writer
    assert writer is not None
    (pages,) = writer.execute("PRAGMA page_count").fetchone()
    writer.execute(f"PRAGMA max_page_count = {pages + 2}")
    many = [results([(seq, samples.throughput(intervals=100))]) for seq in range(2, 200)]
    with pytest.raises(StoreError, match="database or disk is full"):
        store.store_batch(many, NOW)
    assert [row.seq for row in store.results_after(0, 100)] == [1]
    assert store.ledgers() == {KEY: Ledger(((1, 1),))}
    # The limit belonged to the connection, and that one is gone.
    assert store.store_batch(many, NOW).stored == len(many)
    store.close()


def test_sqlite_a_path_that_cannot_be_opened_is_a_store_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="unable to open"):
        SqliteStore(tmp_path / "missing" / "results.sqlite")
    (tmp_path / "text").write_text("no database, but long enough to look for a header" * 100)
    with pytest.raises(StoreError, match="not a database"):
        SqliteStore(tmp_path / "text")


def test_sqlite_commits_are_durable(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "results.sqlite")
    writer = store.database._writer
    assert writer is not None
    assert writer.execute("PRAGMA synchronous").fetchone() == (2,)
    assert writer.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    store.close()


def test_what_a_probe_has_given_up_is_waited_for_no_more(store: Store) -> None:
    values = ResultsDroppedValues(
        cause=DropCause.OUTBOX_FULL, epoch=samples.EPOCH, count=3, ranges=[(3, 4), (6, 6)]
    )
    store.store_batch([latencies(1, 2, 5)], NOW)
    stored = store.store_batch([results([(7, samples.dropped(values))])], NOW)
    key = EpochKey(samples.TENANT, samples.PROBE, samples.EPOCH)
    assert stored.ledgers[key] == Ledger(((1, 7),))


def test_a_number_of_another_result_is_no_repeat(store: Store) -> None:
    """Not even where only the time differs: a card was put back, or two boxes share an outbox."""
    store.store_batch([latencies(1, 2, 3)], NOW)
    later = samples.latency(rtt_ms=12.0, started_at=samples.NOON + timedelta(days=1))
    other = samples.latency(rtt_ms=99.0)
    done = store.store_batch([results([(1, other), (2, later), (4, other)]), latencies(3)], NOW)
    assert (done.stored, done.duplicates, done.rejected) == (1, 1, 2)
    rejected = store.rejected_after(0, 10)
    assert [one.reason for one in rejected] == [Rejection.NUMBER_REUSED] * 2
    assert "under number 1" in rejected[0].detail
    # In one batch as well.
    twice = results([(7, samples.latency(rtt_ms=1.0)), (7, samples.latency(rtt_ms=2.0))])
    done = store.store_batch([twice], NOW)
    assert (done.stored, done.duplicates, done.rejected) == (1, 0, 1)


def test_a_repeat_is_one_also_where_the_centre_has_changed_its_time(store: Store) -> None:
    ancient = samples.latency(started_at=NOW - timedelta(days=2_000))
    first = results([(1, ancient)])
    assert first.records[0].result.validity, "flagged here"
    unflagged = structs.replace(first, records=(NumberedResult(1, ancient, b"{}"),))
    assert store.store_batch([first], NOW).stored == 1
    done = store.store_batch([unflagged], NOW)
    assert (done.duplicates, done.rejected) == (1, 0)


def test_a_late_result_of_an_earlier_epoch_is_not_the_last(store: Store) -> None:
    """Each opening of an outbox is an epoch, and an earlier one's backlog may come after it."""
    times = [samples.NOON - timedelta(minutes=minutes) for minutes in (3, 2, 1)]
    late, live = ([(1, samples.latency(rtt_ms=1.0, started_at=at))] for at in times[:2])
    store.store_batch([results(live, epoch=samples.OTHER_EPOCH)], NOW)
    store.store_batch([results(late)], NOW)
    (entry,) = store.last_results(samples.TENANT, samples.PROBE)
    assert entry.last.epoch == samples.OTHER_EPOCH
    # A clock that ran ahead keeps nobody out.
    ahead = [(2, samples.latency(started_at=NOW + timedelta(days=900)))]
    store.store_batch([results(ahead, epoch=samples.OTHER_EPOCH)], NOW)
    store.store_batch([results([(2, samples.latency(started_at=times[2]))])], NOW)
    (entry,) = store.last_results(samples.TENANT, samples.PROBE)
    assert (entry.last.epoch, entry.last.seq) == (samples.EPOCH, 2)


def test_losses_of_an_earlier_epoch_are_waited_for_no_more(store: Store) -> None:
    values = ResultsDroppedValues(
        cause=DropCause.OUTBOX_FULL, epoch=samples.EPOCH, count=2, ranges=[(3, 4)]
    )
    store.store_batch([latencies(1, 2, 5)], NOW)
    dropped = results([(1, samples.dropped(values))], epoch=samples.OTHER_EPOCH)
    stored = store.store_batch([dropped], NOW)
    other = KEY._replace(epoch=samples.OTHER_EPOCH)
    assert stored.ledgers == {KEY: Ledger(((1, 5),)), other: Ledger(((1, 1),))}
    assert list(store.ledgers()) == [other], "the one that it sent last"
    assert store.ledgers(KEY[:2]) == store.ledgers()
    assert store.ledgers((samples.TENANT, "another")) == {}


def test_another_epochs_losses_change_nothing_in_this_one(store: Store) -> None:
    values = ResultsDroppedValues(
        cause=DropCause.OUTBOX_DAMAGED, epoch=samples.OTHER_EPOCH, count=None, ranges=[(2, 9)]
    )
    stored = store.store_batch([results([(1, samples.dropped(values))])], NOW)
    key = EpochKey(samples.TENANT, samples.PROBE, samples.EPOCH)
    assert stored.ledgers[key] == Ledger(((1, 1),))


def test_what_cannot_be_stored_is_told_apart_from_what_can(store: Store) -> None:
    sound, broken = latencies(1), latencies(2)
    # More than either database has room for; no gate lets it through.
    records = tuple(msgspec.structs.replace(one, seq=1 << 63) for one in broken.records)
    broken = msgspec.structs.replace(broken, records=records)
    with pytest.raises(OverflowError):
        store.store_batch([sound, broken, latencies(3)], NOW)
    assert store.totals().results == 0, "nothing of a batch that failed"
    done = store_individually(store, [sound, broken, latencies(3)])
    assert (done.stored, done.rejected) == (2, 1)
    assert done.ledgers[KEY] == Ledger(((1, 1), (3, 3)))
    (kept,) = store.rejected_after(0, 10)
    assert (kept.reason, kept.topic.split("/")[-1]) == (Rejection.UNSTORABLE, "latency")


def test_an_epoch_that_is_broken_up_on_purpose_grows_no_further(store: Store) -> None:
    for begin in range(1, 44_001, 1_000):
        odd = latencies(*range(begin, begin + 1_000, 2))
        store.store_batch([odd], NOW)
    stored = store.ledgers()[KEY]
    assert len(stored.ranges) <= 21_000, "a batch beyond the limit, no more"
    (refused, *_) = store.rejected_after(0, 10)
    assert refused.reason is Rejection.TOO_SCATTERED
    # What closes a gap is taken, and another epoch of the same probe.
    other = UUID(int=7)
    done = store.store_batch([latencies(2, 4, 6), latencies(1, epoch=other)], NOW)
    assert (done.stored, done.rejected) == (4, 0)


def test_each_month_keeps_the_plan_that_was_told_in_it(store: Store) -> None:
    def told(count: float, at: datetime) -> None:
        plan = [messages.PlannedKind("throughput", count, "vnpt")]
        info = msgspec.structs.replace(samples.info(), plan=plan)
        store.store_batch([reported(info, at=at)], at)

    key = (samples.TENANT, samples.PROBE)
    told(9, datetime(2026, 7, 1, 5, tzinfo=UTC))
    told(10, datetime(2026, 7, 31, 16, 40, tzinfo=UTC))
    # 31 July, 23:58 in Vietnam: a clock that is ahead tells the plan of August.
    told(11, datetime(2026, 7, 31, 16, 58, tzinfo=UTC))
    told(12, datetime(2026, 10, 1, 5, tzinfo=UTC))
    found = {
        month: [one.per_line_and_day for one in store.plans(date(2026, month, 15)).get(key, ())]
        for month in range(6, 13)
    }
    # A month before the first of them is held against that one, whatever is planned later.
    assert found == {6: [10], 7: [10], 8: [11], 9: [11], 10: [12], 11: [12], 12: [12]}


def targets_of(store: Store) -> set[tuple[str, str | None]]:
    entries = store.last_results(samples.TENANT, samples.PROBE)
    return {(entry.last.line, entry.last.target) for entry in entries}


def of_target(number: int, line: str = "vnpt") -> Result:
    return samples.latency(line=Line(line), target=f"icmp:{number}.example")


def many_targets(first: int, count: int, *, line: str = "vnpt") -> ResultsMessage:
    return results([(seq, of_target(seq, line)) for seq in range(first, first + count)])


def test_a_probe_has_so_many_targets_and_its_known_ones_and_others_go_on(store: Store) -> None:
    store.store_batch([many_targets(1, 900)], NOW)
    # A batch that crosses the limit: the first that fit, then those that are known.
    repeated = results([(5_000, of_target(7))])
    neighbour = structs.replace(many_targets(1, 3), probe="tram-2")
    done = store.store_batch([many_targets(901, 200), repeated, neighbour], NOW)
    assert (done.stored, done.rejected) == (100 + 1 + 3, 100)
    assert len(targets_of(store)) == 1_000
    assert store.totals().rejected == {Rejection.TOO_MANY_TARGETS: 100}
    assert "1000 targets" in store.rejected_after(0, 10)[-1].detail
    # Not receipted: the probe has what the centre has not.
    assert done.ledgers[KEY].missing == ((1_001, 4_999),)
    done = store.store_batch([many_targets(1_001, 100)], NOW)
    assert (done.stored, done.rejected) == (0, 100)
    assert len(targets_of(store)) == 1_000


def test_a_probe_has_so_many_lines(store: Store, open_store: OpenStore) -> None:
    for number in range(99):
        store.store_batch([many_targets(number + 1, 1, line=f"line-{number}")], NOW)
    two = [many_targets(500 + number, 1, line=f"more-{number}") for number in range(2)]
    done = store.store_batch(two, NOW)
    assert (done.stored, done.rejected) == (1, 1)
    assert len({line for line, _ in targets_of(store)}) == 100
    known = many_targets(600, 5, line="line-3")
    assert store.store_batch([known], NOW).stored == 5
    # What is counted is what is stored, not what one process has seen.
    store.close()
    again = open_store()
    done = again.store_batch([many_targets(700, 1, line="one-more")], NOW)
    again.close()
    assert (done.stored, done.rejected) == (0, 1)


def test_a_clock_that_was_ahead_for_a_while_leaves_results_in_the_views(store: SqlStore) -> None:
    store.store_batch([many_targets(1, 5)], NOW)
    while store.maintain(NOW + timedelta(days=400), raw_days=30) != MaintenanceResult():
        pass
    store.store_batch([results([(100 + n, of_target(n)) for n in range(1, 6)])], NOW)
    assert len(store.read_sql("SELECT number FROM latency_results")) == 5


def test_targets_whose_results_were_deleted_by_age_make_room(store: Store) -> None:
    store.store_batch([many_targets(1, 500), many_targets(501, 500)], NOW)
    later = NOW + timedelta(days=40)
    while store.maintain(later, raw_days=30) != MaintenanceResult():
        pass
    done = store.store_batch([many_targets(2_001, 10)], later)
    assert (done.stored, done.rejected) == (10, 0)
