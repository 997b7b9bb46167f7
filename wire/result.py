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
from typing import Annotated, ClassVar
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

from wire.decoding import decode_json

Name = Annotated[
    str,
    # Python's $ also matches before a last line break; the rest of the pattern forbids that.
    Meta(
        pattern=r"^[a-z0-9-]{1,40}$(?!\n)",
        description="a name in topics: a-z, 0-9 and -, 1 to 40",
    ),
]
# Up to the largest integer that every JSON reader keeps exactly (RFC 7493 §2.2).
Seq = Annotated[int, Meta(ge=1, le=2**53 - 1)]
Count = Annotated[int, Meta(ge=0)]
Ratio = Annotated[float, Meta(ge=0, le=1)]
BitsPerSecond = Annotated[float, Meta(ge=0)]
Milliseconds = Annotated[float, Meta(ge=0)]
Seconds = Annotated[float, Meta(ge=0)]
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


class Line(Struct, frozen=True, forbid_unknown_fields=True):
    """The ISP line that the measurement was bound to."""

    id: Name
    isp: Text | None = None
    interface: Text | None = None
    source_address: Text | None = None


# Stands where a result concerns the box as a whole; no line of a probe may be called so.
HOST_LINE = Line("host")


class Clock(Struct, frozen=True, forbid_unknown_fields=True):
    """What the probe's clock was worth when the measurement started.

    `boot_id` with `boottime_s` (CLOCK_BOOTTIME) lets a wrong wall-clock time be repaired later.
    """

    synchronised: bool | None
    boot_id: Text | None
    boottime_s: Seconds


class Host(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Host evidence: what the Pi itself could have limited (perfSONAR's objection to the Pi)."""

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
        return kind_of(type(self))


class Interval(Struct, frozen=True, forbid_unknown_fields=True):
    """One interval of a transfer, all streams together, at the receiver.

    Download: payload that our TCP received in order; upload: payload that the receiver's TCP
    acknowledged (RFC 4898). `retransmits` are known where we send.
    """

    start_s: Seconds
    duration_s: Seconds
    transferred_bytes: Count
    omitted: bool
    retransmits: Count | None = None


class Transfer(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One direction of a throughput test, told in full.

    `steady_bps` excludes the warm-up; `whole_bps` is all bytes over the whole time, slow start
    included (QCVN 34:2022/BTTTT counts this one). Both are TCP payload at the receiver.
    """

    steady_bps: BitsPerSecond | None
    whole_bps: BitsPerSecond | None
    steady_s: Seconds
    whole_s: Seconds
    transferred_bytes: Count
    interface_bytes: Count | None
    retransmits: Count | None
    congestion_control_sender: Text | None
    congestion_control_receiver: Text | None
    cpu_local_ratio: float | None
    cpu_remote_ratio: float | None
    streams: Count
    complete: bool
    intervals: list[Interval]
    # What the receiving iperf3 itself counted over the whole test: an independent check.
    receiver_report_bytes: Count | None = None
    receiver_report_s: Seconds | None = None
    error: Text | None = None


class ThroughputValues(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Both directions, measured one after the other (METHOD, Throughput)."""

    headline: ClassVar = ("download_bps", "upload_bps")

    layer: Text = "TCP payload"
    server_host: Text
    server_port: Annotated[int, Meta(ge=1, le=65535)]
    streams: Count
    warm_up_s: Seconds
    download_bps: BitsPerSecond | None
    download_whole_bps: BitsPerSecond | None
    upload_bps: BitsPerSecond | None
    upload_whole_bps: BitsPerSecond | None
    download: Transfer | None
    upload: Transfer | None


class ThroughputResult(Result, frozen=True, kw_only=True, tag="throughput"):
    """TCP throughput by iperf3, download then upload."""

    values: ThroughputValues | None


class LatencyValues(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One window of round-trip times to one target (METHOD, Latency).

    A lost packet counts as +infinity for percentiles, so a percentile that falls among the lost is
    None; so is one that the sample is too small for (`rtt_p95_ms` under 59, `rtt_p99_ms` under
    299). Sent = received + lost. `late` packets came after `timeout_s` and count as lost too.
    `forged` answers bear a wrong address or session. `rtt_samples` of the received have a delay;
    the others' is unknown because a clock was stepped meanwhile. The window is by the time of
    sending: the result's `started_at` and `duration_s`.
    """

    headline: ClassVar = ("rtt_p50_ms", "rtt_p95_ms", "loss_ratio")

    protocol: Text
    address: Text
    timeout_s: Seconds
    mean_gap_s: Seconds
    sent: Count
    received: Count
    lost: Count
    late: Count
    duplicates: Count
    reordered: Count
    malformed: Count
    loss_ratio: Ratio | None
    loss_ratio_upper95: Ratio | None
    rtt_min_ms: Milliseconds | None
    rtt_mean_ms: Milliseconds | None
    rtt_p50_ms: Milliseconds | None
    rtt_p95_ms: Milliseconds | None
    rtt_p99_ms: Milliseconds | None
    rtt_max_ms: Milliseconds | None
    ipdv_abs_mean_ms: Milliseconds | None
    pdv_ms: Milliseconds | None
    pdv_name: Text | None
    jitter_rfc3550_ms: Milliseconds | None
    timestamp_source: Text
    forged: Count = 0
    rtt_samples: Count | None = None


class LatencyResult(Result, frozen=True, kw_only=True, tag="latency"):
    """Round-trip times of one window: STAMP to a measurement server, or ICMP echo."""

    values: LatencyValues | None


class HttpTransfer(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One direction of an HTTP test, told in full.

    Bytes are of HTTP bodies: received by us, or acknowledged by the server. `steady_bps` excludes
    the warm-up, or in an `early_stopped` transfer what the stop rule took for slow start;
    `whole_bps` is all bytes over the whole time, from the requests on. `early_bps` is what the
    stop rule said, after `early_at_s` and `early_bytes`, whether it was obeyed or (in a
    full-length transfer) only noted: None where it was never sure. Sample i says how many bytes
    there were, all connections together, `sample_at_ms[i]` after the requests.
    """

    steady_bps: BitsPerSecond | None
    whole_bps: BitsPerSecond | None
    steady_s: Seconds
    whole_s: Seconds
    transferred_bytes: Count
    connections: Count
    connections_lost: Count
    complete: bool
    early_stopped: bool
    early_bps: BitsPerSecond | None
    early_at_s: Seconds | None
    early_bytes: Count | None
    sample_at_ms: list[Count]
    sample_bytes: list[Count]
    error: Text | None = None


class HttpValues(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Ping, download and upload over HTTP, one after the other (METHOD, HTTP).

    A ping is an empty file asked for on a warm connection, request to response.
    `jitter_abs_mean_ms` is the mean absolute difference of neighbours, `jitter_std_ms` the
    standard deviation ("variance of ping"). `calibration` marks the share that ran at full length
    by the draw of its slot, whatever the stop rule said: these alone measure the rule's error.
    """

    headline: ClassVar = ("download_bps", "upload_bps", "ping_p50_ms")

    layer: Text = "HTTP body payload"
    server_host: Text
    server_port: Annotated[int, Meta(ge=1, le=65535)]
    address: Text
    connections: Count
    warm_up_s: Seconds
    calibration: bool
    pings: Count
    ping_min_ms: Milliseconds | None
    ping_p50_ms: Milliseconds | None
    jitter_abs_mean_ms: Milliseconds | None
    jitter_std_ms: Milliseconds | None
    download_bps: BitsPerSecond | None
    download_whole_bps: BitsPerSecond | None
    upload_bps: BitsPerSecond | None
    upload_whole_bps: BitsPerSecond | None
    download: HttpTransfer | None
    upload: HttpTransfer | None


class HttpResult(Result, frozen=True, kw_only=True, tag="http"):
    """Ping, download and upload over HTTP with parallel connections and an early stop."""

    values: HttpValues | None


class DropCause(StrEnum):
    """Why results were given up: a closed list."""

    OUTBOX_FULL = "outbox_full"
    OUTBOX_DAMAGED = "outbox_damaged"
    OUTBOX_UNWRITABLE = "outbox_unwritable"


class ResultsDroppedValues(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which results the probe gave up, so that nobody waits for them.

    `ranges` are (first, last) seqs of `epoch`. Where the file that held them cannot be read any
    more, `count` is None and no range is given: all of `epoch` that the centre does not have is
    gone. Results that never had a number (they waited in memory) are counted without an epoch.
    """

    headline: ClassVar = ("count",)

    cause: DropCause
    epoch: UUID | None
    count: Count | None
    ranges: list[tuple[Seq, Seq]]

    def __post_init__(self) -> None:
        """A range that runs backwards names nothing."""
        if any(first > last for first, last in self.ranges):
            raise ValueError("a range ends before it begins")


class ResultsDroppedResult(Result, frozen=True, kw_only=True, tag="results_dropped"):
    """What the probe had to give up; bears the line `HOST_LINE`, as no line is to blame."""

    values: ResultsDroppedValues | None


# To add a kind: its values and its result above, its name here. Schemas, topics, store and pages
# follow from this table (ARCHITECTURE.md, "To add a kind").
AnyResult = ThroughputResult | LatencyResult | HttpResult | ResultsDroppedResult

KINDS: dict[str, type[Result]] = {
    "throughput": ThroughputResult,
    "latency": LatencyResult,
    "http": HttpResult,
    "results_dropped": ResultsDroppedResult,
}


def kind_of(result_type: type[Result]) -> str:
    """The wire name of a result type.

    Raises:
        ValueError: the type is not in `KINDS`.
    """
    if result_type not in KINDS.values():
        raise ValueError(f"{result_type.__name__} is not a kind of result")
    return str(result_type.__struct_config__.tag)


def headline_of(values: Struct) -> tuple[str, ...]:
    """The names of the figures that a kind of values is first known by."""
    names: tuple[str, ...] = getattr(values, "headline", ())
    return names


def headline(result: Result) -> dict[str, float | None]:
    """The figures that a person is shown first, by field name; empty where nothing was found."""
    values = result.values
    return {} if values is None else {name: getattr(values, name) for name in headline_of(values)}


def encode_result(result: Result) -> bytes:
    """A result as JSON bytes: what the outbox keeps and the envelope carries."""
    return msgspec.json.encode(result)


def decode_result(body: bytes) -> AnyResult:
    """The result that `encode_result` wrote.

    Raises:
        msgspec.ValidationError: the bytes are JSON but not a result.
        msgspec.DecodeError: the bytes are not JSON.
    """
    result: AnyResult = decode_json(body, AnyResult)
    return result
