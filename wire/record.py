"""Floor 1. The Result of a measurement, or why it has none.

A Result states the line, the time, the method, the host, how it ended (`outcome`, `reason`), what
limits its use (`validity`) and what was measured (`values`). Independent of MQTT, storage and
network.

Rules that hold for every field:
- A number's unit is in its name; rates are bits per second of TCP payload unless the name says
  otherwise; delays are milliseconds; ratios are 0..1.
- Missing is None, never 0.
- Times are UTC and aware (RFC 3339 on the wire); durations come from the monotonic clock.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Annotated

from msgspec import Meta, Struct

Name = Annotated[
    str,
    # Python's $ also matches before a last line break, \Z does not (`wire.json_schema`).
    Meta(
        pattern=r"^[a-z0-9-]{1,40}\Z",
        description="a name in topics: a-z, 0-9 and -, 1 to 40",
    ),
]


# Up to the largest integer that every JSON reader keeps exactly (RFC 7493 §2.2).
Seq = Annotated[int, Meta(ge=1, le=2**53 - 1)]
Count = Annotated[int, Meta(ge=0, le=2**53 - 1)]


Ratio = Annotated[float, Meta(ge=0, le=1)]


# The bounds are far beyond anything that can be measured (10 Tbit/s, 30 years, 300 years). Larger
# values are forged and would make sums infinite: one stolen key could spoil every mean and page.
BitsPerSecond = Annotated[float, Meta(ge=0, le=1e13)]


Milliseconds = Annotated[float, Meta(ge=0, le=1e12)]


Seconds = Annotated[float, Meta(ge=0, le=1e10)]


Utc = Annotated[datetime, Meta(tz=True)]


Text = Annotated[str, Meta(max_length=500)]


class Outcome(StrEnum):
    """How a measurement ended."""

    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"


class Reason(StrEnum):
    """Why a measurement failed or was skipped: a closed list, so that it can be counted."""

    # failed: the network
    LINE_DOWN = "line_down"
    NAME_RESOLUTION = "name_resolution"
    UNREACHABLE = "unreachable"
    CONNECTION_REFUSED = "connection_refused"
    CONNECTION_LOST = "connection_lost"
    TIMEOUT = "timeout"
    NO_REPLY = "no_reply"
    PROTOCOL_ERROR = "protocol_error"
    # failed: the measured service
    NAME_NOT_FOUND = "name_not_found"
    QUERY_REFUSED = "query_refused"
    SERVER_FAILURE = "server_failure"
    TLS_ERROR = "tls_error"
    HTTP_STATUS = "http_status"
    # failed: the probe itself
    TOOL_MISSING = "tool_missing"
    TOOL_FAILED = "tool_failed"
    PERMISSION_DENIED = "permission_denied"
    # skipped
    SERVER_BUSY = "server_busy"
    SLOT_MISSED = "slot_missed"
    CROSS_TRAFFIC = "cross_traffic"
    SHUTTING_DOWN = "shutting_down"


class Validity(StrEnum):
    """What limits the use of a result's values. No result is discarded for a flag."""

    CLOCK_UNSYNCED = "clock_unsynced"
    CLOCK_STEPPED = "clock_stepped"
    CROSS_TRAFFIC = "cross_traffic"
    EARLY_STOPPED = "early_stopped"
    LINK_BELOW_PLAN = "link_below_plan"
    PROBE_LIMITED = "probe_limited"
    THROTTLED = "throttled"
    SHORT = "short"
    # Set by the centre, by its own clock (wire.clock_repair).
    CLOCK_REPAIRED = "clock_repaired"
    TIME_IN_FUTURE = "time_in_future"
    TIME_ANCIENT = "time_ancient"
    # Set by the centre: it is not what the probe signed (wire.signature).
    SIGNATURE_MISMATCH = "signature_mismatch"
    SERVER_LOW = "server_low"
    # Another test shared the server's port, or its card was over its capacity (wire.lease).
    SERVER_CONTENTION = "server_contention"
    INTERFACE_MISMATCH = "interface_mismatch"
    # A window of kind `latency` in which the office's own cable or router failed.
    OWN_LAN = "own_lan"


class Family(StrEnum):
    """An address family (Internet Protocol version 4 or 6)."""

    IPV4 = "ipv4"
    IPV6 = "ipv6"

    @classmethod
    def of(cls, address: str) -> Family:
        """The family of an IP address as text."""
        return cls.IPV6 if ":" in address else cls.IPV4


class Line(Struct, frozen=True, forbid_unknown_fields=True):
    """The ISP line that the measurement was bound to."""

    id: Name
    isp: Text | None = None
    interface: Text | None = None
    source_address: Text | None = None


# The line of results that concern the box as a whole; no line of a probe may have this id.
HOST_LINE = Line("host")


class Nat(StrEnum):
    """What translates a line's addresses on the way out (RFC 3022, RFC 6888)."""

    NONE = "none"
    NAT = "nat"
    CARRIER_GRADE = "carrier_grade"


# A prefix where the centre shows it to anybody.
PublicAddress = Annotated[str, Meta(pattern=r"^[0-9A-Fa-f:./]{2,49}\Z")]


class LineOperator(Struct, frozen=True, forbid_unknown_fields=True):
    """Who carried a line: its public address as a measurement server saw it at `observed_at`.

    `nat` is `none` where the probe itself has that address, `carrier_grade` where its interface or
    its router has a shared address (RFC 6598) or the router another public one, else `nat`: then
    whether the ISP translates once more is not known. Personal data: no public page shows
    the whole address.
    """

    public_address: PublicAddress
    nat: Nat
    observed_at: Utc


class Clock(Struct, frozen=True, forbid_unknown_fields=True):
    """Whether the probe's wall clock was synchronised at `started_at`.

    `boottime_s` is CLOCK_BOOTTIME at the start of the measurement. With `boot_id` a wrong time can
    be repaired once the clock is synchronised; `stated_at` then keeps the original time.
    """

    synchronised: bool | None
    boot_id: Text | None
    boottime_s: Seconds
    stated_at: Utc | None = None


class Host(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Host evidence: how the Pi itself may have limited a result (perfSONAR's objection).

    The ceilings are the rates that the Pi reached against a peer in its LAN at installation
    (`tramdo-probe ceiling`): TCP payload, in bulk results only, None where never measured. In bulk
    results `throttled` covers every moment of the test, and besides the cores' means over the whole
    test there are those over the steady part of each direction; None where that part is unknown.
    """

    cpu_per_core_ratio: list[Ratio]
    cpu_frequency_mhz: float | None
    load_1min: float
    memory_available_bytes: Count
    temperature_c: float | None
    throttled: bool | None
    link_speed_bps: BitsPerSecond | None
    link_duplex: Text | None
    interface_received_bytes: Count | None
    interface_sent_bytes: Count | None
    kernel: Text
    machine: Text
    ceiling_download_bps: BitsPerSecond | None = None
    ceiling_upload_bps: BitsPerSecond | None = None
    cpu_download_per_core_ratio: list[Ratio] | None = None
    cpu_upload_per_core_ratio: list[Ratio] | None = None


class Method(Struct, frozen=True, forbid_unknown_fields=True):
    """How it was measured: tool, version, and the settings in effect."""

    tool: Text
    version: Text | None
    settings: dict[str, str | int | float | bool | None]


class Result(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind"):
    """The common fields of every kind's results; each kind adds `values`.

    `family` is the address family that was measured, of a failed result too; None where a kind has
    none, and from older probes. `operator` is who carried the line, over that family or any; None
    where no measurement server has stated it since the line was last connected anew.
    """

    outcome: Outcome
    reason: Reason | None = None
    detail: Text | None = None
    validity: list[Validity] = []
    line: Line
    family: Family | None = None
    operator: LineOperator | None = None
    target: Text | None
    slot_at: Utc | None
    started_at: Utc
    duration_s: Seconds
    clock: Clock
    host: Host | None
    method: Method | None
    probe_version: Text
    values: Struct | None

    def __post_init__(self) -> None:
        """Check that exactly a result that is not ok has a reason."""
        if (self.outcome is Outcome.OK) != (self.reason is None):
            raise ValueError("`reason` is given exactly when `outcome` is not ok")

    @property
    def kind(self) -> str:
        """The kind's name, as in topics and on the wire."""
        return _kind_of(type(self))


@cache
def _kind_of(result_type: type[Result]) -> str:
    return str(result_type.__struct_config__.tag)
