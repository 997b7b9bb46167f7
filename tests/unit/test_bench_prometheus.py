"""What Prometheus is given beside our centre: the same figures of the same windows."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime

from bench import prometheus, workload
from bench.prometheus import Cost
from bench.workload import Workload
from collector.registry.communes import official
from collector.registry.file_format import parse_toml

WORK = Workload(24, 4, 2, datetime(2026, 7, 25, tzinfo=UTC), mixed=False)


def test_each_figure_of_each_window_is_one_sample_in_order_of_time() -> None:
    windows = list(prometheus.windows_of(list(workload.messages(WORK))))
    assert len(windows) == WORK.results
    text = "".join(prometheus.open_metrics(windows))
    assert text.endswith("# EOF\n")
    samples = [line for line in text.splitlines() if not line.startswith("#")]
    assert len(samples) == len(set(samples)) == WORK.results * len(prometheus.FIGURES)
    by_series: dict[str, list[float]] = {}
    for sample in samples:
        series, _, at = sample.split(" ")
        by_series.setdefault(series, []).append(float(at))
    # Two probes, two lines, three targets.
    assert len(by_series) == 12 * len(prometheus.FIGURES)
    assert all(times == sorted(times) for times in by_series.values())
    first = windows[0]
    assert any("tramdo_rtt_min_ms{" in one and f" {first.figures[0]} " in one for one in samples)


def test_a_sample_is_an_eighth_of_a_window() -> None:
    row = prometheus.row_of("x", 100, Cost(2.0, None, 3_000_000, 80_000, 1.25))
    assert (row["samples_per_s"], row["bytes_a_window"], row["bytes_a_sample"]) == (400, 800, 100)
    assert (row["cpu_us_a_window"], row["peak_mb"]) == (None, 3.0)


def test_the_registry_of_the_workload_has_every_line() -> None:
    text = workload.registry(3)
    assert len(tomllib.loads(text)["probe"]) == 3
    registry = parse_toml(text.encode(), "registry.toml", official())
    assert sum(len(probe.lines) for probe in registry.probes.values()) == 6
