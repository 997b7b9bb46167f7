"""Booted systems and a playbook at work: nothing of them is left when the run is interrupted."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.fleet import root
from tests.interruption import END_S, running_tests


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_of_booted_systems(number: signal.Signals) -> None:
    if (reason := root.why_not()) is not None:
        pytest.skip(reason)
    sample = Path(__file__).with_name("interrupted.py")
    with running_tests(sample, "-n", "1") as (process, left):
        there = left.now()
        assert sum("systemd-nspawn --directory" in line for line in there) >= 2
        assert any("ansible" in line for line in there)
        assert sum(line.startswith("overlay ") for line in there) == 2
        process.send_signal(number)
        process.communicate(timeout=END_S)
        left.until_nothing()
