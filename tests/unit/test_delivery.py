"""The delivery state machine, called as the courier calls it, with an integer clock."""

from __future__ import annotations

import pytest

from probe.deliver.batch import BATCH_BYTES, Numbered, batches
from probe.deliver.session import MAX_IN_FLIGHT, Coverage, Delivery

RESEND_S = 60.0


def connected(coverage: Coverage | None = None) -> Delivery:
    delivery = Delivery(RESEND_S, coverage or Coverage())
    delivery.on_connected(0.0)
    return delivery


def test_nothing_goes_out_without_a_connection() -> None:
    delivery = Delivery(RESEND_S, Coverage())
    assert delivery.next_after(0.0) is None
    delivery.on_connected(1.0)
    assert delivery.next_after(1.0) == 0
    delivery.on_disconnected()
    assert delivery.next_after(2.0) is None


def test_what_was_sent_is_not_sent_again_at_once() -> None:
    delivery = connected()
    delivery.on_sent(mid=1, last_seq=10, now_s=0.0)
    assert delivery.next_after(RESEND_S - 1) == 10


def test_a_reconnect_sends_all_that_is_pending_again() -> None:
    delivery = connected()
    delivery.on_sent(mid=1, last_seq=10, now_s=0.0)
    delivery.on_published(1, None)
    delivery.on_disconnected()
    delivery.on_connected(5.0)
    assert delivery.next_after(5.0) == 0


def test_a_puback_is_not_a_receipt() -> None:
    delivery = connected()
    delivery.on_sent(mid=1, last_seq=10, now_s=0.0)
    delivery.on_published(1, None)
    assert delivery.next_after(RESEND_S) == 0, "PUBACK alone must not stop the repetition"


def test_a_receipt_stops_the_repetition() -> None:
    delivery = connected()
    delivery.on_sent(mid=1, last_seq=10, now_s=0.0)
    delivery.on_coverage(Coverage(10), now_s=1.0)
    assert delivery.next_after(10 * RESEND_S) == 10


def test_progress_puts_the_repetition_off() -> None:
    delivery = connected()
    delivery.on_sent(mid=1, last_seq=10, now_s=0.0)
    delivery.on_coverage(Coverage(5), now_s=50.0)
    assert delivery.next_after(100.0) == 10
    assert delivery.next_after(50.0 + RESEND_S) == 0


def test_a_gap_is_sent_again_although_later_results_are_receipted() -> None:
    delivery = connected()
    delivery.on_sent(mid=1, last_seq=10, now_s=0.0)
    for second in range(1, 70):
        through = 10 + second
        delivery.on_sent(mid=1 + second, last_seq=through, now_s=float(second))
        delivery.on_published(1 + second, None)
        delivery.on_coverage(Coverage(through, ((3, 4),)), now_s=float(second))
    assert delivery.next_after(71.0) == 0


def test_idle_time_does_not_count_as_waiting() -> None:
    delivery = connected(Coverage(10))
    delivery.on_sent(mid=1, last_seq=11, now_s=1000.0)
    assert delivery.next_after(1000.0 + RESEND_S - 1) == 11


def test_a_receipt_that_says_less_starts_delivery_anew() -> None:
    delivery = connected(Coverage(100))
    delivery.on_sent(mid=1, last_seq=101, now_s=0.0)
    delivery.on_coverage(Coverage(40), now_s=1.0)
    assert delivery.next_after(1.0) == 0


def test_the_broker_is_never_given_more_than_the_window() -> None:
    delivery = connected()
    for mid in range(MAX_IN_FLIGHT):
        assert delivery.next_after(0.0) is not None
        delivery.on_sent(mid, last_seq=mid + 1, now_s=0.0)
    assert delivery.next_after(0.0) is None
    delivery.on_published(3, None)
    assert delivery.next_after(0.0) == MAX_IN_FLIGHT


def test_a_refusal_is_an_alarm_until_the_next_connection() -> None:
    delivery = connected()
    delivery.on_sent(mid=1, last_seq=1, now_s=0.0)
    delivery.on_published(1, "Not authorized")
    assert delivery.refusal == "Not authorized"
    assert delivery.next_after(RESEND_S * 2) is None
    delivery.on_disconnected()
    delivery.on_connected(200.0)
    assert delivery.next_after(200.0) == 0


@pytest.mark.parametrize(
    ("coverage", "first"),
    [(Coverage(), 1), (Coverage(7), 8), (Coverage(7, ((2, 3), (5, 5))), 2)],
)
def test_the_first_uncovered_seq(coverage: Coverage, first: int) -> None:
    assert coverage.first_uncovered == first


def test_batches_hold_one_kind_in_order_and_lose_nothing() -> None:
    pending = [Numbered(seq, "ab"[seq % 2], b"x") for seq in range(1, 8)]
    made = list(batches(pending))
    assert [(batch.kind, [seq for seq, _ in batch.numbered_bodies]) for batch in made] == [
        ("b", [1, 3, 5, 7]),
        ("a", [2, 4, 6]),
    ]
    assert made[0].last_seq == 7


def test_a_batch_ends_before_it_grows_too_large() -> None:
    body = b"x" * (BATCH_BYTES // 2)
    made = list(batches(Numbered(seq, "a", body) for seq in range(1, 6)))
    assert [len(batch.numbered_bodies) for batch in made] == [2, 2, 1]


def test_a_result_larger_than_a_batch_goes_alone() -> None:
    made = list(batches([Numbered(1, "a", b"x" * (BATCH_BYTES + 1)), Numbered(2, "a", b"x")]))
    assert [batch.last_seq for batch in made] == [1, 2]
