"""Floor 1. A Result: what one measurement found, or why it could not.

Opens the contract. A Result says on which line it was taken, when, by which method, on what kind
of host, how it ended (`outcome`, `reason`), what to hold against it (`validity`) and what it found
(`values`). It knows nothing of MQTT, of storage or of the network.

Rules that hold for every field:
- A number's unit is in its name; rates are bits per second of TCP payload unless the name says
  otherwise; delays are milliseconds; ratios are 0..1.
- Missing is None, never 0.
- Times are UTC and aware (RFC 3339 on the wire); durations come from the monotonic clock.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
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


# The bounds are far beyond anything that can be measured (10 Tbit/s, 30 years, 300 years). What is
# larger was invented, and would make every sum that it enters infinite: one stolen key could take
# a nation's means and pages with it.
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
    """Why a measurement failed or was skipped: a closed list, so that a report can count it."""

    # failed: the network
    LINE_DOWN = "line_down"
    NAME_RESOLUTION = "name_resolution"
    UNREACHABLE = "unreachable"
    CONNECTION_REFUSED = "connection_refused"
    CONNECTION_LOST = "connection_lost"
    TIMEOUT = "timeout"
    NO_REPLY = "no_reply"
    PROTOCOL_ERROR = "protocol_error"
    # failed: the service that was asked
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
    """What a reader must know before using the figures. Nothing is discarded for these."""

    CLOCK_UNSYNCED = "clock_unsynced"
    CLOCK_STEPPED = "clock_stepped"
    CROSS_TRAFFIC = "cross_traffic"
    EARLY_STOPPED = "early_stopped"
    LINK_BELOW_PLAN = "link_below_plan"
    PROBE_LIMITED = "probe_limited"
    THROTTLED = "throttled"
    SHORT = "short"
    # Said by the centre, which has a clock of its own (wire.clock_repair).
    CLOCK_REPAIRED = "clock_repaired"
    TIME_IN_FUTURE = "time_in_future"
    TIME_ANCIENT = "time_ancient"
    SERVER_LOW = "server_low"
    INTERFACE_MISMATCH = "interface_mismatch"
    # A window of kind `latency` in which the office's own cable or router was away.
    OWN_LAN = "own_lan"


class Line(Struct, frozen=True, forbid_unknown_fields=True):
    """The ISP line that the measurement was bound to."""

    id: Name
    isp: Text | None = None
    interface: Text | None = None
    source_address: Text | None = None


# Stands where a result concerns the box as a whole; no line of a probe may be called so.
HOST_LINE = Line("host")


class Clock(Struct, frozen=True, forbid_unknown_fields=True):
    """What the probe's wall clock was worth when it said `started_at`.

    `boottime_s` is CLOCK_BOOTTIME as the measurement started. With `boot_id` it lets a wrong time
    be repaired once the clock is known; `stated_at` then keeps what the wall clock had said.
    """

    synchronised: bool | None
    boot_id: Text | None
    boottime_s: Seconds
    stated_at: Utc | None = None


class Host(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Host evidence: what the Pi itself could have limited (perfSONAR's objection to the Pi).

    The ceilings are what the Pi itself could do against a peer in its LAN when it was installed
    (`tramdo-probe ceiling`): TCP payload, in bulk results only, None where it was never measured.
    In bulk results `throttled` is of any moment of the test, and beside the cores' means over all
    of it stand those over the steady part of each direction; None where that part is not known.
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
    """What is common to the results of every kind; each kind adds `values`."""

    outcome: Outcome
    reason: Reason | None = None
    detail: Text | None = None
    validity: list[Validity] = []
    line: Line
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
        """A failure names its reason, a success has none."""
        if (self.outcome is Outcome.OK) != (self.reason is None):
            raise ValueError("`reason` is given exactly when `outcome` is not ok")

    @property
    def kind(self) -> str:
        """The kind's name, as in topics and on the wire."""
        return str(type(self).__struct_config__.tag)
