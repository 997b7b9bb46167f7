"""A server that reads low against the others is told by what each has shown of a line."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from probe.plan.levels import KEPT, LEAST, Levels, noted, reads_low
from probe.plan.usage import Usage, counted, in_month
from tests import samples
from wire.result import Outcome, Reason, ThroughputResult, Validity

NEAR, FAR = "iperf3:hn-1", "iperf3:hcm-1"


def result(target: str, bps: float, validity: Sequence[Validity] = ()) -> ThroughputResult:
    return samples.throughput(
        target=target, download_bps=bps, upload_bps=100e6, validity=list(validity)
    )


def shown(**by_target: float) -> dict[str, Levels]:
    history: dict[str, Levels] = {}
    for target, bps in by_target.items():
        for _ in range(LEAST):
            history = noted(history, result(target, bps))
    return history


@pytest.mark.parametrize(("bps", "low"), [(300e6, False), (271e6, False), (269e6, True)])
def test_low_is_under_nine_tenths_of_the_best_other(bps: float, low: bool) -> None:
    history = shown(near=300e6, far=bps)
    assert reads_low(history, result("far", bps)) is low
    assert not reads_low(history, result("near", 300e6))


def test_one_direction_is_enough() -> None:
    history = shown(near=300e6)
    for _ in range(LEAST):
        history = noted(history, samples.throughput(target="far", download_bps=300e6, upload_bps=5))
    assert reads_low(history, result("far", 300e6))


def test_few_figures_and_a_server_alone_say_nothing() -> None:
    history = shown(near=300e6)
    assert not reads_low(history, result("near", 1e6))
    for _ in range(LEAST - 1):
        history = noted(history, result("far", 1e6))
    assert not reads_low(history, result("far", 1e6))


def test_lines_are_apart() -> None:
    history = shown(near=300e6)
    for _ in range(LEAST):
        history = noted(
            history, samples.throughput(line=samples.VIETTEL, target="far", upload_bps=1)
        )
    assert not reads_low(history, samples.throughput(line=samples.VIETTEL, target="far"))


def test_what_says_nothing_of_the_server_is_not_noted_and_old_figures_go() -> None:
    assert noted({}, result(NEAR, 1e6, [Validity.CROSS_TRAFFIC])) == {}
    failed = samples.throughput(target=NEAR, outcome=Outcome.FAILED, reason=Reason.TIMEOUT)
    assert noted({}, failed) == {}
    assert noted({}, samples.latency()) == {}
    assert not reads_low({}, failed)
    history: dict[str, Levels] = {}
    for number in range(KEPT + 3):
        history = noted(history, result(FAR, float(number)))
    (levels,) = history.values()
    assert levels.download_bps == [float(number) for number in range(3, KEPT + 3)]


def test_it_is_kept_beside_the_usage_and_over_the_month() -> None:
    usage = counted(in_month(Usage(), "2026-11"), result(NEAR, 300e6))
    assert in_month(usage, "2026-12").levels == usage.levels != {}
