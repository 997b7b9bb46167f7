"""Many readers of a centre at once, results coming in: all are answered, and SIGTERM is obeyed.

A tenth of what `python -m bench.readers` measures; the times by the clock are its alone, for they
need a machine that nobody else uses; here the end is held against processor time.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import readers
from tests import broker as brokers

pytestmark = pytest.mark.skipif(brokers.why_not() is not None, reason=str(brokers.why_not()))


def test_readers_of_a_thousand_probes_cost_no_copy_each_and_delay_no_end(tmp_path: Path) -> None:
    figures = readers.measure(tmp_path, readers.Size(probes=1_000, readers=50, rounds=3))
    assert len(figures.readings) == 150
    assert {reading.page for reading in figures.readings} == set(readers.PAGES)
    assert figures.stored_meanwhile > 0
    assert figures.peak_resident_bytes < 400e6
    assert figures.exit_code == 0
    assert figures.ending_cpu_s < 5.0
