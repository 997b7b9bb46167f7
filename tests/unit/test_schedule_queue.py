"""The thread that makes what the timetable fires, on this machine's loopback."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from msgspec import structs

from probe import clock
from probe.config import Config, PlanConfig, ThroughputConfig
from probe.measure.runner import Runner
from probe.plan.budget import month_budget
from probe.schedule.admission import QueuedMeasurement
from probe.schedule.queue import MeasurementQueue
from probe.state.usage import UsageFile
from tests import samples
from tests.stranger import sending
from tests.unit.test_plan import PARSED
from wire.result import Family, Outcome, Reason, Result, ThroughputValues

# Nobody listens there: a test fails at once.
CLOSED_PORT = 1
IDLE = {"cross_traffic_download_bps": 1e12, "cross_traffic_upload_bps": 1e12}
# Somebody's on the loopback: more than a bulk test waits for.
TRAFFIC = ("127.0.0.1", 1400, 0.01)


def loopback(tmp_path: Path, **plan: Any) -> Config:
    line = structs.replace(PARSED.lines[0], interface=None, source_address="127.0.0.1")
    server = structs.replace(PARSED.servers[0], host="127.0.0.1", iperf3_ports=[CLOSED_PORT])
    return structs.replace(
        PARSED,
        lines=[line],
        servers=[server],
        state_dir=str(tmp_path),
        plan=PlanConfig(idle_look_s=0.5, office_idle_look_s=0.5, **plan),
        throughput=ThroughputConfig(busy_limit_s=0),
    )


@contextmanager
def working(
    config: Config, obeyed: Callable[[UUID], None] = lambda _: None
) -> Iterator[tuple[MeasurementQueue, queue.SimpleQueue[Result]]]:
    results: queue.SimpleQueue[Result] = queue.SimpleQueue()
    runner = Runner(config, lambda _: None)
    pause = {line.id: threading.Event() for line in config.lines}
    usage = UsageFile(config.state_dir, UTC)
    scheduled = MeasurementQueue(config, runner, usage, results.put, pause, obeyed)
    stopping = threading.Event()
    thread = threading.Thread(target=scheduled.run, args=(stopping, lambda: None))
    thread.start()
    try:
        yield scheduled, results
    finally:
        stopping.set()
        thread.join(10)
        assert not thread.is_alive()


def wanted(config: Config, minutes_left: float) -> QueuedMeasurement:
    now = clock.utc_now()
    return QueuedMeasurement(
        kind="throughput",
        line=config.lines[0],
        server=config.servers[0],
        slot_at=now,
        until=now + timedelta(minutes=minutes_left),
    )


def test_an_idle_line_is_measured_and_the_result_tells_what_was_seen(tmp_path: Path) -> None:
    config = loopback(tmp_path, cross_traffic_download_bps=1e12, cross_traffic_upload_bps=1e12)
    with working(config) as (scheduled, results):
        scheduled.enqueue(wanted(config, 60))
        result = results.get(timeout=20)
    assert result.reason is Reason.CONNECTION_REFUSED
    assert result.method is not None
    assert result.method.settings["deferrals"] == 0
    assert isinstance(result.method.settings["before_received_bps"], float)


@pytest.mark.parametrize(
    ("host", "turn", "measured", "address"),
    [
        ("127.0.0.1", Family.IPV4, Family.IPV4, "127.0.0.1"),
        ("::1", Family.IPV6, Family.IPV6, "::1"),
        # A server of one family is measured over that one, whoever's turn it is.
        ("127.0.0.1", Family.IPV6, Family.IPV4, "127.0.0.1"),
        ("::1", Family.IPV4, Family.IPV6, "::1"),
    ],
)
def test_a_slot_is_measured_over_the_family_whose_turn_it_is_and_that_the_server_has(
    tmp_path: Path, host: str, turn: Family, measured: Family, address: str
) -> None:
    config = loopback(tmp_path, cross_traffic_download_bps=1e12, cross_traffic_upload_bps=1e12)
    line = structs.replace(
        config.lines[0], interface="lo", source_address=None, families=list(Family)
    )
    server = structs.replace(config.servers[0], host=host)
    config = structs.replace(config, lines=[line], servers=[server])
    with working(config) as (scheduled, results):
        scheduled.enqueue(structs.replace(wanted(config, 60), family=turn))
        result = results.get(timeout=60)
    assert (result.outcome, result.family) == (Outcome.FAILED, measured)
    assert isinstance(result.values, ThroughputValues)
    assert result.values.address == address


def test_a_skipped_slot_states_the_family_that_it_would_have_been_measured_over(
    tmp_path: Path,
) -> None:
    config = loopback(tmp_path, cross_traffic_download_bps=1e12, cross_traffic_upload_bps=1e12)
    with working(config) as (scheduled, results):
        scheduled.enqueue(structs.replace(wanted(config, -1), family=Family.IPV6))
        result = results.get(timeout=60)
    # The line is bound to 127.0.0.1.
    assert (result.outcome, result.family) == (Outcome.SKIPPED, Family.IPV4)


def test_a_line_in_use_is_left_alone_and_in_the_end_given_up(tmp_path: Path) -> None:
    config = loopback(tmp_path)
    with sending(*TRAFFIC), working(config) as (scheduled, results):
        scheduled.enqueue(wanted(config, 0.5))
        result = results.get(timeout=20)
    assert (result.outcome, result.reason) == (Outcome.SKIPPED, Reason.CROSS_TRAFFIC)
    assert (result.detail or "").startswith("given up: deferred 1 times")
    assert result.method is not None
    assert result.method.settings["deferrals"] == 1


def test_a_turn_that_comes_after_its_part_of_the_day_is_given_up(tmp_path: Path) -> None:
    """As behind the long test of another line: office hours may have begun meanwhile."""
    config = loopback(tmp_path, cross_traffic_download_bps=1e12, cross_traffic_upload_bps=1e12)
    with working(config) as (scheduled, results):
        scheduled.enqueue(wanted(config, -1))
        result = results.get(timeout=20)
    assert (result.outcome, result.reason) == (Outcome.SKIPPED, Reason.SLOT_MISSED)
    assert (result.detail or "").startswith("its turn came after its part of the day")


def test_a_slot_that_waits_as_the_probe_ends_is_told(tmp_path: Path) -> None:
    config = loopback(tmp_path)
    with sending(*TRAFFIC), working(config) as (scheduled, results):
        scheduled.enqueue(wanted(config, 60))
        scheduled.enqueue(
            structs.replace(wanted(config, 0), slot_at=datetime(2026, 1, 1, tzinfo=UTC))
        )
        assert results.get(timeout=20).slot_at == datetime(2026, 1, 1, tzinfo=UTC)
    result = results.get(timeout=5)
    assert (result.outcome, result.reason) == (Outcome.SKIPPED, Reason.SHUTTING_DOWN)


def test_what_a_command_asked_for_is_measured_at_once_and_told(tmp_path: Path) -> None:
    """Without a look at the line, which is in use; and told after its result, not before."""
    config = loopback(tmp_path)
    told: queue.SimpleQueue[UUID] = queue.SimpleQueue()
    asked = UUID(int=7)
    with sending(*TRAFFIC), working(config, told.put) as (scheduled, results):
        scheduled.enqueue(structs.replace(wanted(config, 0), slot_at=None, until=None))
        scheduled.enqueue(
            structs.replace(wanted(config, 0), slot_at=None, until=None, command_id=asked)
        )
        assert told.get(timeout=20) == asked
        assert [results.get(timeout=1).reason for _ in range(2)] == [Reason.CONNECTION_REFUSED] * 2
        assert told.empty()


def test_a_line_that_has_used_up_its_budget_keeps_its_weekly_minimum_alone(
    tmp_path: Path,
) -> None:
    """Asked for each test, not once a day: what was planned in the morning may be too much."""
    config = loopback(tmp_path, monthly_budget_bytes=10**9, **IDLE)
    config = structs.replace(config, lines=[structs.replace(config.lines[0], id="vnpt")])
    today = clock.utc_now().astimezone(ZoneInfo(config.timezone)).date()
    usage = UsageFile(config.state_dir, UTC)
    while not month_budget(config, config.lines[0], today, usage.on(today)).is_exhausted:
        usage.count(samples.throughput(), today)
    with working(config) as (scheduled, results):
        scheduled.enqueue(wanted(config, 60))
        scheduled.enqueue(structs.replace(wanted(config, 60), kept=True))
        assert results.get(timeout=60).reason is Reason.CONNECTION_REFUSED
        # Of a command, which has looked at the budget itself.
        scheduled.enqueue(structs.replace(wanted(config, 60), slot_at=None))
        assert results.get(timeout=60).slot_at is None
        assert results.empty()


def test_usage_outlives_a_restart_and_a_damaged_file_begins_anew(tmp_path: Path) -> None:
    day = date(2026, 11, 24)
    usage = UsageFile(str(tmp_path), UTC)
    usage.count(samples.throughput(), day)
    again = UsageFile(str(tmp_path), UTC).on(day)
    assert again == usage.on(day)
    assert again.used_bytes["vnpt"] > 0
    (tmp_path / "usage.json").write_bytes(b"{")
    assert UsageFile(str(tmp_path), UTC).on(day).used_bytes == {}
