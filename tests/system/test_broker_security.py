"""Who comes in on the broker as it is deployed, and who does not: TLS, credentials, revocation.

Real Mosquitto with the rendered configuration, certificates made by `deploy.authority`.
"""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec import structs

from deploy.authority.rules import REVOCATION_LIST_LIFETIME
from deploy.broker.limits import MAX_PACKET_BYTES
from runtime.mqtt import Connected, Disconnected
from tests.client import Client, eventually
from tests.secured_broker import (
    COLLECTOR,
    HOST,
    NEIGHBOUR,
    PROBE,
    ROOT,
    SUBSCRIBER,
    WAIT_S,
    Identity,
    Office,
    Scene,
    SecuredBroker,
    Writer,
    refusal,
    scene,
    session,
    why_not,
)

pytestmark = [
    pytest.mark.skipif(why_not() is not None, reason=str(why_not())),
    # paho leaves the socket of a handshake that failed to the garbage collector.
    pytest.mark.filterwarnings(
        "ignore:Exception ignored in. <ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning"
    ),
]

LISTENERS = ("certificate", "password", "both", "ws")
NO_CERTIFICATES = "Mosquitto 2.0 has no certificates on WebSockets: its settings refuse them"
DENIED = "Not authorized"
ONE_DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with scene(tmp_path_factory.mktemp("scene")) as ready:
        yield ready


def connection(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=WAIT_S)


def alert(port: int, identity: Identity | None, ca_file: Path) -> str | None:
    """What the broker says to a certificate in the handshake, None when it takes it.

    TLS 1.2: there the server's word comes before the handshake has ended.
    """
    context = ssl.create_default_context(cafile=str(ca_file))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    if identity is not None:
        context.load_cert_chain(identity.certificate, identity.key)
    with connection(port) as plain:
        try:
            context.wrap_socket(plain, server_hostname=HOST).close()
        except ssl.SSLError as error:
            return error.reason
    return None


# Certificates


def test_expired_revoked_foreign_and_missing_certificates_are_refused(
    stage: Scene, tmp_path: Path
) -> None:
    # An authority of the same name, as a forger would have it.
    forged = Office(tmp_path / "forger").probe(PROBE)
    cases = {
        "good": (stage.probe, None),
        "expired": (stage.office.expired_probe("qua-han-01"), "SSLV3_ALERT_CERTIFICATE_EXPIRED"),
        "revoked": (stage.revoked, "SSLV3_ALERT_CERTIFICATE_REVOKED"),
        "foreign": (forged, "TLSV1_ALERT_UNKNOWN_CA"),
        "a server's": (stage.office.server, "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE"),
        "none": (None, "SSLV3_ALERT_HANDSHAKE_FAILURE"),
    }
    for what, (identity, expected) in cases.items():
        for listener in ("certificate", "both"):
            said = alert(stage.broker.ports[listener], identity, stage.office.ca_file)
            assert said == expected, (what, listener)


@pytest.mark.parametrize("transport", ["tcp", "websockets"])
def test_our_own_session_gets_no_further_with_a_bad_certificate(
    stage: Scene, tmp_path: Path, transport: str
) -> None:
    if transport == "websockets" and stage.broker.is_2_0:
        pytest.skip(NO_CERTIFICATES)
    foreign = Office(tmp_path / "elsewhere").probe(PROBE)
    for identity in (stage.revoked, foreign, stage.office.server):
        assert refusal(stage.broker.as_probe(identity, transport=transport))


def test_why_a_certificate_is_refused_is_told_in_words(stage: Scene) -> None:
    config = stage.broker.by_certificate(stage.revoked)
    # A reset may overtake the broker's word; then the next try tells.
    eventually(lambda: "certificate revoked" in refusal(config), "the broker's own word")


def test_a_probe_refuses_a_broker_of_another_authority_or_name(
    stage: Scene, tmp_path: Path
) -> None:
    elsewhere = str(Office(tmp_path / "elsewhere").ca_file)
    foreign = stage.broker.by_certificate(stage.probe, ca_file=elsewhere)
    assert "CERTIFICATE_VERIFY_FAILED" in refusal(foreign)
    # The broker's certificate is for localhost.
    other_name = stage.broker.by_certificate(stage.probe, host="127.0.0.1")
    assert "not valid for '127.0.0.1'" in refusal(other_name)


def test_a_client_identifier_cannot_be_taken_with_another_certificate(stage: Scene) -> None:
    with (
        session(stage.broker.by_certificate(stage.probe), PROBE) as inbox,
        Writer(stage.broker.by_password(COLLECTOR), "x") as centre,
    ):
        assert isinstance(inbox.get(timeout=WAIT_S), Connected)
        with Writer(stage.broker.by_certificate(stage.neighbour), PROBE) as thief:
            assert thief.answer(f"{ROOT}/{PROBE}/state") == DENIED
            assert thief.answer(f"{ROOT}/{NEIGHBOUR}/state") is None
            assert centre.answer(f"{ROOT}/{PROBE}/receipt", b"still here") is None
            event = inbox.get(timeout=WAIT_S)
            while getattr(event, "payload", None) != b"still here":
                assert not isinstance(event, Disconnected), "it was thrown out"
                event = inbox.get(timeout=WAIT_S)


# Passwords


@pytest.mark.parametrize("listener", LISTENERS)
def test_nobody_comes_in_without_credentials(stage: Scene, listener: str) -> None:
    config = stage.broker.without_credentials(stage.broker.ports[listener])
    if listener == "ws":
        config = structs.replace(config, transport="websockets")
    cause = refusal(config)
    if listener == "password" or (listener == "ws" and stage.broker.is_2_0):
        assert DENIED in cause


def test_a_wrong_password_and_an_unknown_user_are_refused(stage: Scene) -> None:
    another = str(stage.office.path / f"{SUBSCRIBER}.password")
    assert DENIED in refusal(stage.broker.by_password(COLLECTOR, password_file=another))
    assert DENIED in refusal(stage.broker.by_password(COLLECTOR, username="nobody.1"))


def test_a_certificate_is_no_password(stage: Scene) -> None:
    for listener in ("password", "both"):
        port = stage.broker.ports[listener]
        assert DENIED in refusal(stage.broker.by_certificate(stage.probe, port=port))


def test_both_a_certificate_and_a_password(stage: Scene) -> None:
    config = stage.broker.by_password(
        COLLECTOR,
        port=stage.broker.ports["both"],
        certificate_file=str(stage.probe.certificate),
        key_file=str(stage.probe.key),
    )
    with Writer(config, "x") as writer:
        assert writer.answer(f"{ROOT}/{PROBE}/receipt") is None
        assert writer.answer(f"{ROOT}/{PROBE}/state") == DENIED, "the user's rights count"


# TLS and sizes


@pytest.mark.parametrize("listener", LISTENERS)
def test_nothing_below_tls_1_2(stage: Scene, listener: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # old versions are the point
        old = _client_of_tls_1_1(stage)
        _assert_that_it_could(old, stage, ssl.TLSVersion.TLSv1, "TLSv1.1")
    with (
        connection(stage.broker.ports[listener]) as plain,
        pytest.raises((ssl.SSLError, ConnectionResetError)),
    ):
        old.wrap_socket(plain, server_hostname=HOST)


@pytest.mark.parametrize("listener", LISTENERS)
def test_tls_1_2_is_ephemeral_and_authenticated(stage: Scene, listener: str) -> None:
    """Forward secrecy (ECDHE) and AEAD, whatever a client offers; one with CBC alone is refused."""
    client = _client_of_tls_1_2(stage, "ALL:@SECLEVEL=0")
    with (
        connection(stage.broker.ports[listener]) as plain,
        client.wrap_socket(plain, server_hostname=HOST) as secured,
    ):
        chosen = secured.cipher()
    assert chosen is not None
    assert chosen[0].startswith("ECDHE-")
    assert "GCM" in chosen[0] or "CHACHA20" in chosen[0]
    old = _client_of_tls_1_2(stage, "ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0")
    _assert_that_it_could(old, stage, ssl.TLSVersion.TLSv1_2, "TLSv1.2")
    with (
        connection(stage.broker.ports[listener]) as plain,
        pytest.raises((ssl.SSLError, ConnectionResetError)),
    ):
        old.wrap_socket(plain, server_hostname=HOST)


def _client_of_tls_1_2(stage: Scene, ciphers: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(stage.office.ca_file)
    context.load_cert_chain(stage.probe.certificate, stage.probe.key)
    context.set_ciphers(ciphers)
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


def _client_of_tls_1_1(stage: Scene) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(stage.office.ca_file)
    context.load_cert_chain(stage.probe.certificate, stage.probe.key)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


def _assert_that_it_could(
    client: ssl.SSLContext, stage: Scene, lowest: ssl.TLSVersion, spoken: str
) -> None:
    """A server that allows the same lets the same client in: what refuses is the broker."""
    lax = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    lax.load_cert_chain(stage.office.server.certificate, stage.office.server.key)
    lax.set_ciphers("ALL:@SECLEVEL=0")
    lax.minimum_version = lowest
    ours, theirs = socket.socketpair()

    def serve() -> None:
        with lax.wrap_socket(theirs, server_side=True) as secured:
            secured.recv(1)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    with client.wrap_socket(ours, server_hostname=HOST) as secured:
        assert secured.version() == spoken
        secured.send(b"x")
        thread.join(WAIT_S)


@pytest.mark.parametrize("protocol", [5, 311])
@pytest.mark.parametrize("transport", ["tcp", "websockets"])
def test_an_oversized_message_reaches_nobody(stage: Scene, protocol: int, transport: str) -> None:
    topic, oversized = f"{ROOT}/{PROBE}/m/throughput", bytes(MAX_PACKET_BYTES + 1)
    config = stage.broker.as_probe(stage.probe, protocol=protocol, transport=transport)
    # A WebSocket listener of 2.0 reads it and drops it, and under 3.1.1 acknowledges it.
    silent = stage.broker.is_2_0 and transport == "websockets" and protocol == 311
    with Client(stage.broker.by_password(COLLECTOR), "x", subscriptions=[topic]) as centre:
        with Writer(config, PROBE) as writer:
            assert writer.disconnected_by(topic, oversized) is not silent
        with Writer(config, PROBE) as writer:
            marker = f"after {protocol} {transport}".encode()
            assert writer.answer(topic, marker) is None
        centre.wait_for(lambda message: message.payload == marker)
        assert oversized not in {message.payload for message in centre.received}


# Afterwards


@pytest.mark.parametrize("transport", ["tcp", "websockets"])
def test_a_certificate_revoked_later_is_refused_after_a_reload(
    tmp_path: Path, transport: str
) -> None:
    office = Office(tmp_path / "office")
    stolen, other = office.probe("bi-mat-01"), office.probe(NEIGHBOUR)
    with SecuredBroker(tmp_path / "broker", office) as broker:
        if transport == "websockets" and broker.is_2_0:
            pytest.skip(NO_CERTIFICATES)
        config = broker.as_probe(stolen, transport=transport)
        with Writer(config, "bi-mat-01") as connected:
            assert connected.answer(f"{ROOT}/bi-mat-01/state") is None
            office.revoke("bi-mat-01")
            broker.reload()
            # Mosquitto looks at a certificate in the handshake only; docs/security.md says so.
            assert connected.answer(f"{ROOT}/bi-mat-01/state") is None
        assert refusal(config, "bi-mat-01")
        with Writer(broker.as_probe(other, transport=transport), NEIGHBOUR) as rightful:
            assert rightful.answer(f"{ROOT}/{NEIGHBOUR}/state") is None


def test_a_revocation_list_that_has_ended_shuts_everybody_out(tmp_path: Path) -> None:
    """Why a timer makes it weekly, and why its end is watched (docs/security.md)."""
    office = Office(tmp_path / "office")
    probe = office.probe(PROBE)
    with SecuredBroker(tmp_path / "broker", office) as broker:
        port = broker.ports["certificate"]
        assert alert(port, probe, office.ca_file) is None
        office.authority.make_list(datetime.now(UTC) - REVOCATION_LIST_LIFETIME - ONE_DAY)
        broker.reload()
        assert alert(port, probe, office.ca_file) is not None
        assert refusal(broker.by_certificate(probe))
        office.authority.make_list(datetime.now(UTC))
        broker.reload()
        assert alert(port, probe, office.ca_file) is None


def test_rights_that_were_taken_are_gone_after_a_reload(tmp_path: Path) -> None:
    office = Office(tmp_path / "office")
    probe = office.probe(PROBE)
    access_list = tmp_path / "broker" / "acl"
    with (
        SecuredBroker(tmp_path / "broker", office) as broker,
        Writer(broker.by_certificate(probe), PROBE) as writer,
    ):
        assert writer.answer(f"{ROOT}/{PROBE}/state") is None
        given = access_list.read_text(encoding="utf-8").splitlines(keepends=True)
        left = [line for line in given if not line.rstrip().endswith("/state")]
        assert len(left) < len(given)
        access_list.write_text("".join(left), encoding="utf-8")
        broker.reload()
        assert writer.answer(f"{ROOT}/{PROBE}/state") == DENIED
        assert writer.answer(f"{ROOT}/{PROBE}/info") is None


def test_a_restart_ends_the_connections_of_the_revoked(tmp_path: Path) -> None:
    office = Office(tmp_path / "office")
    stolen = office.probe("bi-mat-01")
    with SecuredBroker(tmp_path / "broker", office) as broker:
        with session(broker.by_certificate(stolen), "bi-mat-01") as inbox:
            assert isinstance(inbox.get(timeout=WAIT_S), Connected)
            office.revoke("bi-mat-01")
            broker.restart()
            eventually(lambda: "certificate verify failed" in broker.log, "it tries again")
        while not inbox.empty():
            assert not isinstance(inbox.get(), Connected), "it came in again"


def test_a_password_taken_back_is_refused_after_a_reload(tmp_path: Path) -> None:
    """And the reload does no harm to who is connected by WebSocket (2.0: by password only)."""
    office = Office(tmp_path / "office")
    probe = office.probe(PROBE)
    office.user("reader.former")
    with SecuredBroker(tmp_path / "broker", office) as broker:
        former = broker.by_password("reader.former")
        with Writer(broker.as_probe(probe, transport="websockets"), PROBE) as connected:
            with Client(former, "x"):
                pass
            command = ["mosquitto_passwd", "-D", str(office.password_file), "reader.former"]
            subprocess.run(command, check=True, capture_output=True)
            broker.reload()
            assert DENIED in refusal(former, "x")
            assert connected.answer(f"{ROOT}/{PROBE}/state") is None


def test_renewed_certificates_of_probe_and_broker_need_no_restart(tmp_path: Path) -> None:
    office = Office(tmp_path / "office")
    probe = office.probe(PROBE)
    with SecuredBroker(tmp_path / "broker", office) as broker:
        with Writer(broker.by_certificate(probe), PROBE) as writer:
            before = _serial_of(broker)
            request = (office.path / f"{PROBE}.csr").read_bytes()
            office.authority.renew(request, datetime.now(UTC))
            office.authority.server([HOST], datetime.now(UTC))
            broker.reload()
            assert writer.answer(f"{ROOT}/{PROBE}/state") is None, "nobody was thrown out"
        assert _serial_of(broker) != before
        with Writer(broker.by_certificate(probe), PROBE) as writer:
            assert writer.answer(f"{ROOT}/{PROBE}/state") is None


def _serial_of(broker: SecuredBroker) -> str:
    context = ssl.create_default_context(cafile=str(broker.office.ca_file))
    with (
        connection(broker.ports["password"]) as plain,
        context.wrap_socket(plain, server_hostname=HOST) as secured,
    ):
        certificate = secured.getpeercert()
        assert certificate is not None
        return str(certificate["serialNumber"])
