"""The reckoning must see what it is there to see: a chaos run that cannot fail proves nothing."""

from __future__ import annotations

from uuid import UUID

from tests.chaos.__main__ import exit_code
from tests.chaos.reckoning import Life, Numbered, Stored, Verdict, reckon
from tests.chaos.run import Ended
from tests.chaos.schedule import schedule
from wire.result import DropCause, ResultsDroppedValues

EPOCH = "6f1c1b1e-8f0e-4a57-9d0c-0d3b6f2f7a01"
TOKENS = {(EPOCH, seq): {f"1/{seq}"} for seq in range(1, 6)}
ALL = [Stored(EPOCH, seq, f"1/{seq}") for seq in range(1, 6)]
IN_ORDER = {1: Life(5, ended_in_order=True)}


def verdict(
    rows: list[Stored],
    tokens: dict[tuple[str, int], set[str]] | None = None,
    lives: dict[int, Life] | None = None,
) -> Verdict:
    return reckon(Numbered({EPOCH: 5}, tokens or TOKENS), rows, lives or IN_ORDER)


def given_up(count: int | None, ranges: list[tuple[int, int]]) -> Stored:
    values = ResultsDroppedValues(
        cause=DropCause.OUTBOX_FULL, epoch=UUID(EPOCH), count=count, ranges=ranges
    )
    return Stored("another epoch", 1, None, values)


def test_everything_once_is_what_is_promised() -> None:
    assert verdict(ALL) == Verdict(5, 5, 0, 0, 0, 0, ())


def test_a_missing_result_is_lost() -> None:
    found = verdict([*ALL[:2], *ALL[3:]])
    assert (found.stored, found.lost) == (4, 1)
    assert found.findings == ("numbered, not stored and not named: epoch 6f1c1b1e, 3 to 3",)


def test_a_result_that_is_named_is_not_lost() -> None:
    found = verdict([*ALL[:2], given_up(2, [(3, 4)]), ALL[4]])
    assert (found.lost, found.dropped_named) == (0, 2)
    found = verdict([*ALL[:2], given_up(2, [(4, 5)]), ALL[4]])
    assert (found.lost, found.dropped_named) == (1, 1)


def test_an_epoch_that_cannot_be_read_is_named_as_a_whole() -> None:
    found = verdict([ALL[4], given_up(None, [])])
    assert (found.lost, found.dropped_named) == (0, 4)


def test_a_number_of_which_nothing_was_seen_counts_all_the_same() -> None:
    found = verdict(ALL[:4], tokens={(EPOCH, 1): {"1/1"}})
    assert found.lost >= 1


def test_a_result_under_two_numbers_is_doubled() -> None:
    found = reckon(Numbered({EPOCH: 6}, TOKENS), [*ALL, Stored(EPOCH, 6, "1/5")], IN_ORDER)
    assert (found.doubled, found.lost) == (1, 0)
    assert found.findings == ("1/5 is stored 2 times",)


def test_one_number_twice_in_the_store_is_doubled() -> None:
    assert verdict([*ALL, ALL[0]]).doubled == 1


def test_a_number_given_twice_loses_one_of_its_results() -> None:
    found = verdict(ALL, tokens=TOKENS | {(EPOCH, 5): {"1/5", "2/1"}})
    assert found.lost == 1
    assert "another result is stored in place of 2/1" in found.findings[0]


def test_a_number_that_the_probe_never_gave_is_told() -> None:
    found = verdict([*ALL, Stored(EPOCH, 9, "1/9")])
    assert found.findings == ("stored, but never numbered by the probe: epoch 6f1c1b1e, 9 to 9",)


def test_a_kill_may_take_the_end_of_what_a_process_made_and_nothing_else() -> None:
    found = verdict(ALL, lives={1: Life(8, ended_in_order=False)})
    assert (found.lost, found.unnumbered) == (0, 3)
    found = verdict(ALL, lives={1: Life(8, ended_in_order=True)})
    assert (found.lost, found.unnumbered) == (3, 0)
    hole = {identity: tokens for identity, tokens in TOKENS.items() if identity[1] != 2}
    rows = [row for row in ALL if row.seq != 2]
    found = reckon(Numbered({}, hole), rows, {1: Life(5, ended_in_order=False)})
    assert found.lost == 1


def test_the_command_fails_for_one_loss_or_double_in_any_seed() -> None:
    sound = Ended(0, (), 0, verdict(ALL))
    lost = Ended(1, (), 0, verdict(ALL[:4]))
    doubled = Ended(2, (), 0, verdict([*ALL, ALL[0]]))
    assert (lost.verdict.lost, doubled.verdict.doubled) == (1, 1)
    assert exit_code([sound, sound]) == 0
    assert exit_code([sound, lost]) == 1
    assert exit_code([doubled, sound]) == 1


def test_a_schedule_is_its_seed_and_deals_every_fault() -> None:
    deck = [f"fault {number}" for number in range(30)]
    assert schedule(deck, 3, 10) == schedule(deck, 3, 10)
    assert schedule(deck, 3, 10) != schedule(deck, 4, 10)
    dealt = {planned.fault for seed in range(3) for planned in schedule(deck, seed, 10)}
    assert dealt == set(deck)
    assert len(schedule(deck, 7, 64)) == 64
