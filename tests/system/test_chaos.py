"""Chaos in short: two seeds, so that every push meets kills at edges, a cut and a damaged outbox.

The whole of it is `make chaos`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.broker import why_not
from tests.chaos.faults import deck
from tests.chaos.run import run_seed

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))

SHORT = (
    "kill probe as the broker answers the probe",
    "kill collector as the centre answers the broker",
    "kill broker as results reach the centre",
    "network cut for a day",
    "outbox damaged: header overwritten",
    "broker's disk wiped",
    "centre's store restored from a backup",
    "garbage",
)


@pytest.mark.parametrize("seed", [0, 1])
def test_nothing_is_lost_and_nothing_doubled(seed: int, tmp_path: Path) -> None:
    faults, _ = deck()
    chosen = {name: faults[name] for name in SHORT}
    ended = run_seed(seed, len(SHORT) // 2, chosen, tmp_path / "kept")
    assert ended.verdict.findings == (), ended
    assert (ended.verdict.lost, ended.verdict.doubled) == (0, 0)
    assert ended.verdict.sent == ended.verdict.stored + ended.verdict.dropped_named


COPIES = (
    "older image of the card, offline shorter",
    "older image of the card, offline as long",
    "older image of the card, offline longer",
    "card cloned",
    "collector stopped and continued",
)


@pytest.mark.parametrize("name", COPIES)
def test_no_copy_of_a_card_costs_a_result(name: str, tmp_path: Path) -> None:
    ended = run_seed(0, 1, {name: deck()[0][name]}, tmp_path / "kept")
    assert ended.verdict.findings == (), ended
    assert ended.verdict.sent == ended.verdict.stored + ended.verdict.dropped_named


@pytest.mark.parametrize("name", sorted(deck()[1]) or ["none"])
def test_every_fault_can_be_had_here(name: str) -> None:
    refused = deck()[1]
    if name in refused:
        pytest.skip(f"{name}: {refused[name]}")
