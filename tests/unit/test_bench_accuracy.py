"""How trials become rows and targets."""

from __future__ import annotations

import pytest

from bench import accuracy_latency, accuracy_loss, accuracy_throughput, footprint
from bench.accuracy_latency import Condition
from bench.latency_tools import OURS, PEERS
from bench.packet_truth import Counts
from bench.process_cost import Cost
from tests.lab.network import theoretical_goodput_bps

IDLE = Condition(30.0, busy=False)


def latency(tool: str, p50_us: float, p99_us: float | None) -> accuracy_latency.Trial:
    said = 30 + p50_us / 1000, None if p99_us is None else 30 + p99_us / 1000
    return accuracy_latency.Trial(IDLE, tool, said, (30.0, 30.0), (29.9, 29.8))


def test_latency_is_held_against_its_like() -> None:
    errors = {
        OURS[0]: (40, 300),
        OURS[1]: (-20, 60),
        "ping": (30, 90),
        "fping": (50, 50),
        "irtt": (200, None),
    }
    trials = [latency(tool, *error) for tool, error in errors.items()]
    found = accuracy_latency.outcome(trials)
    assert [row["error_p50_us"] for row in found.rows] == [40, -20, 30, 50, 200]
    assert [row["over_link_p50_us"] for row in found.rows] == [140, 80, 130, 150, 300]
    assert [row["over_link_p99_us"] for row in found.rows] == [500, 260, 290, 250, None]
    values = [target.value for target in found.targets]
    # STAMP beside irtt only, and irtt has no p99; ICMP echo beside whoever is closest.
    assert values == [-160, None, -10, 10]
    assert [target.met for target in found.targets] == [True, False, True, False]
    assert len(found.rows) == len(OURS) + len(PEERS)


def test_latency_takes_the_median_of_the_rounds() -> None:
    trials = [
        latency(tool, error_us, error_us)
        for tool in (*OURS, *PEERS)
        for error_us in (10.0, 500.0, 20.0)
    ]
    (row, *_) = accuracy_latency.outcome(trials).rows
    assert (row["rounds"], row["error_p50_us"], row["error_p99_us"]) == (3, 20.0, 20.0)


def test_loss_counts_every_packet_that_is_off() -> None:
    condition = accuracy_loss.Condition(0.01, mixed=True)
    truth = Counts(100, 98, 3, 2)
    said = [
        (OURS[0], accuracy_loss.Counted(100, 98, 3, 2)),
        (OURS[1], accuracy_loss.Counted(100, 97, 3, 4)),
        ("ping", accuracy_loss.Counted(100, 98, 1, None)),
    ]
    trials = [accuracy_loss.Trial(condition, tool, counted, truth) for tool, counted in said]
    found = accuracy_loss.outcome(trials)
    assert [row["off_packets"] for row in found.rows] == [0, 3, 2]
    assert [target.value for target in found.targets] == [0, 3]
    assert accuracy_loss.words(condition) == "1.0% lost, doubles and reorders"


def test_throughput_is_held_against_theory_and_peer() -> None:
    theory_bps = theoretical_goodput_bps(10_000_000)
    trials = [
        accuracy_throughput.Trial(10_000_000, direction, tool, theory_bps * (1 + error))
        for direction, tool, error in [
            ("download", "ours", -0.004),
            ("download", "ours", 0.002),
            ("download", "ours", 0.003),
            ("download", "iperf3", 0.001),
            ("upload", "ours", -0.012),
            ("upload", "iperf3", 0.02),
        ]
    ]
    found = accuracy_throughput.outcome(trials)
    assert [row["ours_error_ratio"] for row in found.rows] == [0.002, -0.012]
    assert found.rows[0]["ours_worst_round_ratio"] == 0.004
    worst, lead = found.targets
    assert (worst.met, lead.met) == (False, True)
    assert worst.value == pytest.approx(0.012)
    assert lead.value == pytest.approx(0.001)


def look(
    at_s: float, results: int, *, resident: int = 30, cpu_s: float = 0, written: int = 0
) -> footprint.CostSample:
    cost = Cost(
        resident_bytes=resident * 10**6,
        proportional_bytes=20 * 10**6,
        children_resident_bytes=0,
        cpu_s=cpu_s,
        children_cpu_s=0,
        written_bytes=written,
    )
    return footprint.CostSample(at_s, results, cost)


def test_footprint_scales_a_result_to_a_day() -> None:
    idle = footprint.Phase("idle", [look(0, 0), look(100, 0, cpu_s=1)])
    day = footprint.Phase("day", [look(0, 100), look(60, 460, written=360 * 4000)])
    growth = footprint.Phase(
        "growth",
        [look(0, 0), look(50, 2000, resident=40), look(100, 12_000, resident=41, cpu_s=13)],
    )
    found = footprint.outcome(idle, day, growth, 2000, footprint.Day(8640, 20))
    resident, grown, written, processor = found.targets
    assert (resident.value, resident.met) == (41, True)
    assert (grown.name, grown.value) == ("grown over 10000 results (MB)", 1)
    assert written.value == pytest.approx(8640 * 4000 / 1e6)
    assert processor.value == pytest.approx(0.01 + 12 / 12_000 * 8640 / 86_400)


def test_a_disk_that_counts_nothing_meets_no_target() -> None:
    idle = footprint.Phase("idle", [look(0, 0), look(100, 0, cpu_s=1)])
    day = footprint.Phase("day", [look(0, 100), look(60, 460)])
    written = footprint.outcome(idle, day, day, 100, footprint.Day(8640, 20)).targets[2]
    assert (written.value, written.met) == (None, False)
