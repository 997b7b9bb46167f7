"""The ledger against plain numbers, when receipts fall due, and their own numbers."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from uuid import UUID

import msgspec
import pytest
from msgspec import structs

from collector.ingest.receipts import (
    ANSWER_GAP_S,
    RANGES_PER_S,
    EpochRequests,
    ReceiptNumbers,
    ReceiptPacer,
)
from collector.store.messages import EpochKey
from collector.store.records import NamedEpochs
from tests import samples
from wire import messages
from wire.ledger import MAX_MISSING_RANGES, Ledger
from wire.messages import MAX_NAMED_EPOCHS, Receipt

EPOCH = UUID("6f1c1b1e-8f0e-4a57-9d0c-0d3b6f2f7a01")
AT = datetime(2026, 7, 25, tzinfo=UTC)
A = EpochKey("t", "a", EPOCH)
B = EpochKey("t", "b", EPOCH)


@pytest.mark.parametrize(
    ("before", "seqs", "after"),
    [
        ((), [1], ((1, 1),)),
        ((), [], ()),
        ((), [3, 1, 2, 2], ((1, 3),)),
        (((1, 3),), [4], ((1, 4),)),
        (((1, 3),), [5], ((1, 3), (5, 5))),
        (((1, 3), (5, 5)), [4], ((1, 5),)),
        (((2, 3),), [1], ((1, 3),)),
        (((1, 9),), [4, 5], ((1, 9),)),
        (((1, 2), (5, 6), (9, 10)), [3, 4, 7, 8], ((1, 10),)),
        (((1, 2), (9, 10)), [5], ((1, 2), (5, 5), (9, 10))),
        (((5, 6),), [1, 2, 9], ((1, 2), (5, 6), (9, 9))),
    ],
)
def test_numbers_melt_into_ranges(
    before: tuple[tuple[int, int], ...], seqs: list[int], after: tuple[tuple[int, int], ...]
) -> None:
    assert Ledger(before).with_seqs(seqs) == Ledger(after)


def test_many_ranges_at_once_are_the_same_as_one_by_one() -> None:
    chance = random.Random(7)
    for _ in range(200):
        drawn = [chance.randrange(1, 60) for _ in range(chance.randrange(12))]
        ranges = [(first, first + chance.randrange(5)) for first in drawn]
        begun = Ledger().with_seqs(chance.randrange(1, 60) for _ in range(8))
        one_by_one = begun
        for first, last in ranges:
            one_by_one = one_by_one.with_range(first, last)
        assert begun.with_ranges(ranges) == one_by_one


def test_an_empty_ledger_says_that_nothing_is_stored() -> None:
    receipt = Ledger().receipt(EPOCH, AT)
    assert (receipt.stored_through, receipt.missing) == (0, [])


def test_a_receipt_names_the_gaps_from_the_first_number_on() -> None:
    receipt = Ledger(((3, 4), (7, 9), (20, 20))).receipt(EPOCH, AT)
    assert receipt.epoch == EPOCH
    assert receipt.at == AT
    assert receipt.stored_through == 20
    assert receipt.missing == [(1, 2), (5, 6), (10, 19)]
    assert messages.decode(messages.encode(receipt), messages.Receipt) == receipt


def test_a_receipt_with_too_many_gaps_speaks_of_the_lower_part() -> None:
    ledger = Ledger().with_seqs(range(2, 2 * MAX_MISSING_RANGES + 20, 2))
    receipt = ledger.receipt(EPOCH, AT)
    assert receipt.missing == [(seq, seq) for seq in range(1, 2 * MAX_MISSING_RANGES, 2)]
    assert receipt.stored_through == 2 * MAX_MISSING_RANGES
    assert len(messages.encode(receipt)) < 40_000


def test_an_idle_probe_gets_its_receipt_at_once() -> None:
    pacing = ReceiptPacer(0.5)
    assert pacing.next_due_s() is None
    pacing.queue(A, Ledger(((1, 1),)))
    due_s = pacing.next_due_s()
    assert due_s is not None
    assert due_s <= 100.0
    assert pacing.take_due(100.0) == [(A, Ledger(((1, 1),)))]
    assert pacing.take_due(100.0) == []
    assert pacing.next_due_s() is None


def test_under_load_receipts_become_one_each_half_second() -> None:
    pacing = ReceiptPacer(0.5)
    taken = []
    for step in range(201):
        now_s = 100.0 + step * 0.01
        pacing.queue(A, Ledger(((1, step + 1),)))
        taken += [(now_s, ledger) for _, ledger in pacing.take_due(now_s)]
    assert [round(now_s, 2) for now_s, _ in taken] == [100.0, 100.5, 101.0, 101.5, 102.0]
    assert taken[1][1] == Ledger(((1, 51),))


def test_one_probes_load_does_not_hold_another_back() -> None:
    pacing = ReceiptPacer(0.5)
    pacing.queue(A, Ledger(((1, 1),)))
    pacing.take_due(100.0)
    pacing.queue(A, Ledger(((1, 2),)))
    pacing.queue(B, Ledger(((1, 1),)))
    assert [key for key, _ in pacing.take_due(100.1)] == [B]
    assert pacing.next_due_s() == 100.5
    assert [key for key, _ in pacing.take_due(100.5)] == [A]


def test_the_epoch_that_was_noted_last_is_published_last() -> None:
    # `receipt` is one retained topic: the last one published is what stays.
    pacing = ReceiptPacer(0.5)
    other = A._replace(epoch=UUID(int=1))
    pacing.queue(A, Ledger(((1, 1),)))
    pacing.queue(other, Ledger(((1, 1),)))
    pacing.queue(A, Ledger(((1, 2),)))
    assert pacing.take_due(100.0) == [(other, Ledger(((1, 1),))), (A, Ledger(((1, 2),)))]


def test_at_the_end_all_that_wait_are_taken() -> None:
    pacing = ReceiptPacer(60)
    pacing.queue(A, Ledger(((1, 1),)))
    pacing.take_due(100.0)
    pacing.queue(A, Ledger(((1, 2),)))
    assert pacing.take_due(100.0) == []
    assert pacing.take_due(100.0, all_of_them=True) == [(A, Ledger(((1, 2),)))]


OTHER = UUID("0b7cd2f0-53f0-45a6-8e0b-0b0f3fd6a702")


def named(
    probe: str = "a", epochs: tuple[UUID, ...] = (EPOCH,), generation: int = 0
) -> NamedEpochs:
    return NamedEpochs("t", probe, epochs, True, generation)


def numbers(generation: int, *probes: NamedEpochs) -> ReceiptNumbers:
    found = ReceiptNumbers()
    found.generation = generation
    for probe in probes:
        found.learn(probe)
    return found


def test_numbers_only_grow_and_a_generation_is_that_of_the_opening() -> None:
    plain = Ledger(((1, 1),)).receipt(EPOCH, AT)
    earlier = numbers(7, named())
    orders = [earlier.numbered(A, plain).order for _ in range(3)]
    orders.append(numbers(8, named()).numbered(A, plain).order)
    assert orders == [(7, 1), (7, 2), (7, 3), (8, 1)]


def test_a_probe_that_has_seen_a_higher_generation_gets_the_next_and_no_other_does() -> None:
    plain = Ledger().receipt(EPOCH, AT)
    some = numbers(7, named("a", generation=90), named("b"))
    assert some.numbered(A, plain).generation == 91
    assert some.numbered(B, plain).generation == 7
    some.learn(named("a", generation=91))
    assert some.numbered(A, plain).generation == 91, "it has caught up"
    some.learn(named("a", generation=2**53 - 1))
    highest = some.numbered(A, plain)
    assert messages.decode(messages.encode(highest), Receipt) == highest


def test_a_probe_whose_info_names_no_epochs_gets_no_number() -> None:
    some = numbers(7, named())
    assert some.reads_numbers(A)
    assert not some.reads_numbers(B)
    some.learn(NamedEpochs("t", "a", (EPOCH,)))
    assert not some.reads_numbers(A), "its software is older again"
    plain = Ledger().receipt(EPOCH, AT)
    assert b"generation" not in messages.encode(plain)
    assert b"number" not in messages.encode(plain)


def test_what_an_info_names() -> None:
    older = samples.info(epoch=EPOCH)
    assert b"epochs" not in messages.encode(older)
    assert NamedEpochs.of("t", "a", older) == NamedEpochs("t", "a", (EPOCH,))
    newer = structs.replace(older, epochs=[EPOCH, OTHER], receipt_generation=7)
    assert NamedEpochs.of("t", "a", newer) == NamedEpochs("t", "a", (OTHER, EPOCH), True, 7)
    # An opening in which nothing was measured yet is asked about too.
    unused = structs.replace(older, epochs=[OTHER])
    assert NamedEpochs.of("t", "a", unused).epochs == (OTHER, EPOCH)
    assert messages.decode(messages.encode(newer), messages.Info) == newer


def test_no_info_names_more_epochs_than_it_may() -> None:
    many = [UUID(int=number) for number in range(MAX_NAMED_EPOCHS + 1)]
    info = structs.replace(samples.info(), epochs=many[1:])
    assert len(messages.encode(info)) - len(messages.encode(samples.info())) < 4_000
    assert messages.decode(messages.encode(info), messages.Info) == info
    with pytest.raises(msgspec.ValidationError):
        messages.decode(messages.encode(structs.replace(info, epochs=many)), messages.Info)


def test_a_probe_that_asks_without_end_is_answered_at_intervals_with_its_last_wish() -> None:
    requests = EpochRequests()
    assert requests.next_due_s() is None
    answered = []
    for step in range(1_000):
        now_s = 100.0 + step * 0.01
        requests.add(named("a", (UUID(int=step),)))
        due = requests.due(now_s)
        for one in due:
            requests.answered(one, 1, now_s)
        answered += [(now_s, one.epochs[0].int) for one in due]
    gap_s = ANSWER_GAP_S + 1 / RANGES_PER_S
    assert [epoch for _, epoch in answered] == [0, 201, 402, 603, 804]
    assert answered[1][0] - answered[0][0] == pytest.approx(gap_s, abs=0.011)
    assert requests.next_due_s() == pytest.approx(answered[-1][0] + gap_s)


def test_one_whose_ledgers_are_scattered_is_answered_the_more_seldom() -> None:
    requests = EpochRequests()
    requests.add(named("a"))
    requests.answered(named("a"), MAX_NAMED_EPOCHS * MAX_MISSING_RANGES, 100.0)
    requests.add(named("a"))
    assert requests.due(141.0) == []
    assert requests.next_due_s() == 142.0
    assert requests.due(142.0) == [named("a")]
    longest = Ledger().with_seqs(range(1_000_000, 1_002_000, 2)).receipt(EPOCH, AT)
    size = len(messages.encode(longest)) * MAX_NAMED_EPOCHS
    assert size / 42.0 < 100_000, "bytes a second to one probe, whatever it does"


def test_one_that_asks_does_not_hold_another_back_and_nothing_is_dropped() -> None:
    requests = EpochRequests()
    requests.add(named("a"))
    requests.answered(named("a"), 0, 100.0)
    requests.add(named("a", (OTHER,)))
    requests.add(named("b"))
    assert [one.probe for one in requests.due(100.1)] == ["b"]
    assert [one.probe for one in requests.due(100.2)] == ["b"], "until it was answered"
    assert [one.epochs for one in requests.due(100.0 + ANSWER_GAP_S)] == [(OTHER,), (EPOCH,)]


def test_a_whole_fleet_is_answered_in_pieces() -> None:
    requests = EpochRequests()
    epochs = tuple(UUID(int=number) for number in range(MAX_NAMED_EPOCHS))
    for number in range(50):
        requests.add(named(f"p{number}", epochs))
    taken = []
    while due := requests.due(100.0):
        assert len(due) * MAX_NAMED_EPOCHS <= 1_000
        for one in due:
            requests.answered(one, 0, 100.0)
        taken += due
    assert len(taken) == 50
