"""Floor 1. The probe's configuration: TOML bytes to a frozen Config, defaults in this one place.

Every rule is here: a type, a bound, or a `__post_init__` that compares keys. What comes out can be
used without another look. Reading the file is the command line's part.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Sequence
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from msgspec import Meta, Struct, field

from probe import implausible
from runtime import settings
from runtime.broker import BrokerConfig, Path, Port
from runtime.language import Phrase
from runtime.value_errors import RuleError
from wire.commands import CommandName
from wire.record import HOST_LINE, Family, Line, Name, Text
from wire.site import Site

TimeOfDay = Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
# A pin of the header by Broadcom's number, not by its place.
BcmPin = Annotated[int, Meta(ge=0, le=27)]
# Of one latency window: at 8 bytes each they fill a sixth of the largest envelope (ours).
_MOST_PACKETS = 20_000
# RFC 1035 §2.3.4: 253 characters of labels; a label's own rules are checked when it is asked.
DnsName = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*$", max_length=253)
]
PageUrl = Annotated[str, Meta(pattern=r"^https?://[^\s/?#@]+([/?]\S*)?$", max_length=400)]
# A day that is avoided longer has no room for the tests of eight lines (ours).
_LEAST_HOURS_LEFT = 6


class Strict(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of every table: frozen, unknown keys refused."""


def _require_address(name: str, text: str) -> None:
    try:
        ipaddress.ip_address(text)
    except ValueError as error:
        raise RuleError(
            f"`{name}`: {text!r} không phải địa chỉ IP", f"`{name}`: {text!r} is not an IP address"
        ) from error


def _require_network(name: str, text: str) -> None:
    try:
        ipaddress.ip_network(text)
    except ValueError as error:
        raise RuleError(
            f"`{name}`: {text!r} không phải một mạng, ví dụ 10.20.0.0/16",
            f"`{name}`: {text!r} is not a network, as 10.20.0.0/16 is",
        ) from error


class LineConfig(Strict, frozen=True):
    """An ISP line: the interface or source address that it is used by, and its plan."""

    id: Name
    isp: Text
    interface: Annotated[str, Meta(pattern=r"^[^\s/]{1,15}$")] | None = None
    source_address: str | None = None
    # Measured over exactly these; None: over those that the line has (probe.measure.families).
    families: Annotated[list[Family], Meta(min_length=1, max_length=2)] | None = None
    gateway: str | None = None
    # The resolvers of the line's users; default: its router, or the system's that belong to it.
    resolvers: Annotated[list[str], Meta(max_length=3)] = []
    # Beside the interface's, the office's own networks: answers from there say nothing of the line.
    # Default: the private spaces that the line has an address of (probe.measure.own_networks).
    office_networks: Annotated[list[str], Meta(max_length=20)] | None = None
    plan_download_bps: Annotated[float, Meta(gt=0)] | None = None
    plan_upload_bps: Annotated[float, Meta(gt=0)] | None = None
    # In place of `plan.monthly_budget_bytes`, for a line that is counted or shared.
    monthly_budget_bytes: Annotated[int, Meta(ge=0)] | None = None

    def __post_init__(self) -> None:
        """Require an interface or source address: else the kernel would choose the line."""
        if self.interface is None and self.source_address is None:
            raise RuleError(
                "đường truyền cần `interface` hoặc `source_address`",
                "a line needs `interface` or `source_address`",
            )
        for name in ("source_address", "gateway"):
            if (text := getattr(self, name)) is not None:
                _require_address(name, text)
        for text in self.resolvers:
            _require_address("resolvers", text)
        for text in self.office_networks or ():
            _require_network("office_networks", text)
        self._require_families()

    def _require_families(self) -> None:
        """Require each family once, and that of `source_address` where there is one."""
        if self.families is None:
            return
        if len(set(self.families)) < len(self.families):
            raise RuleError("`families` có tên lặp lại", "`families` names one twice")
        if self.source_address is not None and self.families != [Family.of(self.source_address)]:
            raise RuleError(
                f"`families`: đường truyền có `source_address` {self.source_address} chỉ đo được "
                f"`{Family.of(self.source_address)}`",
                f"`families`: a line with `source_address` {self.source_address} is measured over "
                f"`{Family.of(self.source_address)}` alone",
            )

    @property
    def identity(self) -> Line:
        """The line as stated in its results."""
        return Line(self.id, self.isp, self.interface, self.source_address)

    @property
    def plan_bps(self) -> tuple[float | None, float | None]:
        """The plan's download and upload rates in bit/s; None where not configured."""
        return self.plan_download_bps, self.plan_upload_bps


class ServerConfig(Strict, frozen=True):
    """One measurement server: iperf3 on each port (one test at a time each), a STAMP reflector.

    `http_port` is where nginx serves the HTTP test, `lease_port` where the server grants its slots
    (`tramdo-lease`); None where the server has none.
    """

    name: Name
    host: Annotated[str, Meta(min_length=1, max_length=253)]
    iperf3_ports: Annotated[list[Port], Meta(min_length=1)] = field(default_factory=lambda: [5201])
    stamp_port: Port = 862
    http_port: Port | None = None
    lease_port: Port | None = None

    def __post_init__(self) -> None:
        """Require a port of its own for the lease service."""
        if self.lease_port in {*self.iperf3_ports, self.http_port} - {None}:
            raise RuleError(
                f"`lease_port` {self.lease_port} đã dùng cho iperf3 hoặc HTTP",
                f"`lease_port` {self.lease_port} is that of iperf3 or HTTP",
            )


def minute_of_day(text: TimeOfDay) -> int:
    """Minutes after midnight of "HH:MM"."""
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)


class PlanConfig(Strict, frozen=True):
    """When bulk tests run, and how many bytes they may use (docs/method.md#plan).

    Hours are the probe's local hours, weekdays ISO's (1 is Monday). Bulk tests are `throughput` and
    `http`; their shares divide the month's samples. A share of 0 turns a kind off.
    """

    # Each line's: 300 tests of 3 + 10 s both ways at 300 Mbit/s are 293 GB.
    monthly_budget_bytes: Annotated[int, Meta(ge=0)] = 300_000_000_000
    # VNNIC rates a commune from this many.
    samples_per_month: Annotated[int, Meta(ge=0, le=9000)] = 300
    # Letter 1770/UBND-VHTT; kept whatever the budget.
    weekly_minimum: Annotated[int, Meta(ge=0, le=70)] = 2
    throughput_share: Annotated[float, Meta(ge=0, le=1000)] = 1.0
    http_share: Annotated[float, Meta(ge=0, le=1000)] = 1.0
    light_every_min: Annotated[int, Meta(ge=1, le=1440)] = 30
    peak_from_hour: Annotated[int, Meta(ge=0, le=23)] = 19
    peak_to_hour: Annotated[int, Meta(ge=1, le=24)] = 23
    office_hours: Literal["avoid", "idle_only", "allow"] = "idle_only"
    office_from: TimeOfDay = "07:00"
    office_to: TimeOfDay = "17:30"
    office_weekdays: list[Annotated[int, Meta(ge=1, le=7)]] = field(
        default_factory=lambda: [1, 2, 3, 4, 5]
    )
    # More than this on the line's interface before a bulk test defers it (FCC and SamKnows).
    cross_traffic_download_bps: Annotated[float, Meta(ge=0)] = 64e3
    cross_traffic_upload_bps: Annotated[float, Meta(ge=0)] = 32e3
    # How long the line is checked before it counts as idle; users' traffic comes in bursts, so
    # under `idle_only` longer in office hours (ours).
    idle_look_s: Annotated[float, Meta(ge=0.5, le=60)] = 5.0
    office_idle_look_s: Annotated[float, Meta(ge=0.5, le=60)] = 30.0
    # How long a bulk test waits for a lease of its server (docs/method.md#plan, B15).
    lease_wait_s: Annotated[float, Meta(ge=0, le=120)] = 120.0

    def __post_init__(self) -> None:
        """Check that hours are in order and that avoided hours leave room for tests."""
        if self.peak_from_hour >= self.peak_to_hour:
            raise RuleError(
                "`peak_from_hour` phải trước `peak_to_hour`",
                "`peak_from_hour` comes before `peak_to_hour`",
            )
        if self.office_from >= self.office_to:
            raise RuleError(
                "`office_from` phải trước `office_to`", "`office_from` comes before `office_to`"
            )
        office_h = (minute_of_day(self.office_to) - minute_of_day(self.office_from)) / 60
        if self.office_hours == "avoid" and office_h > 24 - _LEAST_HOURS_LEFT:
            raise RuleError(
                f"từ `office_from` đến `office_to` còn lại chưa đến {_LEAST_HOURS_LEFT} giờ",
                f"`office_from` to `office_to` leaves less than {_LEAST_HOURS_LEFT} h",
            )


class ThroughputConfig(Strict, frozen=True):
    """Kind `throughput` (docs/method.md#throughput, T2, T4: streams, warm-up, duration)."""

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
    # When every port of the server is busy: back-off, in all no longer than this.
    busy_first_wait_s: Annotated[float, Meta(gt=0, le=960)] = 4.0
    busy_limit_s: Annotated[float, Meta(ge=0, le=3600)] = 80.0


class LatencyConfig(Strict, frozen=True):
    """Kind `latency` (docs/method.md#latency, L3, L4, L5: gaps, windows, Tmax).

    `enabled` rules the session under load as well.
    """

    enabled: bool = True
    mean_gap_s: Annotated[float, Meta(ge=0.01, le=60)] = 1.5
    timeout_s: Annotated[float, Meta(gt=0, le=30)] = 3.0
    window_s: Annotated[float, Meta(ge=1, le=3600)] = 60.0
    icmp_targets: list[str] = []
    # During bulk tests: in 10 s of steady transfer, fewer than the 59 packets that a p95 takes come
    # in 4 of a million (ours); 6 kbit/s each way.
    loaded_mean_gap_s: Annotated[float, Meta(ge=0.01, le=1)] = 0.1

    def __post_init__(self) -> None:
        """Limit the packets of a window: a result has all of its round-trip times."""
        if self.window_s / self.mean_gap_s > _MOST_PACKETS:
            raise RuleError(
                f"`window_s` chứa quá {_MOST_PACKETS} gói với khoảng cách `mean_gap_s`",
                f"`window_s` holds more than {_MOST_PACKETS} packets at a gap of `mean_gap_s`",
            )


class HttpConfig(Strict, frozen=True):
    """Kind `http` (docs/method.md#http, H6). Full length is `warm_up_s`, then `duration_s`."""

    connections: Annotated[int, Meta(ge=1, le=32)] = 4
    pings: Annotated[int, Meta(ge=2, le=100)] = 20
    warm_up_s: Annotated[int, Meta(ge=0, le=30)] = 3
    duration_s: Annotated[int, Meta(ge=1, le=120)] = 10
    early_stop: bool = True
    # The calibration share: slots that run full length, to measure the early stop's error.
    calibration_ratio: Annotated[float, Meta(ge=0, le=1)] = 0.1
    # For connecting, for each answer, and for how long no byte may move.
    timeout_s: Annotated[float, Meta(gt=0, le=60)] = 5.0


class DnsConfig(Strict, frozen=True):
    """Kind `dns` (docs/method.md#dns). Without `names` it is not measured."""

    names: Annotated[list[DnsName], Meta(max_length=20)] = field(
        default_factory=lambda: ["dichvucong.gov.vn", "chinhphu.vn", "vnnic.vn"]
    )
    repeats: Annotated[int, Meta(ge=1, le=20)] = 2
    # Uncached names: a random label in this zone. NXDOMAIN counts as an answer.
    random_labels: Annotated[int, Meta(ge=0, le=20)] = 2
    random_zone: DnsName = "vn"
    public_resolver: str | None = "8.8.8.8"
    port: Port = 53
    timeout_s: Annotated[float, Meta(gt=0, le=30)] = 3.0

    def __post_init__(self) -> None:
        """Require the public resolver as an IP address."""
        if self.public_resolver is not None:
            _require_address("public_resolver", self.public_resolver)


class WebConfig(Strict, frozen=True):
    """Kind `web` (docs/method.md#web). Without `pages` it is not measured."""

    pages: Annotated[list[PageUrl], Meta(max_length=20)] = field(
        default_factory=lambda: [
            "https://dichvucong.gov.vn/",
            "https://dichvucong.thainguyen.gov.vn/",
            "https://thainguyen.gov.vn/",
        ]
    )
    # For a whole page: names, connections, redirects, body.
    timeout_s: Annotated[float, Meta(gt=0, le=60)] = 15.0
    # WHATWG Fetch: browsers follow 20.
    max_redirects: Annotated[int, Meta(ge=0, le=20)] = 20
    max_bytes: Annotated[int, Meta(ge=1000)] = 2_000_000
    # None: the system's authorities.
    ca_file: Path | None = None


class PathConfig(Strict, frozen=True):
    """Kind `path`: by the timetable, on demand, and after a degraded latency window."""

    max_hops: Annotated[int, Meta(ge=1, le=30)] = 8
    probes_per_hop: Annotated[int, Meta(ge=1, le=10)] = 3
    timeout_s: Annotated[float, Meta(gt=0, le=10)] = 1.0
    # A window is degraded where a target's loss or delay is above this.
    bad_loss_ratio: Annotated[float, Meta(ge=0, le=1)] = 0.2
    bad_rtt_ms: Annotated[float, Meta(gt=0)] = 400.0
    # At most one path measurement for degraded windows in so many minutes.
    every_min: Annotated[int, Meta(ge=1, le=1440)] = 10


class AvailabilityConfig(Strict, frozen=True):
    """Kinds `availability` and `outage` (docs/method.md#availability, A6)."""

    report_every_min: Annotated[int, Meta(ge=1, le=1440)] = 60


class DeliveryConfig(Strict, frozen=True):
    """How results are kept and sent until the centre's receipt covers them."""

    # "broker": a PUBACK confirms, for subscribers that send no receipts. It guarantees less.
    confirm: Literal["centre", "broker"] = "centre"
    keep_days: Annotated[int, Meta(ge=0, le=3650)] = 30
    batch: Annotated[int, Meta(ge=1, le=1000)] = 50
    # How long latency results wait for others of their envelope, for a metered line. Shorter than
    # the time after which the centre calls a probe silent (15 minutes without a message).
    linger_s: Annotated[float, Meta(ge=0, le=600)] = 0.0
    resend_after_s: Annotated[float, Meta(ge=1, le=86400)] = 60.0
    health_every_s: Annotated[float, Meta(ge=1, le=86400)] = 300.0
    max_bytes: Annotated[int, Meta(ge=1_000_000)] = 1_000_000_000
    # After a boot nothing is sent until the clock is synchronised, at most this long.
    clock_wait_s: Annotated[float, Meta(ge=0, le=3600)] = 300.0
    # By the key of `broker.certificate_file`; without one nothing is signed.
    sign: bool = True


class CommandConfig(Strict, frozen=True):
    """The commands that this probe accepts. None can run a program or change a setting."""

    allow: list[CommandName] = field(default_factory=lambda: list(CommandName))
    # Each bulk test moves as much as one of the plan; the month's budget holds for them too.
    measures_per_hour: Annotated[int, Meta(ge=0, le=60)] = 6


class LedConfig(Strict, frozen=True):
    """LEDs: `gpio` drives pins, `simulated` the same code on gpiozero's mock pins."""

    driver: Literal["gpio", "simulated", "none"] = "gpio"
    power_pin: BcmPin = 17
    centre_pin: BcmPin = 27
    # One (green, red) pair for each line, in the order of the lines.
    line_pins: list[tuple[BcmPin, BcmPin]] = field(default_factory=lambda: [(22, 23), (24, 25)])
    active_high: bool = True
    # Of full current, by pulse-width modulation: some LEDs are too bright for a desk.
    brightness: Annotated[float, Meta(gt=0, le=1)] = 1.0

    def pins(self, line_ids: Sequence[str]) -> dict[str, int]:
        """Each LED's name, as in a frame, and its pin; spare pairs are not used."""
        pins = {"power": self.power_pin, "centre": self.centre_pin}
        for line_id, (green, red) in zip(line_ids, self.line_pins, strict=False):
            pins[f"{line_id}.green"], pins[f"{line_id}.red"] = green, red
        return pins


class OperatorConfig(Strict, frozen=True):
    """Who carries each line (docs/method.md#operator): asked of the first server with `http_port`.

    With `url`, that is asked instead; it answers JSON with `ip`, and may name the operator.
    """

    enabled: bool = True
    url: Annotated[str, Meta(pattern=r"^https?://")] | None = None
    timeout_s: Annotated[float, Meta(gt=0, le=60)] = 5.0


class Config(Strict, frozen=True):
    """The whole configuration. `lines` and `servers` are arrays of tables in TOML."""

    tenant: Name
    probe: Name
    site: Site
    lines: Annotated[list[LineConfig], Meta(min_length=1, max_length=8)]
    servers: Annotated[list[ServerConfig], Meta(min_length=1)]
    broker: BrokerConfig
    timezone: str = "Asia/Ho_Chi_Minh"
    state_dir: Path = "/var/lib/tramdo-probe"
    runtime_dir: Path = "/run/tramdo-probe"
    plan: PlanConfig = PlanConfig()
    throughput: ThroughputConfig = ThroughputConfig()
    latency: LatencyConfig = LatencyConfig()
    http: HttpConfig = HttpConfig()
    dns: DnsConfig = DnsConfig()
    web: WebConfig = WebConfig()
    path: PathConfig = PathConfig()
    availability: AvailabilityConfig = AvailabilityConfig()
    delivery: DeliveryConfig = DeliveryConfig()
    commands: CommandConfig = CommandConfig()
    leds: LedConfig = LedConfig()
    operator: OperatorConfig = OperatorConfig()

    def __post_init__(self) -> None:
        """Check that names differ and that the time zone exists."""
        for what, names in (
            (Phrase("đường truyền", "lines"), [line.id for line in self.lines]),
            (Phrase("máy chủ đo", "servers"), [server.name for server in self.servers]),
        ):
            if repeated := sorted({name for name in names if names.count(name) > 1}):
                raise RuleError(
                    f"hai {what.vi} cùng tên `{repeated[0]}`",
                    f"two {what.en} are called `{repeated[0]}`",
                )
        if self.line(HOST_LINE.id) is not None:
            raise RuleError(
                f"không đường truyền nào được tên `{HOST_LINE.id}`: tên ấy chỉ chính trạm đo",
                f"no line may be called `{HOST_LINE.id}`: it stands for the box itself",
            )
        if self.leds.driver != "none" and len(self.leds.line_pins) < len(self.lines):
            raise RuleError(
                "`leds.line_pins` cần một cặp chân cho mỗi đường truyền",
                "`leds.line_pins` needs a pair of pins for each line",
            )
        pins = self.leds.pins([line.id for line in self.lines])
        if shared := [name for name, pin in pins.items() if list(pins.values()).count(pin) > 1]:
            raise RuleError(
                f"`leds`: {' và '.join(shared)} dùng chung một chân",
                f"`leds`: {' and '.join(shared)} are on the same pin",
            )
        try:
            ZoneInfo(self.timezone)
        except (KeyError, ValueError) as error:
            raise RuleError(
                f"`timezone`: không có múi giờ {self.timezone!r}",
                f"`timezone`: {self.timezone!r} is not a known time zone",
            ) from error

    def line(self, line_id: str) -> LineConfig | None:
        """The line with an id, None when there is none."""
        return next((line for line in self.lines if line.id == line_id), None)


def parse(content: bytes, source: str) -> Config:
    """Parse the configuration in a TOML file's bytes.

    Raises:
        runtime.settings.SettingsError: every problem, each with file and key.
    """
    return settings.parse(content, Config, source, implausible.problems)


def digest(content: bytes) -> str:
    """SHA-256 of the file's bytes, published in `info` to detect configuration drift."""
    return hashlib.sha256(content).hexdigest()
