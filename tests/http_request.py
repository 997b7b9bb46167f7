"""Floor 1. What a measurement of kind `http` is asked, for tests and benchmarks of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime

from probe.config import (
    Config,
    HttpConfig,
    LatencyConfig,
    LedConfig,
    LineConfig,
    ServerConfig,
)
from probe.measure.measurement import MeasurementRequest, Progress
from runtime.broker import BrokerConfig
from wire.site import Site

LOOPBACK = LineConfig(id="lo", isp="none", interface="lo")


def http_request(
    host: str,
    port: int | None,
    http: HttpConfig,
    *,
    line: LineConfig = LOOPBACK,
    stop: threading.Event | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
    slot_at: datetime | None = None,
) -> MeasurementRequest:
    """A request to measure `line` against an nginx, under these settings."""
    server = ServerConfig(name="hanoi", host=host, http_port=port)
    config = Config(
        tenant="bach-thong",
        probe="tram-1",
        site=Site("01969", "Văn phòng", "Bạch Thông"),
        lines=[line],
        servers=[server],
        broker=BrokerConfig(host="127.0.0.1", port=1883, tls=False),
        leds=LedConfig(driver="none"),
        http=http,
        latency=LatencyConfig(enabled=False),  # an nginx alone has no reflector beside it
    )
    return MeasurementRequest(
        line=line,
        server=server,
        config=config,
        stop=stop or threading.Event(),
        progress=progress,
        slot_at=slot_at,
    )
