"""Floor 3. `tramdo-collector command`: sends one command, waits for the reply, prints it.

It has an MQTT session of its own (clean start, own client id, and an own user where `[command]`
names one), so that a running collector keeps its session.
"""

from __future__ import annotations

import argparse
import getpass
import os
import queue
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import msgspec

from collector.commands import builder
from collector.commands.sender import MqttCommandSender
from collector.commands.state import CommandStatus, NotSentError
from collector.commands.validation import MAX_REPLY_BYTES, ValidatedReply, validate_reply
from collector.config import Config
from collector.store.factory import open_store
from collector.store.store import Store
from runtime.broker import BrokerConfig
from runtime.mqtt import Connected, Disconnected, Event, MqttSession, Received
from wire import messages, topics
from wire.commands import MAX_REPLAY_RANGES, Answer, AnyCommand, CommandName
from wire.messages import Presence, State

_RANGE = re.compile(r"([0-9]{1,16})(?:-([0-9]{1,16}))?")


class SessionTakenOverError(Exception):
    """The broker ended the session while a reply was awaited; the command may have been sent."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `tramdo-collector command`."""
    parser.add_argument("probe", help="the probe's name, or TENANT/NAME")
    names = parser.add_subparsers(dest="name", required=True, metavar="COMMAND")

    def action(name: str, text: str) -> argparse.ArgumentParser:
        return names.add_parser(name, help=text, description=text)

    identify = action(CommandName.IDENTIFY, "Make its LEDs flash.")
    identify.add_argument("--for", dest="duration_s", type=float, default=60.0, metavar="S")
    measure = action(CommandName.MEASURE, "Measure a kind on a line now.")
    measure.add_argument("kind", help="throughput, http, latency …")
    measure.add_argument("--line", required=True, help="the line's id")
    replay = action(CommandName.REPLAY, "Publish stored results again.")
    replay.add_argument("--epoch", type=UUID, help="default: the one that it sent last")
    replay.add_argument(
        "--range",
        dest="ranges",
        type=_range,
        action="append",
        metavar="FIRST[-LAST]",
        help="numbers, repeatable (default: what the store is missing)",
    )
    action(CommandName.RELOAD, "Read its configuration anew.")
    for each in names.choices.values():
        each.add_argument("--json", action="store_true", help="print what became of it as JSON")
        # Accepted after the command too; SUPPRESS keeps a value given before it.
        each.add_argument("-c", "--config", type=Path, default=argparse.SUPPRESS)


def send_and_wait(config: Config, options: argparse.Namespace) -> CommandStatus:
    """Send the command and wait for its final reply, or until none can come.

    Raises:
        ValueError: the arguments are invalid.
        StoreError: the store cannot be read for the missing ranges.
        NotSentError: the command was not sent.
        SessionTakenOverError: it may have been sent, and no reply can be awaited.
    """
    tenant, _, probe = options.probe.rpartition("/")
    if not tenant and len(config.tenants) == 1:
        tenant = config.tenants[0]
    if not topics.is_name(tenant) or not topics.is_name(probe):
        raise ValueError("name the probe as TENANT/NAME, or set `tenant` to one name")
    try:
        command = _command(config, tenant, probe, options)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from error
    return _send_and_wait(config, tenant, probe, command)


def missing_ranges(store: Store, tenant: str, probe: str) -> tuple[UUID, list[tuple[int, int]]]:
    """The epoch that a probe sent last, and the ranges of it that the store lacks.

    Raises:
        ValueError: nothing is known of the probe, or nothing is missing.
        StoreError: the store cannot be read.
    """
    for key, ledger in store.ledgers().items():
        if (key.tenant, key.probe) == (tenant, probe):
            if not ledger.missing:
                raise ValueError(f"nothing is missing up to {ledger.stored_through}")
            return key.epoch, list(ledger.missing[:MAX_REPLAY_RANGES])
    raise ValueError(f"nothing was ever received from {tenant}/{probe}")


def is_done(status: CommandStatus) -> bool:
    """Whether the probe has executed the command."""
    return status.reply is not None and status.reply.answer is Answer.DONE


def describe(status: CommandStatus) -> str:
    """The status of a command as a sentence."""
    reply = status.reply
    what = f"{status.tenant}/{status.probe}: {status.command.name}"
    if reply is None:
        return f"{what}: no answer; it has expired at {status.command.expires_at:%H:%M:%S} UTC"
    said = " ".join(filter(None, [reply.answer, f"({reply.reason})" if reply.reason else ""]))
    return f"{what}: {said}{f': {reply.detail}' if reply.detail else ''}"


def _command(config: Config, tenant: str, probe: str, options: argparse.Namespace) -> AnyCommand:
    command_id, at, asked_by = uuid4(), datetime.now(UTC), _user()
    match options.name:
        case CommandName.IDENTIFY:
            return builder.identify(
                command_id, at, duration_s=options.duration_s, asked_by=asked_by
            )
        case CommandName.MEASURE:
            return builder.measure(
                command_id, at, kind=options.kind, line=options.line, asked_by=asked_by
            )
        case CommandName.REPLAY:
            epoch, ranges = options.epoch, options.ranges
            if epoch is None or ranges is None:
                known, absent = _ranges_to_replay(config, tenant, probe, whole=ranges is None)
                epoch, ranges = epoch or known, ranges or absent
            return builder.replay(command_id, at, epoch=epoch, ranges=ranges, asked_by=asked_by)
        case _:
            return builder.reload(command_id, at, asked_by=asked_by)


def _ranges_to_replay(
    config: Config, tenant: str, probe: str, *, whole: bool
) -> tuple[UUID, list[tuple[int, int]]]:
    store = open_store(config.store)
    try:
        if whole:
            return missing_ranges(store, tenant, probe)
        epochs = [key.epoch for key in store.ledgers() if key[:2] == (tenant, probe)]
        if not epochs:
            raise ValueError(f"nothing was ever received from {tenant}/{probe}")
        return epochs[0], []
    finally:
        store.close()


def _send_and_wait(config: Config, tenant: str, probe: str, command: AnyCommand) -> CommandStatus:
    """Send, and handle replies until the final one, or until none can come."""
    inbox: queue.SimpleQueue[Event] = queue.SimpleQueue()
    session = MqttSession(
        _command_broker(config),
        # Two commands at once must not take over each other's session.
        f"{config.client_id}-command-{os.getpid()}",
        inbox.put,
        subscriptions=[topics.of_probe(tenant, probe, channel) for channel in ("reply", "state")],
        kept=False,
    )
    sender = MqttCommandSender(session.publish)
    session.start()
    try:
        _until_connected(config, inbox)
        sender.send(tenant, probe, command)
        while True:
            status = sender.status(command.id)
            if status is None or not status.waiting_at(datetime.now(UTC)):
                break
            _handle_message(inbox, sender, shared=config.command.username is None)
        return status or CommandStatus(tenant=tenant, probe=probe, command=command)
    finally:
        session.stop()


def _command_broker(config: Config) -> BrokerConfig:
    own = config.command
    if own.username is None:
        return config.broker
    return msgspec.structs.replace(
        config.broker, username=own.username, password_file=own.password_file
    )


def _until_connected(config: Config, inbox: queue.SimpleQueue[Event]) -> None:
    deadline_s = time.monotonic() + config.broker.connect_timeout_s + 5
    cause = "no answer"
    while (left_s := deadline_s - time.monotonic()) > 0:
        try:
            match inbox.get(timeout=left_s):
                case Connected():
                    return
                case Disconnected(_, failure):
                    cause = failure.report().en
                    break
        except queue.Empty:
            break
    raise NotSentError(f"no connection to the broker: {cause}")


def _handle_message(
    inbox: queue.SimpleQueue[Event], sender: MqttCommandSender, *, shared: bool
) -> None:
    try:
        event = inbox.get(timeout=0.5)
    except queue.Empty:
        return
    if isinstance(event, Disconnected) and shared:
        # Both would take over each other's session in turns; Mosquitto 2.0 gives no reason code.
        raise SessionTakenOverError(
            f"the broker has ended the connection ({event.cause}): where it takes a user for one "
            "client, `[command]` of the configuration needs a user of its own"
        )
    if isinstance(event, Received) and len(event.payload) <= MAX_REPLY_BYTES:
        if (connected := _who_connected(event)) is not None:
            sender.on_contact(*connected, is_new=True)
            return
        replied = validate_reply(
            event.topic, event.payload, datetime.now(UTC), retained=event.retained
        )
        if isinstance(replied, ValidatedReply):
            sender.record_reply(replied)


def _who_connected(received: Received) -> tuple[str, str] | None:
    """The probe (tenant, name) that says that it has just connected, None for anything else."""
    address = topics.parse(received.topic)
    if address is None or address.channel != "state" or received.retained:
        return None
    try:
        state = messages.decode(received.payload, State)
    except msgspec.MsgspecError:
        return None
    return (address.tenant, address.probe) if state.presence is Presence.ONLINE else None


def _range(text: str) -> tuple[int, int]:
    match = _RANGE.fullmatch(text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not FIRST-LAST")
    first = int(match[1])
    return first, int(match[2] or first)


def _user() -> str | None:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name
        return None
