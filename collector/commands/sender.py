"""Floor 3. Sends commands over an MQTT session, and tracks their replies.

`collector.ingest.pipeline` has one for the pages, `collector.commands.cli` one of its own.

A probe's session at the broker ends with its connection, so nothing is queued there: a command to
a probe that is away waits here until the probe connects, or until it expires. What a connection
that ended took with it is published again on the next one; the probe executes an id once.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

from collector.commands.state import CommandStatus, CommandTracker, NotSentError
from collector.commands.validation import ValidatedReply
from runtime.mqtt import Message
from wire import topics
from wire.commands import AnyCommand, encode_command

log = logging.getLogger(__name__)


def _now() -> datetime:
    return datetime.now(UTC)


def _holds_every_tenant(_tenant: str) -> bool:
    return True


def _nobody_is_away(_tenant: str, _probe: str) -> bool:
    return False


class MqttCommandSender:
    """A `CommandSender` over MQTT. Thread-safe.

    Args:
        publish: publishes a message; returns None where there is no connection.
        is_away: whether a probe is known to be disconnected; of one that is not, the command is
            published at once.
        now: the time, UTC.
        holds: whether a tenant's replies come here; for one whose do not, nothing is sent.
    """

    def __init__(
        self,
        publish: Callable[[Message], int | None],
        is_away: Callable[[str, str], bool] = _nobody_is_away,
        now: Callable[[], datetime] = _now,
        holds: Callable[[str], bool] = _holds_every_tenant,
    ) -> None:
        self._publish = publish
        self._is_away = is_away
        self._holds = holds
        self._now = now
        self._lock = threading.Lock()
        self._tracker = CommandTracker()

    def send(self, tenant: str, probe: str, command: AnyCommand) -> None:
        """Publish a command, or keep it until its probe connects.

        Raises NotSentError where the probe may be connected and we are not, or where another
        collector holds its tenant.
        """
        if not self._holds(tenant):
            raise NotSentError(f"another collector holds the tenant {tenant}; nothing was sent")
        # Before it is published: the reply may arrive before this thread goes on. And before the
        # probe is looked up: it may connect meanwhile.
        with self._lock:
            self._tracker.record(tenant, probe, command)
        if self._is_away(tenant, probe):
            log.info("%s %s waits for %s/%s to connect", command.name, command.id, tenant, probe)
            return
        with self._lock:
            taken = self._tracker.take(command.id, self._now())
        if taken is not None and not self._send(taken):
            with self._lock:
                self._tracker.discard(command.id)
            raise NotSentError("there is no connection to the broker; nothing was sent")

    def on_contact(self, tenant: str, probe: str, *, is_new: bool) -> None:
        """Publish what waits for a probe that is connected.

        Args:
            tenant: of the probe.
            probe: its name.
            is_new: whether it has just connected, so that what was sent before may be lost.
        """
        with self._lock:
            due = self._tracker.take_due(tenant, probe, self._now(), again=is_new)
        unsent = [status for status in due if not self._send(status)]
        with self._lock:
            for status in unsent:
                self._tracker.restore(status)

    def is_waiting_for(self, tenant: str, probe: str) -> bool:
        """Whether `on_contact` of a probe may have something to publish."""
        with self._lock:
            return self._tracker.is_unanswered(tenant, probe)

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

    def _send(self, status: CommandStatus) -> bool:
        """Publish a command; False where there is no connection."""
        command = status.command
        left_s = (command.expires_at - self._now()).total_seconds()
        message = Message(
            topics.command(status.tenant, status.probe, command.name),
            encode_command(command),
            expiry_s=max(1, round(left_s)),
        )
        if self._publish(message) is None:
            return False
        asked_by = command.asked_by or "nobody named"
        where = f"{status.tenant}/{status.probe}"
        log.info("sent %s %s to %s for %s", command.name, command.id, where, asked_by)
        return True
