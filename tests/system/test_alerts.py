"""Alerts from a real store to a real mail server and a real web server, over restarts."""

from __future__ import annotations

import email
import email.policy
import json
import socket
import ssl
import subprocess
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, Session

from collector.alerts.alert import AlertKind
from collector.alerts.alert_store import AlertStore
from collector.alerts.monitor import AlertMonitor
from collector.alerts.notification import DeliveryError, webhook_body
from collector.alerts.notifier import Notifier, channels
from collector.alerts.served_certificates import ServedCertificates
from collector.alerts.settings import AlertsConfig, MailConfig, WebhookConfig
from collector.alerts.webhook import post, signature
from collector.domain import thresholds_file
from collector.domain.name_conflicts import NameConflicts, ProbeRun
from collector.domain.read_model import ReadModel
from collector.ingest.validation import validate
from collector.registry.communes import official
from collector.registry.file_format import parse_toml
from collector.rollup.periods import VIETNAM, start_of_day
from collector.store.messages import ResultsMessage, StatusMessage
from collector.store.sqlite import SqliteStore
from deploy.authority import authority
from deploy.authority.rules import REVOCATION_LIST_LIFETIME
from runtime.certificate import ends_at
from tests import samples, webhook_receiver
from tests.client import eventually
from tests.ports import free_port
from tests.webhook_receiver import Receiver
from wire.messages import Health, Info
from wire.result import Family, Outcome, Reason, Result

NOW = datetime(2026, 7, 25, 5, 0, tzinfo=UTC)
REGISTRY = b"""
[[isp]]
id = "vnpt"
name = "VNPT"
[[probe]]
tenant = "bach-thong"
probe = "tram-01969-1"
commune = "01969"
office = "UBND xa Phu Thong"
[[probe.line]]
id = "vnpt"
isp = "vnpt"
plan_down_mbit_s = 300
plan_up_mbit_s = 300
"""


class Mailbox:
    """aiosmtpd's handler: keeps what came; answers 451 while it is away."""

    def __init__(self) -> None:
        self.mails: list[email.message.EmailMessage] = []
        self.is_away = False
        self.refused: set[str] = set()

    async def handle_RCPT(  # noqa: N802
        self, server: Any, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        del server, session, options
        if address in self.refused:
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Session, envelope: Envelope) -> str:  # noqa: N802
        del server, session
        if self.is_away:
            return "451 not now"
        content = envelope.content
        assert isinstance(content, bytes)
        mail = email.message_from_bytes(content, policy=email.policy.default)
        assert isinstance(mail, email.message.EmailMessage)
        self.mails.append(mail)
        return "250 OK"

    @property
    def subjects(self) -> list[str]:
        return [str(mail["Subject"]) for mail in self.mails]


@pytest.fixture
def mailbox() -> Iterator[tuple[Mailbox, int]]:
    box, port = Mailbox(), free_port()
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    yield box, port
    controller.stop()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with webhook_receiver.running() as server:
        yield server


class Stage:
    """A store, a book and a watch over them; `restart` is what a new process sees."""

    def __init__(self, folder: Path, config: AlertsConfig) -> None:
        self.folder, self.config = folder, config
        self.listening = True
        self.name_conflicts = NameConflicts()
        self.store = SqliteStore(folder / "results.sqlite")
        registry = parse_toml(REGISTRY, "registry.toml", official())
        self.store.registry.apply(registry, "test", "test", NOW)
        self._seq = 0
        self._tell_s = 0.0
        self._open()

    def _open(self) -> None:
        self.alert_store = AlertStore(self.folder / "alerts.sqlite")
        self.notifier = Notifier(self.alert_store, channels(self.config, VIETNAM), wait_s=60)
        self.watch = AlertMonitor(
            ReadModel(self.store, thresholds_file.read()),
            self.alert_store,
            self.notifier,
            self.config,
            [],
            lambda: self.listening,
            lambda: None,
            self.name_conflicts.current,
        )

    def restart(self) -> None:
        self.alert_store.close()
        self._open()

    def restart_with_nothing_observed(self) -> None:
        self.name_conflicts = NameConflicts()
        self.restart()

    def hear(self, at: datetime, leds: dict[str, str] | None = None, pending: int = 0) -> None:
        health = Health(
            at=at,
            pending=pending,
            outbox_bytes=0,
            clock_synchronised=True,
            temperature_c=None,
            throttled=None,
            disk_free_bytes=None,
            memory_available_bytes=1,
            uptime_s=1.0,
            leds=leds or {"vnpt.green": "steady", "vnpt.red": "off"},
        )
        self.notify(health, at)

    def notify(self, message: Health | Info, at: datetime) -> None:
        reported = StatusMessage(samples.TENANT, samples.PROBE, at, False, message)
        self.store.store_batch([reported], at)

    def put(self, result: Result) -> None:
        self._seq += 1
        topic = f"tramdo/v1/{samples.TENANT}/{samples.PROBE}/m/{result.kind}"
        judged = validate(topic, samples.envelope([(self._seq, result)]), NOW)
        assert isinstance(judged, ResultsMessage), judged
        self.store.store_batch([judged], NOW)

    def check(self, at: datetime) -> None:
        # A new Centre's memory is of seconds of the real clock; the test's minutes are not real.
        self.watch._model.invalidate()
        self.watch.check(at)
        self._tell_s += 10_000
        self.notifier.notify(self._tell_s)

    def close(self) -> None:
        self.alert_store.close()
        self.store.close()


def config(port: int, url: str, **more: Any) -> AlertsConfig:
    mail = MailConfig(
        host="127.0.0.1",
        port=port,
        security="none",
        sender="tramdo@example.vn",
        recipients=["truc@example.vn"],
    )
    return AlertsConfig(mail=mail, webhook=WebhookConfig(url=url, **more))


@pytest.fixture
def stage(tmp_path: Path, mailbox: tuple[Mailbox, int], receiver: Receiver) -> Iterator[Stage]:
    made = Stage(tmp_path, config(mailbox[1], receiver.url))
    yield made
    made.close()


def minutes(count: float) -> datetime:
    return NOW + timedelta(minutes=count)


def test_a_silent_probe_is_told_once_with_its_end_over_a_restart(
    stage: Stage, mailbox: tuple[Mailbox, int], receiver: Receiver
) -> None:
    box, _ = mailbox
    stage.hear(NOW)
    stage.check(NOW)
    stage.check(minutes(59))
    assert box.mails == []
    stage.check(minutes(61))
    stage.check(minutes(62))
    assert box.subjects == [
        "[Tramdo] Trạm đo mất liên lạc (bắt đầu): UBND xa Phu Thong, tram-01969-1"
    ]
    assert receiver.edges == [("begin", "probe_silent")]
    text = box.mails[0].get_content()
    assert "kể từ 12:00 ngày 25/07/2026" in text

    stage.restart()
    stage.check(minutes(63))
    assert len(box.mails) == 1, "a new process tells nothing anew"
    stage.hear(minutes(70))
    stage.check(minutes(71))
    stage.check(minutes(72))
    assert len(box.mails) == 2
    assert "Kết thúc: 13:11 ngày 25/07/2026" in box.mails[1].get_content()
    assert receiver.edges[1:] == [("end", "probe_silent")]


def test_a_centre_that_was_away_calls_nobody_silent(stage: Stage) -> None:
    stage.hear(NOW)
    stage.listening = False
    for hour in range(1, 5):
        stage.check(minutes(60 * hour))
    stage.listening = True
    stage.check(minutes(300))
    stage.check(minutes(330))
    assert stage.alert_store.newest(10) == []
    stage.check(minutes(361))
    (alert,) = stage.alert_store.newest(10)
    assert (alert.key.kind, alert.began_at) == (AlertKind.PROBE_SILENT, NOW)


def test_two_boxes_of_one_name_are_told_until_they_stop(
    stage: Stage, mailbox: tuple[Mailbox, int], receiver: Receiver
) -> None:
    runs = [ProbeRun(epoch, NOW) for epoch in (samples.EPOCH, samples.OTHER_EPOCH)]
    for minute, run in ((0, runs[0]), (5, runs[1])):
        stage.hear(minutes(minute))
        stage.name_conflicts.observe(samples.TENANT, samples.PROBE, run, minutes(minute))
        stage.check(minutes(minute))
    assert stage.alert_store.newest(10) == [], "a restart is no second box"
    stage.name_conflicts.observe(samples.TENANT, samples.PROBE, runs[0], minutes(6))
    stage.check(minutes(7))
    stage.hear(minutes(50))
    # A new process has seen nothing yet: the alert stays open until it has listened for an hour.
    stage.restart_with_nothing_observed()
    for minute in (51, 80, 105):
        stage.hear(minutes(minute))
        stage.check(minutes(minute))
    assert receiver.edges == [("begin", "name_shared")]
    assert "Hai thiết bị dùng chung một tên" in mailbox[0].subjects[0]
    stage.hear(minutes(112))
    stage.check(minutes(112))
    assert receiver.edges == [("begin", "name_shared"), ("end", "name_shared")]


def test_channels_that_were_away_are_told_later_and_only_what_is_still_news(
    stage: Stage, mailbox: tuple[Mailbox, int], receiver: Receiver
) -> None:
    box, _ = mailbox
    box.is_away, receiver.status = True, 503
    stage.hear(NOW)
    stage.check(NOW)
    stage.check(minutes(61))
    stage.hear(minutes(70))
    stage.check(minutes(71))
    box.is_away, receiver.status = False, 204
    stage.restart()
    stage.check(minutes(72))
    assert len(box.mails) == 1
    assert "(đã kết thúc)" in box.subjects[0]
    assert receiver.edges == [("end", "probe_silent")]
    sent = json.loads(receiver.posts[0][1])
    headers = receiver.posts[0][0]
    assert headers["Idempotency-Key"] == sent["id"]
    assert sent["alerts"][0]["began_at"] == "2026-07-25T05:00:00Z"
    assert sent["alerts"][0]["ended_at"] == "2026-07-25T06:11:00Z"


def test_a_line_that_is_down_and_comes_back(stage: Stage, receiver: Receiver) -> None:
    down = {"vnpt.green": "off", "vnpt.red": "fast_blink"}
    stage.put(samples.latency(started_at=NOW))
    stage.hear(minutes(1))
    stage.check(minutes(1))
    for minute in (5, 12):
        stage.put(
            samples.latency(
                started_at=minutes(minute),
                sent=40,
                lost=40,
                outcome=Outcome.FAILED,
                reason=Reason.NO_REPLY,
            )
        )
        stage.hear(minutes(minute), down)
        stage.check(minutes(minute))
    assert receiver.edges == [("begin", "line_down")]
    (alert,) = stage.alert_store.open_alerts().values()
    assert (alert.began_at, alert.evidence) == (NOW, {"minutes_without_answer": 12})
    stage.hear(minutes(20))
    stage.check(minutes(20))
    assert receiver.edges[1:] == [("end", "line_down")]


def test_one_family_that_is_down_is_not_the_line(stage: Stage, receiver: Receiver) -> None:
    """IPv6 falls silent for two hours while IPv4 answers; then it answers again."""
    lost = {"lost": 60, "outcome": Outcome.FAILED, "reason": Reason.NO_REPLY}
    for minute in (0, 30, 70, 120):
        silent = lost if minute in (30, 70) else {}
        stage.put(samples.latency(started_at=minutes(minute), family=Family.IPV4))
        stage.put(
            samples.latency(started_at=minutes(minute), family=Family.IPV6, **silent)  # type: ignore[arg-type]
        )
        stage.hear(minutes(minute))
        stage.check(minutes(minute))
        if minute == 70:
            assert receiver.edges == [("begin", "family_down")]
            (alert,) = stage.alert_store.open_alerts().values()
            assert (alert.key.subject.line, alert.key.subject.name) == ("vnpt", "ipv6")
            assert (alert.began_at, alert.evidence) == (NOW, {"minutes_without_answer": 70})
    assert receiver.edges == [("begin", "family_down"), ("end", "family_down")]


def test_a_plan_missed_for_three_days_from_the_roll_ups(stage: Stage) -> None:
    for day in (22, 23, 24):
        for hour in range(4):
            at = start_of_day(date(2026, 7, day)) + timedelta(hours=8 + hour)
            stage.put(samples.throughput(started_at=at, download_bps=150e6, upload_bps=290e6))
    while stage.store.roll_up(NOW):
        pass
    stage.hear(NOW)
    stage.check(NOW)
    (alert,) = stage.alert_store.newest(10)
    assert alert.key.kind is AlertKind.PLAN_MISSED
    assert alert.began_at == start_of_day(date(2026, 7, 22))
    assert alert.evidence["lowest_down_share"] == pytest.approx(0.485, abs=0.001)
    assert (alert.commune_code, alert.office) == ("01969", "UBND xa Phu Thong")


def test_a_backlog_that_grows_and_is_sent(stage: Stage) -> None:
    for minute, pending in ((0, 600), (60, 700), (121, 900)):
        stage.hear(minutes(minute), pending=pending)
        stage.check(minutes(minute))
    (alert,) = stage.alert_store.open_alerts().values()
    assert alert.evidence == {"pending": 900, "pending_before": 600}
    stage.hear(minutes(125), pending=3)
    stage.check(minutes(125))
    assert stage.alert_store.open_alerts() == {}


def certificate(folder: Path, days: int) -> tuple[Path, Path]:
    key, file = folder / "server.key", folder / "server.crt"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", str(days), "-subj", "/CN=localhost", "-addext",
         "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", file],
        check=True, capture_output=True,
    )  # fmt: skip
    return key, file


def test_a_certificate_that_ends_soon(stage: Stage, tmp_path: Path) -> None:
    _, file = certificate(tmp_path, 20)
    stage.config = AlertsConfig(certificate_files=[str(file)])
    stage.restart()
    stage.check(datetime.now(UTC))
    (alert,) = stage.alert_store.newest(10)
    assert (alert.key.kind, alert.key.subject.name) == (
        AlertKind.CERTIFICATE_EXPIRING,
        str(file),
    )
    certificate(tmp_path, 400)
    stage.check(datetime.now(UTC))
    assert stage.alert_store.open_alerts() == {}


def test_a_revocation_list_that_ends_soon_and_one_that_cannot_be_read(
    stage: Stage, tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    soon = now - REVOCATION_LIST_LIFETIME + timedelta(days=29)
    authority.init(tmp_path / "authority", "Tramdo test", None, soon)
    crl = tmp_path / "authority" / "crl.pem"
    stage.config = AlertsConfig(certificate_files=[str(crl)])
    stage.restart()
    stage.check(now)
    (alert,) = stage.alert_store.open_alerts().values()
    assert (alert.key.kind, alert.key.subject.name) == (AlertKind.CERTIFICATE_EXPIRING, str(crl))
    crl.write_bytes(b"")
    stage.check(now + timedelta(minutes=1))
    kinds = {alert.key.kind for alert in stage.alert_store.open_alerts().values()}
    assert kinds == {AlertKind.CERTIFICATE_EXPIRING, AlertKind.CERTIFICATE_UNREADABLE}
    authority.Authority(tmp_path / "authority").make_list(now)
    stage.check(now + timedelta(minutes=2))
    assert stage.alert_store.open_alerts() == {}


def test_the_certificate_that_a_server_presents_is_monitored(tmp_path: Path) -> None:
    """The broker's and the fleet centre's, wherever they stand: their files may be elsewhere."""
    key, file = certificate(tmp_path, 20)
    port = free_port()
    served = ServedCertificates([f"localhost:{port}"])
    assert list(served.certificates(0.0)) == []
    (lost,) = served.certificates(901.0)
    assert lost.not_after is None, "nobody answered for a quarter of an hour"
    server = subprocess.Popen(
        ["openssl", "s_server", "-accept", str(port), "-cert", file, "-key", key, "-quiet"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        eventually(lambda: _opens(port), "the server listens")
        (found,) = served.certificates(902.0)
    finally:
        server.terminate()
        server.wait(10)
    assert found.name == f"localhost:{port}"
    assert found.not_after == ends_at(file.read_bytes())
    (kept,) = served.certificates(903.0)
    assert kept == found, "asked again in an hour only"


def _opens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("localhost", port)) == 0


def test_two_certificates_of_one_file_name_are_two_alerts(stage: Stage, tmp_path: Path) -> None:
    files = []
    for name in ("mqtt", "www"):
        (tmp_path / name).mkdir()
        files.append(str(certificate(tmp_path / name, 20)[1]))
    stage.config = AlertsConfig(certificate_files=[*files, files[0]])
    stage.restart()
    stage.check(datetime.now(UTC))
    assert sorted(alert.key.subject.name for alert in stage.alert_store.newest(10)) == files


def test_a_probe_that_is_taken_down_and_struck_off_alerts_nobody(stage: Stage) -> None:
    second = b"[[probe]]" + REGISTRY.partition(b"[[probe]]")[2]
    other = REGISTRY + second.replace(b"tram-01969-1", b"tram-01969-2")
    both = parse_toml(other, "registry.toml", official())
    stage.store.registry.apply(both, "test", "test", NOW)
    stage.hear(NOW)
    stage.check(NOW)
    stage.check(minutes(61))
    silent = {alert.key.subject.probe for alert in stage.alert_store.open_alerts().values()}
    assert samples.PROBE in silent
    one = parse_toml(other.replace(b"tram-01969-1", b"tram-01969-3"), "r.toml", official())
    stage.store.registry.apply(one, "test", "test", NOW)
    stage.check(minutes(62))
    silent = {alert.key.subject.probe for alert in stage.alert_store.open_alerts().values()}
    assert samples.PROBE in silent, "it was heard an hour ago: somebody may have forgotten it"
    stage.check(minutes(8 * 24 * 60))
    silent = {alert.key.subject.probe for alert in stage.alert_store.open_alerts().values()}
    assert samples.PROBE not in silent


def test_a_probe_tells_that_its_certificate_ends_soon(stage: Stage) -> None:
    now = datetime.now(UTC)
    stage.notify(samples.health(at=now, certificate_ends_at=now + timedelta(days=20)), now)
    stage.check(now)
    (alert,) = stage.alert_store.newest(10)
    assert alert.key.kind is AlertKind.CERTIFICATE_EXPIRING
    assert alert.key.subject.probe == samples.PROBE
    stage.notify(samples.health(at=now, certificate_ends_at=now + timedelta(days=700)), now)
    stage.check(now + timedelta(minutes=1))
    assert stage.alert_store.open_alerts() == {}


def test_one_refused_recipient_does_not_have_the_others_told_again(
    stage: Stage, mailbox: tuple[Mailbox, int], caplog: pytest.LogCaptureFixture
) -> None:
    box, port = mailbox
    box.refused = {"gone@example.vn"}
    stage.config = AlertsConfig(
        mail=MailConfig(
            host="127.0.0.1", port=port, security="none", sender="tramdo@example.vn",
            recipients=["truc@example.vn", "gone@example.vn"],
        )
    )  # fmt: skip
    stage.restart()
    stage.hear(NOW)
    for minute in (0, 61, 62, 63):
        stage.check(minutes(minute))
    assert len(box.mails) == 1
    assert "refused gone@example.vn" in caplog.text


def test_mail_over_starttls_with_a_password(tmp_path: Path) -> None:
    key, file = certificate(tmp_path, 30)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(file, key)
    names: list[bytes] = []

    def authenticate(_s: Any, _se: Any, _e: Any, _mechanism: str, data: Any) -> AuthResult:
        names.append(data.login)
        return AuthResult(success=data.password == b"mat-khau")

    box, port = Mailbox(), free_port()
    controller = Controller(
        box,
        hostname="127.0.0.1",
        port=port,
        tls_context=context,
        require_starttls=True,
        authenticator=authenticate,
        auth_required=True,
    )
    secret = tmp_path / "mail.password"
    secret.write_text("mat-khau\n")
    secret.chmod(0o600)
    mail = MailConfig(
        host="127.0.0.1",
        port=port,
        security="starttls",
        ca_file=str(file),
        username="tramdo",
        password_file=str(secret),
        sender="tramdo@example.vn",
        recipients=["truc@example.vn"],
    )
    controller.start()
    try:
        notify = channels(AlertsConfig(mail=mail), VIETNAM)["mail"]
        notify(_one_due(tmp_path))
        assert (names, len(box.mails)) == ([b"tramdo"], 1)
        unknown_ca = channels(
            AlertsConfig(mail=MailConfig(**{**_fields(mail), "ca_file": None})), VIETNAM
        )["mail"]
        with pytest.raises(DeliveryError, match="certificate verify failed"):
            unknown_ca(_one_due(tmp_path))
        secret.chmod(0o644)
        with pytest.raises(DeliveryError, match="can be read by others"):
            notify(_one_due(tmp_path))
    finally:
        controller.stop()


def _fields(mail: MailConfig) -> dict[str, Any]:
    return {name: getattr(mail, name) for name in mail.__struct_fields__}


def _one_due(folder: Path) -> Any:
    made = Stage(folder, AlertsConfig())
    made.notifier = Notifier(made.alert_store, {"x": lambda _: None})
    made.watch._notifier = made.notifier
    if not made.alert_store.open_alerts():
        made.hear(NOW)
        made.watch.check(NOW)
        made.watch.check(minutes(61))
    pending = made.alert_store.pending("x")
    made.close()
    assert pending
    return pending


def test_a_webhook_is_signed_and_its_redirect_is_not_followed(
    tmp_path: Path, receiver: Receiver
) -> None:
    secret = tmp_path / "webhook.secret"
    secret.write_text("s3cret\n")
    secret.chmod(0o600)
    body = webhook_body(_one_due(tmp_path))
    webhook = WebhookConfig(url=receiver.url, secret_file=str(secret))
    post(body, "an-id", webhook)
    headers, got = receiver.posts[0]
    assert got == body
    assert headers["X-Tramdo-Signature"] == signature(body, "s3cret")
    receiver.status = 302
    with pytest.raises(DeliveryError, match="answered 302"):
        post(body, "an-id", webhook)
