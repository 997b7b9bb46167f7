"""Floor 1. Envelope: numbered results of one kind from one probe, as one MQTT payload.

`(probe, epoch, seq)` is a result's identity for ever. `epoch` is a UUID that is drawn each time the
probe opens its outbox (decision 67); `seq` starts at 1 in each epoch and has no holes but those
that a `results_dropped` names, which may be of a later epoch. A collector that has all of an epoch
up to `seq` has all that the probe ever measured in it up to there.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from wire.clock_repair import ClockNote
from wire.decoding import decode_json
from wire.result import AnyResult, Name, Seq, Utc
from wire.signature import SignatureBlock
from wire.site import Site

SCHEMA: Final = "tramdo/1"
# The largest envelope, for brokers and collectors: the longest test in the finest steps fits.
MAX_ENVELOPE_BYTES = 1_048_576
# Each covers a result of the envelope, and it has at most a thousand.
SignatureBlocks = Annotated[list[SignatureBlock], Meta(max_length=1_000)]


class Record(Struct, frozen=True, forbid_unknown_fields=True):
    """A result with its sequence number in the epoch."""

    seq: Seq
    result: AnyResult


class Envelope(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The payload of `tramdo/v1/{tenant}/{probe}/m/{kind}`.

    `clock` is present when a result was measured while the probe's clock was not synchronised.
    `signatures` are the blocks that cover its results (`wire.signature`), ascending; absent from a
    probe that does not sign.
    """

    schema: Literal["tramdo/1"] = SCHEMA
    tenant: Name
    probe: Name
    epoch: UUID
    site: Site
    sent_at: Utc
    clock: ClockNote | None = None
    records: Annotated[list[Record], Meta(min_length=1)]
    signatures: SignatureBlocks | UnsetType = UNSET


class RawRecord(Struct, frozen=True, forbid_unknown_fields=True):
    """A record whose result is undecoded JSON, byte for byte as the probe sent it."""

    seq: Seq
    result: msgspec.Raw


class EnvelopeFrame(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An envelope with undecoded results, so that each can be validated by itself."""

    schema: Literal["tramdo/1"] = SCHEMA
    tenant: Name
    probe: Name
    epoch: UUID
    site: Site
    sent_at: Utc
    clock: ClockNote | None = None
    records: Annotated[list[RawRecord], Meta(min_length=1)]
    signatures: SignatureBlocks | UnsetType = UNSET


class EnvelopeEnd(Struct, frozen=True, kw_only=True):
    """An envelope without its records."""

    schema: Literal["tramdo/1"] = SCHEMA
    tenant: Name
    probe: Name
    epoch: UUID
    site: Site
    sent_at: Utc
    clock: ClockNote | None = None
    signatures: SignatureBlocks | UnsetType = UNSET


def encode_envelope(
    tenant: str,
    probe: str,
    epoch: UUID,
    site: Site,
    sent_at: datetime,
    numbered_bodies: Sequence[tuple[int, bytes]],
    clock: ClockNote | None = None,
    signatures: Sequence[SignatureBlock] = (),
) -> bytes:
    """Encode an envelope from encoded results (`encode_result`).

    The results are copied byte for byte.
    """
    return msgspec.json.encode(
        EnvelopeFrame(
            tenant=tenant,
            probe=probe,
            epoch=epoch,
            site=site,
            sent_at=sent_at,
            clock=clock,
            records=[RawRecord(seq, msgspec.Raw(body)) for seq, body in numbered_bodies],
            signatures=list(signatures) or UNSET,
        )
    )


def encode_envelope_end(
    tenant: str,
    probe: str,
    epoch: UUID,
    site: Site,
    sent_at: datetime,
    clock: ClockNote | None = None,
    signatures: Sequence[SignatureBlock] = (),
) -> bytes:
    """What follows the last record of an envelope that begins with its records."""
    rest = EnvelopeEnd(
        tenant=tenant,
        probe=probe,
        epoch=epoch,
        site=site,
        sent_at=sent_at,
        clock=clock,
        signatures=list(signatures) or UNSET,
    )
    return b"]," + msgspec.json.encode(rest)[1:]


def decode_envelope(payload: bytes) -> Envelope:
    """Decode an envelope and check every field.

    Raises:
        msgspec.ValidationError: JSON, but not an envelope; the message names the place.
        msgspec.DecodeError: not JSON.
    """
    envelope: Envelope = decode_json(payload, Envelope)
    return envelope


def decode_frame(payload: bytes) -> EnvelopeFrame:
    """Decode an envelope and check every field except the results, which stay JSON bytes.

    Raises:
        msgspec.ValidationError: JSON, but not an envelope; the message names the place.
        msgspec.DecodeError: not JSON.
    """
    frame: EnvelopeFrame = decode_json(payload, EnvelopeFrame)
    return frame
