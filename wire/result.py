"""Floor 1. The table of kinds, and the encoding of results.

Import the types of the kinds from here, and beside them those of `wire.record`; a module that needs
no kind imports `wire.record` alone.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from wire.decoding import reader_of
from wire.kinds.availability import (
    AvailabilityResult,
    AvailabilityValues,
    OutageEnd,
    OutageResult,
    OutageValues,
)
from wire.kinds.dns import DnsEnding, DnsQuery, DnsResult, DnsValues, ResolverRole
from wire.kinds.dropped import DropCause, ResultsDroppedResult, ResultsDroppedValues
from wire.kinds.http import HttpResult, HttpTransfer, HttpValues
from wire.kinds.latency import GATEWAY_TARGET, LatencyResult, LatencyValues
from wire.kinds.loaded import LoadedLatency
from wire.kinds.path import (
    FaultLocation,
    HopAnswer,
    PathHop,
    PathResult,
    PathTarget,
    PathValues,
)
from wire.kinds.throughput import Interval, ThroughputResult, ThroughputValues, Transfer
from wire.kinds.web import WebPhase, WebResult, WebValues
from wire.record import (
    HOST_LINE,
    BitsPerSecond,
    Clock,
    Count,
    Family,
    Host,
    Line,
    LineOperator,
    Method,
    Milliseconds,
    Name,
    Nat,
    Outcome,
    Ratio,
    Reason,
    Result,
    Seconds,
    Seq,
    Text,
    Utc,
    Validity,
)

__all__ = [
    "GATEWAY_TARGET",
    "HOST_LINE",
    "KINDS",
    "KIND_OF",
    "AnyResult",
    "AvailabilityResult",
    "AvailabilityValues",
    "BitsPerSecond",
    "Clock",
    "Count",
    "DnsEnding",
    "DnsQuery",
    "DnsResult",
    "DnsValues",
    "DropCause",
    "Family",
    "FaultLocation",
    "HopAnswer",
    "Host",
    "HttpResult",
    "HttpTransfer",
    "HttpValues",
    "Interval",
    "LatencyResult",
    "LatencyValues",
    "Line",
    "LineOperator",
    "LoadedLatency",
    "Method",
    "Milliseconds",
    "Name",
    "Nat",
    "OutageEnd",
    "OutageResult",
    "OutageValues",
    "Outcome",
    "PathHop",
    "PathResult",
    "PathTarget",
    "PathValues",
    "Ratio",
    "Reason",
    "ResolverRole",
    "Result",
    "ResultsDroppedResult",
    "ResultsDroppedValues",
    "Seconds",
    "Seq",
    "Text",
    "ThroughputResult",
    "ThroughputValues",
    "Transfer",
    "Utc",
    "Validity",
    "WebPhase",
    "WebResult",
    "WebValues",
    "decode_result",
    "encode_result",
    "headline",
    "headline_of",
    "kind_of",
]

# To add a kind: its values and its result above, its name here. Schemas, topics, store and pages
# follow from this table (ARCHITECTURE.md, "To add a kind").
AnyResult = (
    ThroughputResult
    | LatencyResult
    | HttpResult
    | DnsResult
    | WebResult
    | PathResult
    | AvailabilityResult
    | OutageResult
    | ResultsDroppedResult
)


KINDS: dict[str, type[Result]] = {
    "throughput": ThroughputResult,
    "latency": LatencyResult,
    "http": HttpResult,
    "dns": DnsResult,
    "web": WebResult,
    "path": PathResult,
    "availability": AvailabilityResult,
    "outage": OutageResult,
    "results_dropped": ResultsDroppedResult,
}
# The reverse, for fast look-up.
KIND_OF: dict[type[Result], str] = {result_type: kind for kind, result_type in KINDS.items()}


def kind_of(result_type: type[Result]) -> str:
    """The wire name of a result type.

    Raises:
        ValueError: the type is not in `KINDS`.
    """
    if result_type not in KINDS.values():
        raise ValueError(f"{result_type.__name__} is not a kind of result")
    return str(result_type.__struct_config__.tag)


def headline_of(values: Struct) -> tuple[str, ...]:
    """The names of the headline fields of a kind's values."""
    names: tuple[str, ...] = getattr(values, "headline", ())
    return names


def headline(result: Result) -> dict[str, float | None]:
    """The headline values of a result by field name; empty where it has no values."""
    values = result.values
    return {} if values is None else {name: getattr(values, name) for name in headline_of(values)}


def encode_result(result: Result) -> bytes:
    """Encode a result as JSON bytes, as in outbox and envelope."""
    return msgspec.json.encode(result)


def decode_result(body: bytes | msgspec.Raw) -> AnyResult:
    """Decode a result.

    Raises:
        msgspec.ValidationError: the bytes are JSON but not a result.
        msgspec.DecodeError: the bytes are not JSON.
    """
    result: AnyResult = _read_result(body)
    return result


_read_result = reader_of(AnyResult)
