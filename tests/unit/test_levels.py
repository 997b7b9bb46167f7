"""A server that reads low against the others is told by what each has shown of a line."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from probe.plan import levels
from probe.plan.levels import KEPT, LEAST, ServerLevels, with_figures
from probe.plan.usage import Usage, in_month, with_bulk_result
from probe.state.usage import UsageFile
from tests import samples
from wire.result import Outcome, Reason, Result, ThroughputResult, Validity

NEAR, FAR, OLD = "iperf3:near", "iperf3:far", "iperf3:old"
SERVERS = ("near", "far")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NOW = samples.NOON


def result(
    target: str, bps: float, at: datetime = NOW, validity: Sequence[Validity] = ()
) -> ThroughputResult:
    return samples.throughput(
        target=target, download_bps=bps, upload_bps=100e6, validity=list(validity), started_at=at
    )


def shown(
    history: dict[str, ServerLevels], count: int, until: datetime = NOW, **by_target: float
) -> dict[str, ServerLevels]:
    """With so many more figures of each server, an hour apart, the last one before `until`."""
    for back in range(count, 0, -1):
        for name, bps in by_target.items():
            history = with_figures(history, result(f"iperf3:{name}", bps, until - back * HOUR))
    return history


def reads_low(history: dict[str, ServerLevels], of: Result) -> bool:
    return levels.reads_low(history, of, SERVERS)


@pytest.mark.parametrize(("bps", "low"), [(300e6, False), (271e6, False), (269e6, True)])
def test_low_is_under_nine_tenths_of_the_best_other(bps: float, low: bool) -> None:
    history = shown({}, LEAST, near=300e6, far=bps)
    assert reads_low(history, result(FAR, bps)) is low
    assert not reads_low(history, result(NEAR, 300e6))


def test_one_direction_is_enough() -> None:
    history: dict[str, ServerLevels] = {}
    for target, upload_bps in ((NEAR, 300e6), (FAR, 5)) * LEAST:
        history = with_figures(history, samples.throughput(target=target, upload_bps=upload_bps))
    assert reads_low(history, result(FAR, 300e6))
    assert not reads_low(history, result(NEAR, 300e6))


def test_few_figures_and_a_server_alone_say_nothing() -> None:
    history = shown({}, LEAST, near=300e6)
    assert not reads_low(history, result(NEAR, 1e6))
    history = shown(history, LEAST - 1, NOW - HOUR, far=1e6)
    # Its own figure is no fifth: a result is judged by what was shown before it.
    assert not reads_low(history, result(FAR, 1e6))
    assert reads_low(with_figures(history, result(FAR, 1e6)), result(FAR, 1e6))


def test_a_server_that_is_asked_no_more_hides_no_line_that_got_slow() -> None:
    """The line falls from 300 to 200 Mbit/s after one of its servers has died."""
    before = NOW - 3 * DAY
    history = shown({}, KEPT, before, near=295e6, far=300e6)
    said = []
    for number in range(2 * KEPT):
        slow = result(FAR, 200e6, before + number * 3 * HOUR)
        said.append(reads_low(history, slow))
        history = with_figures(history, slow)
    # Its figures of before the fall were of the same days as some of the dead one's.
    assert sum(said[: LEAST + 1]) <= 1
    assert not any(said[LEAST + 1 :])


def test_figures_of_last_week_are_no_measure() -> None:
    history = shown({}, LEAST, NOW - 8 * DAY, near=300e6, far=200e6)
    assert reads_low(history, result(FAR, 200e6, NOW - 8 * DAY))
    assert not reads_low(history, result(FAR, 200e6, NOW))


def test_a_server_that_is_not_configured_is_no_measure() -> None:
    history = shown({}, LEAST, old=300e6, far=200e6)
    assert not reads_low(history, result(FAR, 200e6))
    assert levels.reads_low(history, result(FAR, 200e6), ("old", "far"))


def test_lines_are_apart() -> None:
    history = shown({}, LEAST, near=300e6)
    for _ in range(LEAST):
        history = with_figures(
            history, samples.throughput(line=samples.VIETTEL, target=FAR, upload_bps=1)
        )
    assert not reads_low(history, samples.throughput(line=samples.VIETTEL, target=FAR))


def test_what_says_nothing_of_the_server_is_not_noted_and_old_figures_go() -> None:
    assert with_figures({}, result(NEAR, 1e6, validity=[Validity.CROSS_TRAFFIC])) == {}
    failed = samples.throughput(target=NEAR, outcome=Outcome.FAILED, reason=Reason.TIMEOUT)
    assert with_figures({}, failed) == {}
    assert with_figures({}, samples.latency()) == {}
    assert not reads_low({}, failed)
    history: dict[str, ServerLevels] = {}
    for number in range(KEPT + 3):
        history = with_figures(history, result(FAR, float(number)))
    (kept,) = history.values()
    assert [one.download_bps for one in kept.shown] == [float(n) for n in range(3, KEPT + 3)]


def test_it_is_kept_beside_the_usage_and_over_the_month() -> None:
    usage = with_bulk_result(in_month(Usage(), "2026-11"), result(NEAR, 300e6))
    assert in_month(usage, "2026-12").levels == usage.levels != {}


def test_it_outlives_a_restart_and_judges_by_what_was_before(tmp_path: Path) -> None:
    day = date(2026, 7, 25)
    for number in range(LEAST):
        file = UsageFile(str(tmp_path), UTC)
        assert not file.count(result(NEAR, 300e6, NOW + number * HOUR), day, SERVERS)
        assert not file.count(result(FAR, 200e6, NOW + number * HOUR), day, SERVERS)
    assert UsageFile(str(tmp_path), UTC).count(result(FAR, 200e6, NOW + 9 * HOUR), day, SERVERS)


def test_a_file_of_before_keeps_its_budget_and_loses_figures_without_a_time(tmp_path: Path) -> None:
    old = (
        '{"month":"2026-07","used_bytes":{"vnpt":5},"moved":{},"test_bytes":{},"levels":'
        '{"vnpt throughput iperf3:near":{"download_bps":[3e8,3e8,3e8,3e8,3e8],"upload_bps":[1e8]}}}'
    )
    (tmp_path / "usage.json").write_text(old, encoding="ascii")
    usage = UsageFile(str(tmp_path), UTC).on(date(2026, 7, 25))
    assert usage.used_bytes == {"vnpt": 5}
    assert usage.levels == {"vnpt throughput iperf3:near": ServerLevels()}
