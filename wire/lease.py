"""Floor 1. Leases of a measurement server's test slots: the messages between probe and server.

One TCP connection is one lease. The probe sends a `LeaseRequest`; the server answers `Queued` at
once where it must wait, then `Granted` or `Refused`. After the test the probe sends `Release` and
the server answers `Released`, which says whether the test shared the server with another. A
connection that ends gives the lease back. In place of a request a probe that had measured without
a lease may send an `OverlapQuery`, answered by `Released`.

Each message is a line of JSON. Unknown fields are ignored, so that either end may be newer.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from wire.decoding import decode_json
from wire.record import BitsPerSecond, Text

# The longest line, in bytes.
MOST_BYTES = 1000
# nginx hands this header of a transfer to the lease service.
TOKEN_HEADER = "X-Tramdo-Lease"  # noqa: S105 - a header's name
# Paths of the service's own HTTP port, which only the server itself reaches.
AUTHORIZE_PATH = "/authorize"
METRICS_PATH = "/metrics"

Kind = Annotated[str, Meta(pattern=r"^(throughput|http)\Z")]
Duration = Annotated[float, Meta(ge=0, le=3600)]


class LeaseRequest(Struct, frozen=True, kw_only=True, tag="request"):
    """A test that wants to run: its kind, rate and longest duration, and how long it may wait."""

    kind: Kind
    rate_bps: BitsPerSecond
    longest_s: Duration
    wait_s: Duration


class OverlapQuery(Struct, frozen=True, kw_only=True, tag="overlap"):
    """Whether a test of this source without a lease, in the last `seconds`, met another."""

    seconds: Duration


class Release(Struct, frozen=True, tag="release"):
    """The test has ended."""


class Queued(Struct, frozen=True, kw_only=True, tag="queued"):
    """The request waits; `ahead` are the requests before it."""

    ahead: int


class Granted(Struct, frozen=True, kw_only=True, tag="granted"):
    """The test may run at `port` for `expires_s`; `token` identifies it to nginx."""

    token: Text
    port: Annotated[int, Meta(ge=1, le=65535)]
    expires_s: Duration


class Refused(Struct, frozen=True, kw_only=True, tag="refused"):
    """The test may not run now; `detail` says why."""

    detail: Text


class Released(Struct, frozen=True, kw_only=True, tag="released"):
    """The lease has ended; `contended` where the test shared a port or an overloaded card."""

    contended: bool


Message = LeaseRequest | OverlapQuery | Release
Answer = Queued | Granted | Refused | Released


def message_in(line: bytes) -> Message:
    """A probe's message. Raises msgspec.MsgspecError for anything else."""
    message: Message = decode_json(line, Message)
    return message


def answer_in(line: bytes) -> Answer:
    """A server's answer. Raises msgspec.MsgspecError for anything else."""
    answer: Answer = decode_json(line, Answer)
    return answer


def line_of(message: Message | Answer) -> bytes:
    """A message as a line."""
    return msgspec.json.encode(message) + b"\n"
