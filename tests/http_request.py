"""Floor 1. What a measurement of kind `http` is asked, for tests and benchmarks of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime

from probe.config import HttpConfig, LatencyConfig, LineConfig, ServerConfig
from probe.measure.measurement import MeasurementRequest, Progress
from tests.line_request import line_request

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
    return line_request(
        line,
        [server],
        stop=stop,
        progress=progress,
        slot_at=slot_at,
        http=http,
        latency=LatencyConfig(enabled=False),  # an nginx alone has no reflector beside it
    )
