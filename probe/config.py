"""Floor 1. The probe's configuration: TOML bytes to a frozen Config, defaults in this one place.

Every rule is here: a type, a bound, or a `__post_init__` that compares keys. What comes out can be
used without another look. Reading the file is the command line's part.
"""

from __future__ import annotations

import hashlib
import ipaddress
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from msgspec import Meta, Struct, field

from runtime import settings
from runtime.broker import BrokerConfig, Path, Port
from wire.envelope import Site
from wire.result import Line, Name, Text


class Strict(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of every table: frozen, unknown keys refused."""


class LineConfig(Strict, frozen=True):
    """One ISP line: by which interface or source address it is reached, and what was bought."""

    id: Name
    isp: Text
    interface: Annotated[str, Meta(pattern=r"^[^\s/]{1,15}$")] | None = None
    source_address: str | None = None
    gateway: str | None = None
    plan_download_bps: Annotated[float, Meta(gt=0)] | None = None
    plan_upload_bps: Annotated[float, Meta(gt=0)] | None = None

    def __post_init__(self) -> None:
        """A line that is bound to nothing would measure whichever line the kernel likes."""
        if self.interface is None and self.source_address is None:
            raise ValueError("a line needs `interface` or `source_address`")
        for name in ("source_address", "gateway"):
            if (text := getattr(self, name)) is not None:
                _require_address(name, text)

    @property
    def identity(self) -> Line:
        """What goes into every result of this line."""
        return Line(self.id, self.isp, self.interface, self.source_address)


class ServerConfig(Strict, frozen=True):
    """One measurement server: iperf3 on each port (one test at a time each), a STAMP reflector.

    `http_port` is where nginx serves the HTTP test; None where the server has none.
    """

    name: Name
    host: Annotated[str, Meta(min_length=1, max_length=253)]
    iperf3_ports: Annotated[list[Port], Meta(min_length=1)] = field(default_factory=lambda: [5201])
    stamp_port: Port = 862
    http_port: Port | None = None


class ThroughputConfig(Strict, frozen=True):
    """Kind `throughput` (METHOD, Throughput: BEREC's streams, warm-up and duration)."""

    per_day: Annotated[int, Meta(ge=0, le=288)] = 4
    streams: Annotated[int, Meta(ge=1, le=64)] = 4
    warm_up_s: Annotated[int, Meta(ge=0, le=30)] = 3
    duration_s: Annotated[int, Meta(ge=1, le=120)] = 10
    interval_s: Annotated[float, Meta(ge=0.1, le=1)] = 0.5
    connect_timeout_s: Annotated[float, Meta(gt=0, le=60)] = 5.0
    # On a Pi 4 several upload streams can starve each other on the NIC's queues; one cannot
    # (OB-UDPST).
    upload_streams: Annotated[int, Meta(ge=1, le=64)] | None = None
    # At both ends; None leaves each host's default, and the result records which it was.
    congestion_control: Annotated[str, Meta(pattern=r"^[a-z0-9_-]{1,15}$")] | None = None
    # When every port of the server is busy: growing, jittered waits, in all no longer than this.
    busy_first_wait_s: Annotated[float, Meta(gt=0, le=960)] = 4.0
    busy_limit_s: Annotated[float, Meta(ge=0, le=3600)] = 40.0


class LatencyConfig(Strict, frozen=True):
    """Kind `latency` (METHOD, Latency: Poisson gaps, Tmax, a summary each window)."""

    enabled: bool = True
    mean_gap_s: Annotated[float, Meta(ge=0.01, le=60)] = 1.5
    timeout_s: Annotated[float, Meta(gt=0, le=30)] = 3.0
    window_s: Annotated[float, Meta(ge=1, le=3600)] = 60.0
    icmp_targets: list[str] = []


class HttpConfig(Strict, frozen=True):
    """Kind `http` (METHOD, HTTP). Full length is `warm_up_s` and `duration_s` a direction."""

    per_day: Annotated[int, Meta(ge=0, le=288)] = 4
    connections: Annotated[int, Meta(ge=1, le=32)] = 4
    pings: Annotated[int, Meta(ge=2, le=100)] = 20
    warm_up_s: Annotated[int, Meta(ge=0, le=30)] = 3
    duration_s: Annotated[int, Meta(ge=1, le=120)] = 10
    early_stop: bool = True
    # The share of slots that run full length all the same, to measure what the early stop costs.
    calibration_ratio: Annotated[float, Meta(ge=0, le=1)] = 0.1
    # For connecting, for each answer, and for how long no byte may move.
    timeout_s: Annotated[float, Meta(gt=0, le=60)] = 5.0


class DeliveryConfig(Strict, frozen=True):
    """How results are kept and sent until the centre's receipt covers them."""

    keep_days: Annotated[int, Meta(ge=0, le=3650)] = 30
    batch: Annotated[int, Meta(ge=1, le=1000)] = 50
    resend_after_s: Annotated[float, Meta(ge=1, le=86400)] = 60.0
    health_every_s: Annotated[float, Meta(ge=1, le=86400)] = 300.0


class LedConfig(Strict, frozen=True):
    """LEDs: `gpio` drives pins, `simulated` the same code on gpiozero's mock pins."""

    driver: Literal["gpio", "simulated", "none"] = "gpio"
    power_pin: Annotated[int, Meta(ge=0, le=27)] = 17
    centre_pin: Annotated[int, Meta(ge=0, le=27)] = 27
    # One (green, red) pair of BCM pins for each line, in the order of the lines.
    line_pins: list[tuple[int, int]] = field(default_factory=lambda: [(22, 23), (24, 25)])
    active_high: bool = True


class OperatorConfig(Strict, frozen=True):
    """Public address and operator look-up, off unless a URL is given (answers JSON)."""

    url: Annotated[str, Meta(pattern=r"^https?://")] | None = None
    timeout_s: Annotated[float, Meta(gt=0, le=60)] = 5.0


class Config(Strict, frozen=True):
    """Everything the daemon is told. `lines` and `servers` are arrays of tables in TOML."""

    tenant: Name
    probe: Name
    site: Site
    lines: Annotated[list[LineConfig], Meta(min_length=1, max_length=8)]
    servers: Annotated[list[ServerConfig], Meta(min_length=1)]
    broker: BrokerConfig
    timezone: str = "Asia/Ho_Chi_Minh"
    state_dir: Path = "/var/lib/tramdo-probe"
    runtime_dir: Path = "/run/tramdo-probe"
    throughput: ThroughputConfig = ThroughputConfig()
    latency: LatencyConfig = LatencyConfig()
    http: HttpConfig = HttpConfig()
    delivery: DeliveryConfig = DeliveryConfig()
    leds: LedConfig = LedConfig()
    operator: OperatorConfig = OperatorConfig()

    def __post_init__(self) -> None:
        """Names that must differ, and a time zone that must exist."""
        for what, names in (
            ("line", [line.id for line in self.lines]),
            ("server", [server.name for server in self.servers]),
        ):
            if repeated := sorted({name for name in names if names.count(name) > 1}):
                raise ValueError(f"two {what}s are called `{repeated[0]}`")
        if self.leds.driver != "none" and len(self.leds.line_pins) < len(self.lines):
            raise ValueError("`leds.line_pins` needs a pair of pins for each line")
        try:
            ZoneInfo(self.timezone)
        except (KeyError, ValueError) as error:
            raise ValueError(f"`timezone`: {self.timezone!r} is not a known time zone") from error

    def line(self, line_id: str) -> LineConfig | None:
        """The line of that name, None when there is none."""
        return next((line for line in self.lines if line.id == line_id), None)


def parse(content: bytes, source: str) -> Config:
    """The configuration in a TOML file's bytes.

    Raises:
        runtime.settings.SettingsError: every problem, each with file and key.
    """
    return settings.parse(content, Config, source)


def digest(content: bytes) -> str:
    """SHA-256 of the file's bytes: what `info` publishes, so that drift can be seen."""
    return hashlib.sha256(content).hexdigest()


def _require_address(name: str, text: str) -> None:
    try:
        ipaddress.ip_address(text)
    except ValueError as error:
        raise ValueError(f"`{name}`: {text!r} is not an IP address") from error
