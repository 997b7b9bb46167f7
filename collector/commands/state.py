"""Floor 1. The state of the commands that this process has sent, and what sends them.

The pages use a `CommandSender` and know nothing of MQTT. A missing reply is normal (the probe is
off, or the command has expired): `CommandStatus.waiting_at` says when to stop waiting.
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from msgspec import Struct, structs

from wire.commands import AnyCommand, Reply

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
