"""Floor 1. The update state machine of a box: which release to try, when to roll back.

    stay ──(ring begins)──> trying R ──(healthy in time)──> good R
                               └──(not, or power cut)──> roll back to the last good one

The release that is tried is stored before anything is switched: a box that loses power during a
trial returns to the last good release by itself. Knows no file, process or clock.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec
from msgspec import Struct, structs

from deploy.fleet.channel import Channel, Version, is_due
from wire.decoding import decode_json
from wire.record import Utc

# A passing fault (a mirror, the broker, the line that day) must not strand a box on an old release,
# and a bad release must not have it go to and fro: this often, unless the centre publishes anew.
_MAX_TRIALS = 3
# At the next day's pull, which begins when this day's trial did, not when it ended.
_RETRY_AFTER = timedelta(hours=20)


class FailedTrial(Struct, frozen=True):
    """A release that was tried on this box and did not publish.

    Attributes:
        times: how often since the centre published it, while the release before it did well.
        channel_number: what the centre had said last by then.
        at: when the last trial ended.
    """

    times: int
    channel_number: int
    at: Utc


class BoxState(Struct, frozen=True, kw_only=True):
    """The update state of a box, a file.

    Unknown fields are ignored: after a roll-back a box reads what a later release wrote.

    Attributes:
        good: the release that was last seen to publish; None before the first one.
        trying: the release that is being tried just now.
        given_up: releases that were tried and did not publish, newest last.
        channel_number: the highest channel number that was seen.
    """

    good: Version | None = None
    trying: Version | None = None
    given_up: dict[Version, FailedTrial] = {}
    channel_number: int = 0


class Stay(Struct, frozen=True):
    """Keep the release in use; `because` states why."""

    because: str


class Try(Struct, frozen=True):
    """Install this release and check that it publishes."""

    release: Version


class RollBack(Struct, frozen=True):
    """A trial was interrupted: return to the release `to`."""

    given_up: Version
    to: Version | None


Step = Stay | Try | RollBack


def next_step(state: BoxState, channel: Channel, probe: str, now: datetime) -> Step:
    """The next step. An unfinished trial is rolled back first."""
    if state.trying is not None:
        return RollBack(given_up=state.trying, to=state.good)
    if state.good == channel.release:
        return Stay(f"runs {channel.release} already")
    if (past := state.given_up.get(channel.release)) is not None and (
        because := _why_not_again(past, channel, now)
    ):
        return Stay(f"{channel.release} did not publish here and {because}")
    # A box that has never had a release is new: there is nothing that could be made worse.
    if state.good is not None and not is_due(channel, probe, now):
        return Stay(f"the turn for {channel.release} has not come")
    return Try(channel.release)


def _why_not_again(past: FailedTrial, channel: Channel, now: datetime) -> str | None:
    if channel.number > past.channel_number:
        return None
    if past.times >= _MAX_TRIALS:
        return "is tried again when the centre publishes anew"
    if now - past.at < _RETRY_AFTER:
        return "is tried again a day later"
    return None


def with_channel(state: BoxState, channel: Channel) -> BoxState:
    """The state after a channel was accepted."""
    return structs.replace(state, channel_number=max(state.channel_number, channel.number))


def trying(state: BoxState, release: Version) -> BoxState:
    """The state before a release is tried."""
    return structs.replace(state, trying=release)


def succeeded(state: BoxState) -> BoxState:
    """The state after the release that was tried has published."""
    others = {name: past for name, past in state.given_up.items() if name != state.trying}
    return structs.replace(state, good=state.trying, trying=None, given_up=others)


def rolled_back(state: BoxState, now: datetime, *, to_blame: bool = True) -> BoxState:
    """The state after the box was rolled back to the last good release.

    Args:
        to_blame: whether the release before it publishes; where that does not either, this trial
            is not counted.
    """
    if state.trying is None:
        return state
    others = dict(state.given_up)
    past = others.pop(state.trying, None)
    before = past.times if past and past.channel_number == state.channel_number else 0
    others[state.trying] = FailedTrial(before + to_blame, state.channel_number, now)
    return structs.replace(state, trying=None, given_up=dict(list(others.items())[-20:]))


class _DaemonStatus(Struct):
    """The fields of `tramdo-probe status --json` that the health check reads."""

    class _Status(Struct):
        class _Line(Struct):
            last: dict[str, msgspec.Raw] = {}

        connected: bool = False
        pending: int = 0
        lines: dict[str, _Line] = {}

    version: str
    status: _Status


def why_not_publishing(status_json: bytes, version: str | None) -> str | None:
    """Why a box does not yet publish with this version (None: whichever); None when it does.

    It does when the daemon of that version has measured something, and the centre's receipt covers
    all that it has: measured, sent and stored, the whole way.
    """
    try:
        reading = decode_json(status_json, _DaemonStatus)
    except msgspec.MsgspecError as error:
        return f"its status cannot be read: {error}"
    if version is not None and reading.version != version:
        return f"version {reading.version} is running, not {version}"
    if not reading.status.connected:
        return "not connected to the broker"
    if not any(line.last for line in reading.status.lines.values()):
        return "nothing measured yet"
    if reading.status.pending:
        return f"{reading.status.pending} results are not confirmed by the centre"
    return None
