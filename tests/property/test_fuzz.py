"""A short run of `python -m tests.fuzz`, and that the fuzzer itself can find a fault."""

from __future__ import annotations

import random
from pathlib import Path

from tests.fuzz.__main__ import fuzz
from tests.fuzz.mutation import mutated
from tests.fuzz.targets import Target, targets

INPUTS = 4_000


def test_nothing_that_comes_in_makes_anything_raise(tmp_path: Path) -> None:
    for target in targets(tmp_path):
        figures = fuzz(target, INPUTS if target.name == "intake" else INPUTS // 4, seed=7)
        assert not figures.crashes, figures.crashes[0]
        assert figures.distinct_outcomes > 5, f"{target.name}: the inputs are all alike"


def test_the_fuzzer_finds_what_only_a_broken_input_shows() -> None:
    def take(payload: bytes, _draw: random.Random) -> str:
        assert b"null" not in payload
        return "fine"

    figures = fuzz(Target("weak", [b'{"a":{"b":[1,"x"]}}'], take), 2_000, seed=1)
    assert figures.crashes
    assert "null" in bytes.fromhex(figures.crashes[0].payload_hex).decode("utf-8", "replace")


def test_the_same_seed_tries_the_same_inputs() -> None:
    good = b'{"a":{"b":[1,"x"]},"c":"2026-07-25T05:00:00Z"}'
    draws = [random.Random(3), random.Random(3)]
    first, second = ([mutated(good, [good], draw) for _ in range(200)] for draw in draws)
    assert first == second
    assert len(set(first)) > 100
