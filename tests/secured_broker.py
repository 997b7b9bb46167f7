"""Floor 2. A broker as it is deployed: the rendered configuration, certificates by our own tool.

    office = Office(tmp_path)                    # an authority, a broker's certificate, passwords
    probe = office.probe("phu-thong-01")         # a key and a certificate
    with SecuredBroker(tmp_path / "broker", office) as broker:
        with Writer(broker.by_certificate(probe), "phu-thong-01") as writer:
            assert writer.answer(topic) is None

`scene(tmp_path)` is one with two probes and one that is revoked, for a whole test module.

Which Mosquitto it is, 2.0 or 2.1, is asked of the program itself, and the syntax follows. A 2.1
whose plugins lie elsewhere is told so by TRAMDO_MOSQUITTO_PLUGINS.
"""

from __future__ import annotations

import getpass
import os
import queue
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from deploy.authority import authority, folder
from deploy.authority.authority import Authority
from deploy.authority.register import Reason
from deploy.broker.configuration import BrokerSettings, Listener
from deploy.broker.limits import BrokerLimits
from deploy.broker.render import render
from runtime.broker import BrokerConfig
from runtime.mqtt import Disconnected, Event, Message, MqttSession, Published
from tests.broker import Broker
from tests.client import Client, eventually
from tests.ports import free_port

TENANT = "bach-thong"
ROOT = f"tramdo/v1/{TENANT}"
PROBE, NEIGHBOUR, REVOKED = "phu-thong-01", "cam-giang-01", "bi-thu-hoi-01"
HOST = "localhost"
WAIT_S = 60.0
COLLECTOR, COMMANDER, SUBSCRIBER = "collector.1", "collector.command", "reader.vnpt"
# Only 2.0 needs to be told that loopback is meant (deploy/broker/mosquitto.conf.j2).
_LOOPBACK = "lo"


class Identity(NamedTuple):
    """A certificate with its key."""

    certificate: Path
    key: Path


class Scene(NamedTuple):
    """A running broker, two probes that may come in, and one whose certificate is revoked."""

    office: Office
    broker: SecuredBroker
    probe: Identity
    neighbour: Identity
    revoked: Identity


def why_not() -> str | None:
    """Why no secured broker can be had here, None when it can."""
    if _version() is None:
        return "mosquitto is not installed (Debian: apt-get install mosquitto)"
    if shutil.which("mosquitto_passwd") is None:
        return "mosquitto_passwd is not installed (it comes with mosquitto)"
    return None


class Office:
    """Everything that is made before a broker starts: authority, certificates, passwords."""

    def __init__(self, path: Path, name: str = "Tramdo") -> None:
        self.path = path
        self.authority_path = path / "authority"
        authority.init(self.authority_path, name, None, datetime.now(UTC))
        self.authority = Authority(self.authority_path)
        self.ca_file = self.authority_path / "ca.pem"
        self.crl_file = self.authority_path / "crl.pem"
        certificate = self.authority.server([HOST], datetime.now(UTC))
        self.server = Identity(certificate, certificate.with_suffix(".key"))
        self.password_file = path / "passwords"
        self.password_file.touch(0o600)

    def probe(self, name: str, *, made_at: datetime | None = None) -> Identity:
        """A probe's key, request and certificate, by the tool's own acts; and its password."""
        key = self.path / f"{name}.key"
        authority.request(key, self.path / f"{name}.csr", name, None)
        self.user(name)
        request = folder.read(self.path / f"{name}.csr")
        return Identity(self.authority.sign(request, made_at or datetime.now(UTC)), key)

    def expired_probe(self, name: str) -> Identity:
        """A probe whose certificate ended yesterday: made that long ago."""
        from_then = datetime.now(UTC) - timedelta(days=731)
        return self.probe(name, made_at=from_then)

    def revoke(self, name: str) -> None:
        """Take a probe's certificate back; a running broker is told by `SecuredBroker.reload`."""
        self.authority.revoke(name, Reason.KEY_COMPROMISE, datetime.now(UTC))

    def user(self, name: str) -> Path:
        """Give a user a password; the file that holds it for the user."""
        secret = self.path / f"{name}.password"
        secret.touch(0o600)
        secret.write_text(f"password of {name}\n", encoding="utf-8")
        command = ["mosquitto_passwd", "-b", str(self.password_file), name, f"password of {name}"]
        subprocess.run(command, check=True, capture_output=True)
        return secret


class SecuredBroker(Broker):
    """Mosquitto with what deploy/broker renders. Listeners for each kind of credential."""

    def __init__(self, directory: Path, office: Office, limits: BrokerLimits | None = None) -> None:
        super().__init__(directory)
        self.office = office
        self.ports = {name: free_port() for name in ("certificate", "password", "both", "ws")}
        directory.mkdir(parents=True, exist_ok=True)
        for user in (COLLECTOR, COMMANDER, SUBSCRIBER):
            office.user(user)
        self.is_2_0 = _version() == "2.0"
        self.settings = BrokerSettings(
            tenant=TENANT,
            syntax="2.0" if self.is_2_0 else "2.1",
            collectors=[COLLECTOR, COMMANDER],
            subscribers=[SUBSCRIBER],
            listeners=[
                *(self._listening(name) for name in ("certificate", "password", "both")),
                Listener(
                    port=self.ports["ws"],
                    credential="password" if self.is_2_0 else "certificate",
                    protocol="websockets",
                    address="127.0.0.1",
                    interface=_LOOPBACK if self.is_2_0 else None,
                ),
            ],
            limits=limits or BrokerLimits(),
            ca_file=str(office.ca_file),
            crl_file=str(office.crl_file),
            certificate_file=str(office.server.certificate),
            key_file=str(office.server.key),
            password_file=str(office.password_file),
            acl_file=str(directory / "acl"),
            plugin_directory=os.environ.get(
                "TRAMDO_MOSQUITTO_PLUGINS", BrokerSettings(tenant=TENANT).plugin_directory
            ),
            persistence_directory=f"{directory}/",
            log_file=str(directory / "mosquitto.log"),
            user=getpass.getuser(),
        )

    def as_probe(self, identity: Identity, **changes: object) -> BrokerConfig:
        """How a probe reaches it: by certificate, but for the WebSocket port of Mosquitto 2.0."""
        if changes.get("transport") != "websockets":
            return self.by_certificate(identity, **changes)
        if self.is_2_0:
            name = identity.key.stem
            return self.by_password(name, port=self.ports["ws"], **changes)
        return self.by_certificate(identity, port=self.ports["ws"], **changes)

    def by_certificate(self, identity: Identity, **changes: object) -> BrokerConfig:
        """How a probe reaches it."""
        given = {
            "port": self.ports["certificate"],
            "certificate_file": str(identity.certificate),
            "key_file": str(identity.key),
        }
        return self._config(**given | changes)

    def by_password(self, user: str, **changes: object) -> BrokerConfig:
        """How a collector or subscriber reaches it."""
        secret = str(self.office.path / f"{user}.password")
        given = {"port": self.ports["password"], "username": user, "password_file": secret}
        return self._config(**given | changes)

    def without_credentials(self, port: int) -> BrokerConfig:
        """How nobody may reach it."""
        return self._config(port=port)

    def reload(self) -> None:
        """SIGHUP: certificates, revocation list, passwords and access list are read anew."""
        assert self._process is not None
        before = self.log.count("Reloading config")
        self._process.send_signal(signal.SIGHUP)
        eventually(lambda: self.log.count("Reloading config") > before, "the reload")

    def _config(self, **fields: object) -> BrokerConfig:
        given = {"host": HOST, "tls": True, "ca_file": str(self.office.ca_file)}
        return self.config(**given | fields)

    def _listening(self, credential: str) -> Listener:
        return Listener(
            port=self.ports[credential],
            credential=credential,  # type: ignore[arg-type]  # one of the three by construction
            address="127.0.0.1",
        )

    def _configuration(self) -> str:
        rendered = render(self.settings)
        (self.directory / "acl").write_text(rendered.access_list, encoding="utf-8")
        (self.directory / "acl").chmod(0o600)
        return "\n".join([rendered.configuration, *self._limits, ""])


class Writer(Client):
    """A client that tells what the broker answered to a publish."""

    def answer(self, topic: str, payload: bytes = b"{}") -> str | None:
        """The refusal, None when the broker took it."""
        mid = self._session.publish(Message(topic, payload))
        assert mid is not None, "not connected"
        event = self._until(lambda event: isinstance(event, Published) and event.mid == mid, WAIT_S)
        assert isinstance(event, Published)
        return event.refusal

    def disconnected_by(self, topic: str, payload: bytes) -> bool:
        """Whether the broker ends the connection at a message, rather than acknowledging it."""
        assert self._session.publish(Message(topic, payload)) is not None, "not connected"
        event = self._until(lambda event: isinstance(event, Disconnected | Published), WAIT_S)
        return isinstance(event, Disconnected)


@contextmanager
def scene(path: Path) -> Iterator[Scene]:
    """A scene below a folder, its broker running while the context lasts."""
    office = Office(path / "office")
    probe, neighbour, revoked = (office.probe(name) for name in (PROBE, NEIGHBOUR, REVOKED))
    office.revoke(REVOKED)
    with SecuredBroker(path / "broker", office) as broker:
        yield Scene(office, broker, probe, neighbour, revoked)


@contextmanager
def session(config: BrokerConfig, name: str) -> Iterator[queue.SimpleQueue[Event]]:
    """A session whose events the test reads itself."""
    inbox: queue.SimpleQueue[Event] = queue.SimpleQueue()
    running = MqttSession(config, name, inbox.put, subscriptions=[f"{ROOT}/{name}/receipt"])
    running.start()
    try:
        yield inbox
    finally:
        running.stop()


def refusal(config: BrokerConfig, name: str = PROBE) -> str:
    """Why the broker did not let a client in, by its first event."""
    with session(config, name) as inbox:
        event = inbox.get(timeout=WAIT_S)
    assert isinstance(event, Disconnected), "it was let in"
    return event.cause


def _version() -> str | None:
    """2.0 or 2.1 (or later): what the program says of itself; None where there is none."""
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    if program is None:
        return None
    # It ends with 1 after showing its usage.
    shown = subprocess.run([program, "-h"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"mosquitto version (\d+\.\d+)", shown)
    return found[1] if found else None
