"""Floor 1. The release channel: which release a fleet shall run, ring by ring.

The centre signs one small document; every box pulls it. A box refuses a document that is
older than one it has seen (rollback attack) or has expired (freeze attack), and takes a new release
only once its ring has begun. Rings are drawn by hash for each release, so that it is not always the
same offices that go first. Knows no file, socket or clock.

The attacks considered are those of The Update Framework's specification (rollback, freeze,
arbitrary software); why not TUF itself: docs/decisions/0038-signed-releases.md.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from wire.decoding import decode_json
from wire.record import Utc

Version = Annotated[str, Meta(pattern=r"^[0-9A-Za-z][0-9A-Za-z.+-]{0,39}\Z")]
Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
Machine = Annotated[str, Meta(pattern=r"^cp3[0-9]+-[a-z0-9_]{1,20}\Z")]
Share = Annotated[float, Meta(gt=0, le=1)]
# A bundle of wheels and roles is some tens of MB; more is a mistake or an attack.
LARGEST_BUNDLE_BYTES = 500_000_000


class ChannelError(Exception):
    """The channel cannot be followed; the text says why."""


class Ring(Struct, frozen=True, forbid_unknown_fields=True):
    """From `begins_at` on, this share of all boxes (smaller rings included) takes the release."""

    share: Share
    begins_at: Utc


class Bundle(Struct, frozen=True, forbid_unknown_fields=True):
    """What a kind of machine installs: a file at the centre, named by its SHA-256."""

    sha256: Sha256
    size_bytes: Annotated[int, Meta(ge=1, le=LARGEST_BUNDLE_BYTES)]


class Channel(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The signed document. `number` grows with every change; it is void after `expires_at`.

    `bundles` has one for each kind of machine, named as the wheelhouse names it: cp311-aarch64.
    """

    number: Annotated[int, Meta(ge=1)]
    issued_at: Utc
    expires_at: Utc
    release: Version
    bundles: Annotated[dict[Machine, Bundle], Meta(min_length=1, max_length=20)]
    rings: Annotated[list[Ring], Meta(min_length=1, max_length=10)]

    def __post_init__(self) -> None:
        """Rings grow, and their turns come one after the other."""
        for earlier, later in zip(self.rings, self.rings[1:], strict=False):
            if later.share <= earlier.share or later.begins_at < earlier.begins_at:
                raise ValueError("each of `rings` is larger and later than the one before")


def bundle_for(channel: Channel, machine: str) -> Bundle:
    """The bundle of a kind of machine.

    Raises:
        ChannelError: the release was not made for it.
    """
    if machine not in channel.bundles:
        made = ", ".join(sorted(channel.bundles))
        raise ChannelError(f"{channel.release} was not made for {machine}, only for {made}")
    return channel.bundles[machine]


def encode(channel: Channel) -> bytes:
    """The channel as the bytes that are signed."""
    return msgspec.json.encode(channel)


def decode(content: bytes) -> Channel:
    """The channel that `encode` wrote.

    Raises:
        ChannelError: the bytes are no channel.
    """
    try:
        channel: Channel = decode_json(content, Channel)
    except msgspec.MsgspecError as error:
        raise ChannelError(f"the channel cannot be read: {error}") from error
    return channel


def position(probe: str, release: str) -> float:
    """Where a box stands in a release's queue, 0 ≤ p < 1; even over a fleet."""
    digest = hashlib.sha256(f"{release}/{probe}".encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64


def share_at(channel: Channel, now: datetime) -> float:
    """The share of all boxes whose turn has come."""
    return max((ring.share for ring in channel.rings if ring.begins_at <= now), default=0.0)


def is_due(channel: Channel, probe: str, now: datetime) -> bool:
    """Whether this box's turn has come."""
    return position(probe, channel.release) < share_at(channel, now)


def refuse_stale(channel: Channel, highest_number: int, now: datetime) -> None:
    """Refuse an outdated document, which an attacker without the key could still send.

    Raises:
        ChannelError: a lower number than was seen, or past its end.
    """
    if channel.number < highest_number:
        raise ChannelError(
            f"the channel has number {channel.number}, and {highest_number} was seen before"
        )
    if now >= channel.expires_at:
        raise ChannelError(
            f"the channel's word ended at {channel.expires_at:%Y-%m-%d %H:%M} UTC: "
            "the centre must sign it anew (tramdo-fleet publish)"
        )
