"""What the lines of a simulated fleet measure: by seed, time and fault."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from bench.fleet_probe import LINES, token_of
from bench.fleet_values import IspFault, LineValues, backlog, use_ratio
from wire.record import Outcome
from wire.result import LatencyResult, Result, encode_result

NIGHT = datetime(2026, 11, 30, 20, 0, tzinfo=UTC)  # 3 o'clock in Viet Nam
EVENING = datetime(2026, 11, 30, 13, 30, tzinfo=UTC)
VNPT, VIETTEL = LINES
FAULT = IspFault("vnpt", EVENING, EVENING + timedelta(hours=1), 1.0, 0.6)


def lost_of(results: list[Result]) -> dict[str | None, int]:
    """Lost packets by target."""
    found = {}
    for one in results:
        assert isinstance(one, LatencyResult)
        assert one.values is not None
        found[one.target] = one.values.lost
    return found


def test_the_same_seed_gives_the_same_values_and_another_one_others() -> None:
    first, again, other = (
        LineValues(seed, "tram-00001-1", VNPT, ()).windows(EVENING) for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_a_fault_takes_packets_beyond_the_router_of_its_isp_alone_while_it_lasts() -> None:
    of_isp = LineValues(1, "tram-00001-1", VNPT, [FAULT])
    during, after = (lost_of(of_isp.windows(at)) for at in (EVENING, FAULT.ends_at))
    assert during["stamp:hn-1"] > 15
    assert during["icmp:gateway"] <= 1
    assert after["stamp:hn-1"] <= 1
    other = LineValues(1, "tram-00001-1", VIETTEL, [FAULT])
    assert lost_of(other.windows(EVENING))["stamp:hn-1"] <= 1


def test_a_line_that_is_down_answers_from_its_router_alone() -> None:
    windows = LineValues(1, "tram-00001-1", VNPT, ()).windows(EVENING, is_down=True)
    assert [one.outcome for one in windows] == [Outcome.OK, Outcome.FAILED, Outcome.FAILED]


def test_lines_are_used_in_the_evening_and_not_by_night() -> None:
    assert use_ratio(EVENING) > 0.8
    assert use_ratio(NIGHT) < 0.01


def test_a_backlog_is_of_the_minutes_before_and_each_result_is_found_by_its_clock() -> None:
    results = backlog(LineValues(1, "tram-00001-1", VNPT, ()), EVENING, 10)
    assert len(results) == 10
    assert all(EVENING - timedelta(minutes=4) <= one.started_at < EVENING for one in results)
    assert token_of(encode_result(results[0])) == (
        f"{results[0].clock.boot_id}/{float(results[0].clock.boottime_s)}"
    )
