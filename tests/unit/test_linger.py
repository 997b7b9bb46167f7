"""Latency results linger for others of their envelope; nothing else waits."""

from __future__ import annotations

import pytest

from probe.deliver.linger import Linger
from wire.result import KINDS


def test_nothing_lingers_by_default() -> None:
    linger = Linger(0.0, 50)
    linger.on_stored(["latency"], 10.0)
    assert linger.sendable(1, 10.0) == 1
    assert linger.waiting(1) == 0


def test_latency_results_wait_from_the_first_of_them() -> None:
    linger = Linger(300.0, 50)
    assert linger.sendable(7, 0.0) == 7, "what was there before waits for nothing"
    for minute in range(5):
        linger.on_stored(["latency"] * 2, 60.0 * minute)
        assert linger.sendable(9 + 2 * minute, 60.0 * minute) == 7
        assert linger.waiting(9 + 2 * minute) == 2 + 2 * minute
    assert linger.sendable(17, 299.0) == 7
    assert linger.sendable(17, 300.0) == 17
    assert linger.waiting(17) == 0
    linger.on_stored(["latency"], 301.0)
    assert linger.sendable(18, 600.0) == 17
    assert linger.sendable(18, 601.0) == 18


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"latency"}))
def test_any_other_result_takes_along_what_waits(kind: str) -> None:
    linger = Linger(300.0, 50)
    linger.sendable(0, 0.0)
    linger.on_stored(["latency"], 0.0)
    assert linger.sendable(1, 1.0) == 0
    linger.on_stored([kind, "latency"], 2.0)
    assert linger.sendable(3, 2.0) == 3


def test_a_full_envelope_does_not_wait_and_nothing_does_at_the_end() -> None:
    linger = Linger(300.0, 3)
    linger.sendable(0, 0.0)
    linger.on_stored(["latency"] * 2, 0.0)
    assert linger.sendable(2, 1.0) == 0
    linger.on_stored(["latency"], 1.0)
    assert linger.sendable(3, 1.0) == 3
    linger.on_stored(["latency"], 2.0)
    assert linger.sendable(4, 2.0, all_of_them=True) == 4
