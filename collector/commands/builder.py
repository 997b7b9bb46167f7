"""Floor 1. Commands at the centre: building one, tracking its status, validating its reply.

    command = builder.measure(uuid4(), now, kind="throughput", line="vnpt", asked_by="lan")
    sender.send("bach-thong", "phu-thong-01", command)
    sender.status(command.id)          # None, sent, accepted, refused (with a reason), done

The pages use a `CommandSender` and know nothing of MQTT. A missing reply is normal (the probe is
off, or the command has expired): `CommandStatus.waiting_at` says when to stop waiting.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

import msgspec
from msgspec import Struct, structs

from collector.store.messages import RejectedMessage
from wire import messages, topics
from wire.commands import AnyCommand, Identify, Measure, Reload, Replay, Reply
from wire.decoding import converted
from wire.messages import Rejection

# Long enough for a probe that reconnects, short enough that a late command surprises nobody.
LIFETIME = timedelta(minutes=2)
# A reply has a few hundred bytes.
MAX_REPLY_BYTES = 4_096
_MAX_TRACKED = 1_000
# An accepted command may run beyond its expiry (a bulk test).
_EXECUTION_TIME = timedelta(minutes=5)


class NotSentError(Exception):
    """The command was not sent (no connection to the broker); the text is for users."""


class CommandStatus(Struct, frozen=True, kw_only=True):
    """A command that was sent, and its probe's last reply."""

    tenant: str
    probe: str
    command: AnyCommand
    reply: Reply | None = None

    def waiting_at(self, at: datetime) -> bool:
        """Whether a (further) reply may still come."""
        if self.reply is not None and self.reply.final:
            return False
        accepted = self.reply is not None
        return at < self.command.expires_at + (_EXECUTION_TIME if accepted else timedelta(0))


class CommandSender(Protocol):
    """Sends commands for the pages and the command line. Thread-safe."""

    def send(self, tenant: str, probe: str, command: AnyCommand) -> None:
        """Publish a command to a probe.

        Raises:
            NotSentError: it was not sent, and will not be sent later.
        """

    def status(self, command_id: UUID) -> CommandStatus | None:
        """The status of a command; None for one not sent by this process, or long ago."""


def identify(
    command_id: UUID, at: datetime, *, duration_s: float = 60.0, asked_by: str | None = None
) -> Identify:
    """Make a probe's LEDs flash."""
    return converted(
        {**_envelope(command_id, at, asked_by), "command": "identify", "duration_s": duration_s},
        Identify,
    )


def measure(
    command_id: UUID, at: datetime, *, kind: str, line: str, asked_by: str | None = None
) -> Measure:
    """Measure a kind on a line now. Raises msgspec.ValidationError for an invalid name."""
    return converted(
        {**_envelope(command_id, at, asked_by), "command": "measure", "kind": kind, "line": line},
        Measure,
    )


def replay(
    command_id: UUID,
    at: datetime,
    *,
    epoch: UUID,
    ranges: Iterable[tuple[int, int]],
    asked_by: str | None = None,
) -> Replay:
    """Send results again. Raises msgspec.ValidationError for too many ranges."""
    life = _envelope(command_id, at, asked_by)
    return converted({**life, "command": "replay", "epoch": epoch, "ranges": list(ranges)}, Replay)


def reload(command_id: UUID, at: datetime, *, asked_by: str | None = None) -> Reload:
    """Make the probe reload its configuration."""
    return converted({**_envelope(command_id, at, asked_by), "command": "reload"}, Reload)


def _envelope(command_id: UUID, at: datetime, asked_by: str | None) -> dict[str, object]:
    return {"id": command_id, "issued_at": at, "expires_at": at + LIFETIME, "asked_by": asked_by}


class CommandTracker:
    """The status of the last commands that this process has sent. Not thread-safe."""

    def __init__(self) -> None:
        self._known: OrderedDict[UUID, CommandStatus] = OrderedDict()

    def record_sent(self, tenant: str, probe: str, command: AnyCommand) -> None:
        """Track a command that is being sent."""
        self._known[command.id] = CommandStatus(tenant=tenant, probe=probe, command=command)
        while len(self._known) > _MAX_TRACKED:
            self._known.popitem(last=False)

    def discard(self, command_id: UUID) -> None:
        """Stop tracking a command that could not be sent."""
        self._known.pop(command_id, None)

    def record_reply(self, tenant: str, probe: str, reply: Reply) -> bool:
        """Record a reply; False where no command of this process to that probe has its id.

        A probe cannot reply for another: the broker ties the topic to the certificate, and here
        the topic is tied to the command.
        """
        known = self._known.get(reply.id)
        if known is None or (known.tenant, known.probe) != (tenant, probe):
            return False
        if known.reply is None or not known.reply.final:
            self._known[reply.id] = structs.replace(known, reply=reply)
        return True

    def get(self, command_id: UUID) -> CommandStatus | None:
        """The status of a command; None for an unknown one."""
        return self._known.get(command_id)


class ValidatedReply(Struct, frozen=True):
    """A reply, with tenant and probe of its topic."""

    tenant: str
    probe: str
    reply: Reply


def validate_reply(
    topic: str, payload: bytes, received_at: datetime, *, retained: bool
) -> ValidatedReply | RejectedMessage | None:
    """Validate a reply from a probe; None for another topic."""
    address = topics.parse(topic)
    if address is None or address.channel != "reply":
        return None
    if len(payload) > MAX_REPLY_BYTES:
        detail = f"{len(payload)} bytes, at most {MAX_REPLY_BYTES} bytes are taken"
        return RejectedMessage(topic, payload, received_at, Rejection.TOO_LARGE, detail)
    if retained:
        return RejectedMessage(
            topic, payload, received_at, Rejection.TOPIC, "a reply is never retained"
        )
    try:
        reply = messages.decode(payload, Reply)
    except msgspec.ValidationError as error:
        return RejectedMessage(topic, payload, received_at, Rejection.SCHEMA, str(error)[:500])
    except msgspec.DecodeError as error:
        return RejectedMessage(topic, payload, received_at, Rejection.NOT_JSON, str(error)[:500])
    return ValidatedReply(address.tenant, address.probe, reply)
