"""When a batch is begun: at once after a pause, else some time after the last one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from collector.ingest.batch_pacer import BACKLOG_BYTES, BatchPacer
from collector.store.maintenance import roll_up_pause_s

SMALL = 2_000


def test_after_a_pause_nothing_waits() -> None:
    pacer = BatchPacer(0.2, 200)
    assert pacer.wait_s([SMALL], 0.0) == 0
    pacer.began(0.0)
    assert pacer.wait_s([SMALL], 0.2) == 0


def test_messages_that_keep_coming_share_a_batch() -> None:
    pacer = BatchPacer(0.2, 200)
    pacer.began(10.0)
    assert round(pacer.wait_s([SMALL], 10.05), 9) == 0.15
    assert pacer.wait_s([SMALL] * 199, 10.05) > 0
    assert pacer.wait_s([SMALL] * 200, 10.05) == 0, "it is full"
    assert pacer.wait_s([SMALL, BACKLOG_BYTES], 10.05) == 0, "its probe waits for a receipt"
    assert pacer.wait_s([], 10.05) == 0, "there is nothing to wait with"


@given(
    st.floats(0, 0.5),
    st.lists(st.integers(0, 10_000), max_size=5),
    st.floats(-1e6, 1e6),
    st.floats(-1e6, 1e6),
)
def test_no_message_waits_longer_than_it_may(
    linger_s: float, sizes: list[int], began_s: float, now_s: float
) -> None:
    pacer = BatchPacer(linger_s, 200)
    pacer.began(began_s)
    assert 0 <= pacer.wait_s(sizes, now_s) <= linger_s


def test_roll_ups_take_a_fiftieth_of_a_core_or_wait_three_minutes() -> None:
    assert roll_up_pause_s(0.001) == 2
    assert roll_up_pause_s(0.5) == 25
    assert roll_up_pause_s(3.0) == 150
    assert roll_up_pause_s(60.0) == 180
