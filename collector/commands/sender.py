"""Floor 3. Sends commands over an MQTT session, and tracks their replies.

`collector.ingest.pipeline` has one for the pages, `collector.commands.cli` one of its own.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from uuid import UUID

from collector.commands.state import CommandStatus, CommandTracker, NotSentError
from collector.commands.validation import ValidatedReply
from runtime.mqtt import Message
from wire import topics
from wire.commands import AnyCommand, encode_command

log = logging.getLogger(__name__)


class MqttCommandSender:
    """A `CommandSender` over MQTT. Thread-safe.

    Args:
        publish: publishes a message; returns None where there is no connection.
    """

    def __init__(self, publish: Callable[[Message], int | None]) -> None:
        self._publish = publish
        self._lock = threading.Lock()
        self._tracker = CommandTracker()

    def send(self, tenant: str, probe: str, command: AnyCommand) -> None:
        """Publish a command. Raises NotSentError where there is no connection."""
        life_s = (command.expires_at - command.issued_at).total_seconds()
        message = Message(
            topics.command(tenant, probe, command.name),
            encode_command(command),
            expiry_s=max(1, round(life_s)),
        )
        # Before it is published: the reply may arrive before this thread goes on.
        with self._lock:
            self._tracker.record_sent(tenant, probe, command)
        if self._publish(message) is None:
            with self._lock:
                self._tracker.discard(command.id)
            raise NotSentError("there is no connection to the broker; nothing was sent")
        asked_by = command.asked_by or "nobody named"
        log.info("sent %s %s to %s/%s for %s", command.name, command.id, tenant, probe, asked_by)

    def status(self, command_id: UUID) -> CommandStatus | None:
        """The status of a command that was sent here."""
        with self._lock:
            return self._tracker.get(command_id)

    def record_reply(self, replied: ValidatedReply) -> None:
        """Record a reply."""
        with self._lock:
            ours = self._tracker.record_reply(replied.tenant, replied.probe, replied.reply)
        reply = replied.reply
        log.log(
            logging.INFO if ours else logging.DEBUG,
            "%s/%s: %s %s: %s %s",
            replied.tenant,
            replied.probe,
            reply.command,
            reply.id,
            reply.answer,
            reply.reason or "",
        )
