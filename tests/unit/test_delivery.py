"""The delivery state machine, called as the publisher calls it, with an integer clock."""

from __future__ import annotations

from uuid import UUID

import pytest

from probe.deliver.batch import BATCH_BYTES, NumberedResult, batches
from probe.deliver.epochs import Epochs
from probe.deliver.ranges import Range, is_within
from probe.deliver.send_window import INITIAL_SIZE, LATE_S, MIN_SIZE, PROMPT_S
from probe.deliver.sender_state import (
    MAX_BACKLOG_IN_FLIGHT,
    MAX_IN_FLIGHT,
    Coverage,
    DueRange,
    Lane,
    SenderState,
)

RESEND_S = 60.0

ONE_EPOCH = Epochs([(1, UUID(int=1))])


def connected(coverage: Coverage | None = None, last_seq: int = 0) -> SenderState:
    delivery = SenderState(RESEND_S, coverage or Coverage())
    delivery.on_connected(last_seq, 0.0)
    return delivery


def send(delivery: SenderState, last_seq: int, now_s: float, mid: int = 1) -> DueRange | None:
    """Send what is due, whole, as the publisher does."""
    due = delivery.next_due(last_seq, now_s)
    if due is not None:
        delivery.on_sent(mid, due.lane, range(due.after + 1, due.through + 1), now_s)
        delivery.on_lane_sent(due.lane, due.through)
    return due


def test_nothing_goes_out_without_a_connection() -> None:
    delivery = SenderState(RESEND_S, Coverage())
    assert delivery.next_due(5, 0.0) is None
    delivery.on_connected(5, 1.0)
    assert delivery.next_due(5, 1.0) == DueRange(Lane.BACKLOG, 0, 5)
    delivery.on_disconnected()
    assert delivery.next_due(5, 2.0) is None


def test_what_was_sent_is_not_sent_again_at_once() -> None:
    delivery = connected()
    assert send(delivery, 10, 0.0) == DueRange(Lane.LIVE, 0, 10)
    assert delivery.next_due(10, RESEND_S - 1) is None


def test_a_reconnect_sends_all_that_is_pending_again() -> None:
    delivery = connected()
    send(delivery, 10, 0.0)
    delivery.on_published(1, None, 0.0)
    delivery.on_disconnected()
    delivery.on_connected(10, 5.0)
    assert delivery.next_due(10, 5.0) == DueRange(Lane.BACKLOG, 0, 10)


def test_a_puback_is_not_a_receipt() -> None:
    delivery = connected()
    send(delivery, 10, 0.0)
    delivery.on_published(1, None, 0.0)
    again = delivery.next_due(10, RESEND_S)
    assert again == DueRange(Lane.BACKLOG, 0, 10), "PUBACK alone must not stop the repetition"


def test_a_receipt_stops_the_repetition() -> None:
    delivery = connected()
    send(delivery, 10, 0.0)
    delivery.on_coverage(Coverage(10), 10, now_s=1.0)
    assert delivery.next_due(10, 10 * RESEND_S) is None


def test_progress_puts_the_repetition_off() -> None:
    delivery = connected()
    send(delivery, 10, 0.0)
    delivery.on_coverage(Coverage(5), 10, now_s=50.0)
    assert delivery.next_due(10, 100.0) is None
    assert delivery.next_due(10, 50.0 + RESEND_S) == DueRange(Lane.BACKLOG, 0, 10)


def test_a_gap_is_sent_again_although_later_results_are_receipted() -> None:
    delivery = connected()
    send(delivery, 10, 0.0)
    for second in range(1, 59):
        through = 10 + second
        assert send(delivery, through, float(second)) == DueRange(Lane.LIVE, through - 1, through)
        delivery.on_published(1, None, 0.0)
        delivery.on_coverage(Coverage(through, ((3, 4),)), through, now_s=float(second))
    assert delivery.next_due(68, 1.0 + RESEND_S) == DueRange(Lane.BACKLOG, 0, 68)


def test_a_centre_that_is_away_is_asked_ever_more_seldom_and_with_one_batch() -> None:
    delivery = connected(last_seq=1000)
    asked_at_s: list[float] = []
    for second in range(2000):
        due = delivery.next_due(1000, float(second))
        if due is not None:
            if due.after == 0:
                asked_at_s.append(second)
            delivery.on_sent(1, due.lane, [due.after + 1], float(second))
            delivery.on_lane_sent(due.lane, min(due.after + 50, due.through))
            delivery.on_published(1, None, float(second))
    assert asked_at_s == [0, 60, 180, 420, 900, 1860]
    assert delivery.next_due(1000, 1999.0) is None, "only the first batch was sent again"
    delivery.on_coverage(Coverage(50), 1000, 2000.0)
    assert delivery.next_due(1000, 2000.0) == DueRange(Lane.BACKLOG, 50, 1000), "a receipt opens it"


def test_idle_time_does_not_count_as_waiting() -> None:
    delivery = connected(Coverage(10), last_seq=10)
    send(delivery, 10, 0.0)
    send(delivery, 11, 1000.0)
    assert delivery.next_due(11, 1000.0 + RESEND_S - 1) is None


def test_a_receipt_that_says_less_starts_delivery_anew() -> None:
    delivery = connected(Coverage(100), last_seq=100)
    send(delivery, 101, 0.0)
    delivery.on_coverage(Coverage(40), 101, now_s=1.0)
    assert delivery.next_due(101, 1.0) == DueRange(Lane.BACKLOG, 0, 101)


def test_a_live_result_goes_out_before_the_backlog() -> None:
    delivery = connected(last_seq=1000)
    due = delivery.next_due(1000, 0.0)
    assert due == DueRange(Lane.BACKLOG, 0, 1000)
    delivery.on_sent(1, Lane.BACKLOG, range(1, 51), 0.0)
    delivery.on_lane_sent(Lane.BACKLOG, 50)
    assert send(delivery, 1001, 0.0, mid=2) == DueRange(Lane.LIVE, 1000, 1001)
    assert delivery.next_due(1001, 0.0) == DueRange(Lane.BACKLOG, 50, 1000)


def test_the_backlog_leaves_the_window_open_for_live_results() -> None:
    delivery = connected(last_seq=1000)
    for mid in range(MAX_BACKLOG_IN_FLIGHT):
        assert delivery.next_due(1000, 0.0) is not None
        delivery.on_sent(mid, Lane.BACKLOG, [mid + 1], 0.0)
        delivery.on_lane_sent(Lane.BACKLOG, mid + 1)
    assert delivery.next_due(1000, 0.0) is None
    assert delivery.next_due(1001, 0.0) == DueRange(Lane.LIVE, 1000, 1001)
    delivery.on_published(3, None, 0.0)
    assert delivery.next_due(1000, 0.0) == DueRange(Lane.BACKLOG, MAX_BACKLOG_IN_FLIGHT, 1000)


def test_the_broker_is_never_given_more_than_the_window() -> None:
    delivery = connected()
    for mid in range(MAX_IN_FLIGHT):
        assert send(delivery, mid + 1, 0.0, mid) is not None
    assert delivery.next_due(MAX_IN_FLIGHT + 1, 0.0) is None
    delivery.on_published(3, None, 0.0)
    assert delivery.next_due(MAX_IN_FLIGHT + 1, 0.0) is not None


def test_a_refusal_is_an_alarm_until_the_next_connection() -> None:
    delivery = connected()
    send(delivery, 1, 0.0)
    delivery.on_published(1, "Not authorized", 0.0)
    delivery.on_published(2, None, 0.0)
    assert delivery.refusal == "Not authorized"
    assert delivery.next_due(1, RESEND_S * 2) is None
    delivery.on_disconnected()
    delivery.on_connected(1, 200.0)
    assert delivery.next_due(1, 200.0) == DueRange(Lane.BACKLOG, 0, 1)


def test_by_the_brokers_word_a_puback_covers_exactly_its_results() -> None:
    delivery = SenderState(RESEND_S, Coverage(9, ((3, 4), (9, 9))), confirm_by_broker=True)
    delivery.on_connected(12, 0.0)
    delivery.on_sent(1, Lane.BACKLOG, [3, 11], 0.0)
    delivery.on_sent(2, Lane.BACKLOG, [4, 9, 10, 12], 0.0)
    assert delivery.on_published(1, None, 1.0) == Coverage(11, ((4, 4), (9, 10)))
    assert delivery.on_published(2, "Quota exceeded", 1.0) is None
    assert delivery.on_published(7, None, 1.0) is None, "an answer to nothing of ours"


@pytest.mark.parametrize(
    ("coverage", "first"),
    [(Coverage(), 1), (Coverage(7), 8), (Coverage(7, ((2, 3), (5, 5))), 2)],
)
def test_the_first_uncovered_seq(coverage: Coverage, first: int) -> None:
    assert coverage.first_uncovered == first


def test_batches_hold_one_kind_in_order_and_lose_nothing() -> None:
    pending = [NumberedResult(seq, "ab"[seq % 2], b"x") for seq in range(1, 8)]
    made = list(batches(pending, 50, ONE_EPOCH))
    assert [(batch.kind, [seq for seq, _ in batch.numbered_bodies]) for batch in made] == [
        ("b", [1, 3, 5, 7]),
        ("a", [2, 4, 6]),
    ]
    assert made[0].rows == [1, 3, 5, 7]


def test_a_batch_ends_before_it_grows_too_large() -> None:
    body = b"x" * (BATCH_BYTES // 2)
    made = list(batches((NumberedResult(seq, "a", body) for seq in range(1, 6)), 50, ONE_EPOCH))
    assert [len(batch.numbered_bodies) for batch in made] == [2, 2, 1]


def test_a_batch_holds_no_more_than_it_may() -> None:
    made = list(
        batches((NumberedResult(seq, "ab"[seq == 4], b"x") for seq in range(1, 9)), 3, ONE_EPOCH)
    )
    assert [[seq for seq, _ in batch.numbered_bodies] for batch in made] == [
        [1, 2, 3],
        [5, 6, 7],
        [4],
        [8],
    ]


def test_a_result_larger_than_a_batch_goes_alone() -> None:
    pending = [NumberedResult(1, "a", b"x" * (BATCH_BYTES + 1)), NumberedResult(2, "a", b"x")]
    made = list(batches(pending, 50, ONE_EPOCH))
    assert [batch.rows for batch in made] == [[1], [2]]


def test_an_envelope_is_of_one_epoch_and_bears_its_numbers() -> None:
    epochs = Epochs([(1, UUID(int=1)), (4, UUID(int=2))])
    made = list(batches([NumberedResult(row, "a", b"x") for row in range(2, 6)], 50, epochs))
    assert [(one.epoch.int, one.rows, [seq for seq, _ in one.numbered_bodies]) for one in made] == [
        (1, [2, 3], [2, 3]),
        (2, [4, 5], [1, 2]),
    ]


def test_a_backlog_is_let_out_as_the_centre_stores_it() -> None:
    """The broker answers at once, and still no more goes out than receipts have room for."""
    delivery = connected(last_seq=10_000)
    sent = drain(delivery, 0.0)
    assert sent == INITIAL_SIZE
    assert drain(delivery, 0.1) == 0, "until a receipt comes"
    delivery.on_coverage(Coverage(200), 10_000, 0.2)
    assert drain(delivery, 0.2) == 200, "neither prompt nor late: as many as were stored"


def test_prompt_receipts_open_the_window_and_late_ones_close_it() -> None:
    delivery = connected(last_seq=100_000)
    covered, now_s = 0, 0.0
    for _ in range(5):
        covered += drain(delivery, now_s)
        now_s += PROMPT_S / 2
        delivery.on_coverage(Coverage(covered), 100_000, now_s)
    opened = drain(delivery, now_s)
    assert opened > 2 * INITIAL_SIZE
    covered += opened
    for _ in range(20):
        now_s += 2 * LATE_S
        delivery.on_coverage(Coverage(covered), 100_000, now_s)
        covered += drain(delivery, now_s)
    delivery.on_coverage(Coverage(covered), 100_000, now_s + 1.0)
    assert drain(delivery, now_s + 1.0) == MIN_SIZE


def test_a_result_that_is_never_stored_does_not_close_the_window() -> None:
    delivery = connected(last_seq=10_000)
    drained, now_s = drain(delivery, 0.0), 0.0
    while drained < 10_000:
        now_s += 0.1
        delivery.on_coverage(Coverage(drained, ((5, 5),)), 10_000, now_s)
        more = drain(delivery, now_s)
        assert more, f"stuck at {drained}"
        drained += more


def test_live_results_do_not_wait_for_the_window() -> None:
    delivery = connected(last_seq=10_000)
    drain(delivery, 0.0)
    assert delivery.next_due(10_001, 0.0) == DueRange(Lane.LIVE, 10_000, 10_001)


def drain(delivery: SenderState, now_s: float, batch: int = 50) -> int:
    """Send what the window has room for, each envelope answered by the broker at once."""
    sent = 0
    while (due := delivery.next_due(delivery._backlog_end, now_s)) is not None:
        assert due.lane is Lane.BACKLOG
        last = min(due.after + batch, due.through)
        delivery.on_sent(1, due.lane, range(due.after + 1, last + 1), now_s)
        delivery.on_lane_sent(due.lane, last)
        delivery.on_published(1, None, now_s)
        sent += last - due.after
    return sent


@pytest.mark.parametrize("missing", [((5, 5), (41, 50)), ((41, 50),)])
def test_a_receipt_that_covers_less_anywhere_starts_delivery_anew(
    missing: tuple[tuple[int, int], ...],
) -> None:
    # A store restored from a backup may lack a later epoch whole and have every result before it.
    delivery = connected(Coverage(60, ((5, 5),)), last_seq=60)
    send(delivery, 60, 0.0)
    delivery.on_coverage(Coverage(70, missing), 70, 1.0)
    assert delivery.next_due(70, 1.0) == DueRange(Lane.BACKLOG, 0, 70)


@pytest.mark.parametrize(
    ("ranges", "others", "within"),
    [
        ([], [], True),
        ([], [(1, 5)], True),
        ([(1, 5)], [], False),
        ([(1, 5)], [(1, 5)], True),
        ([(2, 3), (7, 7)], [(1, 5), (7, 9)], True),
        ([(2, 3), (6, 6)], [(1, 5), (7, 9)], False),
        ([(2, 8)], [(1, 5), (7, 9)], False),
        ([(4, 4), (9, 12)], [(1, 5), (7, 10)], False),
    ],
)
def test_ranges_within_ranges(ranges: list[Range], others: list[Range], *, within: bool) -> None:
    assert is_within(ranges, others) is within
