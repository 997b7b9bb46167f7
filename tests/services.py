"""Floor 2. What an office's people use, as real servers: names by dnsmasq, pages by nginx with TLS.

    pages = Pages(tmp_path / "pages", host="203.0.113.1", port=443, hosts=["dichvucong.gov.vn"])
    names = Names(tmp_path / "names", hosts=["203.0.113.1"], port=53, addresses={...})
    with pages, names:
        ... pages.ca_file

It must not know what is measured.
"""

from __future__ import annotations

import getpass
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_START_S = 10.0
PAGE_BYTES = 80_000
_NGINX = """user {user};
worker_processes 1;
daemon off;
pid {directory}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 256; }}
http {{
    access_log off;
    default_type text/html;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    server {{
{listen}
        server_name _;
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_certificate {directory}/site.pem;
        ssl_certificate_key {directory}/site.key;
        root {directory}/root;
        location = / {{ return 302 /p/home/trang-chu.html; }}
        location = /loop {{ return 302 /loop; }}
        location = /500 {{ return 500; }}
    }}
}}
"""


class ServiceError(Exception):
    """A server did not start; the text holds the end of its log."""


def why_not() -> str | None:
    """Why these cannot be had here, None when they can."""
    for name, package in (("dnsmasq", "dnsmasq-base"), ("nginx", "nginx-light")):
        if _program(name) is None:
            return f"{name} is not installed (Debian: apt-get install {package})"
    return None


class _Server:
    """A child process in a directory of its own, ended with the context."""

    def __init__(self, directory: Path, prefix: Sequence[str]) -> None:
        self.directory = directory
        self._prefix = list(prefix)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.directory.mkdir(parents=True, exist_ok=True)
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Start it, and wait until it serves."""
        raise NotImplementedError

    def pause(self) -> None:
        """Stop it where it is: it takes what comes, and never answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it, children too."""
        if self._process is not None:
            self._signal(signal.SIGKILL)
            self._process.wait(_START_S)
            self._process = None

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        subprocess.run(
            ["kill", f"-{number.value}", "--", f"-{self._process.pid}"],
            check=False,
            capture_output=True,
        )

    def _launch(self, argv: Sequence[str], started: str) -> None:
        """Start a program and wait until its log, or its listening, says that it serves."""
        log = self.directory / "log"
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                [*self._prefix, *argv],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        deadline_s = time.monotonic() + _START_S
        while not (self.directory / started).exists() or not self._said(started):
            if self._process.poll() is not None or time.monotonic() > deadline_s:
                text = log.read_text(encoding="utf-8", errors="replace")[-2000:]
                self.kill()
                raise ServiceError(f"{argv[0]} did not start:\n{text}")
            time.sleep(0.01)

    def _said(self, started: str) -> bool:
        content = (self.directory / started).read_text(encoding="utf-8", errors="replace")
        return bool(content.strip())


class Names(_Server):
    """A resolver that knows a few names; others below `vn` do not exist, the rest is refused.

    Args:
        directory: where it may write.
        hosts: the addresses to listen on.
        port: the port to listen on.
        addresses: name to its addresses.
        settings: further lines for dnsmasq.conf.
        prefix: what to run it under, e.g. `["ip", "netns", "exec", "centre"]`.
    """

    def __init__(
        self,
        directory: Path,
        *,
        hosts: Sequence[str],
        port: int,
        addresses: Mapping[str, Sequence[str]],
        settings: Sequence[str] = (),
        prefix: Sequence[str] = (),
    ) -> None:
        super().__init__(directory, prefix)
        self._hosts = hosts
        self._port = port
        self._addresses = addresses
        self._settings = settings

    def start(self) -> None:
        """See `_Server`."""
        (self.directory / "pid").unlink(missing_ok=True)
        (self.directory / "hosts").write_text(
            "".join(f"{ip} {name}\n" for name, ips in self._addresses.items() for ip in ips),
            encoding="ascii",
        )
        lines = [
            "keep-in-foreground",
            "no-resolv",
            "no-hosts",
            f"addn-hosts={self.directory}/hosts",
            f"pid-file={self.directory}/pid",
            f"port={self._port}",
            "bind-interfaces",
            "cache-size=0",
            f"user={getpass.getuser()}",
            "local=/vn/",
            *(f"listen-address={host}" for host in self._hosts),
            *self._settings,
        ]
        path = self.directory / "dnsmasq.conf"
        path.write_text("\n".join(lines) + "\n", encoding="ascii")
        self._launch([str(_program("dnsmasq")), "-C", str(path)], "pid")


class Pages(_Server):
    """Sites over TLS: `/` leads to a page of `PAGE_BYTES`, `/500` fails, `/loop` leads to itself.

    Args:
        directory: where it may write.
        host: the address to listen on.
        port: the port to listen on.
        sites: the names that its certificate is good for.
        also: further addresses to listen on.
        prefix: see `Names`.

    Attributes:
        ca_file: whom a client has to believe.
    """

    def __init__(
        self,
        directory: Path,
        *,
        host: str,
        port: int,
        sites: Sequence[str],
        also: Sequence[str] = (),
        prefix: Sequence[str] = (),
    ) -> None:
        super().__init__(directory, prefix)
        self.ca_file = directory / "ca.pem"
        self.host = host
        self.port = port
        self._sites = sites
        self._also = also

    def start(self) -> None:
        """See `_Server`."""
        (self.directory / "nginx.pid").unlink(missing_ok=True)
        if not self.ca_file.exists():
            write_certificates(self.directory, self._sites)
        page = self.directory / "root" / "p" / "home" / "trang-chu.html"
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(f"<!doctype html>{'x' * (PAGE_BYTES - 15)}", encoding="ascii")
        path = self.directory / "nginx.conf"
        path.write_text(
            _NGINX.format(
                user=getpass.getuser(),
                directory=self.directory,
                listen="\n".join(
                    f"        listen {_in_url(host)}:{self.port} ssl;"
                    for host in (self.host, *self._also)
                ),
            ),
            encoding="ascii",
        )
        self._launch([str(_program("nginx")), "-c", str(path), "-e", "stderr"], "nginx.pid")


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def write_certificates(directory: Path, sites: Sequence[str]) -> None:
    """An authority in ca.pem, and by it site.pem with site.key."""
    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test authority")])
    authority = (
        _certificate(ca_name, ca_name, ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    site_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, sites[0])])
    site = (
        _certificate(site_name, ca_name, key.public_key())
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name) for name in sites]), critical=False
        )
        .sign(ca_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (directory / "ca.pem").write_bytes(authority.public_bytes(pem))
    (directory / "site.pem").write_bytes(site.public_bytes(pem))
    (directory / "site.key").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=2))
    )


def _program(name: str) -> str | None:
    # Debian installs them where only root's PATH leads.
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
