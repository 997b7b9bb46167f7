"""What a probe does with a command: the decision alone, without broker, clock or thread."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from msgspec import structs

from probe.commands.policy import (
    PER_HOUR,
    CommandAccepted,
    CommandDecision,
    CommandHistory,
    CommandIgnored,
    CommandRefused,
    ProbeContext,
    decide,
)
from wire.commands import (
    AnyCommand,
    CommandName,
    Identify,
    Measure,
    Refusal,
    Reload,
    Replay,
    encode_command,
)

NOW = datetime(2026, 11, 24, 5, 0, tzinfo=UTC)
ID = UUID("5a4c1f0e-8f0e-4a57-9d0c-0d3b6f2f7a01")
EPOCH = UUID("6f1c1b1e-8f0e-4a57-9d0c-0d3b6f2f7a01")
LIFE: dict[str, Any] = {"id": ID, "issued_at": NOW, "expires_at": NOW + timedelta(minutes=2)}
SITUATION = ProbeContext(
    now=NOW,
    clock_known=True,
    allowed=list(CommandName),
    measures_per_hour=2,
    kinds=["throughput", "latency"],
    bulk_kinds=["throughput"],
    lines=["vnpt", "viettel"],
    exhausted_lines=["viettel"],
)
EVERY: list[AnyCommand] = [
    Identify(**LIFE),
    Measure(**LIFE, kind="latency", line="vnpt"),
    Replay(**LIFE, epoch=EPOCH, ranges=[(1, 9)]),
    Reload(**LIFE),
]


def decided(
    command: AnyCommand,
    context: ProbeContext = SITUATION,
    history: CommandHistory | None = None,
    *,
    retained: bool = False,
) -> CommandDecision:
    payload = encode_command(command)
    return decide(command.name, payload, history or CommandHistory(), context, retained=retained)


def reason(decision: CommandDecision) -> Refusal | None:
    return decision.reason if isinstance(decision, CommandRefused) else None


@pytest.mark.parametrize("command", EVERY, ids=lambda one: str(one.name))
def test_a_good_command_is_obeyed_once(command: AnyCommand) -> None:
    first = decided(command)
    assert isinstance(first, CommandAccepted)
    assert first.command == command
    again = decided(command, history=first.history)
    assert isinstance(again, CommandIgnored), "the broker sent it again"


@pytest.mark.parametrize("command", EVERY, ids=lambda one: str(one.name))
def test_a_retained_command_is_ignored(command: AnyCommand) -> None:
    assert isinstance(decided(command, retained=True), CommandIgnored)


@pytest.mark.parametrize("command", EVERY, ids=lambda one: str(one.name))
def test_what_has_expired_is_refused_by_the_payload_alone(command: AnyCommand) -> None:
    late = structs.replace(SITUATION, now=command.expires_at)
    assert reason(decided(command, late)) is Refusal.EXPIRED
    in_time = structs.replace(SITUATION, now=command.expires_at - timedelta(seconds=1))
    assert isinstance(decided(command, in_time), CommandAccepted)


def test_without_a_clock_only_the_lights_are_obeyed() -> None:
    unknown = structs.replace(SITUATION, clock_known=False, now=NOW + timedelta(days=4_000))
    reasons = {command.name: reason(decided(command, unknown)) for command in EVERY}
    assert reasons == {
        CommandName.IDENTIFY: None,
        CommandName.MEASURE: Refusal.CLOCK_UNKNOWN,
        CommandName.REPLAY: Refusal.CLOCK_UNKNOWN,
        CommandName.RELOAD: Refusal.CLOCK_UNKNOWN,
    }


def test_a_command_from_the_future_is_refused_for_a_clock_is_wrong() -> None:
    early = structs.replace(SITUATION, now=NOW - timedelta(minutes=6))
    assert reason(decided(EVERY[0], early)) is Refusal.CLOCK_UNKNOWN
    slightly = structs.replace(SITUATION, now=NOW - timedelta(minutes=4))
    assert isinstance(decided(EVERY[0], slightly), CommandAccepted)


@pytest.mark.parametrize("command", EVERY, ids=lambda one: str(one.name))
def test_what_is_not_allowed_here_is_refused(command: AnyCommand) -> None:
    allowed = [name for name in CommandName if name is not command.name]
    assert reason(decided(command, structs.replace(SITUATION, allowed=allowed))) is (
        Refusal.NOT_ALLOWED
    )


@pytest.mark.parametrize(
    ("kind", "line", "expected"),
    [
        ("throughput", "vnpt", None),
        ("video", "vnpt", Refusal.UNKNOWN_KIND),
        ("throughput", "fpt", Refusal.UNKNOWN_LINE),
        ("throughput", "viettel", Refusal.DATA_USED_UP),
        ("latency", "viettel", None),
    ],
)
def test_a_probe_measures_what_it_has_and_may(
    kind: str, line: str, expected: Refusal | None
) -> None:
    assert reason(decided(Measure(**LIFE, kind=kind, line=line))) is expected


@pytest.mark.parametrize("command", EVERY, ids=lambda one: str(one.name))
def test_each_name_has_its_own_limit_an_hour(command: AnyCommand) -> None:
    limit = {**PER_HOUR, CommandName.MEASURE: SITUATION.measures_per_hour}[command.name]
    history = CommandHistory()
    for _ in range(limit):
        decision = decided(structs.replace(command, id=uuid4()), history=history)
        assert isinstance(decision, CommandAccepted)
        history = decision.history
    one_more = structs.replace(command, id=uuid4())
    assert reason(decided(one_more, history=history)) is Refusal.TOO_OFTEN
    # A clock that is set back by less does not open the door.
    back = structs.replace(SITUATION, now=NOW - timedelta(minutes=4))
    assert reason(decided(one_more, back, history)) is Refusal.TOO_OFTEN
    later = NOW + timedelta(minutes=61)
    fresh = structs.replace(one_more, issued_at=later, expires_at=later + timedelta(minutes=1))
    assert isinstance(
        decided(fresh, structs.replace(SITUATION, now=later), history), CommandAccepted
    )
    for other in EVERY:
        if other.name is not command.name:
            assert isinstance(
                decided(structs.replace(other, id=uuid4()), history=history), CommandAccepted
            )


def test_the_memory_is_bounded_and_forgets_the_oldest() -> None:
    history, at = CommandHistory(), NOW
    for _ in range(600):
        at += timedelta(minutes=3)
        command = Identify(id=uuid4(), issued_at=at, expires_at=at + timedelta(minutes=1))
        decision = decided(command, structs.replace(SITUATION, now=at), history)
        assert isinstance(decision, CommandAccepted)
        history = decision.history
    assert 20 <= len(history.accepted) <= 100
    assert history.accepted[-1].at == at


@pytest.mark.parametrize(
    ("name", "payload", "expected"),
    [
        ("run", b"{}", None),
        ("identify", b"\xff", None),
        ("identify", b"{}", None),
        ("identify", b" " * 20_000, None),
        ("identify", f'{{"id": "{ID}"}}'.encode(), Refusal.MALFORMED),
        ("identify", f'{{"id": "{ID}", "command": "run"}}'.encode(), Refusal.MALFORMED),
        ("reload", encode_command(EVERY[0]), Refusal.MALFORMED),
    ],
)
def test_what_is_no_command_is_refused_where_somebody_can_be_told(
    name: str, payload: bytes, expected: Refusal | None
) -> None:
    decision = decide(name, payload, CommandHistory(), SITUATION, retained=False)
    if expected is None:
        assert isinstance(decision, CommandIgnored)
    else:
        assert isinstance(decision, CommandRefused)
        assert decision.id == ID
        assert decision.reason is expected
        assert decision.reply(NOW).reason is expected


def test_what_cannot_be_read_does_not_fill_or_break_our_log() -> None:
    hostile = b'{"command": "' + b"\\n\\nERROR forged " * 500 + b'"}'
    decision = decide("identify", hostile, CommandHistory(), SITUATION, retained=False)
    assert isinstance(decision, CommandIgnored)
    assert len(decision.cause) < 250
    assert "\n" not in decision.cause


def test_no_command_can_name_a_program_a_path_an_address_or_a_setting() -> None:
    """Every field of every command, by name: whoever adds one must think of this sentence."""
    shared = {"id", "issued_at", "expires_at", "asked_by"}
    own = {
        Identify: {"duration_s"},
        Measure: {"kind", "line"},
        Replay: {"epoch", "ranges"},
        Reload: set(),
    }
    for command_type, fields in own.items():
        assert set(command_type.__struct_fields__) == shared | fields
