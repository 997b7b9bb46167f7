"""Floor 1. Kind `dns`: how one resolver answers over one line."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from msgspec import Meta, Struct

from wire.record import Count, Milliseconds, Ratio, Result, Seconds, Text


class ResolverRole(StrEnum):
    """Whose resolver it is: the line's own, or a public one."""

    LINE = "line"
    PUBLIC = "public"


class DnsEnding(StrEnum):
    """How one query ended; only `answered` is a success."""

    ANSWERED = "answered"
    NOT_FOUND = "not_found"
    REFUSED = "refused"
    SERVER_FAILURE = "server_failure"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    MALFORMED = "malformed"


class DnsQuery(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One query and its ending.

    `rtt_ms` is from the query over UDP to its answer; with `truncated`, the time over TCP is in
    `tcp_ms` (connection included, RFC 7766). `random_label` queries are for names that are in no
    cache; NXDOMAIN counts as their answer.
    """

    name: Text
    record_type: Text
    random_label: bool
    ending: DnsEnding
    rcode: Text | None
    rtt_ms: Milliseconds | None
    truncated: bool
    tcp_ms: Milliseconds | None
    answers: Count | None


class DnsValues(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One round of queries to one resolver (docs/method.md#dns).

    sent = answered + not_found + refused + server_failures + timeouts + unreachable + malformed:
    each query has one ending. `failure_ratio` is all but `answered` over `sent`. `malformed`
    queries got only packets that are no valid answer. `forged` counts answers with a
    wrong address, number or question, and `truncated` those that had to be asked again over TCP;
    both are beside the sum. RTTs are of what was answered: `rtt_*` of the listed names, which a
    resolver may have in its cache, `uncached_p50_ms` of the random labels, which it cannot have.
    A query without an answer has no delay and counts as +infinity for percentiles.
    """

    headline: ClassVar = ("rtt_p50_ms", "uncached_p50_ms", "failure_ratio")

    resolver: Text
    port: Annotated[int, Meta(ge=1, le=65535)]
    role: ResolverRole
    timeout_s: Seconds
    sent: Count
    answered: Count
    not_found: Count
    refused: Count
    server_failures: Count
    timeouts: Count
    unreachable: Count
    malformed: Count
    forged: Count
    truncated: Count
    failure_ratio: Ratio | None
    rtt_min_ms: Milliseconds | None
    rtt_p50_ms: Milliseconds | None
    rtt_p95_ms: Milliseconds | None
    rtt_max_ms: Milliseconds | None
    uncached_p50_ms: Milliseconds | None
    queries: list[DnsQuery]


class DnsResult(Result, frozen=True, kw_only=True, tag="dns"):
    """Round-trip times and failures of one resolver over the line."""

    values: DnsValues | None
