"""Two boxes of one name: which order of `info` messages shows them, and which does not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from collector.domain.name_conflicts import NameConflict, NameConflicts, ProbeRun

NOON = datetime(2026, 7, 25, 5, 0, tzinfo=UTC)
# The same letter is the same run of the same box; "a" differs from "A" by its clock alone.
RUNS = {
    letter: ProbeRun(UUID(int=number), NOON + timedelta(days=days))
    for letter, number, days in (
        ("A", 1, 0),
        ("B", 2, 0),
        ("C", 3, 0),
        ("D", 4, 0),
        ("a", 1, -3_000),
        ("b", 2, 3_000),
    )
}


def observed(order: str, every: timedelta = timedelta(minutes=1)) -> NameConflicts:
    tracker = NameConflicts()
    for place, letter in enumerate(order):
        tracker.observe("bach-thong", "phu-thong-01", RUNS[letter], NOON + place * every)
    return tracker


@pytest.mark.parametrize(
    ("order", "returns"),
    [
        ("", 0),
        ("A", 0),
        # It connects again, and says the same of itself.
        ("AAAA", 0),
        # Restarts: each run is new.
        ("AB", 0),
        ("AABBCCD", 0),
        # The clock is set while it runs, or wrong by years after a start: never what was before.
        ("Aa", 0),
        ("abA", 0),
        ("ABA", 1),
        ("ABAB", 2),
        ("AABBAABB", 2),
        ("ABCABC", 3),
        # Clones of a card that an old probe gives the same epoch: told by when they started.
        ("AaA", 1),
    ],
)
def test_only_what_comes_back_is_a_second_box(order: str, returns: int) -> None:
    now = NOON + timedelta(minutes=len(order))
    assert sum(one.returns for one in observed(order).current(now)) == returns


def test_what_it_says() -> None:
    assert observed("ABAB").current(NOON + timedelta(minutes=5)) == [
        NameConflict("bach-thong", "phu-thong-01", NOON + timedelta(minutes=2), 2)
    ]


def test_it_ends_an_hour_after_the_last_return() -> None:
    tracker = observed("ABA")
    returned = NOON + timedelta(minutes=2)
    assert tracker.current(returned + timedelta(minutes=59))
    assert not tracker.current(returned + timedelta(minutes=60))


def test_a_return_after_more_than_an_hour_does_not_count() -> None:
    tracker = observed("ABA", timedelta(minutes=31))
    assert not tracker.current(NOON + timedelta(minutes=62))


def test_the_memory_is_bounded() -> None:
    tracker = NameConflicts(max_probes=3)
    for number in range(10):
        for letter in "ABA":
            tracker.observe("bach-thong", f"tram-{number}", RUNS[letter], NOON)
    assert [one.probe for one in tracker.current(NOON)] == ["tram-7", "tram-8", "tram-9"]
    for number in range(1_000):
        tracker.observe("bach-thong", "tram-9", ProbeRun(UUID(int=100 + number), NOON), NOON)
    tracker.observe("bach-thong", "tram-9", RUNS["A"], NOON)
    assert tracker.current(NOON)[-1].returns == 1, "only the last few runs are remembered"
