"""Floor 3. What is fuzzed: each place where bytes come in from elsewhere, and what must hold there.

A target takes an input, raises for a fault of ours (and for nothing else), and says in a few words
what became of it: the figures count how many different things did.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import msgspec
from msgspec import Struct

from collector.commands.validation import ValidatedReply, validate_reply
from collector.ingest.validation import validate
from collector.store.batch import Batch
from collector.store.messages import RejectedMessage, ResultsMessage, ValidatedMessage
from collector.store.sqlite import SqliteStore
from probe.commands.policy import (
    CommandAccepted,
    CommandHistory,
    CommandRefused,
    ProbeContext,
    decide,
)
from probe.deliver.sender_state import coverage_of
from probe.measure.throughput import iperf3_report
from probe.measure.throughput.iperf3_report import Transcript
from tests import samples
from tests.property.test_throughput_property import REPORTS, SPEC
from wire import commands, messages, stamp, stamp_tlv, topics
from wire.clock_repair import ClockNote, KnownBoot
from wire.commands import Answer, CommandName, Reply
from wire.envelope import encode_envelope
from wire.messages import Presence, Receipt, State
from wire.record import Clock
from wire.result import DropCause, Result, ResultsDroppedValues, encode_result

NOW = samples.NOON + timedelta(minutes=2)
_ID = UUID("5a4c1f0e-8f0e-4a57-9d0c-0d3b6f2f7a01")
_STORED_AT_ONCE = 500
# What a sentence repeats of the input, which would make every input an outcome of its own.
_REPEATED = re.compile(
    r"(Invalid enum value|Invalid value|unknown field|envelope is from|of kind).*", re.DOTALL
)
_DIGITS = re.compile(r"[0-9]+")
_TOPIC_ALPHABET = "tramdo/v1-+#$\x00\nếA_ \u2028"


class Target(Struct, frozen=True):
    """A place where bytes come in: sound inputs to start from, and what is done with one."""

    name: str
    corpus: list[bytes]
    take: Callable[[bytes, random.Random], str]
    close: Callable[[], None] = lambda: None


def targets(folder: Path) -> list[Target]:
    """All of them. `folder` is for a real store."""
    intake = _Intake(folder)
    return [
        Target("intake", _messages(), intake.take, intake.close),
        Target("reply", _replies(), _reply),
        Target("command", _commands(), _command),
        Target("receipt", _receipts(), _receipt),
        Target("stamp", _packets(), _stamp),
        Target("iperf3", list(REPORTS.values()), _iperf3),
    ]


class _Intake:
    """The gate, its rows, and now and then a real store with all that was let in."""

    def __init__(self, folder: Path) -> None:
        self._store = SqliteStore(folder / "fuzz.sqlite", rejected_kept=100)
        self._waiting: list[ValidatedMessage] = []
        own = ("state", "info", "health")
        self._topics = [
            *(topics.of_probe(samples.TENANT, samples.PROBE, channel) for channel in own),
            *(topics.measurement(samples.TENANT, samples.PROBE, one.kind) for one in _results()),
        ]

    def take(self, payload: bytes, draw: random.Random) -> str:
        topic = self._topic(payload, draw)
        live, retained = draw.random() < 0.5, draw.random() < 0.1
        judged = validate(topic, payload, NOW, retained=retained, live=live)
        for row in Batch([judged], NOW).rows:
            assert 1 <= row.seq < 2**63
            assert all(value.encode() or True for value in row if isinstance(value, str))
        self._waiting.append(judged)
        if len(self._waiting) == _STORED_AT_ONCE:
            self.close()
        match judged:
            case RejectedMessage():
                assert 0 < len(judged.detail) <= 500
                return f"rejected {judged.reason} {_shape(judged.detail)}"
            case ResultsMessage():
                flags = sorted({flag for one in judged.records for flag in one.result.validity})
                refused = sorted({one.reason for one in judged.rejected_records})
                return f"accepted {judged.kind} {' '.join(flags)} | {' '.join(refused)}"
            case _:
                return f"reported {type(judged.message).__name__}"

    def close(self) -> None:
        """Store what was let in, and what was not: a store must take either."""
        self._store.store_batch(self._waiting, NOW)
        self._waiting = []

    def _topic(self, payload: bytes, draw: random.Random) -> str:
        topic = draw.choice(self._topics)
        if draw.random() < 0.85:
            # Mostly where it belongs, so that more than the topic is tried.
            kind = re.search(rb'"kind":"([a-z_]+)"', payload)
            told = None if kind is None else kind[1].decode()
            return next((one for one in self._topics if one.endswith(f"/{told}")), topic)
        if draw.random() < 0.5:
            return topic
        at = draw.randrange(len(topic))
        return topic[:at] + draw.choice(_TOPIC_ALPHABET) + topic[at + draw.randrange(2) :]


def _reply(payload: bytes, draw: random.Random) -> str:
    topic = topics.of_probe(samples.TENANT, samples.PROBE, "reply")
    judged = validate_reply(topic, payload, NOW, retained=draw.random() < 0.05)
    if isinstance(judged, ValidatedReply):
        return f"replied {judged.reply.answer} {judged.reply.reason}"
    assert isinstance(judged, RejectedMessage)
    return f"rejected {judged.reason} {_shape(judged.detail)}"


def _command(payload: bytes, draw: random.Random) -> str:
    situation = ProbeContext(
        now=NOW + timedelta(minutes=draw.choice([0, 0, 0, 5, -7])),
        clock_known=draw.random() < 0.9,
        allowed=list(CommandName),
        measures_per_hour=2,
        kinds=["latency", "throughput"],
        bulk_kinds=["throughput"],
        lines=["vnpt"],
        exhausted_lines=[],
    )
    name = draw.choice([*CommandName, "run"])
    if draw.random() < 0.8 and (told := re.search(rb'"command":"([a-z]+)"', payload)):
        name = told[1].decode()
    decision = decide(name, payload, CommandHistory(), situation, retained=draw.random() < 0.05)
    match decision:
        case CommandAccepted():
            # Obeyed is only what the types allow: what it says can be said again.
            again = commands.decode_command(commands.encode_command(decision.command))
            assert again == decision.command
            return f"obeyed {decision.command.name}"
        case CommandRefused():
            assert decision.reply(NOW).reason is decision.reason
            return f"refused {decision.reason} {_shape(decision.detail)}"
        case _:
            return f"ignored {_shape(decision.cause)}"


def _receipt(payload: bytes, _draw: random.Random) -> str:
    try:
        receipt = messages.decode(payload, Receipt)
    except msgspec.MsgspecError as error:
        return f"not taken {_shape(str(error))}"
    assert coverage_of(receipt).first_uncovered >= 1
    return f"taken, {min(len(receipt.missing), 3)} missing"


def _stamp(payload: bytes, _draw: random.Random) -> str:
    said = []
    for decode in (stamp.decode_sender, stamp.decode_reflector):
        try:
            packet = decode(payload)
        except stamp.StampError as error:
            said.append(str(error.defect))
            continue
        said.append(type(packet).__name__)
        if isinstance(packet, stamp.SenderPacket):
            estimate = packet.error_estimate
            answer = stamp.reflect(payload, packet, received=1, error_estimate=estimate, ttl=64)
            stamp_tlv.answer_tlvs(
                answer,
                stamp_tlv.SynchronisationSource.NTP,
                lambda: stamp_tlv.PacketCounts(1, 1),
            )
            assert len(answer) == len(payload)
        else:
            assert isinstance(packet.residence_ns, int)
    return " ".join(said)


def _iperf3(payload: bytes, draw: random.Random) -> str:
    printed = "" if draw.random() < 0.7 else payload[:200].decode("utf-8", "replace")
    transcript = Transcript(report=payload, printed=printed, killed=draw.random() < 0.1)
    reading = iperf3_report.read(transcript, SPEC)
    if reading.transfer is not None:
        msgspec.json.decode(msgspec.json.encode(reading.transfer), type=type(reading.transfer))
    return f"{reading.reason} {'figures' if reading.transfer else 'none'}"


def _results() -> list[Result]:
    drop = ResultsDroppedValues(
        cause=DropCause.OUTBOX_FULL, epoch=samples.EPOCH, count=2, ranges=[(1, 2)]
    )
    return [
        samples.latency(),
        samples.throughput(),
        samples.dns(),
        samples.web(),
        samples.path(),
        samples.availability(),
        samples.outage(),
        samples.dropped(drop),
    ]


def _messages() -> list[bytes]:
    unknown = Clock(synchronised=False, boot_id="boot", boottime_s=30.0)
    late = msgspec.structs.replace(samples.latency(), clock=unknown)
    note = ClockNote(sending=unknown, known=[KnownBoot("boot", 40.0, NOW)])
    unsure = ClockNote(sending=unknown)
    site, epoch, tenant, probe = samples.SITE, samples.EPOCH, samples.TENANT, samples.PROBE
    then = NOW - timedelta(days=100)
    bodies = [(7, encode_result(late)), (8, encode_result(samples.latency()))]
    return [
        *(samples.envelope([(3, one), (4, one)]) for one in _results()),
        encode_envelope(tenant, probe, epoch, site, NOW, bodies, note),
        encode_envelope(tenant, probe, epoch, site, then, bodies, unsure),
        messages.encode(State(Presence.ONLINE, NOW)),
        messages.encode(samples.info()),
        messages.encode(samples.health()),
    ]


def _replies() -> list[bytes]:
    told = Reply(id=_ID, command=CommandName.IDENTIFY, answer=Answer.DONE, detail="ok", at=NOW)
    return [messages.encode(told)]


def _commands() -> list[bytes]:
    life: dict[str, object] = {
        "id": _ID,
        "issued_at": NOW,
        "expires_at": NOW + timedelta(minutes=2),
    }
    each: Sequence[dict[str, object]] = [
        {"command": "identify", "duration_s": 5.0},
        {"command": "measure", "kind": "latency", "line": "vnpt", "asked_by": "lan"},
        {"command": "replay", "epoch": samples.EPOCH, "ranges": [[1, 5], [9, 9]]},
        {"command": "reload"},
    ]
    return [msgspec.json.encode({**life, **one}) for one in each]


def _receipts() -> list[bytes]:
    at = datetime(2026, 7, 25, tzinfo=UTC)
    receipt = Receipt(epoch=samples.EPOCH, stored_through=90, missing=[(3, 5), (8, 8)], at=at)
    return [messages.encode(receipt)]


def _packets() -> list[bytes]:
    estimate = stamp.UNSYNCHRONISED
    sender = stamp.SenderPacket(7, stamp.ntp_from_unix_ns(10**18), estimate)
    sent = stamp.encode_sender(sender)
    answer = stamp.reflect(sent, sender, received=2**40, error_estimate=estimate, ttl=64)
    return [sent, bytes(answer), sent + bytes(400)]


def _shape(detail: str) -> str:
    """A sentence without its particulars, so that outcomes can be counted."""
    return _DIGITS.sub("#", _REPEATED.sub(r"\1", detail))
