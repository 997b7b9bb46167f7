"""The outbox on a real file."""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from uuid import UUID

import pytest

from bench.workload import Workload, bodies
from probe import config, config_file
from probe.config import DeliveryConfig
from probe.deliver import high_water_mark
from probe.deliver.outbox import Outbox
from probe.deliver.outbox_file import OutboxDamagedError, OutboxError, set_aside
from probe.deliver.receipt_tracker import ReceiptOrder
from probe.deliver.sender_state import Coverage
from probe.plan.light import light_kinds
from tests import samples
from wire.result import encode_result


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.sqlite"


@pytest.fixture
def outbox(path: Path) -> Iterator[Outbox]:
    opened = Outbox(path)
    yield opened
    opened.close()


def fill(outbox: Outbox, count: int, now_s: float = 0.0) -> None:
    outbox.put([("latency", b"%d" % number) for number in range(count)], now_s)


def seqs(outbox: Outbox, after: int = 0, limit: int = 10_000) -> list[int]:
    return [one.row for one in outbox.pending(after, outbox.last_row, limit)]


def test_results_are_numbered_from_one_in_the_order_given(outbox: Outbox) -> None:
    fill(outbox, 3)
    assert [(one.row, one.body) for one in outbox.pending(0, 3, 10)] == [
        (1, b"0"),
        (2, b"1"),
        (3, b"2"),
    ]
    assert seqs(outbox, after=2) == [3]
    assert seqs(outbox, limit=2) == [1, 2]
    assert [one.row for one in outbox.pending(0, 2, 10)] == [1, 2]


def test_another_program_that_opens_the_file_sees_that_it_is_in_use(
    outbox: Outbox, path: Path
) -> None:
    """Else it cuts the log's index, which this process has mapped: SIGBUS."""
    fill(outbox, 1)
    in_use = (
        "import fcntl, sys\n"
        "with open(sys.argv[1], 'r+b') as index:\n"
        # The byte that every user of the index holds (SQLite, os_unix.c: UNIX_SHM_DMS).
        "    fcntl.lockf(index, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 128)\n"
    )
    command = [sys.executable, "-c", in_use, f"{path}-shm"]
    taken = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "BlockingIOError" in taken.stderr


def test_a_receipt_covers_all_but_its_gaps(outbox: Outbox) -> None:
    fill(outbox, 10)
    outbox.apply_coverage(Coverage(8, ((2, 3), (6, 6))))
    assert seqs(outbox) == [2, 3, 6, 9, 10]
    assert seqs(outbox, after=3, limit=2) == [6, 9]
    assert outbox.pending_count() == 5


def test_a_receipt_that_says_less_makes_results_pending_again(outbox: Outbox) -> None:
    fill(outbox, 4)
    outbox.apply_coverage(Coverage(4))
    assert outbox.pending_count() == 0
    outbox.apply_coverage(Coverage(1))
    assert seqs(outbox) == [2, 3, 4]


def test_everything_survives_reopening(path: Path) -> None:
    first = Outbox(path)
    fill(first, 5)
    first.apply_coverage(Coverage(3, ((2, 2),)))
    first.close()
    second = Outbox(path)
    assert list(second.epochs) == [first.epoch]
    assert seqs(second) == [2, 4, 5]
    second.close()


def test_each_file_has_its_own_epoch(outbox: Outbox, tmp_path: Path) -> None:
    other = Outbox(tmp_path / "other.sqlite")
    assert other.epoch != outbox.epoch
    other.close()


def test_each_opening_has_its_own_epoch_and_numbers_from_one(path: Path) -> None:
    first = Outbox(path)
    fill(first, 3)
    first.close()
    second = Outbox(path)
    fill(second, 2)
    assert second.epoch != first.epoch
    assert [second.epochs.identity(row) for row in seqs(second)] == [
        *((first.epoch, seq) for seq in (1, 2, 3)),
        *((second.epoch, seq) for seq in (1, 2)),
    ]
    assert second.receive(first.epoch, Coverage(2)) == Coverage(2)
    assert second.receive(second.epoch, Coverage(1)) == Coverage(4, ((3, 3),))
    assert seqs(second) == [3, 5]
    assert second.receive(UUID(int=7), Coverage(9)) is None
    # The centre has more of the first epoch than this file, which is an older copy.
    assert second.receive(first.epoch, Coverage(400)) == Coverage(4)
    assert seqs(second) == [5]
    second.close()


def test_no_two_openings_of_a_copied_file_give_the_same_number(path: Path, tmp_path: Path) -> None:
    """An older image of the card is put back, or the card is cloned."""
    outbox = Outbox(path)
    fill(outbox, 5)
    outbox.close()
    given: dict[tuple[UUID, int], bytes] = {}
    for number in range(3):
        folder = tmp_path / str(number)
        folder.mkdir()
        for file in (path, path.with_name(f"{path.name}.mark")):
            shutil.copy(file, folder)
        copy = Outbox(folder / path.name)
        copy.put([("latency", b"%d %d" % (number, at)) for at in range(4)], 0.0)
        for one in copy.pending(0, copy.last_row, 100):
            identity = copy.epochs.identity(one.row)
            assert given.setdefault(identity, one.body) == one.body, "a number of two results"
        copy.close()
    assert len(given) == 5 + 3 * 4


def test_what_is_given_up_of_an_earlier_epoch_is_named_by_that_epoch(path: Path) -> None:
    def of(epoch: UUID, ranges: Sequence[tuple[int, int]]) -> tuple[str, bytes]:
        return "results_dropped", json.dumps([str(epoch), ranges]).encode()

    first = Outbox(path)
    large(first, "latency", 600)
    first.close()
    second = Outbox(path)
    large(second, "latency", 600)
    count = second.make_room(1_500_000, of, 0.0)
    reports = [
        json.loads(one.body)
        for one in second.pending(1_200, second.last_row, 10)
        if one.kind == "results_dropped"
    ]
    assert [epoch for epoch, _ in reports] == [str(first.epoch), str(second.epoch)]
    assert reports[0][1] == [[1, 600]]
    assert reports[1][1] == [[1, count - 600]]
    assert second.coverage.first_uncovered == count + 1, "nobody waits for what was given up"
    second.receive(second.epoch, Coverage())
    assert second.coverage.first_uncovered == count + 1
    second.close()
    third = Outbox(path)
    assert third.coverage.first_uncovered == count + 1
    third.close()


def test_epochs_of_which_nothing_is_left_are_forgotten(path: Path) -> None:
    """One comes with each opening: a box that restarts each day has thousands after years."""
    given = []
    for _ in range(4):
        outbox = Outbox(path)
        fill(outbox, 2)
        given.append(outbox.epoch)
        outbox.apply_coverage(Coverage(outbox.last_row))
        outbox.prune(stored_before_s=1e12)
        outbox.close()
    outbox = Outbox(path)
    assert list(outbox.epochs) == given[-1:]
    fill(outbox, 1)
    assert outbox.epochs.identity(outbox.last_row) == (outbox.epoch, 1)
    assert outbox.receive(outbox.epoch, Coverage(1)) == Coverage(outbox.last_row)
    outbox.close()


def test_the_epochs_that_are_kept_are_those_with_results_covered_or_not(path: Path) -> None:
    first = Outbox(path)
    fill(first, 3)
    first.close()
    second = Outbox(path)
    assert second.kept_epochs() == [first.epoch]
    assert second.is_own(second.epoch), "though nothing is in it yet"
    fill(second, 2)
    second.apply_coverage(Coverage(5))
    assert second.kept_epochs() == [second.epoch, first.epoch]
    assert not second.is_own(UUID(int=9))
    second.close()
    third = Outbox(path)
    fill(third, 1)
    third.apply_coverage(Coverage(5))
    third.prune(1e9)
    assert third.kept_epochs() == [third.epoch]
    third.close()


def test_the_newest_receipt_is_kept_with_the_coverage(path: Path) -> None:
    first = Outbox(path)
    assert first.newest_receipt is None
    fill(first, 2)
    first.newest_receipt = ReceiptOrder(1_796_337_221_044, 318)
    first.close()
    second = Outbox(path)
    assert second.newest_receipt == ReceiptOrder(1_796_337_221_044, 318)
    second.close()
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE meta SET value = '{\"generation\":-1}' WHERE key = 'newest_receipt'")
        db.commit()
    third = Outbox(path)
    assert third.newest_receipt is None, "a damaged one is none"
    third.close()


def test_a_file_of_an_older_version_keeps_its_epoch(path: Path) -> None:
    outbox = Outbox(path)
    fill(outbox, 3)
    outbox.close()
    old = UUID(int=17)
    with sqlite3.connect(path) as db:  # as 0.1.0 left it
        db.execute("DROP TABLE epochs")
        db.execute("UPDATE meta SET value = ? WHERE key = 'epoch'", (str(old),))
    opened = Outbox(path)
    fill(opened, 1)
    assert [opened.epochs.identity(row) for row in seqs(opened)] == [
        *((old, seq) for seq in (1, 2, 3)),
        (opened.epoch, 1),
    ]
    opened.close()


def two_epochs(path: Path) -> list[UUID]:
    """An outbox with two results of each of two epochs."""
    epochs = []
    for _ in range(2):
        outbox = Outbox(path)
        fill(outbox, 2)
        outbox.close()
        epochs.append(outbox.epoch)
    return epochs


def test_epochs_of_a_file_of_before_they_had_a_checksum_get_one(path: Path) -> None:
    epochs = two_epochs(path)
    with closing(sqlite3.connect(path)) as db:
        rows = db.execute("SELECT first_row, epoch FROM epochs").fetchall()
        db.execute("DROP TABLE epochs")
        db.execute("CREATE TABLE epochs (first_row INTEGER PRIMARY KEY, epoch TEXT UNIQUE)")
        db.executemany("INSERT INTO epochs VALUES (?, ?)", rows)
        db.commit()
    for _ in range(2):
        opened = Outbox(path)
        assert [opened.epochs.identity(row) for row in seqs(opened)] == [
            (epoch, seq) for epoch in epochs for seq in (1, 2)
        ]
        opened.close()
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT count(checksum) FROM epochs").fetchone() == (2,)


@pytest.mark.parametrize(
    "damage",
    [
        # Another UUID: its results would be delivered as those of an epoch that there never was.
        "epoch = replace(epoch, substr(epoch, 1, 1), iif(epoch < '8', 'f', '0'))",
        # Their numbers would be those of others.
        "first_row = first_row + 1",
        "epoch = CAST(x'ff' || substr(epoch, 2) AS TEXT)",
        "epoch = x''",
        "checksum = checksum + 1",
        "checksum = NULL",
    ],
)
def test_an_epoch_that_was_changed_in_the_file_is_damage_and_named(path: Path, damage: str) -> None:
    epochs = two_epochs(path)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(f"UPDATE epochs SET {damage} WHERE first_row = 3")
    with pytest.raises(OutboxDamagedError):
        Outbox(path)
    assert set_aside(path, "x") == epochs[1]
    fresh = Outbox(path)
    fresh.report_ended_epochs(lambda epoch: ("results_dropped", str(epoch).encode()), 0.0)
    named = [row.body.decode() for row in fresh.pending(0, fresh.last_row, 10)]
    assert sorted(named) == sorted(map(str, epochs))
    fresh.close()


def test_pruning_takes_only_what_is_covered_and_old(outbox: Outbox) -> None:
    for now_s in (100.0, 100.0, 100.0, 200.0, 200.0, 200.0):
        fill(outbox, 1, now_s)
    outbox.apply_coverage(Coverage(5, ((2, 2),)))
    assert outbox.prune(stored_before_s=150.0) == 2
    outbox.apply_coverage(Coverage(0))
    assert seqs(outbox) == [2, 4, 5, 6]


def test_a_month_of_delivered_results_is_far_below_the_limit(outbox: Outbox) -> None:
    """As docs/delivery.md says: 30 days of two lines are kept for a centre that lost its store."""
    settings = config.parse(config_file.EXAMPLE.read_bytes(), "probe.toml")
    a_day: dict[str, int] = defaultdict(int)
    for line in settings.lines[:2]:
        for one in light_kinds(settings, line):
            a_day[one.kind] += round(one.per_day * (3 if one.kind == "latency" else 1))
    others = [("dns", samples.dns()), ("web", samples.web()), ("path", samples.path())]
    latency = bodies(Workload(a_day.pop("latency") // 12, 6, 1, datetime(2026, 11, 1, tzinfo=UTC)))
    while minute := [("latency", body) for body in islice(latency, 6)]:
        outbox.put(minute, 0.0)
    for number in range(sum(a_day.values()) // 12):
        kind, result = others[number % 3]
        outbox.put([(kind, encode_result(result))], 0.0)
    month_bytes = outbox._rows.used_bytes() * 12 * DeliveryConfig().keep_days
    assert month_bytes == pytest.approx(96e6, rel=0.1)
    assert month_bytes < DeliveryConfig().max_bytes / 10


def test_a_seq_is_never_used_twice(outbox: Outbox) -> None:
    fill(outbox, 2)
    outbox.apply_coverage(Coverage(2))
    outbox.prune(stored_before_s=1e12)
    assert outbox.last_row == 2
    fill(outbox, 1)
    assert seqs(outbox) == [3]


def test_an_interrupted_transaction_stores_nothing(outbox: Outbox) -> None:
    def broken() -> Iterator[tuple[str, bytes]]:
        yield "latency", b"1"
        raise KeyError

    with pytest.raises(KeyError):
        outbox.put(broken(), 0.0)
    assert outbox.pending_count() == 0
    fill(outbox, 1)
    assert outbox.pending_count() == 1


def test_commits_reach_the_disk(path: Path, outbox: Outbox) -> None:
    """synchronous = FULL (2) and WAL: what TRAPS and the module's docstring rely on."""
    assert outbox._db.execute("PRAGMA synchronous").fetchone() == (2,)
    assert outbox._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    fill(outbox, 1)
    with sqlite3.connect(path) as other:
        assert other.execute("SELECT count(*) FROM blocks").fetchone() == (1,)
    other.close()


def large(outbox: Outbox, kind: str, count: int) -> None:
    noise = random.Random(count)  # nothing that packing could make smaller
    outbox.put([(kind, noise.randbytes(4000)) for _ in range(count)], 0.0)


def name(_epoch: UUID, ranges: Sequence[tuple[int, int]]) -> tuple[str, bytes]:
    given_up = [seq for first, last in ranges for seq in range(first, last + 1)]
    return "results_dropped", json.dumps(given_up).encode()


def test_room_is_made_of_what_the_centre_has_first(outbox: Outbox) -> None:
    large(outbox, "latency", 1000)
    large(outbox, "throughput", 1000)
    outbox.apply_coverage(Coverage(1500))
    assert outbox.make_room(5_000_000, name, 0.0) == 0
    assert seqs(outbox) == list(range(1501, 2001)), "nothing that is pending was touched"


def test_then_minutes_go_before_tests_and_every_loss_is_named(outbox: Outbox) -> None:
    large(outbox, "throughput", 600)
    large(outbox, "latency", 600)
    large(outbox, "results_dropped", 10)
    before = seqs(outbox)
    count = outbox.make_room(3_000_000, name, 0.0)
    report = outbox.pending(outbox.last_row - 1, outbox.last_row, 1)[0]
    assert report.kind == "results_dropped", "named in the transaction that gave them up"
    given_up = json.loads(report.body)
    assert len(given_up) == count
    assert given_up[-1] == 1200, "all of the latency results are gone"
    assert set(range(601, 1201)) <= set(given_up)
    left = seqs(outbox)[:-1]
    assert sorted(given_up + left) == before, "given up or still there, nothing else"
    assert left[-10:] == list(range(1201, 1211)), "what names losses stays"


def test_no_room_is_made_below_the_limit(outbox: Outbox) -> None:
    large(outbox, "latency", 100)
    assert outbox.make_room(5_000_000, name, 0.0) == 0
    assert outbox.pending_count() == 100


@pytest.mark.parametrize(
    "damage", [b"no database at all " * 500, b"SQLite format 3\0" + b"?" * 9000]
)
def test_a_damaged_file_is_told_and_can_be_set_aside(path: Path, damage: bytes) -> None:
    first = Outbox(path)
    fill(first, 3)
    first.close()
    path.write_bytes(damage)
    with pytest.raises(OutboxDamagedError):
        Outbox(path)
    assert set_aside(path, "now") == first.epoch
    assert path.with_name("outbox.sqlite.damaged-now").read_bytes() == damage
    second = Outbox(path)
    assert second.epoch != first.epoch
    assert second.last_row == 0
    second.close()


def test_damage_in_the_middle_of_a_file_is_found(path: Path) -> None:
    first = Outbox(path)
    large(first, "latency", 200)
    first.close()
    with path.open("r+b") as file:
        for page in range(20, 60, 3):
            file.seek(page * 4096)
            file.write(b"\xa5" * 4096)
    with pytest.raises(OutboxDamagedError, match="is damaged"):
        Outbox(path)


def killed(path: Path, to: Path) -> Path:
    """What a process leaves that is killed while the outbox is open."""
    to.mkdir()
    for suffix in ("", "-wal", ".mark"):
        shutil.copy(f"{path}{suffix}", to / f"{path.name}{suffix}")
    return to / path.name


def damage_log(path: Path) -> None:
    """Damage the first frame of the write-ahead log."""
    with path.with_name(f"{path.name}-wal").open("r+b") as log:
        log.seek(32 + 24 + 100)
        log.write(b"\xff" * 8)


def test_a_damaged_log_takes_rows_of_the_newest_epoch_alone(path: Path, tmp_path: Path) -> None:
    """What an epoch before it has given is in the file, whatever the centre has of it."""
    before = Outbox(path)
    fill(before, 5)
    after = Outbox(killed(path, tmp_path / "after"))
    fill(after, 3)
    copy = killed(after._path, tmp_path / "damaged")
    damage_log(copy)
    opened = Outbox(copy)
    assert [opened.epochs.identity(row) for row in seqs(opened)] == [
        (before.epoch, number) for number in range(1, 6)
    ]
    ((epoch, first, last),) = opened._lost
    assert (epoch, first) == (after.epoch, 1)
    assert last >= 3


def test_a_second_sudden_end_before_the_first_result_loses_and_names_nothing(
    path: Path, tmp_path: Path
) -> None:
    before = Outbox(path)
    fill(before, 5)
    Outbox(killed(path, tmp_path / "first"))
    again = Outbox(killed(tmp_path / "first" / path.name, tmp_path / "second"))
    assert again.report_lost_seqs(name, 0.0) == 0
    assert seqs(again) == [1, 2, 3, 4, 5]


def test_no_byte_of_the_log_can_bring_a_number_back(path: Path, tmp_path: Path) -> None:
    """Whichever byte a card changes: a number is in the file, or named, or the file is refused.

    SQLite itself says nothing: it cuts the log off before the changed frame.
    """
    outbox = Outbox(path)
    for _ in range(4):
        fill(outbox, 2)
    given = set(range(1, outbox.last_row + 1))
    size = path.with_name(f"{path.name}-wal").stat().st_size
    cut_off = 0
    frame_starts = range(32, size, 1024 + 24)
    for at in sorted(
        {
            *range(0, size, 331),
            *range(0, 32, 3),
            *(f + n for f in frame_starts for n in range(0, 24, 3)),
        }
    ):
        if at >= size:
            continue
        copy = killed(path, tmp_path / str(at))
        with copy.with_name(f"{path.name}-wal").open("r+b") as log:
            log.seek(at)
            byte = log.read(1)
            log.seek(at)
            log.write(bytes([byte[0] ^ 0xFF]))
        try:
            opened = Outbox(copy)
        except OutboxDamagedError:
            assert set_aside(copy, "now") == outbox.epoch, at
            continue
        named = opened.report_lost_seqs(name, 0.0)
        fill(opened, 1)
        rows = opened.pending(0, opened.last_row, 10_000)
        told = {
            seq for row in rows if row.kind == "results_dropped" for seq in json.loads(row.body)
        }
        assert given <= {row.row for row in rows if row.kind == "latency"} | told, at
        assert opened.epochs.identity(rows[-1].row)[0] == opened.epoch
        assert opened.pending_count() == len(rows)
        cut_off += bool(named)
        opened.close()
        shutil.rmtree(copy.parent)
    assert cut_off > 20, "SQLite did cut the log off, so the test has seen what it is about"
    outbox.close()


def test_a_sudden_end_names_no_number_that_is_there(path: Path, tmp_path: Path) -> None:
    outbox = Outbox(path)
    fill(outbox, 3)
    copy = Outbox(killed(path, tmp_path / "killed"))
    assert copy.report_lost_seqs(name, 0.0) == 0
    fill(copy, 1)
    assert seqs(copy) == [1, 2, 3, 4]
    copy.close()
    outbox.close()


def test_a_burst_reserves_numbers_for_several_of_its_transactions(
    path: Path, outbox: Outbox
) -> None:
    reserved = set()
    for _ in range(9):
        fill(outbox, 500)
        mark = high_water_mark.read(path)
        assert mark is not None
        assert mark.through >= outbox.last_row
        reserved.add(mark.through)
    assert len(reserved) <= 3


def test_a_file_that_is_older_than_its_mark_gives_no_number_twice(path: Path) -> None:
    first = Outbox(path)
    fill(first, 3)
    first.close()
    old = path.read_bytes()
    second = Outbox(path)
    fill(second, 4)
    second.close()
    path.write_bytes(old)
    third = Outbox(path)
    assert third.report_lost_seqs(name, 0.0) == 4
    fill(third, 1)
    identities = [third.epochs.identity(row) for row in seqs(third)]
    assert identities == [
        *((first.epoch, seq) for seq in (1, 2, 3)),
        *((third.epoch, seq) for seq in (1, 2)),
    ]
    third.close()


def test_an_epoch_that_ended_is_named_even_after_a_death_in_between(
    path: Path, tmp_path: Path
) -> None:
    def of(epoch: UUID) -> tuple[str, bytes]:
        return "results_dropped", str(epoch).encode()

    ended = []
    for suffix in "ab":
        outbox = Outbox(path)
        fill(outbox, 1)
        outbox.close()
        path.write_bytes(b"no database at all")
        ended.append(set_aside(path, suffix))
    fresh = Outbox(path)
    assert fresh.epoch not in ended
    fresh.put([("latency", b"1")], 0.0)
    killed_before = Outbox(killed(path, tmp_path / "killed"))
    assert killed_before.report_ended_epochs(of, 0.0) == 2, "still to be named"
    killed_before.close()
    assert fresh.report_ended_epochs(of, 0.0) == 2
    fresh.close()
    again = Outbox(path)
    assert again.report_ended_epochs(of, 0.0) == 0
    named = [row.body.decode() for row in again.pending(1, again.last_row, 10)]
    assert named == [str(epoch) for epoch in ended]
    again.close()


def test_a_mark_that_is_damaged_as_well_ends_the_epoch(path: Path, tmp_path: Path) -> None:
    outbox = Outbox(path)
    fill(outbox, 3)
    fill(outbox, 3)
    copy = killed(path, tmp_path / "killed")
    outbox.close()
    mark = copy.with_name(f"{path.name}.mark")
    mark.write_bytes(mark.read_bytes().replace(b"through", b"thr0ugh"))
    with copy.with_name(f"{path.name}-wal").open("r+b") as log:
        log.seek(-1, os.SEEK_END)
        log.write(b"\xa5")
    with pytest.raises(OutboxDamagedError, match="log"):
        Outbox(copy)
    assert set_aside(copy, "now") == outbox.epoch


def test_a_spoiled_row_is_named_and_the_sound_ones_are_sent(path: Path) -> None:
    outbox = Outbox(path)
    for _ in range(5):
        fill(outbox, 1)
    outbox.close()
    with sqlite3.connect(path) as db:
        db.execute("UPDATE blocks SET body = body || x'00' WHERE seq = 2")
        db.execute("UPDATE blocks SET kind = CAST(x'6cff' AS TEXT) WHERE seq = 4")
    db.close()
    opened = Outbox(path)
    assert seqs(opened) == [1, 3, 5]
    assert opened.pending_count() == 5
    assert opened.report_corrupt_rows(name, 0.0) == 2
    assert opened.report_corrupt_rows(name, 0.0) == 0
    rows = opened.pending(0, opened.last_row, 10)
    assert [row.row for row in rows] == [1, 3, 5, 6]
    assert json.loads(rows[-1].body) == [2, 4]
    assert opened.pending_count() == 4
    opened.close()


def test_the_count_of_what_is_pending_is_kept_right(outbox: Outbox) -> None:
    fill(outbox, 40)
    for coverage in (
        Coverage(10),
        Coverage(20, ((5, 6), (15, 15))),
        Coverage(20),
        Coverage(3),
        Coverage(40, ((1, 40),)),
        Coverage(40),
        Coverage(60),
    ):
        outbox.apply_coverage(coverage)
        assert outbox.pending_count() == len(seqs(outbox)), coverage


def test_a_body_is_given_back_byte_for_byte(outbox: Outbox) -> None:
    bodies = [encode_result(samples.latency()), encode_result(samples.throughput()), b"", b"\xff"]
    outbox.put([("latency", body) for body in bodies], 0.0)
    assert [one.body for one in outbox.pending(0, 9, 9)] == bodies


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a small disk")
def test_a_full_disk_is_told_and_survived(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], check=True)
    try:
        outbox = Outbox(disk / "outbox.sqlite")
        fill(outbox, 3)
        ballast = disk / "ballast"
        with pytest.raises(OSError, match="No space left"):
            ballast.write_bytes(b"x" * 2_000_000)
        with pytest.raises(OutboxError, match="cannot be written"):
            large(outbox, "latency", 100)
        assert outbox.pending_count() == 3
        ballast.unlink()
        large(outbox, "latency", 10)
        assert seqs(outbox) == list(range(1, 14)), "no number was lost to the failed attempt"
        outbox.close()
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_directory_that_is_not_there_is_told_in_words(tmp_path: Path) -> None:
    with pytest.raises(OutboxError, match="cannot be opened"):
        Outbox(tmp_path / "nowhere" / "outbox.sqlite")
