"""Fifty probes at one centre: the broker is killed under load, and everything is counted.

The same fleet, larger and with more faults, is `python -m bench.fleet`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.fleet_deaths import broker_dies
from bench.fleet_run import Setup, fleet
from tests.secured_broker import why_not

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))
PROBES = 50


def test_each_result_is_stored_once_and_confirmed_though_the_broker_is_killed(
    tmp_path: Path,
) -> None:
    setup = Setup(probes=PROBES, window_s=5.0, reconnect_max_s=3.0, processes=1)
    with fleet(tmp_path / "fleet", setup) as running:
        before = running.start()
        running.workers.cut(0.1, 2.0)
        running.over(3.0)
        back = broker_dies(running)
        after = running.over(2.0)
        counted = running.counted()
    assert back.tries >= PROBES, "each was disconnected and came back"
    assert after.connected == PROBES
    # Windows of two lines and three targets; the backlogs; some were handed over after the death.
    assert after.submitted > before.submitted >= PROBES
    assert counted.is_whole, counted
    assert counted.verdict.sent == counted.verdict.stored >= after.submitted
