"""Why there is no connection: each cause, as each tool says it, with its advice.

The tools are the session, `tramdo-probe doctor` and `status`, and `tramdo-collector check`. Real
Mosquitto with the rendered configuration; plain sockets for what is no broker.
"""

from __future__ import annotations

import http.server
import io
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self, TypeVar

import pytest
from msgspec import structs

from collector import cli
from probe import clock, config, events
from probe.deliver.publisher import Publisher
from probe.doctor import network_checks
from probe.doctor.check import CheckStatus
from probe.show import status, texts
from runtime.broker import BrokerConfig
from runtime.connection_failure import ConnectionFailure, FailureCause
from runtime.language import Language, Phrase
from runtime.mqtt import Connected, Disconnected, Event, MqttSession, try_connection
from tests import samples
from tests.broker import Broker
from tests.client import Client, eventually
from tests.collector_process import CollectorProcess
from tests.secured_broker import (
    COLLECTOR,
    HOST,
    PROBE,
    TENANT,
    Office,
    Scene,
    scene,
    why_not,
)
from tests.unit.test_config import GOOD

T = TypeVar("T")
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
    ours = FailureCause.SERVER_CERTIFICATE
    foreign = Office(folder / "foreign")
    future = datetime.now(UTC) + timedelta(days=9)
    return {
        "revoked": (broker.by_certificate(stage.revoked), theirs),
        "expired": (broker.by_certificate(stage.office.expired_probe("qua-han-02")), theirs),
        "not yet valid": (
            broker.by_certificate(stage.office.probe("chua-den-01", made_at=future)),
            theirs,
        ),
        "foreign authority's": (broker.by_certificate(foreign.probe(PROBE)), theirs),
        "broker of a foreign authority": (
            broker.by_certificate(stage.probe, ca_file=str(foreign.ca_file)),
            ours,
        ),
        "wrong host name": (broker.by_certificate(stage.probe, host="127.0.0.1"), ours),
        "no authority file": (
            broker.by_certificate(stage.probe, ca_file=str(folder / "nowhere.pem")),
            FailureCause.LOCAL_FILE,
        ),
        "no certificate file": (
            broker.by_certificate(stage.probe, certificate_file=str(folder / "nowhere.pem")),
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
        "by certificate at the port for passwords": (
            broker.by_certificate(stage.probe, port=broker.ports["password"]),
            FailureCause.CREDENTIALS,
        ),
        "by password at the port for certificates": (
            broker.by_password(COLLECTOR, port=broker.ports["certificate"]),
            FailureCause.CLIENT_CERTIFICATE,
        ),
        "nothing listens": (plain(1), FailureCause.REFUSED),
        "no such name": (
            structs.replace(plain(1), host="broker.invalid"),
            FailureCause.NAME_RESOLUTION,
        ),
    }


def tried(ask: Callable[[], T], is_it: Callable[[T], bool]) -> T:
    """The answer, asked again up to five times: a reset may overtake the broker's own word."""
    for _ in range(5):
        found = ask()
        if is_it(found):
            return found
    return ask()


def assert_told(
    broker: BrokerConfig, cause: FailureCause, what: str, folder: Path
) -> ConnectionFailure:
    """By the session itself and by every tool, with the same advice."""
    failure = tried(
        lambda: try_connection(broker, PROBE), lambda it: it is not None and it.cause is cause
    )
    assert failure is not None, what
    assert failure.cause is cause, (what, failure)
    advice = failure.advice()
    (finding,) = tried(
        lambda: list(network_checks.broker(broker, datetime.now(UTC), PROBE)),
        lambda findings: findings[0].todo == advice,
    )
    assert finding.verdict is CheckStatus.BAD, what
    assert finding.todo == advice, what
    assert finding.todo.vi != finding.todo.en
    sentence = ConnectionFailure(cause, "").sentence()
    by_box = by_status(broker, folder, failure)
    checked = tried(lambda: by_check(broker, folder), lambda text: advice.en in text)
    for shown in (checked, by_box.en):
        assert sentence.en.removesuffix(" ()") in shown, what
        assert failure.advice().en in shown, what
    for shown in (finding.seen.vi, by_box.vi):
        assert sentence.vi.removesuffix(" ()") in shown, what
        assert sentence.en.removesuffix(" ()") not in shown, what
    assert failure.advice().vi in by_box.vi, what
    return failure


class Box:
    """A probe's publisher, and what `status` and `doctor` make of its events."""

    def __init__(self, broker: BrokerConfig, folder: Path) -> None:
        parsed = structs.replace(
            config.parse(GOOD.encode(), "probe.toml"), tenant=TENANT, probe=PROBE, broker=broker
        )
        folder.mkdir(exist_ok=True)
        self._status = status.initial(parsed)
        self._publisher = Publisher(
            parsed, folder / "outbox.sqlite", self._take, lambda epoch: samples.info(epoch=epoch),
            lambda pending, _outbox_bytes: samples.health(pending=pending),
        )  # fmt: skip

    def __enter__(self) -> Self:
        self._publisher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._publisher.stop()

    def measure(self) -> None:
        """Hand a result over."""
        self._publisher.submit(samples.latency())

    def _take(self, event: events.Event) -> None:
        self._status = status.fold(self._status, event)

    def shown(self) -> Phrase:
        """What `tramdo-probe status` prints now."""
        snapshot = status.StatusSnapshot(
            written_at=clock.utc_now(), pid=1, version="0", leds_driver="none",
            status=self._status, leds=status.frame(self._status, 0.0),
        )  # fmt: skip
        return Phrase(*(texts.snapshot(snapshot, one) for one in (Language.VI, Language.EN)))


def by_status(broker: BrokerConfig, folder: Path, failure: ConnectionFailure) -> Phrase:
    """`tramdo-probe status`, once it says a cause; what came last where it says another one."""
    quick = structs.replace(broker, reconnect_max_s=1.0)
    with Box(quick, folder / "probe") as box:
        with suppress(AssertionError):
            eventually(lambda: failure.advice().en in box.shown().en, "the cause")
        return box.shown()


def by_check(broker: BrokerConfig, folder: Path) -> str:
    """`tramdo-collector check`."""
    collector = CollectorProcess(folder / "collector", broker)
    with redirect_stdout(io.StringIO()) as printed:
        assert cli.main(["check", "--config", str(collector.config_path)]) == cli.FAILED
    return printed.getvalue()


def test_each_cause_of_certificates_has_its_name_and_advice(stage: Scene, tmp_path: Path) -> None:
    for what, (broker, cause) in certificate_cases(stage, tmp_path).items():
        assert_told(broker, cause, what, tmp_path)


def test_each_other_cause_has_its_name_and_advice(stage: Scene, tmp_path: Path) -> None:
    for what, (broker, cause) in other_cases(stage, tmp_path).items():
        assert_told(broker, cause, what, tmp_path)


def test_a_broker_whose_certificate_begins_later(tmp_path: Path) -> None:
    office = Office(tmp_path / "office")
    future = office.authority.server([HOST], datetime.now(UTC) + timedelta(days=9))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(future, future.with_suffix(".key"))

    def handshake(connection: socket.socket) -> None:
        with suppress(OSError):
            context.wrap_socket(connection, server_side=True).close()

    with served(handshake) as port:
        broker = plain(port, host=HOST, tls=True, ca_file=str(office.ca_file))
        failure = assert_told(broker, FailureCause.SERVER_CERTIFICATE, "too early", tmp_path)
    assert "not yet valid" in failure.detail


def test_tls_on_a_plain_port_and_the_reverse(stage: Scene, tmp_path: Path) -> None:
    with served(lambda connection: connection.sendall(b"this is no TLS at all\r\n")) as port:
        broker = plain(port, tls=True, ca_file=str(stage.office.ca_file))
        assert_told(broker, FailureCause.NOT_TLS, "TLS on a plain port", tmp_path)
    broker = plain(stage.broker.ports["password"], host="127.0.0.1")
    assert_told(broker, FailureCause.CLOSED, "no TLS on a port of TLS", tmp_path)


def test_a_port_of_another_program(tmp_path: Path) -> None:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        assert_told(plain(server.server_port), FailureCause.NO_ANSWER, "web server", tmp_path)
    finally:
        server.shutdown()
        server.server_close()


def test_a_port_that_closes_without_a_word_may_want_the_older_protocol(tmp_path: Path) -> None:
    with served(closing) as port:
        failure = assert_told(plain(port), FailureCause.CLOSED, "closed", tmp_path)
    assert "protocol = 311" in failure.advice().en


def test_a_broker_that_takes_no_more_connections(tmp_path: Path) -> None:
    """Mosquitto closes what is beyond its `max_connections` at once, so only its log says why."""
    with (
        Broker(tmp_path / "broker", settings=["max_connections 1"]) as broker,
        Client(broker.config(), "the-only-one"),
    ):
        failure = assert_told(broker.config(), FailureCause.CLOSED, "full", tmp_path)
        assert "max_connections" in broker.log
    assert "`max_connections`" in failure.advice().en


def test_a_topic_that_the_broker_refuses_is_a_fault_with_its_advice(
    stage: Scene, tmp_path: Path
) -> None:
    """A probe that says it is another one: it is let in, and each publish is refused."""
    broker = stage.broker.by_certificate(stage.neighbour)
    with Box(broker, tmp_path / "probe") as box:
        box.measure()
        eventually(lambda: "the broker does not allow this topic" in box.shown().en, "the fault")
        eventually(lambda: "; 1 results wait for its receipt" in box.shown().en, "it stays")
        shown = box.shown().en
        vietnamese = box.shown().vi
    assert "lỗi: máy chủ nhận tin (MQTT): máy chủ nhận tin không cho phép gửi vào chủ đề này " in (
        vietnamese
    )
    assert "fault: broker: the broker does not allow this topic (Not authorized): see the " in shown
    assert "probe's rights at the broker" in shown
    assert "centre: connected" in shown


def test_a_certificate_that_is_put_back_is_taken_at_the_next_connection(
    stage: Scene, tmp_path: Path
) -> None:
    """As `tramdo-fleet pull` does where the file was lost."""
    path = tmp_path / "probe.pem"
    broker = stage.broker.by_certificate(stage.probe, certificate_file=str(path))
    quick = structs.replace(broker, reconnect_max_s=1.0)
    with Box(quick, tmp_path / "probe") as box:
        eventually(lambda: "a key, certificate or password file" in box.shown().en, "the cause")
        path.write_bytes(stage.probe.certificate.read_bytes())
        eventually(lambda: "centre: connected" in box.shown().en, "the connection")


@pytest.mark.parametrize("tls", [False, True])
def test_a_port_that_accepts_and_never_answers_is_left_in_time(tls: bool) -> None:
    with served(silent) as port:
        began_s = time.monotonic()
        failure = try_connection(plain(port, tls=tls), PROBE)
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
