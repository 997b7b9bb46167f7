"""The centre's side of commands: what is sent, and whose reply counts."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import msgspec
import pytest
from msgspec import structs

from collector.commands import builder
from collector.commands.sender import MqttCommandSender
from collector.commands.state import CommandTracker, NotSentError
from collector.commands.validation import ValidatedReply, validate_reply
from collector.store.messages import RejectedMessage
from runtime.mqtt import Message
from wire import topics
from wire.commands import Answer, CommandName, Refusal, Reply, decode_command
from wire.messages import Rejection

NOW = datetime(2026, 11, 24, 5, 0, tzinfo=UTC)
ID = UUID("5a4c1f0e-8f0e-4a57-9d0c-0d3b6f2f7a01")
TENANT, PROBE = "bach-thong", "phu-thong-01"
REPLY_TOPIC = topics.of_probe(TENANT, PROBE, "reply")


def reply(answer: Answer, reason: Refusal | None = None) -> Reply:
    return Reply(id=ID, command=CommandName.IDENTIFY, answer=answer, reason=reason, at=NOW)


class Broker:
    """Takes what is published, or nothing."""

    def __init__(self, *, connected: bool = True) -> None:
        self.connected = connected
        self.sent: list[Message] = []
        self.now = NOW

    def publish(self, message: Message) -> int | None:
        if not self.connected:
            return None
        self.sent.append(message)
        return len(self.sent)


def sender_to(broker: Broker, *, away: bool = False) -> MqttCommandSender:
    return MqttCommandSender(broker.publish, lambda _tenant, _probe: away, lambda: broker.now)


def test_a_command_goes_to_its_topic_and_expires_at_the_broker_too() -> None:
    broker = Broker()
    sender = sender_to(broker)
    command = builder.measure(ID, NOW, kind="http", line="vnpt", asked_by="lan")
    sender.send(TENANT, PROBE, command)
    message = broker.sent[0]
    assert message.topic == "tramdo/v1/bach-thong/phu-thong-01/cmd/measure"
    assert decode_command(message.payload) == command
    assert not message.retain, "a retained command would come again at each connect"
    assert message.expiry_s == builder.LIFETIME.total_seconds()
    status = sender.status(ID)
    assert status is not None
    assert status.waiting_at(NOW)
    assert not status.waiting_at(command.expires_at)


def test_without_a_connection_nothing_is_sent_later() -> None:
    sender = sender_to(Broker(connected=False))
    with pytest.raises(NotSentError, match="no connection"):
        sender.send(TENANT, PROBE, builder.reload(ID, NOW))
    assert sender.status(ID) is None


def test_nothing_is_sent_to_a_probe_whose_tenant_another_collector_holds() -> None:
    broker = Broker()
    sender = MqttCommandSender(broker.publish, holds=lambda tenant: tenant != TENANT)
    with pytest.raises(NotSentError, match="another collector holds the tenant bach-thong"):
        sender.send(TENANT, PROBE, builder.reload(ID, NOW))
    assert (broker.sent, sender.status(ID)) == ([], None)


def test_a_command_to_a_probe_that_is_away_waits_and_is_sent_once() -> None:
    broker = Broker()
    sender = sender_to(broker, away=True)
    command = builder.identify(ID, NOW)
    sender.send(TENANT, PROBE, command)
    assert broker.sent == []
    status = sender.status(ID)
    assert status is not None
    assert status.sent_at is None
    assert status.waiting_at(NOW)
    broker.now = NOW + timedelta(seconds=30)
    sender.on_contact(TENANT, "another", is_new=True)
    assert broker.sent == []
    sender.on_contact(TENANT, PROBE, is_new=True)
    assert [decode_command(message.payload) for message in broker.sent] == [command]
    assert broker.sent[0].expiry_s == 90, "what is left of its life"
    assert sender.status(ID).sent_at == broker.now  # type: ignore[union-attr]
    # `info`, results: the same connection.
    for _ in range(3):
        sender.on_contact(TENANT, PROBE, is_new=False)
    assert len(broker.sent) == 1


def test_any_message_of_a_probe_shows_that_it_is_there() -> None:
    broker = Broker()
    sender = sender_to(broker, away=True)
    sender.send(TENANT, PROBE, builder.identify(ID, NOW))
    assert sender.is_waiting_for(TENANT, PROBE)
    sender.on_contact(TENANT, PROBE, is_new=False)
    assert len(broker.sent) == 1


def test_what_a_lost_connection_took_with_it_is_sent_again_until_it_is_answered() -> None:
    broker = Broker()
    sender = sender_to(broker)
    sender.send(TENANT, PROBE, builder.identify(ID, NOW))
    assert len(broker.sent) == 1
    sender.on_contact(TENANT, PROBE, is_new=True)
    assert len(broker.sent) == 2
    assert broker.sent[0].payload == broker.sent[1].payload, "the same id: executed once"
    sender.record_reply(ValidatedReply(TENANT, PROBE, reply(Answer.ACCEPTED)))
    assert not sender.is_waiting_for(TENANT, PROBE)
    sender.on_contact(TENANT, PROBE, is_new=True)
    assert len(broker.sent) == 2


def test_what_has_expired_is_never_sent() -> None:
    broker = Broker()
    sender = sender_to(broker, away=True)
    command = builder.identify(ID, NOW)
    sender.send(TENANT, PROBE, command)
    broker.now = command.expires_at
    sender.on_contact(TENANT, PROBE, is_new=True)
    assert broker.sent == []
    status = sender.status(ID)
    assert status is not None
    assert status.sent_at is None
    assert not status.waiting_at(broker.now)
    assert not sender.is_waiting_for(TENANT, PROBE), "nothing is kept for ever"


def test_what_could_not_be_sent_goes_on_waiting() -> None:
    broker = Broker(connected=False)
    sender = sender_to(broker, away=True)
    sender.send(TENANT, PROBE, builder.identify(ID, NOW))
    sender.on_contact(TENANT, PROBE, is_new=True)
    assert sender.status(ID).sent_at is None  # type: ignore[union-attr]
    broker.connected = True
    sender.on_contact(TENANT, PROBE, is_new=False)
    assert len(broker.sent) == 1


def test_a_reply_is_taken_from_the_probe_that_was_asked_only() -> None:
    sender = sender_to(Broker())
    sender.send(TENANT, PROBE, builder.identify(ID, NOW))
    sender.record_reply(ValidatedReply(TENANT, "another", reply(Answer.DONE)))
    assert sender.status(ID).reply is None  # type: ignore[union-attr]
    sender.record_reply(ValidatedReply(TENANT, PROBE, reply(Answer.ACCEPTED)))
    sender.record_reply(ValidatedReply(TENANT, PROBE, reply(Answer.DONE)))
    sender.record_reply(ValidatedReply(TENANT, PROBE, reply(Answer.ACCEPTED)))
    status = sender.status(ID)
    assert status is not None
    assert status.reply == reply(Answer.DONE), "a late repeat takes nothing back"
    assert not status.waiting_at(NOW)


def test_an_accepted_command_may_take_longer_than_its_life() -> None:
    tracker = CommandTracker()
    command = builder.identify(ID, NOW)
    tracker.record(TENANT, PROBE, command)
    tracker.record_reply(TENANT, PROBE, reply(Answer.ACCEPTED))
    status = tracker.get(ID)
    assert status is not None
    assert status.waiting_at(command.expires_at)
    assert not status.waiting_at(command.expires_at + timedelta(hours=1))


def test_what_was_sent_long_ago_is_forgotten() -> None:
    tracker = CommandTracker()
    tracker.record(TENANT, PROBE, builder.identify(ID, NOW))
    for _ in range(1_000):
        tracker.record(TENANT, PROBE, builder.identify(uuid4(), NOW))
    assert tracker.get(ID) is None


def test_many_threads_may_send_and_ask() -> None:
    broker = Broker()
    sender = sender_to(broker)

    def work() -> None:
        for _ in range(50):
            one = builder.identify(uuid4(), NOW)
            sender.send(TENANT, PROBE, one)
            said = structs.replace(reply(Answer.DONE), id=one.id)
            sender.record_reply(ValidatedReply(TENANT, PROBE, said))
            assert sender.status(one.id).reply == said  # type: ignore[union-attr]

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(broker.sent) == 200


def test_what_is_no_reply_is_rejected_with_a_reason() -> None:
    good = msgspec.json.encode(reply(Answer.DONE))
    cases = [
        (good, False, None),
        (good, True, Rejection.TOPIC),
        (b"{", False, Rejection.NOT_JSON),
        (b"\xff", False, Rejection.NOT_JSON),
        (b"{}", False, Rejection.SCHEMA),
        (good.replace(b"done", b"refused"), False, Rejection.SCHEMA),
        (b" " * 4_097, False, Rejection.TOO_LARGE),
    ]
    for payload, retained, reason in cases:
        judged = validate_reply(REPLY_TOPIC, payload, NOW, retained=retained)
        if reason is None:
            assert judged == ValidatedReply(TENANT, PROBE, reply(Answer.DONE))
        else:
            assert isinstance(judged, RejectedMessage)
            assert judged.reason is reason
    assert (
        validate_reply(topics.of_probe(TENANT, PROBE, "state"), good, NOW, retained=False) is None
    )


def test_commands_that_ask_for_too_much_are_not_made() -> None:
    with pytest.raises(msgspec.ValidationError):
        builder.identify(ID, NOW, duration_s=1e9)
    with pytest.raises(msgspec.ValidationError):
        builder.replay(ID, NOW, epoch=ID, ranges=[(1, 10**6)])
    with pytest.raises(msgspec.ValidationError):
        builder.measure(ID, NOW, kind="http", line="vnpt/../other")
