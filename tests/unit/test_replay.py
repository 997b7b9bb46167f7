"""A replay: every kept result of the ranges once, whatever the connection does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from probe.deliver.ranges import clip
from probe.deliver.replay import ReplayJob
from wire.commands import Replay

NOW = datetime(2026, 11, 24, 5, 0, tzinfo=UTC)
ID = UUID("5a4c1f0e-8f0e-4a57-9d0c-0d3b6f2f7a01")
LIMIT = 5


def replaying(*ranges: tuple[int, int], last_seq: int = 100) -> ReplayJob:
    end = NOW + timedelta(minutes=1)
    return ReplayJob(
        Replay(id=ID, issued_at=NOW, expires_at=end, epoch=ID, ranges=list(ranges)),
        list(clip(ranges, 1, last_seq)),
    )


def read(one: ReplayJob, kept: set[int]) -> list[int]:
    """One turn of the publisher: what the outbox has of the next range, `LIMIT` at most."""
    seqs = one.next_range()
    if seqs is None:
        return []
    first, last = seqs
    found = [seq for seq in range(first, last + 1) if seq in kept][:LIMIT]
    one.on_read(found, LIMIT)
    return found


def test_all_that_is_kept_goes_out_a_handful_at_a_time() -> None:
    one = replaying((1, 12), (20, 21), (90, 300))
    kept = {*range(3, 13), 21, 99, 100}
    sent: list[int] = []
    for mid in range(100):
        if one.done:
            break
        found = read(one, kept)
        assert len(found) <= LIMIT
        one.on_sent([mid] if found else [])
        assert one.next_range() is None or not found, "one handful at a time"
        one.on_published(mid)
        sent += found
    assert one.done
    assert sent == sorted(kept)
    assert one.sent == len(kept)
    assert one.requested == 12 + 2 + 211


def test_two_envelopes_of_a_handful_are_both_awaited() -> None:
    one = replaying((1, 5))
    read(one, {1, 2, 3})
    one.on_sent([7, 8])
    one.on_published(7)
    assert not one.done
    one.on_published(3)
    assert not one.done
    one.on_published(8)
    assert one.done


@pytest.mark.parametrize("before_it_was_sent", [True, False])
def test_a_lost_connection_takes_the_handful_back(before_it_was_sent: bool) -> None:
    one = replaying((1, 8))
    kept = set(range(1, 9))
    assert read(one, kept) == [1, 2, 3, 4, 5]
    if not before_it_was_sent:
        one.on_sent([1])
    one.on_disconnected()
    assert one.sent == 0
    assert read(one, kept) == [1, 2, 3, 4, 5]
    one.on_sent([2])
    one.on_published(2)
    assert read(one, kept) == [6, 7, 8]
    one.on_sent([3])
    one.on_published(3)
    assert one.done
    assert one.sent == 8


def test_what_was_never_numbered_is_done_at_once() -> None:
    assert replaying((200, 300)).done
