"""Requests to measure one line, for tests and benchmarks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any

from probe.config import Config, LedConfig, LineConfig, ServerConfig
from probe.measure.measurement import MeasurementRequest, Progress
from runtime.broker import BrokerConfig
from wire.site import Site


def office_config(line: LineConfig, servers: list[ServerConfig], **tables: Any) -> Config:
    """An office with one line. `tables` are the settings under test, by their name in `Config`."""
    return Config(
        tenant="bach-thong",
        probe="tram-1",
        site=Site("01969", "Văn phòng", "Bạch Thông"),
        lines=[line],
        servers=servers,
        broker=BrokerConfig(host="127.0.0.1", port=1883, tls=False),
        leds=LedConfig(driver="none"),
        **tables,
    )


def line_request(
    line: LineConfig,
    servers: list[ServerConfig],
    *,
    stop: threading.Event | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
    slot_at: datetime | None = None,
    **tables: Any,
) -> MeasurementRequest:
    """A request to measure `line`, towards the first server."""
    return MeasurementRequest(
        line=line,
        server=servers[0],
        config=office_config(line, servers, **tables),
        stop=stop or threading.Event(),
        progress=progress,
        slot_at=slot_at,
    )
