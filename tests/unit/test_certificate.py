"""When a certificate ends: what the doctor, the centre's pages and a probe's health say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec import structs

from deploy.authority import authority, certificates, folder
from deploy.authority.rules import REVOCATION_LIST_LIFETIME
from probe.doctor import prerequisites
from probe.measure import host
from runtime import certificate_file
from runtime.broker import BrokerConfig
from runtime.certificate import ends_at
from tests.unit.test_plan import PARSED


@pytest.mark.parametrize("year", [2027, 2049, 2050, 2091])
def test_the_end_is_read_from_the_bytes_and_told_as_health(year: int, tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tram")])
    ends = datetime(year, 3, 1, 12, 30, 59, tzinfo=UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        .not_valid_after(ends)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    assert ends_at(b"a comment before it\n" + made) == ends
    assert ends_at(made[:200] + made[-40:]) is None
    assert ends_at(b"no certificate") is None
    file = tmp_path / "probe.pem"
    file.write_bytes(made)
    assert _told(file) == ends
    assert _told(tmp_path / "missing.pem") is None
    assert _told(None) is None


def _told(file: Path | None) -> datetime | None:
    found = host.health(0, 0, directory="/", leds=dict, lines=dict, certificate_file=file)
    return found.certificate_ends_at


NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def office(tmp_path: Path) -> Path:
    """An authority's folder, made at NOW: `ca.pem`, and `crl.pem` for 180 days."""
    path = tmp_path / "authority"
    authority.init(path, "Tramdo test", None, NOW)
    return path


def test_the_end_of_a_revocation_list_is_read_too(office: Path) -> None:
    content = (office / "crl.pem").read_bytes()
    found = ends_at(content)
    assert found == certificates.list_ends(content)
    assert found is not None
    assert abs(found - NOW - REVOCATION_LIST_LIFETIME) <= DAY
    # Any part of it is no list, and no exception.
    lines = content.splitlines(keepends=True)
    assert all(ends_at(b"".join(lines[:1] + lines[n:])) is None for n in range(2, len(lines) - 1))


def test_what_is_of_no_use_is_named_with_the_reason(office: Path) -> None:
    crl, ca = office / "crl.pem", office / "ca.pem"
    assert certificate_file.problem(crl, NOW + 100 * DAY) is None
    assert certificate_file.problem(ca, NOW + 100 * DAY) is None
    ended = certificate_file.problem(crl, NOW + 200 * DAY)
    assert ended is not None
    assert "crl.pem ended on 2027-05-" in ended.en
    assert "đã hết hạn ngày" in ended.vi
    folder.write(crl, b"nothing", folder.PUBLIC)
    empty = certificate_file.problem(crl, NOW)
    assert empty is not None
    assert "holds neither a certificate nor" in empty.en
    missing = certificate_file.problem(office / "none.pem", NOW)
    assert missing is not None
    assert "none.pem cannot be read: No such file" in missing.en


def test_the_probe_s_check_refuses_certificates_that_are_of_no_use(office: Path) -> None:
    key, csr = office / "p.key", office / "p.csr"
    authority.request(key, csr, "phu-thong-01", None)
    own = authority.Authority(office).sign(csr.read_bytes(), NOW)
    broker = BrokerConfig(
        host="localhost", port=8883, ca_file=str(office / "ca.pem"),
        certificate_file=str(own), key_file=str(key),
    )  # fmt: skip
    config = structs.replace(PARSED, broker=broker)
    assert prerequisites.certificates(config, NOW + DAY) == []
    (late,) = prerequisites.certificates(config, NOW + 731 * DAY)
    assert "phu-thong-01.pem ended on" in late.en
    folder.write(own, b"", folder.PUBLIC)
    (damaged,) = prerequisites.certificates(config, NOW + DAY)
    assert "phu-thong-01.pem holds neither a certificate" in damaged.en
