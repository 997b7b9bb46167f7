"""The pages behind a real nginx with the documented file, and people made by the real command."""

from __future__ import annotations

import http.cookiejar
import re
import shutil
import ssl
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from collector.users.sign_in_limiter import PAIR_MAX
from collector.users.user_store import UserStore
from tests import broker as brokers
from tests import nginx
from tests.broker import Broker
from tests.client import eventually
from tests.collector_process import ROOT, CollectorProcess
from tests.ports import free_port

EXAMPLE = ROOT / "deploy" / "centre" / "nginx.conf.example"
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/sbin")
PASSWORD = "một câu dài dễ nhớ"
pytestmark = pytest.mark.skipif(
    (brokers.why_not() or nginx.why_not()) is not None,
    reason=str(brokers.why_not() or nginx.why_not()),
)


class Site(NamedTuple):
    """The collector, and where nginx serves it."""

    collector: CollectorProcess
    url: str
    certificate: Path


class Visitor:
    """A browser without a browser: cookies, forms, TLS."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.jar = http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(
            urllib.request.HTTPSHandler(
                context=ssl.create_default_context(cafile=str(site.certificate))
            ),
            urllib.request.HTTPCookieProcessor(self.jar),
        )

    def get(self, path: str) -> tuple[int, str]:
        return self._open(urllib.request.Request(self.site.url + path))

    def post(self, path: str, **fields: str) -> tuple[int, str]:
        return self._open(
            urllib.request.Request(
                self.site.url + path,
                urllib.parse.urlencode(fields).encode(),
                {"Origin": self.site.url},
            )
        )

    def sign_in(self, name: str, password: str) -> tuple[int, str]:
        token = re.search(r'name="token" value="([^"]+)"', self.get("/sign-in?lang=en")[1])
        assert token is not None
        return self.post("/sign-in", name=name, password=password, token=token[1])

    def _open(self, request: urllib.request.Request) -> tuple[int, str]:
        request.add_header("Accept", "text/html")
        try:
            with self._opener.open(request, timeout=20) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("proxy")
    port = free_port()
    with (
        Broker(folder / "broker") as broker,
        CollectorProcess(folder / "collector", broker.config()) as collector,
    ):
        eventually(lambda: collector.get("/healthz")[0] == 200, "the collector is connected")
        certificate = _certificate(folder)
        config = folder / "nginx.conf"
        config.write_text(_config(folder, collector.port, port), encoding="utf-8")
        assert NGINX is not None
        process = subprocess.Popen(
            [NGINX, "-c", str(config), "-e", "stderr"], stderr=subprocess.PIPE
        )
        try:
            there = Site(collector, f"https://127.0.0.1:{port}", certificate)
            eventually(lambda: _answers(there), "nginx answers")
            yield there
        finally:
            process.terminate()
            process.communicate(timeout=20)


def _answers(site: Site) -> bool:
    try:
        return Visitor(site).get("/healthz")[0] == 200
    except OSError:
        return False


def _config(folder: Path, collector_port: int, port: int) -> str:
    """The documented file with a test's ports and files, in the frame that Debian has."""
    text = EXAMPLE.read_text(encoding="utf-8")
    # The server on port 80 only leads to the other.
    text = text[: text.index("server {")] + text[text.index("server {", text.index("return 301")) :]
    for found, ours in (
        ("listen 443 ssl;", f"listen 127.0.0.1:{port} ssl;"),
        ("    listen [::]:443 ssl;\n", ""),
        ("/etc/ssl/tramdo/fullchain.pem", str(folder / "server.crt")),
        ("/etc/ssl/tramdo/key.pem", str(folder / "server.key")),
        ("http://127.0.0.1:8080", f"http://127.0.0.1:{collector_port}"),
        ("rate=10r/m", "rate=1000r/m"),  # the limit in front is nginx's; ours is what is tried
    ):
        assert found in text, found
        text = text.replace(found, ours)
    temporary = "".join(
        f"{name}_temp_path {folder}/{name};\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return (
        f"daemon off;\npid {folder}/nginx.pid;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{temporary}{text}\n}}\n"
    )


def _certificate(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "server.crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "server.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return folder / "server.crt"


def users(site: Site, *words: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(sys.executable, "-m", "collector.cli", "users"),
            *("-c", str(site.collector.config_path), *words),
        ],
        cwd=ROOT,
        input=typed,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_somebody_is_added_signs_in_over_tls_and_is_shut_out(site: Site) -> None:
    added = users(site, "add", "lan", "--role", "centre", typed=PASSWORD + "\n")
    assert added.returncode == 0, added.stderr
    visitor = Visitor(site)
    status, page = visitor.sign_in("lan", PASSWORD)
    assert (status, "Sign out" in page) == (200, True)
    (session,) = [cookie for cookie in visitor.jar if cookie.name == "tramdo_session"]
    assert session.secure
    assert session.has_nonstandard_attr("HttpOnly")
    status, page = visitor.get("/audit")
    assert status == 200
    assert "people_add" in page
    listed = users(site, "list").stdout.split("\t")
    assert listed[:3] == ["lan", "centre", "enabled"]
    assert users(site, "disable", "lan").returncode == 0
    assert visitor.get("/audit")[0] == 401
    assert visitor.sign_in("lan", PASSWORD)[0] == 403


@pytest.mark.parametrize(
    ("words", "typed", "told"),
    [
        (["add", "Lan", "--role", "centre"], PASSWORD, "is not a valid name"),
        (["add", "lan2", "--role", "office"], PASSWORD, "an office needs --commune"),
        (["add", "lan2", "--role", "centre"], "short", "12 to 256 characters"),
        (["disable", "nobody"], "", "there is no user nobody"),
    ],
)
def test_the_command_says_what_is_wrong(
    site: Site, words: list[str], typed: str, told: str
) -> None:
    answer = users(site, *words, typed=typed + "\n")
    assert answer.returncode == 2
    assert told in answer.stderr


def test_guessing_is_slowed_and_kept_with_the_visitors_address(site: Site) -> None:
    visitor = Visitor(site)
    for _ in range(PAIR_MAX):
        status, page = visitor.sign_in("hoa", "a wrong password")
        assert status == 403, page
    status, page = visitor.sign_in("hoa", "a wrong password")
    assert (status, "Too many failed attempts" in page) == (429, True)
    user_store = UserStore(site.collector.config_path.with_name("people.sqlite"))
    refused = [event for event in user_store.audit_events(50) if event.user == "hoa"]
    assert len(refused) == PAIR_MAX
    # From X-Forwarded-For: nginx's own port would be another each time, and no address of ours.
    assert {event.address for event in refused} == {"127.0.0.1"}


def test_a_form_without_its_token_is_refused(site: Site) -> None:
    visitor = Visitor(site)
    visitor.get("/sign-in")
    assert visitor.post("/sign-in", name="lan", password=PASSWORD, token="")[0] == 403


def test_the_answer_bears_one_set_of_headers(site: Site) -> None:
    context = ssl.create_default_context(cafile=str(site.certificate))
    with urllib.request.urlopen(f"{site.url}/", context=context, timeout=20) as answer:
        headers = answer.headers
    assert headers["Strict-Transport-Security"].startswith("max-age=")
    assert len(headers.get_all("Content-Security-Policy")) == 1
    assert "unsafe" not in headers["Content-Security-Policy"]
