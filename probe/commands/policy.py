"""Floor 1. Command policy: accept a command from the centre, refuse it with a reason, or ignore it.

Checked in this order: retained, unreadable, repeated, not allowed, expired, unknown kind or line,
rate limit. Everything is decided by the payload and nothing by a property of MQTT 5. Reads no
broker, clock or thread.

Expiry needs a synchronised clock. Without one only `identify` is accepted: a technician beside the
box needs it just then, and LEDs that flash late harm nobody. All other commands are refused with
`clock_unknown`, and the centre may send them again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from msgspec import Struct, structs

from wire.commands import (
    LONGEST_LIFE,
    MAX_COMMAND_BYTES,
    Answer,
    AnyCommand,
    CommandFrame,
    CommandName,
    Measure,
    Refusal,
    Reply,
    decode_command,
)

_HOUR = timedelta(hours=1)
# How far the centre's clock may be ahead of the probe's.
_CLOCKS_DIFFER = timedelta(minutes=5)
# Longer than any command lives, because the clock may be corrected meanwhile.
_REMEMBERED = 2 * (LONGEST_LIFE + _HOUR)
_MOST_REMEMBERED = 500
# Rate limit by command; `measure` has a setting, because it costs data.
PER_HOUR: Mapping[CommandName, int] = {
    CommandName.IDENTIFY: 30,
    CommandName.REPLAY: 6,
    CommandName.RELOAD: 6,
}


class AcceptedCommand(Struct, frozen=True):
    """A command that was accepted, and when, by the probe's clock."""

    id: UUID
    name: CommandName
    at: datetime


# Names in commands.json as the first version wrote them.
_STORED_NAMES = {"accepted": "taken", "pending_done": "owed"}


class CommandHistory(Struct, frozen=True, rename=_STORED_NAMES):
    """Commands accepted lately, and those whose `done` is sent after the restart."""

    accepted: tuple[AcceptedCommand, ...] = ()
    pending_done: tuple[AcceptedCommand, ...] = ()


class ProbeContext(Struct, frozen=True, kw_only=True):
    """What a decision depends on.

    `exhausted_lines` have used up their month's budget for bulk tests.
    """

    now: datetime
    clock_known: bool
    allowed: Collection[CommandName]
    measures_per_hour: int
    kinds: Collection[str]
    bulk_kinds: Collection[str]
    lines: Collection[str]
    exhausted_lines: Collection[str]


class CommandAccepted(Struct, frozen=True):
    """Execute it after storing `history`, so that it is executed at most once."""

    command: AnyCommand
    history: CommandHistory


class CommandRefused(Struct, frozen=True):
    """Do not execute it; reply with the reason."""

    id: UUID
    name: CommandName
    reason: Refusal
    detail: str

    def reply(self, at: datetime) -> Reply:
        """The reply to the centre."""
        return Reply(
            id=self.id,
            command=self.name,
            answer=Answer.REFUSED,
            reason=self.reason,
            detail=self.detail[:500],
            at=at,
        )


class CommandIgnored(Struct, frozen=True):
    """Do not execute it and send no reply; `cause` is logged."""

    cause: str


CommandDecision = CommandAccepted | CommandRefused | CommandIgnored


def decide(
    name: str, payload: bytes, history: CommandHistory, context: ProbeContext, *, retained: bool
) -> CommandDecision:
    """Decide on a message on `cmd/{name}`; never raises, whatever the bytes.

    Args:
        name: the topic's last level.
        payload: any bytes.
        history: commands accepted before.
        context: the probe's present state.
        retained: whether it is a retained message, which is meant for another time.
    """
    if retained:
        return CommandIgnored("it was retained; a command is for now")
    if name not in set(CommandName):
        return CommandIgnored("there is no command of that name")
    stated = CommandName(name)
    if len(payload) > MAX_COMMAND_BYTES:
        return CommandIgnored(f"{len(payload)} bytes are no command")
    try:
        command = decode_command(payload)
    except msgspec.DecodeError as error:
        frame = CommandFrame.of(payload)
        if frame is None:
            # Logged: shortened and on one line, whatever was sent.
            return CommandIgnored(f"it cannot be read: {' '.join(str(error).split())[:200]}")
        return CommandRefused(frame.id, stated, Refusal.MALFORMED, str(error))
    if command.name is not stated:
        detail = f"the topic is for {stated}, the command is {command.name}"
        return CommandRefused(command.id, stated, Refusal.MALFORMED, detail)
    if any(one.id == command.id for one in history.accepted):
        return CommandIgnored(f"{command.id} was executed already")
    refusal = _refusal(command, history, context)
    if refusal is not None:
        return CommandRefused(command.id, stated, *refusal)
    return CommandAccepted(command, _with(history, command, context.now))


def with_pending_done(history: CommandHistory, command: AnyCommand, at: datetime) -> CommandHistory:
    """The history with a command whose `done` is sent after the restart."""
    return structs.replace(
        history, pending_done=(*history.pending_done, AcceptedCommand(command.id, command.name, at))
    )


def _refusal(
    command: AnyCommand, history: CommandHistory, context: ProbeContext
) -> tuple[Refusal, str] | None:
    if command.name not in context.allowed:
        return Refusal.NOT_ALLOWED, f"`commands.allow` of this probe has no {command.name}"
    return (
        _expiry_refusal(command, context)
        or _scope_refusal(command, context)
        or _rate_refusal(command.name, history, context)
    )


def _expiry_refusal(command: AnyCommand, context: ProbeContext) -> tuple[Refusal, str] | None:
    if not context.clock_known:
        if command.name is CommandName.IDENTIFY:
            return None
        detail = "the probe's clock is not synchronised: whether this has expired is not known"
        return Refusal.CLOCK_UNKNOWN, detail
    if context.now >= command.expires_at:
        late_s = (context.now - command.expires_at).total_seconds()
        return Refusal.EXPIRED, f"it came {late_s:.0f} s after its end"
    if command.issued_at - context.now > _CLOCKS_DIFFER:
        return Refusal.CLOCK_UNKNOWN, "it comes from the future: one of the two clocks is wrong"
    return None


def _scope_refusal(command: AnyCommand, context: ProbeContext) -> tuple[Refusal, str] | None:
    if not isinstance(command, Measure):
        return None
    if command.kind not in context.kinds:
        known = ", ".join(sorted(context.kinds))
        return Refusal.UNKNOWN_KIND, f"this probe measures {known}"
    if command.line not in context.lines:
        return Refusal.UNKNOWN_LINE, f"this probe has {', '.join(sorted(context.lines))}"
    if command.kind in context.bulk_kinds and command.line in context.exhausted_lines:
        return Refusal.DATA_USED_UP, f"the month's bytes of line {command.line} are used up"
    return None


def _rate_refusal(
    name: CommandName, history: CommandHistory, context: ProbeContext
) -> tuple[Refusal, str] | None:
    measure = name is CommandName.MEASURE
    limit = context.measures_per_hour if measure else PER_HOUR[name]
    # By distance: after the clock was set back, times "in the future" still count.
    lately = sum(one.name is name and abs(context.now - one.at) < _HOUR for one in history.accepted)
    if lately < limit:
        return None
    return Refusal.TOO_OFTEN, f"{lately} of {name} within an hour, {limit} at most"


def _with(history: CommandHistory, command: AnyCommand, now: datetime) -> CommandHistory:
    kept = [one for one in history.accepted if abs(now - one.at) < _REMEMBERED]
    kept = [*kept, AcceptedCommand(command.id, command.name, now)][-_MOST_REMEMBERED:]
    return structs.replace(history, accepted=tuple(kept))
