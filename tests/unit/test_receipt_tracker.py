"""Which receipts a probe accepts, and which epochs it asks about: called as the publisher calls."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from msgspec import UNSET

from probe.deliver.receipt_tracker import MIN_GAP_S, ReceiptOrder, ReceiptTracker
from wire.messages import MAX_NAMED_EPOCHS, Receipt

A, B, C = UUID(int=1), UUID(int=2), UUID(int=3)
AT = datetime(2026, 11, 30, tzinfo=UTC)
RETRY_S = 60.0


def receipt(epoch: UUID, generation: int | None = None, number: int = 0) -> Receipt:
    if generation is None:
        return Receipt(epoch=epoch, stored_through=5, at=AT)
    return Receipt(epoch=epoch, stored_through=5, at=AT, generation=generation, number=number)


def asked(tracker: ReceiptTracker, kept: list[UUID], now_s: float) -> list[UUID]:
    """What the tracker names once an `info` is due, as the publisher asks it."""
    return tracker.name(kept, now_s) if tracker.is_due(now_s) else []


def test_an_older_receipt_is_never_accepted() -> None:
    tracker = ReceiptTracker(RETRY_S)
    assert tracker.accepts(receipt(A, 7, 20), 0.0, retained=False)
    for generation, number in ((7, 19), (6, 900)):
        for retained in (True, False):
            assert not tracker.accepts(receipt(A, generation, number), 1.0, retained=retained)
    assert tracker.newest == ReceiptOrder(7, 20)
    assert tracker.accepts(receipt(B, 7, 21), 1.0, retained=False)
    assert tracker.accepts(receipt(A, 8, 1), 1.0, retained=True), "a newer store, few receipts yet"


def test_the_newest_is_remembered_over_a_restart() -> None:
    tracker = ReceiptTracker(RETRY_S)
    tracker.merge(ReceiptOrder(7, 20))
    assert not tracker.accepts(receipt(A, 7, 19), 0.0, retained=True)
    tracker.merge(ReceiptOrder(6, 1))
    tracker.merge(None)
    assert tracker.newest == ReceiptOrder(7, 20)


def test_a_centre_without_numbers_is_listened_to_and_not_asked() -> None:
    tracker = ReceiptTracker(RETRY_S)
    assert tracker.accepts(receipt(A), 0.0, retained=True)
    assert tracker.accepts(receipt(A), 1.0, retained=False)
    assert tracker.newest is None
    assert not tracker.is_due(1e6)
    assert not tracker.is_waiting


def test_a_receipt_without_a_number_is_older_than_one_with() -> None:
    tracker = ReceiptTracker(RETRY_S, ReceiptOrder(7, 20))
    tracker.on_connected(0.0)
    for retained in (True, False):
        assert not tracker.accepts(receipt(A), 1.0, retained=retained)
    tracker.accepts(receipt(A, 7, 21), 2.0, retained=False)
    assert not tracker.accepts(receipt(A), 1e6, retained=False)


def test_a_centre_that_has_gone_back_to_a_version_without_numbers_is_listened_to() -> None:
    tracker = ReceiptTracker(RETRY_S, ReceiptOrder(7, 20))
    tracker.on_connected(0.0)
    assert not tracker.accepts(receipt(A), RETRY_S - 1, retained=False)
    assert not tracker.accepts(receipt(A), RETRY_S, retained=True)
    assert tracker.accepts(receipt(A), RETRY_S, retained=False)
    assert tracker.newest == ReceiptOrder(7, 20)


def test_a_retained_number_may_be_of_the_version_before() -> None:
    tracker = ReceiptTracker(RETRY_S, ReceiptOrder(7, 20))
    tracker.on_connected(0.0)
    assert tracker.accepts(receipt(A, 7, 20), 1.0, retained=True)
    assert not tracker.accepts(receipt(A), RETRY_S - 1, retained=False)
    assert tracker.accepts(receipt(A), RETRY_S, retained=False)


def test_half_an_order_is_none() -> None:
    assert Receipt(epoch=A, stored_through=0, at=AT, generation=3).order is None
    assert receipt(A).generation is UNSET
    assert receipt(A, 3, 4).order == (3, 4)


def test_a_newer_generation_asks_about_every_epoch_that_is_kept() -> None:
    tracker = ReceiptTracker(RETRY_S, ReceiptOrder(7, 20))
    tracker.on_connected(0.0)
    assert tracker.name([C, B, A], 0.0) == [C, B, A]
    for number, epoch in enumerate((A, B, C), 21):
        assert tracker.accepts(receipt(epoch, 7, number), 1.0, retained=False)
    assert asked(tracker, [C, B, A], 1e6) == []

    assert tracker.accepts(receipt(C, 8, 1), 100.0, retained=False)
    assert tracker.is_waiting, "of B and A the restored store has said nothing"
    assert asked(tracker, [C, B, A], 100.0) == [C, B, A]


def test_what_is_not_answered_is_asked_again_ever_more_seldom() -> None:
    tracker = ReceiptTracker(RETRY_S, ReceiptOrder(7, 20))
    tracker.on_connected(0.0)
    tracker.name([B, A], 0.0)
    tracker.accepts(receipt(B, 7, 21), 1.0, retained=False)
    asked_s = [now_s for now_s in range(1, 1_000) if asked(tracker, [B, A], float(now_s))]
    assert asked_s == [60, 180, 420, 900]
    tracker.accepts(receipt(A, 7, 22), 1_000.0, retained=False)
    assert not tracker.is_waiting


def test_a_centre_that_is_behind_is_shown_which_generation_it_must_exceed() -> None:
    tracker = ReceiptTracker(RETRY_S, ReceiptOrder(7, 20))
    tracker.on_connected(0.0)
    tracker.name([A], 0.0)
    tracker.accepts(receipt(A, 7, 21), 0.0, retained=False)
    assert not tracker.accepts(receipt(A, 3, 1), 1.0, retained=True)
    assert not tracker.is_waiting, "an old retained one says nothing of the centre"
    assert not tracker.accepts(receipt(A, 3, 2), 1.0, retained=False)
    assert not tracker.is_due(MIN_GAP_S - 1)
    assert asked(tracker, [A], MIN_GAP_S) == [A]


def test_more_epochs_than_a_message_may_name_are_named_by_and_by() -> None:
    kept = [UUID(int=number) for number in range(2 * MAX_NAMED_EPOCHS + 50)]
    tracker = ReceiptTracker(RETRY_S, ReceiptOrder(7, 0))
    tracker.on_connected(0.0)
    spoken_of: list[UUID] = []
    number, now_s = 1, 0.0
    named = tracker.name(kept, now_s)
    for _ in range(3):
        assert len(named) == MAX_NAMED_EPOCHS
        for epoch in named:
            assert tracker.accepts(receipt(epoch, 7, number), now_s, retained=False)
            number += 1
        spoken_of += named
        now_s += MIN_GAP_S
        named = asked(tracker, kept, now_s)
    assert set(spoken_of) == set(kept)
    assert named == []
    assert not tracker.is_waiting


def test_epochs_of_which_nothing_is_kept_any_more_are_not_waited_for() -> None:
    tracker = ReceiptTracker(RETRY_S, ReceiptOrder(7, 20))
    tracker.on_connected(0.0)
    tracker.name([B, A], 0.0)
    tracker.accepts(receipt(B, 7, 21), 1.0, retained=False)
    assert asked(tracker, [B], RETRY_S) == [B]
    assert not tracker.is_waiting


def test_a_centre_that_answers_without_numbers_is_sent_info_again() -> None:
    """It was sent an older `info` last, as by a broker that delivers one again."""
    tracker = ReceiptTracker(RETRY_S, ReceiptOrder(7, 20))
    tracker.on_connected(0.0)
    tracker.name([A], 0.0)
    assert tracker.accepts(receipt(A, 7, 21), 1.0, retained=False)
    assert not tracker.is_due(1e6)
    assert not tracker.accepts(receipt(A), 2.0, retained=True)
    assert not tracker.is_due(1e6), "a retained one may be of a centre that is gone"
    assert not tracker.accepts(receipt(A), 2.0, retained=False)
    assert asked(tracker, [A], MIN_GAP_S) == [A]
    assert tracker.accepts(receipt(A, 7, 22), MIN_GAP_S + 1, retained=False)
    assert not tracker.is_due(1e6)
