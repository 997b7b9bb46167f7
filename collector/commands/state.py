"""Floor 1. The state of the commands that this process was given, and what sends them.

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
    """A command, when it was last published, and its probe's last reply.

    `sent_at` is None while it waits for its probe to connect.
    """

    tenant: str
    probe: str
    command: AnyCommand
    sent_at: datetime | None = None
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
        """Publish a command to a probe, or once the probe connects; never after its expiry.

        Raises:
            NotSentError: it was not sent, and will not be sent later.
        """

    def status(self, command_id: UUID) -> CommandStatus | None:
        """The status of a command; None for one not sent by this process, or long ago."""


class CommandTracker:
    """The status of the last commands that this process was given. Not thread-safe."""

    def __init__(self) -> None:
        self._known: OrderedDict[UUID, CommandStatus] = OrderedDict()
        # Of each probe: those without a reply, in order.
        self._unanswered: dict[tuple[str, str], dict[UUID, None]] = {}

    def record(self, tenant: str, probe: str, command: AnyCommand) -> None:
        """Track a command that is to be sent."""
        self._known[command.id] = CommandStatus(tenant=tenant, probe=probe, command=command)
        self._unanswered.setdefault((tenant, probe), {})[command.id] = None
        while len(self._known) > _MAX_TRACKED:
            self.discard(next(iter(self._known)))

    def discard(self, command_id: UUID) -> None:
        """Stop tracking a command."""
        known = self._known.pop(command_id, None)
        if known is not None:
            self._close(known)

    def take_due(
        self, tenant: str, probe: str, at: datetime, *, again: bool
    ) -> list[CommandStatus]:
        """The commands to publish to a probe that is connected now, recorded as sent.

        Those that wait; `again`: also those that were sent before this connection and had no reply.
        What has expired is never sent.
        """
        due = []
        for command_id in tuple(self._unanswered.get((tenant, probe), ())):
            known = self._known[command_id]
            if at >= known.command.expires_at:
                self._close(known)
            elif again or known.sent_at is None:
                self._known[command_id] = structs.replace(known, sent_at=at)
                due.append(known)
        return due

    def take(self, command_id: UUID, at: datetime) -> CommandStatus | None:
        """One command to publish, recorded as sent; None where it was sent or dropped before."""
        known = self._known.get(command_id)
        if known is None or known.sent_at is not None:
            return None
        self._known[command_id] = structs.replace(known, sent_at=at)
        return known

    def restore(self, before: CommandStatus) -> None:
        """Record that a command taken from here was not published after all."""
        now = self._known.get(before.command.id)
        if now is not None and now.reply is None:
            self._known[before.command.id] = before

    def is_unanswered(self, tenant: str, probe: str) -> bool:
        """Whether a probe has a command without a reply."""
        return (tenant, probe) in self._unanswered

    def record_reply(self, tenant: str, probe: str, reply: Reply) -> bool:
        """Record a reply; False where no command of this process to that probe has its id.

        A probe cannot reply for another: the broker ties the topic to the certificate, and here
        the topic is tied to the command.
        """
        known = self._known.get(reply.id)
        if known is None or (known.tenant, known.probe) != (tenant, probe):
            return False
        self._close(known)
        if known.reply is None or not known.reply.final:
            self._known[reply.id] = structs.replace(known, reply=reply)
        return True

    def get(self, command_id: UUID) -> CommandStatus | None:
        """The status of a command; None for an unknown one."""
        return self._known.get(command_id)

    def _close(self, known: CommandStatus) -> None:
        """Nothing more is to be sent of it."""
        probe = known.tenant, known.probe
        unanswered = self._unanswered.get(probe, {})
        unanswered.pop(known.command.id, None)
        if not unanswered:
            self._unanswered.pop(probe, None)
