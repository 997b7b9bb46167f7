"""The allowance of each probe, with an integer clock."""

from __future__ import annotations

from collector.ingest.rate_limit import Allowance, Excess, Fairness

ALLOWANCE = Allowance(messages_per_s=8.0, bytes_per_s=1_024.0, burst_s=5.0)


def taken(fairness: Fairness, sender: str, count: int, size_bytes: int, now_s: float) -> int:
    return sum(fairness.takes(sender, size_bytes, now_s) for _ in range(count))


def test_a_burst_is_taken_and_a_flood_is_not() -> None:
    fairness = Fairness(ALLOWANCE)
    assert taken(fairness, "a", 1_000, 8, 0.0) == 41
    assert taken(fairness, "a", 1_000, 8, 1.0) == 8, "what it may in a second"
    assert taken(fairness, "a", 1_000, 8, 1_000.0) == 41, "not more is saved up"


def test_large_messages_cost_by_their_size() -> None:
    fairness = Fairness(ALLOWANCE)
    assert taken(fairness, "a", 100, 1_024, 0.0) == 6
    assert taken(fairness, "b", 1, 10**9, 0.0) == 1, "one is always taken"
    assert taken(fairness, "b", 1, 1, 1_000.0) == 0, "and paid for"


def test_one_does_not_spend_anothers_allowance() -> None:
    fairness = Fairness(ALLOWANCE)
    taken(fairness, "noisy", 10_000, 1_000, 0.0)
    assert all(fairness.takes(f"quiet-{number}", 1_000, 0.0) for number in range(1_000))


def test_what_was_let_go_is_told_once_in_a_while() -> None:
    fairness = Fairness(ALLOWANCE, tell_every_s=60.0)
    taken(fairness, "a", 51, 10, 0.0)
    assert fairness.excess(0.0) == [Excess("a", 10, 100)]
    assert fairness.excess(0.0) == []
    taken(fairness, "a", 100, 10, 1.0)
    assert fairness.excess(59.0) == []
    assert fairness.excess(60.0) == [Excess("a", 92, 920)]


def test_senders_that_are_quiet_are_forgotten() -> None:
    fairness = Fairness(ALLOWANCE)
    for number in range(1_000):
        fairness.takes(f"a-{number}", 1, 0.0)
    fairness.excess(0.0)
    fairness.excess(61.0)
    assert not fairness._spent_until_s
