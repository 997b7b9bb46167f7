"""The ledger against a plain set, for any order of arrival."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from wire.ledger import Ledger

Batches = list[list[int]]
batches = st.lists(st.lists(st.integers(1, 60), max_size=12), max_size=12)


def stored_by(batches: Batches) -> tuple[Ledger, set[int]]:
    ledger, plain = Ledger(), set[int]()
    for batch in batches:
        ledger = ledger.with_seqs(batch)
        plain.update(batch)
    return ledger, plain


@given(batches)
def test_ranges_hold_exactly_the_stored_numbers(batches: Batches) -> None:
    ledger, plain = stored_by(batches)
    assert {n for first, last in ledger.ranges for n in range(first, last + 1)} == plain


@given(batches)
def test_ranges_are_ascending_with_gaps_between(batches: Batches) -> None:
    ranges = stored_by(batches)[0].ranges
    assert all(first <= last for first, last in ranges)
    assert all(left[1] + 1 < right[0] for left, right in pairwise(ranges))


@given(batches)
def test_a_receipt_tells_stored_from_missing(batches: Batches) -> None:
    ledger, plain = stored_by(batches)
    receipt = ledger.receipt(UUID(int=1), datetime(2026, 1, 1, tzinfo=UTC))
    missing = {n for first, last in receipt.missing for n in range(first, last + 1)}
    assert set(range(1, receipt.stored_through + 1)) - missing == plain


@given(batches)
def test_order_of_arrival_does_not_matter(batches: Batches) -> None:
    assert stored_by(batches)[0] == stored_by(batches[::-1])[0]
