"""A session beside a transfer, against a real reflector: what it counts, and how it ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from probe.config import Config, LatencyConfig, LineConfig, ServerConfig
from probe.measure.latency.loaded import LoadedSession
from probe.measure.latency.summary import loaded_columns
from probe.measure.measurement import MeasurementRequest
from runtime.broker import BrokerConfig
from tests.reflector_process import ReflectorProcess
from wire.result import LoadedLatency
from wire.site import Site

HOST = "127.0.0.1"
WARM_UP_S, STEP_S = 0.3, 0.1


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with ReflectorProcess([HOST], options=["--rate-limit-pps", "0"]) as reflector:
        yield reflector.ports[HOST]


def request(port: int, *, enabled: bool = True, timeout_s: float = 1.0) -> MeasurementRequest:
    line = LineConfig(id="vnpt", isp="VNPT", source_address=HOST)
    server = ServerConfig(name="may-chu-1", host=HOST, stamp_port=port)
    config = Config(
        tenant="bach-thong",
        probe="tram-1",
        site=Site("01969", "Phủ Thông"),
        lines=[line],
        servers=[server],
        broker=BrokerConfig(host="localhost"),
        latency=LatencyConfig(enabled=enabled, loaded_mean_gap_s=0.01, timeout_s=timeout_s),
    )
    return MeasurementRequest(
        line=line, server=server, config=config, stop=threading.Event(), progress=lambda _: None
    )


def transfer(session: LoadedSession, until_s: float) -> None:
    """What a transfer tells of itself, in real time."""
    began_s = time.monotonic()
    while (at_s := time.monotonic() - began_s) < until_s:
        session.transferred(at_s)
        time.sleep(STEP_S)
    session.transferred(until_s)


def test_only_the_steady_part_counts(port: int) -> None:
    with LoadedSession(request(port), WARM_UP_S) as session:
        transfer(session, until_s=1.3)
        time.sleep(STEP_S)  # the results' exchange: the line is idle already
        found = session.finish()
    assert isinstance(found, LoadedLatency)
    assert found.span_s == pytest.approx(1.0, abs=0.15)
    # Poisson, 100 expected, five standard deviations above; a busy host sends less.
    assert 0 < found.sent <= 150
    assert found.received + found.lost == found.sent
    assert (found.rtt_samples, len(found.rtt_us)) == (found.received, found.received)
    assert found.timestamp_source == "kernel"
    columns = loaded_columns(found, None)
    assert columns["rtt_loaded_download_p50_ms"] == found.rtt_p50_ms
    assert "rtt_loaded_upload_p50_ms" not in columns


def test_a_server_without_a_reflector_is_counted_and_blames_no_line() -> None:
    with LoadedSession(request(9, timeout_s=30.0), WARM_UP_S) as session:
        transfer(session, until_s=0.8)
        began_s = time.monotonic()
        found = session.finish()
        # Refused outright: nothing is waited for.
        assert time.monotonic() - began_s < 15.0
    assert found is not None
    assert (found.received, found.loss_ratio) == (0, 1.0)
    assert "loss_loaded_download_ratio" not in loaded_columns(found, None)


def test_a_transfer_that_never_was_steady_has_none(port: int) -> None:
    with LoadedSession(request(port), WARM_UP_S) as session:
        transfer(session, until_s=0.2)
        assert session.finish() is None


def test_told_to_stop_it_waits_for_nothing(port: int) -> None:
    asked = request(port, timeout_s=30.0)
    with LoadedSession(asked, WARM_UP_S) as session:
        transfer(session, until_s=0.5)
        assert isinstance(asked.stop, threading.Event)
        asked.stop.set()
        assert session.finish() is None


def test_switched_off_it_is_no_thread(port: int) -> None:
    before = threading.active_count()
    with LoadedSession(request(port, enabled=False), WARM_UP_S) as session:
        assert threading.active_count() == before
        transfer(session, until_s=0.4)
        assert session.finish() is None


def test_neither_thread_nor_descriptor_outlives_an_exception(port: int) -> None:
    before = threading.active_count()
    broken = LoadedSession(request(port), WARM_UP_S)
    with pytest.raises(RuntimeError), broken:
        raise RuntimeError
    assert threading.active_count() == before
