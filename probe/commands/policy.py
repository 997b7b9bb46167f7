"""Floor 1. What to do with a command from the centre: obey it, refuse it with a reason, ignore it.

In this order: retained, unreadable, repeated, not allowed, expired, beyond what this probe has, too
often. Only then is it obeyed. Everything is decided by the payload; nothing depends on a property
of MQTT 5. Knows no broker, no clock and no thread.

Expiry needs a clock. While ours is not synchronised, only `identify` is obeyed: a technician who
stands before the box needs it just then, and lights that flash late harm nobody. Everything else is
refused by name, and the centre may ask again.
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
# How far the centre's clock may be ahead of ours.
_CLOCKS_DIFFER = timedelta(minutes=5)
# Ids are remembered well beyond the longest life of a command, by a clock that may be corrected.
_REMEMBERED = 2 * (LONGEST_LIFE + _HOUR)
_MOST_REMEMBERED = 500
# At most so many of one name are obeyed in an hour; `measure` has a setting, it costs data.
PER_HOUR: Mapping[CommandName, int] = {
    CommandName.IDENTIFY: 30,
    CommandName.REPLAY: 6,
    CommandName.RELOAD: 6,
}


class AcceptedCommand(Struct, frozen=True):
    """A command that was obeyed, and when by our clock."""

    id: UUID
    name: CommandName
    at: datetime


# Names in commands.json as the first version wrote them.
_STORED_NAMES = {"accepted": "taken", "pending_done": "owed"}


class CommandHistory(Struct, frozen=True, rename=_STORED_NAMES):
    """What must outlive a restart: what was obeyed lately, and to which of it `done` is owed."""

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
    """Do it, after `history` has been kept: a command is obeyed at most once."""

    command: AnyCommand
    history: CommandHistory


class CommandRefused(Struct, frozen=True):
    """Do nothing, and say why."""

    id: UUID
    name: CommandName
    reason: Refusal
    detail: str

    def reply(self, at: datetime) -> Reply:
        """What the centre is told."""
        return Reply(
            id=self.id,
            command=self.name,
            answer=Answer.REFUSED,
            reason=self.reason,
            detail=self.detail[:500],
            at=at,
        )


class CommandIgnored(Struct, frozen=True):
    """Do nothing and say nothing, because nobody waits for a word; `cause` is for our log."""

    cause: str


CommandDecision = CommandAccepted | CommandRefused | CommandIgnored


def decide(
    name: str, payload: bytes, history: CommandHistory, context: ProbeContext, *, retained: bool
) -> CommandDecision:
    """What to do with a message on `cmd/{name}`; never an exception, whatever the bytes.

    Args:
        name: the topic's last level.
        payload: any bytes.
        memory: what was obeyed before.
        situation: the probe as it is now.
        retained: whether the broker had kept it: then it was meant for another time.
    """
    if retained:
        return CommandIgnored("it was retained; a command is for now")
    if name not in set(CommandName):
        return CommandIgnored("there is no command of that name")
    told = CommandName(name)
    if len(payload) > MAX_COMMAND_BYTES:
        return CommandIgnored(f"{len(payload)} bytes are no command")
    try:
        command = decode_command(payload)
    except msgspec.DecodeError as error:
        frame = CommandFrame.of(payload)
        if frame is None:
            # It goes into our log: neither long nor over several lines, whatever was sent.
            return CommandIgnored(f"it cannot be read: {' '.join(str(error).split())[:200]}")
        return CommandRefused(frame.id, told, Refusal.MALFORMED, str(error))
    if command.name is not told:
        detail = f"the topic is for {told}, the command is {command.name}"
        return CommandRefused(command.id, told, Refusal.MALFORMED, detail)
    if any(one.id == command.id for one in history.accepted):
        return CommandIgnored(f"{command.id} was obeyed already")
    refusal = _refusal(command, history, context)
    if refusal is not None:
        return CommandRefused(command.id, told, *refusal)
    return CommandAccepted(command, _with(history, command, context.now))


def with_pending_done(history: CommandHistory, command: AnyCommand, at: datetime) -> CommandHistory:
    """The memory with a `done` that is owed once we have started anew."""
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
    # By distance: after our clock was set back, what is "in the future" still counts.
    lately = sum(one.name is name and abs(context.now - one.at) < _HOUR for one in history.accepted)
    if lately < limit:
        return None
    return Refusal.TOO_OFTEN, f"{lately} of {name} within an hour, {limit} at most"


def _with(history: CommandHistory, command: AnyCommand, now: datetime) -> CommandHistory:
    kept = [one for one in history.accepted if abs(now - one.at) < _REMEMBERED]
    kept = [*kept, AcceptedCommand(command.id, command.name, now)][-_MOST_REMEMBERED:]
    return structs.replace(history, accepted=tuple(kept))
