"""Floor 3. One seed from its first result to its verdict."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tests import resources
from tests.chaos.faults import Fault
from tests.chaos.reckoning import Verdict
from tests.chaos.schedule import schedule
from tests.chaos.stage import staged

_BACK_UP_EVERY = 3


class Ended(NamedTuple):
    """How a seed ended: its faults in order, and how many kills found nothing at their edge."""

    seed: int
    faults: tuple[str, ...]
    missed: int
    verdict: Verdict


def run_seed(seed: int, count: int, faults: Mapping[str, Fault], kept: Path) -> Ended:
    """Run one seed; what it leaves is kept below `kept` where something was found."""
    plan = schedule(list(faults), seed, count)
    with (
        resources.temporary_folder("tramdo-chaos-") as directory,
        staged(directory / "stage") as stage,
    ):
        for number, planned in enumerate(plan):
            stage.pause(planned.pause_s)
            if number % _BACK_UP_EVERY == 1:
                stage.back_up()
            faults[planned.fault](stage, planned.uniform)
        verdict = stage.verdict()
        if verdict.findings:
            stage.keep(kept / f"seed-{seed}")
    return Ended(seed, tuple(planned.fault for planned in plan), stage.missed, verdict)
