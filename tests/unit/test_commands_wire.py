"""The command types: what they refuse, and that a reply is complete."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, get_args
from uuid import UUID

import msgspec
import pytest

from wire import commands, topics
from wire.commands import (
    Answer,
    CommandFrame,
    CommandName,
    Identify,
    Measure,
    Refusal,
    Replay,
    Reply,
)

NOW = datetime(2026, 11, 24, 5, 0, tzinfo=UTC)
ID = UUID("5a4c1f0e-8f0e-4a57-9d0c-0d3b6f2f7a01")
EPOCH = UUID("6f1c1b1e-8f0e-4a57-9d0c-0d3b6f2f7a01")
LIFE: dict[str, Any] = {"id": ID, "issued_at": NOW, "expires_at": NOW + timedelta(minutes=2)}


def test_each_command_comes_back_as_itself() -> None:
    for command in (
        Identify(**LIFE, duration_s=5.0),
        Measure(**LIFE, kind="throughput", line="vnpt", asked_by="lan"),
        Replay(**LIFE, epoch=EPOCH, ranges=[(1, 3), (9, 9)]),
        commands.Reload(**LIFE),
    ):
        assert commands.decode_command(commands.encode_command(command)) == command
        assert topics.command("a", "b", command.name) == f"tramdo/v1/a/b/cmd/{command.name}"
    assert {str(each.__struct_config__.tag) for each in get_args(commands.AnyCommand)} == {
        str(name) for name in CommandName
    }


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"command": "run"}, "Invalid value 'run'"),
        ({"command": "identify", "program": "/bin/sh"}, "unknown field `program`"),
        ({"command": "measure", "kind": "../x", "line": "vnpt"}, "matching regex"),
        ({"command": "measure", "kind": "http", "line": "vnpt", "server": "evil"}, "`server`"),
        ({"command": "identify", "duration_s": 86_400}, "<= 600"),
        ({"command": "identify", "expires_at": "2026-11-24T05:00:00Z"}, "`expires_at`"),
        ({"command": "identify", "expires_at": "2026-11-25T05:00:00Z"}, "`expires_at`"),
        ({"command": "identify", "expires_at": "9999-12-31T23:59:59Z"}, "`expires_at`"),
        ({"command": "identify", "expires_at": "2026-11-24T05:02:00"}, "timezone"),
        ({"command": "replay", "epoch": str(EPOCH), "ranges": []}, "length >= 1"),
        ({"command": "replay", "epoch": str(EPOCH), "ranges": [[3, 1]]}, "before it begins"),
        ({"command": "replay", "epoch": str(EPOCH), "ranges": [[1, 60_000]]}, "more than 50000"),
        ({"command": "replay", "epoch": str(EPOCH), "ranges": [[1, 1]] * 101}, "length <= 100"),
    ],
)
def test_what_is_no_command_is_refused_by_name(fields: dict[str, object], said: str) -> None:
    whole = {"id": str(ID), "issued_at": NOW, "expires_at": NOW + timedelta(minutes=2), **fields}
    payload = msgspec.json.encode(whole)
    with pytest.raises(msgspec.ValidationError, match=said):
        commands.decode_command(payload)
    assert CommandFrame.of(payload) == CommandFrame(ID), "whom to answer can still be read"


@pytest.mark.parametrize("payload", [b"", b"\xff", b"[]", b'{"id": 7}', b"[" * 100_000])
def test_what_has_no_id_cannot_be_answered(payload: bytes) -> None:
    assert CommandFrame.of(payload) is None


def test_a_refusal_names_its_reason_and_nothing_else_does() -> None:
    told: dict[str, Any] = {"id": ID, "command": CommandName.IDENTIFY, "at": NOW}
    with pytest.raises(ValueError, match="reason"):
        Reply(**told, answer=Answer.REFUSED)
    with pytest.raises(ValueError, match="reason"):
        Reply(**told, answer=Answer.DONE, reason=Refusal.EXPIRED)
    assert not Reply(**told, answer=Answer.ACCEPTED).final
    assert Reply(**told, answer=Answer.DONE).final
