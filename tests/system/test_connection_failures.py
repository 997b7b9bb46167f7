"""Why there is no connection: each cause, as session, `check` and doctor name it.

Real Mosquitto with the rendered configuration; plain sockets for what is no broker.
"""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec import structs

from probe.doctor import network_checks
from probe.doctor.check import CheckStatus
from runtime.broker import BrokerConfig
from runtime.connection_failure import FailureCause
from runtime.mqtt import Connected, Disconnected, Event, MqttSession, try_connection
from tests.broker import why_not
from tests.secured_broker import COLLECTOR, PROBE, Office, Scene, scene

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with scene(tmp_path_factory.mktemp("failures")) as made:
        yield made


@contextmanager
def served(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """A port whose connections are given to a function; what is accepted is closed at the end."""
    listener = socket.create_server(("127.0.0.1", 0))
    accepted: list[socket.socket] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            accepted.append(connection)
            answer(connection)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.close()
        for connection in accepted:
            connection.close()


def silent(_connection: socket.socket) -> None:
    """Accept, and never say a word."""


def closing(connection: socket.socket) -> None:
    """As RabbitMQ 3.10 ends a connection of MQTT 5."""
    connection.recv(4096)
    connection.close()


def plain(port: int, **fields: object) -> BrokerConfig:
    given = {"host": "127.0.0.1", "port": port, "tls": False, "connect_timeout_s": 2.0}
    return BrokerConfig(**given | fields)  # type: ignore[arg-type]  # fields by name


def password_file(folder: Path, text: str) -> str:
    path = folder / "password"
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    return str(path)


def certificate_cases(stage: Scene, folder: Path) -> dict[str, tuple[BrokerConfig, FailureCause]]:
    broker, theirs = stage.broker, FailureCause.CLIENT_CERTIFICATE
    foreign = Office(folder / "foreign")
    return {
        "revoked": (broker.by_certificate(stage.revoked), theirs),
        "expired": (broker.by_certificate(stage.office.expired_probe("qua-han-02")), theirs),
        "foreign authority's": (broker.by_certificate(foreign.probe(PROBE)), theirs),
        "broker of a foreign authority": (
            broker.by_certificate(stage.probe, ca_file=str(foreign.ca_file)),
            FailureCause.SERVER_CERTIFICATE,
        ),
        "wrong host name": (
            broker.by_certificate(stage.probe, host="127.0.0.1"),
            FailureCause.SERVER_CERTIFICATE,
        ),
        "no authority file": (
            broker.by_certificate(stage.probe, ca_file=str(folder / "nowhere.pem")),
            FailureCause.LOCAL_FILE,
        ),
    }


def other_cases(stage: Scene, folder: Path) -> dict[str, tuple[BrokerConfig, FailureCause]]:
    broker = stage.broker
    wrong = password_file(folder, "not the password")
    return {
        "wrong password": (
            broker.by_password(COLLECTOR, password_file=wrong),
            FailureCause.CREDENTIALS,
        ),
        "no password": (
            broker.without_credentials(broker.ports["password"]),
            FailureCause.CREDENTIALS,
        ),
        "nothing listens": (plain(1), FailureCause.REFUSED),
        "no such name": (
            structs.replace(plain(1), host="broker.invalid"),
            FailureCause.NAME_RESOLUTION,
        ),
    }


def assert_told(config: BrokerConfig, cause: FailureCause, what: str) -> None:
    """By the session itself and by the doctor, with advice in both languages."""
    failure = try_connection(config, PROBE)
    for _ in range(5):
        # A reset may overtake the broker's own word; then the next try has it.
        if failure is not None and failure.cause is cause:
            break
        failure = try_connection(config, PROBE)
    assert failure is not None, what
    assert failure.cause is cause, (what, failure)
    (finding,) = network_checks.broker(config, datetime.now(UTC), PROBE)
    assert finding.verdict is CheckStatus.BAD, what
    assert finding.todo is not None
    assert finding.todo.vi != finding.todo.en


def test_each_cause_of_certificates_has_its_name_and_advice(stage: Scene, tmp_path: Path) -> None:
    for what, (config, cause) in certificate_cases(stage, tmp_path).items():
        assert_told(config, cause, what)


def test_each_other_cause_has_its_name_and_advice(stage: Scene, tmp_path: Path) -> None:
    for what, (config, cause) in other_cases(stage, tmp_path).items():
        assert_told(config, cause, what)


def test_tls_on_a_plain_port_and_the_reverse(stage: Scene) -> None:
    with served(lambda connection: connection.sendall(b"this is no TLS at all\r\n")) as port:
        config = structs.replace(plain(port), tls=True, ca_file=str(stage.office.ca_file))
        assert_told(config, FailureCause.NOT_TLS, "TLS on a plain port")
    config = plain(stage.broker.ports["password"], host="127.0.0.1")
    assert_told(config, FailureCause.CLOSED, "no TLS on a port of TLS")


def test_a_port_that_closes_without_a_word_may_want_the_older_protocol() -> None:
    with served(closing) as port:
        assert_told(plain(port), FailureCause.CLOSED, "closed")
        failure = try_connection(plain(port), PROBE)
    assert failure is not None
    assert "protocol = 311" in failure.advice().en


@pytest.mark.parametrize("tls", [False, True])
def test_a_port_that_accepts_and_never_answers_is_left_in_time(tls: bool) -> None:
    with served(silent) as port:
        began_s = time.monotonic()
        failure = try_connection(structs.replace(plain(port), tls=tls), PROBE)
        took_s = time.monotonic() - began_s
    assert failure is not None
    assert failure.cause is FailureCause.NO_ANSWER
    assert took_s < 20, "paho waits for a CONNACK as long as the keep-alive, 60 s"


def test_a_refusal_is_one_event_and_wins_over_the_end_that_follows(
    stage: Scene, tmp_path: Path
) -> None:
    config = stage.broker.by_password(COLLECTOR, password_file=password_file(tmp_path, "wrong"))
    inbox: queue.SimpleQueue[Event] = queue.SimpleQueue()
    session = MqttSession(structs.replace(config, reconnect_max_s=1.0), COLLECTOR, inbox.put)
    session.start()
    try:
        events = [inbox.get(timeout=20) for _ in range(3)]
    finally:
        session.stop()
    assert [event.connection for event in events] == [1, 2, 3], "one a connection"
    for event in events:
        assert isinstance(event, Disconnected)
        assert event.failure.cause is FailureCause.CREDENTIALS
        assert "Normal disconnection" not in event.cause


def test_two_boxes_of_one_name_are_told(stage: Scene) -> None:
    config = structs.replace(stage.broker.by_certificate(stage.probe), reconnect_max_s=1.0)
    inboxes: list[queue.SimpleQueue[Event]] = [queue.SimpleQueue(), queue.SimpleQueue()]
    boxes = [MqttSession(config, PROBE, inbox.put) for inbox in inboxes]
    for box in boxes:
        box.start()
    try:
        for inbox in inboxes:
            deadline_s = time.monotonic() + 60
            cause, connected = None, 0
            while cause is not FailureCause.NAME_TAKEN and time.monotonic() < deadline_s:
                event = inbox.get(timeout=30)
                connected += isinstance(event, Connected)
                cause = event.failure.cause if isinstance(event, Disconnected) else cause
            assert cause is FailureCause.NAME_TAKEN, connected
    finally:
        for box in boxes:
            box.stop()
