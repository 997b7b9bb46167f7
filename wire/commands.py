"""Floor 1. Commands from the centre and a probe's replies: a closed list of four.

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

# Commands are for now: one that waits longer in a broker's queue would surprise the users.
LONGEST_LIFE = timedelta(hours=1)
MAX_COMMAND_BYTES = 16_384
MAX_REPLAY_RANGES = 100
MAX_REPLAY_RESULTS = 50_000

# Kinds are named with underscores, lines with hyphens.
KindName = Annotated[str, Meta(pattern=r"^[a-z_]{1,40}\Z")]


class CommandName(StrEnum):
    """The names of commands: a closed list, and the last level of the topic."""

    IDENTIFY = "identify"
    MEASURE = "measure"
    REPLAY = "replay"
    RELOAD = "reload"


class Command(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="command"):
    """The fields of every command. `id` makes a repeat harmless; `asked_by` is for the log."""

    id: UUID
    issued_at: Utc
    expires_at: Utc
    asked_by: Text | None = None

    def __post_init__(self) -> None:
        """Check that the command expires after its issue and within `LONGEST_LIFE`."""
        # Differences, so that no time at the calendar's ends can overflow.
        if not timedelta(0) < self.expires_at - self.issued_at <= LONGEST_LIFE:
            raise ValueError(f"`expires_at` is within {LONGEST_LIFE} after `issued_at`")

    @property
    def name(self) -> CommandName:
        """The command's name, as in its topic."""
        return CommandName(str(type(self).__struct_config__.tag))


class Identify(Command, frozen=True, tag="identify"):
    """Make every LED flash, so that the box can be found."""

    duration_s: Annotated[float, Meta(ge=1, le=600)] = 60.0


class Measure(Command, frozen=True, tag="measure"):
    """Measure a kind on a line now, by the probe's own settings and against its own servers."""

    kind: KindName
    line: Name


class Replay(Command, frozen=True, tag="replay"):
    """Send stored results again, whatever the receipts say, as far as the probe has them.

    Missing results are sent again because of receipts; this is for results that a receipt covers
    and the centre has lost. `ranges` are (first, last) of `epoch`, both ends included.
    """

    epoch: UUID
    ranges: Annotated[list[tuple[Seq, Seq]], Meta(min_length=1, max_length=MAX_REPLAY_RANGES)]

    def __post_init__(self) -> None:
        """Check that ranges are in order and within the limit."""
        super().__post_init__()
        if any(first > last for first, last in self.ranges):
            raise ValueError("a range ends before it begins")
        if sum(last - first + 1 for first, last in self.ranges) > MAX_REPLAY_RESULTS:
            raise ValueError(f"the ranges hold more than {MAX_REPLAY_RESULTS} results")


class Reload(Command, frozen=True, tag="reload"):
    """Read the probe's configuration file again. An invalid one is refused; the old one stays."""


AnyCommand = Identify | Measure | Replay | Reload


class Answer(StrEnum):
    """The status of a command. `accepted` is followed by `done`; `refused` is final."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    DONE = "done"


class Refusal(StrEnum):
    """Why a probe refuses a command: a closed list."""

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
    """A probe's reply to a command. `detail` is a sentence for users."""

    id: UUID
    command: CommandName
    answer: Answer
    reason: Refusal | None = None
    detail: Text | None = None
    at: Utc

    def __post_init__(self) -> None:
        """Check that exactly a refusal has a reason."""
        if (self.answer is Answer.REFUSED) != (self.reason is not None):
            raise ValueError("`reason` is given exactly when `answer` is refused")

    @property
    def final(self) -> bool:
        """Whether no further reply follows."""
        return self.answer is not Answer.ACCEPTED


class CommandFrame(Struct, frozen=True):
    """The id of a command that is otherwise invalid, to reply to it."""

    id: UUID

    @classmethod
    def of(cls, payload: bytes) -> Self | None:
        """Decode the id; None where it cannot be read."""
        try:
            frame: Self = decode_json(payload, cls)
        except msgspec.MsgspecError:
            return None
        return frame


def encode_command(command: AnyCommand) -> bytes:
    """Encode a command as JSON bytes."""
    return msgspec.json.encode(command)


def decode_command(payload: bytes) -> AnyCommand:
    """Decode a command and check every field.

    Raises:
        msgspec.ValidationError: JSON, but no command; the text names the place.
        msgspec.DecodeError: not JSON.
    """
    command: AnyCommand = decode_json(payload, AnyCommand)
    return command
