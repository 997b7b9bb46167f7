"""The allowance of each probe, with an integer clock."""

from __future__ import annotations

from collector.ingest.rate_limit import DroppedMessages, ProbeRateLimit, RateLimiter

ALLOWANCE = ProbeRateLimit(messages_per_s=8.0, bytes_per_s=1_024.0, burst_s=5.0)


def taken(limiter: RateLimiter, sender: str, count: int, size_bytes: int, now_s: float) -> int:
    return sum(limiter.allows(sender, size_bytes, now_s) for _ in range(count))


def test_a_burst_is_taken_and_a_flood_is_not() -> None:
    limiter = RateLimiter(ALLOWANCE)
    assert taken(limiter, "a", 1_000, 8, 0.0) == 41
    assert taken(limiter, "a", 1_000, 8, 1.0) == 8, "what it may in a second"
    assert taken(limiter, "a", 1_000, 8, 1_000.0) == 41, "not more is saved up"


def test_large_messages_cost_by_their_size() -> None:
    limiter = RateLimiter(ALLOWANCE)
    assert taken(limiter, "a", 100, 1_024, 0.0) == 6
    assert taken(limiter, "b", 1, 10**9, 0.0) == 1, "one is always taken"
    assert taken(limiter, "b", 1, 1, 1_000.0) == 0, "and paid for"


def test_one_does_not_spend_anothers_allowance() -> None:
    limiter = RateLimiter(ALLOWANCE)
    taken(limiter, "noisy", 10_000, 1_000, 0.0)
    assert all(limiter.allows(f"quiet-{number}", 1_000, 0.0) for number in range(1_000))


def test_what_was_let_go_is_told_once_in_a_while() -> None:
    limiter = RateLimiter(ALLOWANCE, report_every_s=60.0)
    taken(limiter, "a", 51, 10, 0.0)
    assert limiter.take_dropped(0.0) == [DroppedMessages("a", 10, 100)]
    assert limiter.take_dropped(0.0) == []
    taken(limiter, "a", 100, 10, 1.0)
    assert limiter.take_dropped(59.0) == []
    assert limiter.take_dropped(60.0) == [DroppedMessages("a", 92, 920)]


def test_senders_that_are_quiet_are_forgotten() -> None:
    limiter = RateLimiter(ALLOWANCE)
    for number in range(1_000):
        limiter.allows(f"a-{number}", 1, 0.0)
    limiter.take_dropped(0.0)
    limiter.take_dropped(61.0)
    assert not limiter._theoretical_arrival_s


def test_what_a_message_held_is_paid_for_by_the_next_ones() -> None:
    limiter = RateLimiter(ALLOWANCE)
    assert taken(limiter, "a", 1, 16, 0.0) == 1
    limiter.charge("a", 100_000, 0.0)
    assert taken(limiter, "a", 1, 16, 1.0) == 0
    assert taken(limiter, "b", 1, 16, 1.0) == 1
    assert taken(limiter, "a", 1, 16, 200.0) == 1
