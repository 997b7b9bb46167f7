"""A result that reports a loss may be lost in its turn: the loss is then reported again."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from uuid import UUID

import pytest

from probe.deliver.high_water_mark import path_of
from probe.deliver.outbox import Outbox
from probe.deliver.outbox_file import OutboxError, set_aside
from probe.deliver.sender_state import Coverage
from tests.unit.test_outbox import damage_log, killed

Ranges = Sequence[tuple[int, int]]


def lost(epoch: UUID, ranges: Ranges) -> tuple[str, bytes]:
    return "results_dropped", json.dumps([str(epoch), ranges]).encode()


def ended(epoch: UUID) -> tuple[str, bytes]:
    return lost(epoch, [])


def reports_in(outbox: Outbox) -> set[tuple[str, str]]:
    """(epoch, its ranges as JSON) of the reports that are pending; without ranges: all of it."""
    found = (
        json.loads(one.body)
        for one in outbox.pending(0, outbox.last_row, 10_000)
        if one.kind == "results_dropped"
    )
    return {(epoch, json.dumps(ranges)) for epoch, ranges in found}


def report_all(outbox: Outbox) -> set[tuple[str, str]]:
    """As the writer does before it stores results."""
    outbox.report_ended_epochs(ended, 0.0)
    outbox.report_lost_seqs(lost, 0.0)
    outbox.report_corrupt_rows(lost, 0.0)
    return reports_in(outbox)


def put(outbox: Outbox, count: int, body_bytes: int = 2) -> None:
    noise = random.Random(count)  # nothing that packing could make smaller
    outbox.put([("latency", noise.randbytes(body_bytes)) for _ in range(count)], 0.0)


def file_destroyed(path: Path) -> None:
    path.write_bytes(b"no database")
    set_aside(path, "damaged")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.sqlite"


def after_a_lost_log(path: Path, tmp_path: Path) -> tuple[Path, tuple[str, str]]:
    """An outbox, open in a process that was killed, whose report of 300 lost numbers waits."""
    first = Outbox(path)
    put(first, 300)
    copy = killed(path, tmp_path / "first")
    damage_log(copy)
    second = Outbox(copy)
    reported = report_all(second)
    put(second, 3)
    (report,) = reported
    assert report[0] == str(first.epoch)
    left = killed(copy, tmp_path / "second")
    first.abandon()
    second.abandon()
    return left, report


def test_lost_numbers_are_named_again_when_the_file_with_their_report_is_destroyed(
    path: Path, tmp_path: Path
) -> None:
    copy, report = after_a_lost_log(path, tmp_path)
    for _ in range(3):
        file_destroyed(copy)
        outbox = Outbox(copy)
        assert report in report_all(outbox)
        outbox.close()


def test_lost_numbers_are_named_again_when_the_log_with_their_report_is_damaged(
    path: Path, tmp_path: Path
) -> None:
    copy, report = after_a_lost_log(path, tmp_path)
    damage_log(copy)
    outbox = Outbox(copy)
    assert report in report_all(outbox)
    outbox.close()


def test_an_ended_epoch_is_named_again_when_the_file_with_its_report_is_destroyed(
    path: Path,
) -> None:
    epochs = []
    for _ in range(3):
        outbox = Outbox(path)
        put(outbox, 2)
        epochs.append((str(outbox.epoch), "[]"))
        report_all(outbox)
        outbox.close()
        file_destroyed(path)
    outbox = Outbox(path)
    assert report_all(outbox) == set(epochs)
    outbox.close()


def test_what_the_centre_knows_is_not_named_again(path: Path, tmp_path: Path) -> None:
    copy, report = after_a_lost_log(path, tmp_path)
    outbox = Outbox(copy)
    outbox.apply_coverage(Coverage(outbox.last_row))
    outbox.close()
    file_destroyed(copy)
    outbox = Outbox(copy)
    assert report not in report_all(outbox)
    outbox.close()


def test_a_report_that_room_is_made_of_is_made_anew(path: Path, tmp_path: Path) -> None:
    copy, report = after_a_lost_log(path, tmp_path)
    outbox = Outbox(copy)
    put(outbox, 600, 3_000)
    # So little room that reports go as well.
    assert outbox.make_room(1, lost, 0.0) > 600
    assert report not in reports_in(outbox)
    assert report in report_all(outbox)
    outbox.close()


def file_is_destroyed(path: Path, tmp_path: Path) -> Path:
    copy = killed(path, tmp_path / "killed")
    file_destroyed(copy)
    return copy


def log_is_damaged(path: Path, tmp_path: Path) -> Path:
    copy = killed(path, tmp_path / "killed")
    damage_log(copy)
    return copy


@pytest.mark.parametrize("damage", [file_is_destroyed, log_is_damaged])
def test_results_given_up_for_room_stay_named(
    path: Path, tmp_path: Path, damage: Callable[[Path, Path], Path]
) -> None:
    first = Outbox(path)
    put(first, 600, 3_000)
    first.close()
    second = Outbox(path)
    assert second.make_room(1, lost, 0.0) == 599
    copy = damage(path, tmp_path)
    second.abandon()
    third = Outbox(copy)
    named = report_all(third)
    there = third.pending_count() - len(named)
    assert there == 600 or (str(first.epoch), "[[1, 599]]") in named
    third.close()


def test_a_mark_that_cannot_be_written_gives_up_nothing(path: Path) -> None:
    outbox = Outbox(path)
    put(outbox, 600, 3_000)
    mark = path_of(path)
    kept = mark.rename(mark.with_suffix(".kept"))
    mark.mkdir()
    with pytest.raises(OutboxError):
        outbox.make_room(1, lost, 0.0)
    mark.rmdir()
    kept.rename(mark)
    assert (outbox.pending_count(), outbox._reported) == (600, ())
    assert outbox.make_room(1, lost, 0.0) == 599
    assert report_all(outbox) == {(str(outbox.epoch), "[[1, 599]]")}
    outbox.close()


def test_an_end_before_damaged_rows_are_given_up_leaves_older_epochs_named(
    path: Path, tmp_path: Path
) -> None:
    first = Outbox(path)
    put(first, 2)
    put(first, 3)
    first.close()
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE blocks SET checksum = checksum + 1 WHERE seq = 2")
    second = Outbox(path)
    second.pending(0, second.last_row, 10)

    def ends(_epoch: UUID, _ranges: Ranges) -> tuple[str, bytes]:
        raise RuntimeError("the process ends here")

    with pytest.raises(RuntimeError, match="ends here"):
        second.report_corrupt_rows(ends, 0.0)
    copy = file_is_destroyed(path, tmp_path)
    second.abandon()
    third = Outbox(copy)
    assert (str(first.epoch), "[]") in report_all(third)
    third.close()
