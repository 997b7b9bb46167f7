"""Floor 1. Commands from the centre and a probe's replies: four names, and nothing that runs.

    tramdo/v1/{tenant}/{probe}/cmd/{name}   centre -> probe
    tramdo/v1/{tenant}/{probe}/reply        probe -> centre

A command is a request: the probe decides (`probe.commands.policy`). None of them carries a program,
a path, an address or a setting, so that whoever writes here can neither run anything on a probe nor
send its results elsewhere. All that correctness needs is in the payload (expiry too); MQTT 5's
message expiry only spares the broker.
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Self
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

from wire.decoding import decode_json
from wire.record import Name, Seq, Text, Utc

# A command is for now: one that waits longer in a broker's queue surprises an office.
LONGEST_LIFE = timedelta(hours=1)
MAX_COMMAND_BYTES = 16_384
MAX_REPLAY_RANGES = 100
MAX_REPLAY_RESULTS = 50_000

# Kinds are named with underscores, lines with hyphens.
KindName = Annotated[str, Meta(pattern=r"^[a-z_]{1,40}\Z")]


class CommandName(StrEnum):
    """What a probe may be asked: a closed list, and the last level of the topic."""

    IDENTIFY = "identify"
    MEASURE = "measure"
    REPLAY = "replay"
    RELOAD = "reload"


class Command(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="command"):
    """What every command bears. `id` makes a repeat harmless; `asked_by` is for the log."""

    id: UUID
    issued_at: Utc
    expires_at: Utc
    asked_by: Text | None = None

    def __post_init__(self) -> None:
        """A command ends after it begins, and soon."""
        # Differences, so that no time of the calendar's ends can overflow.
        if not timedelta(0) < self.expires_at - self.issued_at <= LONGEST_LIFE:
            raise ValueError(f"`expires_at` is within {LONGEST_LIFE} after `issued_at`")

    @property
    def name(self) -> CommandName:
        """Which command it is, as in its topic."""
        return CommandName(str(type(self).__struct_config__.tag))


class Identify(Command, frozen=True, tag="identify"):
    """Make every LED flash, so that somebody finds the box."""

    duration_s: Annotated[float, Meta(ge=1, le=600)] = 60.0


class Measure(Command, frozen=True, tag="measure"):
    """Measure a kind on a line now, by the probe's own settings and against its own servers."""

    kind: KindName
    line: Name


class Replay(Command, frozen=True, tag="replay"):
    """Send results again, whatever the receipts say, as far as the probe still keeps them.

    Receipts ask for what is missing by themselves; this is for what a receipt calls stored and the
    centre has lost all the same. `ranges` are (first, last) of `epoch`, both ends included.
    """

    epoch: UUID
    ranges: Annotated[list[tuple[Seq, Seq]], Meta(min_length=1, max_length=MAX_REPLAY_RANGES)]

    def __post_init__(self) -> None:
        """Ranges run forward, and ask for no more than is bounded."""
        super().__post_init__()
        if any(first > last for first, last in self.ranges):
            raise ValueError("a range ends before it begins")
        if sum(last - first + 1 for first, last in self.ranges) > MAX_REPLAY_RESULTS:
            raise ValueError(f"the ranges hold more than {MAX_REPLAY_RESULTS} results")


class Reload(Command, frozen=True, tag="reload"):
    """Read the configuration file on the probe anew. A faulty one is refused, the old one stays."""


AnyCommand = Identify | Measure | Replay | Reload


class Answer(StrEnum):
    """How far a command has come. `accepted` is followed by `done`; `refused` is the end."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    DONE = "done"


class Refusal(StrEnum):
    """Why a probe does not do what it is asked: a closed list."""

    MALFORMED = "malformed"
    NOT_ALLOWED = "not_allowed"
    EXPIRED = "expired"
    CLOCK_UNKNOWN = "clock_unknown"
    TOO_OFTEN = "too_often"
    BUSY = "busy"
    UNKNOWN_KIND = "unknown_kind"
    UNKNOWN_LINE = "unknown_line"
    UNKNOWN_EPOCH = "unknown_epoch"
    DATA_USED_UP = "data_used_up"
    FAULTY_CONFIGURATION = "faulty_configuration"


class Reply(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a probe says to a command. `detail` is a sentence for a person."""

    id: UUID
    command: CommandName
    answer: Answer
    reason: Refusal | None = None
    detail: Text | None = None
    at: Utc

    def __post_init__(self) -> None:
        """A refusal names its reason, nothing else has one."""
        if (self.answer is Answer.REFUSED) != (self.reason is not None):
            raise ValueError("`reason` is given exactly when `answer` is refused")

    @property
    def final(self) -> bool:
        """Whether nothing more follows."""
        return self.answer is not Answer.ACCEPTED


class CommandFrame(Struct, frozen=True):
    """What of a command can be read when the rest is not of the contract: whom to answer."""

    id: UUID

    @classmethod
    def of(cls, payload: bytes) -> Self | None:
        """The frame, None where not even that can be read."""
        try:
            frame: Self = decode_json(payload, cls)
        except msgspec.MsgspecError:
            return None
        return frame


def encode_command(command: AnyCommand) -> bytes:
    """A command as JSON bytes."""
    return msgspec.json.encode(command)


def decode_command(payload: bytes) -> AnyCommand:
    """A command, every field checked.

    Raises:
        msgspec.ValidationError: JSON, but no command; the text names the place.
        msgspec.DecodeError: not JSON.
    """
    command: AnyCommand = decode_json(payload, AnyCommand)
    return command
