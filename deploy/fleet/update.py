"""Floor 1. One box's way from release to release: what to do next, and back when it is not well.

    stay ──(ring's turn)──> trying R ──(healthy in time)──> good R
                               └──(not, or power cut)──> back on the last good one

What is being tried is remembered before anything is switched: a box that dies while it tries comes
back to the last good release by itself. Knows no file, process or clock.
"""

from __future__ import annotations

from datetime import datetime

import msgspec
from msgspec import Struct, structs

from deploy.fleet.channel import Channel, Version, is_due
from wire.decoding import decode_json


class BoxState(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a box remembers of its releases.

    Attributes:
        good: the release that was last seen to publish; None before the first one.
        trying: the release that is being tried just now.
        failed: releases that were tried and given up here, newest last; not tried again.
        channel_number: the highest channel number that was seen.
    """

    good: Version | None = None
    trying: Version | None = None
    failed: list[Version] = []
    channel_number: int = 0


class Stay(Struct, frozen=True):
    """Nothing to do, and why."""

    because: str


class Try(Struct, frozen=True):
    """Install this release and see whether it publishes."""

    release: Version


class GoBack(Struct, frozen=True):
    """What was being tried did not come to an end: return to `to`."""

    given_up: Version
    to: Version | None


Step = Stay | Try | GoBack


def next_step(state: BoxState, channel: Channel, probe: str, now: datetime) -> Step:
    """What the box shall do. An unfinished trial comes first."""
    if state.trying is not None:
        return GoBack(given_up=state.trying, to=state.good)
    if state.good == channel.release:
        return Stay(f"runs {channel.release} already")
    if channel.release in state.failed:
        return Stay(f"{channel.release} did not publish here and is not tried again")
    # A box that has never had a release is new: there is nothing that could be made worse.
    if state.good is not None and not is_due(channel, probe, now):
        return Stay(f"the turn for {channel.release} has not come")
    return Try(channel.release)


def seen(state: BoxState, channel: Channel) -> BoxState:
    """The state once a channel was believed."""
    return structs.replace(state, channel_number=max(state.channel_number, channel.number))


def trying(state: BoxState, release: Version) -> BoxState:
    """The state before anything is switched to a release."""
    return structs.replace(state, trying=release)


def went_well(state: BoxState) -> BoxState:
    """The state once the release that is being tried has published."""
    return structs.replace(state, good=state.trying, trying=None)


def gave_up(state: BoxState) -> BoxState:
    """The state once the box is back on the last good release."""
    if state.trying is None:
        return state
    return structs.replace(state, trying=None, failed=[*state.failed, state.trying][-20:])


class _Reading(Struct):
    """What of the daemon's status (`tramdo-probe status --json`) the verdict needs."""

    class _Status(Struct):
        class _Line(Struct):
            last: dict[str, msgspec.Raw] = {}

        connected: bool = False
        pending: int = 0
        lines: dict[str, _Line] = {}

    version: str
    status: _Status


def publishes(status_json: bytes, version: str) -> str | None:
    """Why a box does not yet publish with this version; None when it does.

    It does when the daemon of that version has measured something, and the centre's receipt covers
    all that it has: measured, sent and stored, the whole way.
    """
    try:
        reading = decode_json(status_json, _Reading)
    except msgspec.MsgspecError as error:
        return f"its status cannot be read: {error}"
    if reading.version != version:
        return f"version {reading.version} is running, not {version}"
    if not reading.status.connected:
        return "not connected to the broker"
    if not any(line.last for line in reading.status.lines.values()):
        return "nothing measured yet"
    if reading.status.pending:
        return f"{reading.status.pending} results are not confirmed by the centre"
    return None
