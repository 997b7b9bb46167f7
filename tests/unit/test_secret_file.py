"""Secrets in files: who else can read them is refused, in a sentence, before anything is sent."""

from __future__ import annotations

import queue
from pathlib import Path

import pytest

from runtime import secret_file
from runtime.broker import BrokerConfig
from runtime.connection_failure import ConnectionFailure, FailureCause
from runtime.mqtt import Disconnected, Event, MqttSession


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.touch(0o600)
    path.write_text("mật khẩu\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o440, 0o640])
def test_the_owner_and_a_group_may_read(secret: Path, mode: int) -> None:
    secret.chmod(mode)
    assert secret_file.problem(secret) is None
    assert secret_file.read_text(secret) == "mật khẩu", "without the editor's line break"


@pytest.mark.parametrize(
    ("mode", "sentence"),
    [
        (0o644, "can be read by others (mode 0644): chmod 600 it, or 640"),
        (0o604, "can be read by others (mode 0604): chmod 600 it, or 640"),
        (0o660, "can be changed by others (mode 0660): chmod 600 it, or 640"),
        (0o602, "can be changed by others (mode 0602): chmod 600 it, or 640"),
    ],
)
def test_what_others_can_read_or_change_is_refused(secret: Path, mode: int, sentence: str) -> None:
    secret.chmod(mode)
    trouble = secret_file.problem(secret)
    assert trouble is not None
    assert trouble.en == f"{secret} {sentence}"
    assert trouble.vi.endswith("chạy chmod 600 hoặc 640")
    with pytest.raises(PermissionError, match=r"chmod 600 it, or 640"):
        secret_file.read_text(secret)


def test_one_that_is_not_there_is_told_so(tmp_path: Path) -> None:
    none = tmp_path / "none"
    assert secret_file.problem(none) == (
        f"không đọc được {none} (No such file or directory)",
        f"{none} cannot be read: No such file or directory",
    )


def test_a_byte_order_mark_is_no_part_of_a_secret(secret: Path) -> None:
    secret.write_bytes(b"\xef\xbb\xbf" + "mật khẩu\r\n".encode())
    assert secret_file.read_text(secret) == "mật khẩu"


@pytest.mark.parametrize("which", ["key_file", "password_file"])
def test_a_session_sends_nothing_with_an_open_secret(secret: Path, which: str) -> None:
    secret.chmod(0o644)
    # Nothing listens at port 1: a cause that names the file came before the first packet.
    fields: dict[str, object] = {"host": "127.0.0.1", "port": 1, which: str(secret)}
    if which == "key_file":
        fields["certificate_file"] = str(secret)
    else:
        fields |= {"username": "collector.1", "tls": False}
    inbox: queue.SimpleQueue[Event] = queue.SimpleQueue()
    session = MqttSession(BrokerConfig(**fields), "x", inbox.put)  # type: ignore[arg-type]  # by name
    session.start()
    try:
        event = inbox.get(timeout=10)
    finally:
        session.stop()
    assert isinstance(event, Disconnected)
    detail = f"{secret} can be read by others (mode 0644): chmod 600 it, or 640"
    detail_vi = f"tài khoản khác đọc được {secret} (quyền 0644): chạy chmod 600 hoặc 640"
    assert event.failure == ConnectionFailure(FailureCause.LOCAL_FILE, detail, detail_vi)
