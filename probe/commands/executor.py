"""Floor 3. Executes commands from the centre that `probe.commands.policy` accepts.

Runs on the publisher's thread and needs no lock. Whatever takes long runs elsewhere and reports
`done` from there. An exception in here is logged, so that no command can end delivery.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from uuid import UUID
from zoneinfo import ZoneInfo

from msgspec import structs

from probe import clock, config_file, events
from probe.commands.policy import (
    CommandHistory,
    CommandIgnored,
    CommandRefused,
    ProbeContext,
    decide,
    with_pending_done,
)
from probe.config import Config, ServerConfig
from probe.measure import resolvers
from probe.measure.kinds import MEASURES
from probe.plan.budget import bulk_kinds, month_budget
from probe.schedule.admission import QueuedMeasurement
from probe.state.json_file import JsonFile
from probe.state.usage import UsageFile
from runtime import mqtt
from runtime.settings import SettingsError
from wire.commands import (
    Answer,
    AnyCommand,
    CommandName,
    Identify,
    Measure,
    Refusal,
    Reload,
    Replay,
    Reply,
)

log = logging.getLogger(__name__)


class CommandActions:
    """The callbacks that carry out commands; each returns at once.

    Args:
        measure: puts a measurement on the queue.
        replay: sends stored results again.
        reload: loads the new configuration.
        emit: takes `IdentifyRequested` events.
        reply: sends a reply to the centre.
    """

    def __init__(
        self,
        *,
        measure: Callable[[QueuedMeasurement], None],
        replay: Callable[[Replay], None],
        reload: Callable[[], None],
        emit: Callable[[events.Event], None],
        reply: Callable[[Reply], None],
    ) -> None:
        self.measure = measure
        self.replay = replay
        self.reload = reload
        self.emit = emit
        self.reply = reply


class CommandExecutor:
    """Executes accepted commands and replies to them.

    Args:
        config: the probe's configuration.
        config_path: the file that `reload` reads.
        usage: what the lines' bulk tests have moved.
        actions: carries the commands out.
        clock_known: whether the wall clock is synchronised, so that expiry can be checked.
    """

    def __init__(
        self,
        config: Config,
        config_path: Path,
        usage: UsageFile,
        actions: CommandActions,
        clock_known: Callable[[], bool] = lambda: clock.synchronised() is True,
    ) -> None:
        self._clock_known = clock_known
        self._config = config
        self._config_path = config_path
        self._usage = usage
        self._actions = actions
        self._file = JsonFile(Path(config.state_dir) / "commands.json", CommandHistory)
        self._history = self._file.load(CommandHistory())

    def send_pending_done(self) -> None:
        """Send `done` for commands that were begun before the restart."""
        pending_done = self._history.pending_done
        if pending_done:
            self._remember(structs.replace(self._history, pending_done=()))
        for one in pending_done:
            self._done(one.id, one.name, "the probe has started with the new configuration")

    def on_message(self, received: mqtt.Received) -> None:
        """Handle a message on a command topic; called on the publisher's thread."""
        try:
            self._handle(received)
        except Exception:
            log.exception("internal error in a command on %s", received.topic)

    def on_measured(self, command_id: UUID) -> None:
        """Reply `done` for a command whose measurement has ended; from any thread."""
        self._done(command_id, CommandName.MEASURE, None)

    def _handle(self, received: mqtt.Received) -> None:
        name = received.topic.rpartition("/")[2]
        history = self._history
        decision = decide(
            name, received.payload, history, self._context(), retained=received.retained
        )
        match decision:
            case CommandIgnored(cause):
                log.warning("ignored a command on %s: %s", received.topic, cause)
            case CommandRefused():
                log.warning("refused %s: %s: %s", name, decision.reason, decision.detail)
                self._actions.reply(decision.reply(clock.utc_now()))
            case _:
                command = decision.command
                log.info("%s, asked by %s: %s", name, command.asked_by or "nobody named", command)
                # Stored first: a command that a crash interrupts is not executed again.
                self._remember(decision.history)
                self._execute(command, decision.history)

    def _execute(self, command: AnyCommand, history: CommandHistory) -> None:
        match command:
            case Identify(duration_s=duration_s):
                self._actions.emit(events.IdentifyRequested(clock.monotonic_s() + duration_s))
                none = self._config.leds.driver == "none"
                detail = "this probe has no LEDs" if none else f"its LEDs flash for {duration_s} s"
                self._done(command.id, command.name, detail)
            case Measure(kind=kind, line=line_id):
                line = next(line for line in self._config.lines if line.id == line_id)
                server = self._servers()[kind][0]
                self._accepted(command, f"against {server.name}, when its turn has come")
                self._actions.measure(
                    QueuedMeasurement(kind=kind, line=line, server=server, command_id=command.id)
                )
            case Replay():
                self._actions.replay(command)
            case Reload():
                self._reload(command, history)

    def _reload(self, command: Reload, history: CommandHistory) -> None:
        try:
            config_file.load(self._config_path)
        except SettingsError as error:
            reason = Refusal.FAULTY_CONFIGURATION
            refused = CommandRefused(
                command.id, command.name, reason, f"the old one stays: {error}"
            )
            self._actions.reply(refused.reply(clock.utc_now()))
            return
        self._remember(with_pending_done(history, command, clock.utc_now()))
        self._accepted(command, "the new configuration is sound and is taken now")
        self._actions.reload()

    def _accepted(self, command: AnyCommand, detail: str) -> None:
        self._reply(command.id, command.name, Answer.ACCEPTED, detail)

    def _done(self, command_id: UUID, name: CommandName, detail: str | None) -> None:
        self._reply(command_id, name, Answer.DONE, detail)

    def _remember(self, history: CommandHistory) -> None:
        """Store the history; in memory alone where the disk cannot be written.

        Written without fsync: a power cut may have one command of the last seconds executed again,
        where it comes back before its expiry.
        """
        self._history = history
        self._file.save(history)

    def _reply(
        self, command_id: UUID, name: CommandName, answer: Answer, detail: str | None
    ) -> None:
        now = clock.utc_now()
        self._actions.reply(
            Reply(id=command_id, command=name, answer=answer, detail=detail, at=now)
        )

    def _context(self) -> ProbeContext:
        config, now = self._config, clock.utc_now()
        today = now.astimezone(ZoneInfo(config.timezone)).date()
        usage = self._usage.on(today)
        return ProbeContext(
            now=now,
            clock_known=self._clock_known(),
            allowed=config.commands.allow,
            measures_per_hour=config.commands.measures_per_hour,
            kinds=self._servers().keys(),
            bulk_kinds=[kind for kind, one in MEASURES.items() if one.bulk],
            lines=[line.id for line in config.lines],
            exhausted_lines=[
                line.id
                for line in resolvers.with_resolvers(config).lines
                if month_budget(config, line, today, usage).is_exhausted
            ],
        )

    def _servers(self) -> dict[str, list[ServerConfig]]:
        """The servers that offer each kind; a kind without a server cannot be measured."""
        bulk = {one.kind: one.servers for one in bulk_kinds(self._config)}
        offered = {
            kind: bulk.get(kind, []) if one.bulk else self._config.servers
            for kind, one in MEASURES.items()
        }
        return {kind: servers for kind, servers in offered.items() if servers}
