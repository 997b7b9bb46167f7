"""The authority: what it signs, what it refuses, and what is left in its folder."""

from __future__ import annotations

import base64
import os
import shutil
import stat
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from deploy.authority import authority, register, rules
from deploy.authority.authority import Authority
from deploy.authority.register import (
    CertificateStatus,
    IssuedCertificate,
    Purpose,
    Reason,
    Register,
)
from deploy.authority.rules import AuthorityError

NOW = datetime(2026, 11, 23, 8, 0, 0, tzinfo=UTC)
DAY = timedelta(days=1)
PAGE = (Path(__file__).parents[2] / "docs" / "security.md").read_text(encoding="utf-8")
NEEDS_OPENSSL = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="openssl is not installed (Debian: openssl)"
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    authority.init(tmp_path / "authority", "Tramdo bach-thong", None, NOW)
    return tmp_path / "authority"


@pytest.fixture
def opened(path: Path) -> Authority:
    return Authority(path)


@pytest.fixture
def request_of(tmp_path: Path) -> Callable[[str], bytes]:
    """A probe's request; asked again, with the same key."""

    def make(name: str) -> bytes:
        authority.request(tmp_path / f"{name}.key", tmp_path / f"{name}.csr", name, None)
        return (tmp_path / f"{name}.csr").read_bytes()

    return make


RequestOf = Callable[[str], bytes]


def read(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def revoked_in(path: Path) -> set[str]:
    found = x509.load_pem_x509_crl((path / "crl.pem").read_bytes())
    return {f"{one.serial_number:X}" for one in found}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# What is issued


def test_a_probe_gets_a_client_certificate_for_its_name_and_nothing_more(
    opened: Authority, request_of: RequestOf
) -> None:
    made = read(opened.sign(request_of("phu-thong-01"), NOW))
    assert made.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "phu-thong-01"
    assert len(list(made.subject)) == 1
    usage = made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    basic = made.extensions.get_extension_for_class(x509.BasicConstraints)
    assert basic.critical
    assert not basic.value.ca
    assert made.not_valid_before_utc == NOW - DAY
    assert made.not_valid_after_utc == NOW + rules.PROBE_LIFETIME


def test_a_server_certificate_names_its_hosts(opened: Authority) -> None:
    path = opened.server(["broker.example.vn", "203.0.113.10", "2001:db8::1"], NOW)
    made = read(path)
    usage = made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["broker.example.vn"]
    addresses = names.get_values_for_type(x509.IPAddress)
    assert [str(address) for address in addresses] == ["203.0.113.10", "2001:db8::1"]
    assert mode(path.with_suffix(".key")) == 0o600


def test_the_authority_signs_certificates_and_lists_but_no_authority(path: Path) -> None:
    own = read(path / "ca.pem")
    basic = own.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert (basic.ca, basic.path_length) == (True, 0)
    usage = own.extensions.get_extension_for_class(x509.KeyUsage).value
    assert (usage.key_cert_sign, usage.crl_sign, usage.digital_signature) == (True, True, False)


@NEEDS_OPENSSL
def test_openssl_is_content_with_all_of_it(
    path: Path, opened: Authority, request_of: RequestOf
) -> None:
    """The library that Mosquitto verifies with, in its strict mode."""
    certificate = opened.sign(request_of("phu-thong-01"), NOW)
    command = [
        "openssl", "verify", "-x509_strict", "-crl_check", "-purpose", "sslclient",
        "-attime", str(int(NOW.timestamp())),
        "-CAfile", str(path / "ca.pem"), "-CRLfile", str(path / "crl.pem"), str(certificate),
    ]  # fmt: skip
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    opened.revoke("phu-thong-01", Reason.KEY_COMPROMISE, NOW)
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "certificate revoked" in result.stderr


@NEEDS_OPENSSL
def test_a_request_that_openssl_made_is_signed(opened: Authority, tmp_path: Path) -> None:
    """A box without our tool: docs/security.md names this command."""
    subprocess.run(
        ["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-keyout", str(tmp_path / "k"), "-out", str(tmp_path / "r"),
         "-subj", "/CN=cam-giang-01"],
        check=True, capture_output=True,
    )  # fmt: skip
    assert opened.sign((tmp_path / "r").read_bytes(), NOW).name == "cam-giang-01.pem"


@pytest.mark.parametrize(
    ("what", "lifetime", "said"),
    [
        ("the authority", rules.AUTHORITY_LIFETIME, "10 years"),
        ("a broker's certificate", rules.SERVER_LIFETIME, "397 days"),
        ("a probe's certificate", rules.PROBE_LIFETIME, "730 days (`--days`)"),
        ("the revocation list", rules.REVOCATION_LIST_LIFETIME, "180 days"),
    ],
)
def test_the_page_says_for_how_long_each_holds(what: str, lifetime: timedelta, said: str) -> None:
    number, unit, *_ = said.split()
    assert lifetime == int(number) * (timedelta(days=365) if unit == "years" else DAY)
    assert f"| {what} | {said} |" in PAGE


def test_nothing_outlives_the_authority(opened: Authority, request_of: RequestOf) -> None:
    end = NOW + rules.AUTHORITY_LIFETIME
    made = read(opened.sign(request_of("phu-thong-01"), end - 10 * DAY))
    assert made.not_valid_after_utc == end
    with pytest.raises(AuthorityError, match="the authority itself ended"):
        opened.sign(request_of("cam-giang-01"), end)


# What is refused


def test_a_second_box_of_one_name_is_refused_until_the_first_is_revoked(
    opened: Authority, request_of: RequestOf, tmp_path: Path
) -> None:
    opened.sign(request_of("phu-thong-01"), NOW)
    with pytest.raises(AuthorityError, match="has a certificate until 2028-11-22: renew it"):
        opened.sign(request_of("phu-thong-01"), NOW + DAY)
    opened.revoke("phu-thong-01", Reason.CESSATION, NOW + DAY)
    (tmp_path / "phu-thong-01.key").unlink()
    opened.sign(request_of("phu-thong-01"), NOW + DAY)


def test_an_expired_certificate_does_not_stand_in_the_way(
    opened: Authority, request_of: RequestOf
) -> None:
    opened.sign(request_of("phu-thong-01"), NOW, 30 * DAY)
    opened.sign(request_of("phu-thong-01"), NOW + 31 * DAY)


def test_a_revoked_key_is_never_signed_again(opened: Authority, request_of: RequestOf) -> None:
    opened.sign(request_of("phu-thong-01"), NOW)
    opened.revoke("phu-thong-01", Reason.KEY_COMPROMISE, NOW)
    with pytest.raises(AuthorityError, match="this key was revoked"):
        opened.sign(request_of("phu-thong-01"), NOW)


def test_only_who_holds_a_certificate_can_renew(opened: Authority, request_of: RequestOf) -> None:
    with pytest.raises(AuthorityError, match="holds no certificate to renew"):
        opened.renew(request_of("phu-thong-01"), NOW)
    opened.sign(request_of("phu-thong-01"), NOW)
    later = read(opened.renew(request_of("phu-thong-01"), NOW + 100 * DAY))
    assert later.not_valid_after_utc == NOW + 100 * DAY + rules.PROBE_LIFETIME


@NEEDS_OPENSSL
@pytest.mark.parametrize(
    ("subject", "sentence"),
    [
        ("/CN=Phu Thong", "'Phu Thong' is no probe's name"),
        ("/CN=collector.1", "'collector.1' is no probe's name"),
        ("/CN=a/CN=b", "must have one common name"),
        ("/O=nobody", "must have one common name"),
        ("/CN=" + "a" * 41, "is no probe's name"),
    ],
)
def test_a_request_for_another_name_is_refused(
    opened: Authority, tmp_path: Path, subject: str, sentence: str
) -> None:
    _openssl_request(tmp_path, subject, "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
    with pytest.raises(AuthorityError, match=sentence):
        opened.sign((tmp_path / "r").read_bytes(), NOW)


@NEEDS_OPENSSL
@pytest.mark.parametrize("kind", [("rsa:2048",), ("ec", "-pkeyopt", "ec_paramgen_curve:P-384")])
def test_a_key_of_another_kind_is_refused(
    opened: Authority, tmp_path: Path, kind: tuple[str, ...]
) -> None:
    _openssl_request(tmp_path, "/CN=phu-thong-01", *kind)
    with pytest.raises(AuthorityError, match="not EC P-256"):
        opened.sign((tmp_path / "r").read_bytes(), NOW)


def _openssl_request(path: Path, subject: str, *kind: str) -> None:
    command = ["openssl", "req", "-new", "-newkey", *kind, "-nodes", "-subj", subject]
    command += ["-keyout", str(path / "k"), "-out", str(path / "r")]
    subprocess.run(command, check=True, capture_output=True)


def test_a_request_that_was_changed_on_its_way_is_refused(
    opened: Authority, request_of: RequestOf
) -> None:
    original = x509.load_pem_x509_csr(request_of("phu-thong-01")).public_bytes(Encoding.DER)
    forged = original.replace(b"phu-thong-01", b"cam-giang-01")
    label = "CERTIFICATE REQUEST-----"
    content = f"-----BEGIN {label}\n{base64.encodebytes(forged).decode()}-----END {label}\n"
    with pytest.raises(AuthorityError, match="signature is wrong"):
        opened.sign(content.encode(), NOW)
    with pytest.raises(AuthorityError, match="no signing request in PEM"):
        opened.sign(b"hello", NOW)


@pytest.mark.parametrize(
    "host", ["", "Broker.vn", "a b", "-a.vn", "a..vn", "*.vn", "a" * 65, "x/y"]
)
def test_a_host_that_is_none_is_refused(opened: Authority, host: str) -> None:
    with pytest.raises(AuthorityError, match="neither a host's name"):
        opened.server([host], NOW)


# Revocation and the register


def test_a_name_revokes_all_of_it_and_a_serial_one(
    path: Path, opened: Authority, request_of: RequestOf
) -> None:
    first = read(opened.sign(request_of("phu-thong-01"), NOW))
    second = read(opened.renew(request_of("phu-thong-01"), NOW))
    third = read(opened.sign(request_of("cam-giang-01"), NOW))
    serials = [f"{made.serial_number:X}" for made in (first, second, third)]
    assert opened.revoke(serials[0], Reason.SUPERSEDED, NOW) == 1
    assert revoked_in(path) == {serials[0]}
    assert opened.revoke("phu-thong-01", Reason.UNSPECIFIED, NOW) == 1, "the other is done already"
    assert revoked_in(path) == set(serials[:2])
    with pytest.raises(AuthorityError, match="is left to revoke"):
        opened.revoke("phu-thong-01", Reason.UNSPECIFIED, NOW)
    with pytest.raises(AuthorityError, match="is left to revoke"):
        opened.revoke("nobody", Reason.UNSPECIFIED, NOW)


def test_each_list_has_a_higher_number_and_a_new_end(path: Path, opened: Authority) -> None:
    def number() -> int:
        found = x509.load_pem_x509_crl((path / "crl.pem").read_bytes())
        return found.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number

    before = number()
    opened.make_list(NOW + 7 * DAY)
    assert number() == before + 1
    (shown,) = (row for row in authority.rows(path, NOW) if row.name == "crl.pem")
    assert shown.not_after == NOW + 7 * DAY + rules.REVOCATION_LIST_LIFETIME


def test_the_list_shows_how_each_stands(
    path: Path, opened: Authority, request_of: RequestOf
) -> None:
    opened.sign(request_of("phu-thong-01"), NOW)
    opened.renew(request_of("phu-thong-01"), NOW + DAY)
    opened.sign(request_of("cam-giang-01"), NOW, 10 * DAY)
    opened.sign(request_of("vinh-thong-01"), NOW)
    opened.revoke("vinh-thong-01", Reason.CESSATION, NOW)
    shown = {(row.name, row.standing) for row in authority.rows(path, NOW + 20 * DAY)}
    assert shown == {
        ("ca.pem", CertificateStatus.VALID),
        ("crl.pem", CertificateStatus.VALID),
        ("phu-thong-01", CertificateStatus.VALID),
        ("phu-thong-01", CertificateStatus.REPLACED),
        ("cam-giang-01", CertificateStatus.EXPIRED),
        ("vinh-thong-01", CertificateStatus.REVOKED),
    }


def test_days_left_are_whole_and_negative_when_past() -> None:
    assert rules.whole_days(NOW + timedelta(hours=47), NOW) == 1
    assert rules.whole_days(NOW - timedelta(hours=1), NOW) == -1


def test_the_register_survives_the_way_to_the_disk_and_damage_is_told() -> None:
    record = IssuedCertificate(
        serial="AB", name="phu-thong-01", purpose=Purpose.PROBE, key_sha256="00",
        not_before=NOW, not_after=NOW + DAY,
    )  # fmt: skip
    known = register.with_issued(Register(list_number=3), record)
    assert register.decode(register.encode(known)) == known
    with pytest.raises(AuthorityError, match="the register is damaged"):
        register.decode(b'{"issued": [{"serial": "ab"}]}')


# The folder


def test_modes_are_right_whatever_the_umask(path: Path) -> None:
    assert mode(path) == 0o700
    assert mode(path / "ca.key") == 0o600
    assert not list(path.glob(".*")), "nothing half written is left"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can write for somebody else")
def test_what_root_writes_belongs_to_whom_the_folder_belongs(
    tmp_path: Path, request_of: RequestOf
) -> None:
    """A technician signs as root; the service that answers boxes reads and replaces it next."""
    service = tmp_path / "service"
    service.mkdir()
    os.chown(service, 4711, 4712)
    path = service / "authority"
    authority.init(path, "Tramdo test", None, NOW)
    Authority(path).sign(request_of("phu-thong-01"), NOW)
    owners = {(found.stat().st_uid, found.stat().st_gid) for found in [path, *path.rglob("*")]}
    assert owners == {(4711, 4712)}
    assert (path / "ca.key").stat().st_mode & 0o777 == 0o600


def test_a_key_that_others_can_read_is_refused(path: Path) -> None:
    (path / "ca.key").chmod(0o644)
    with pytest.raises(AuthorityError, match=r"can be read by others \(mode 0644\): chmod 600"):
        Authority(path)


def test_a_folder_that_others_can_change_is_refused(path: Path, opened: Authority) -> None:
    path.chmod(0o777)
    with pytest.raises(AuthorityError, match="can be changed by others: chmod 700"):
        opened.make_list(NOW)


def test_an_authority_is_made_once(path: Path) -> None:
    before = (path / "ca.pem").read_bytes()
    with pytest.raises(AuthorityError, match="has an authority"):
        authority.init(path, "another", None, NOW)
    assert (path / "ca.pem").read_bytes() == before


def test_a_passphrase_locks_the_key(tmp_path: Path) -> None:
    authority.init(tmp_path / "a", "Tramdo", b"ba con ga", NOW)
    assert b"ENCRYPTED" in (tmp_path / "a" / "ca.key").read_bytes()
    for wrong in (None, b"hai con ga"):
        with pytest.raises(AuthorityError, match="passphrase"):
            Authority(tmp_path / "a", wrong)
    Authority(tmp_path / "a", b"ba con ga").make_list(NOW)


def test_a_probe_key_is_made_once_and_stays(tmp_path: Path) -> None:
    key, csr = tmp_path / "probe.key", tmp_path / "probe.csr"
    assert authority.request(key, csr, "phu-thong-01", None) is True
    before = key.read_bytes()
    assert mode(key) == 0o600
    assert authority.request(key, csr, "phu-thong-01", None) is False
    assert key.read_bytes() == before
    assert before not in csr.read_bytes()
    key.chmod(0o604)
    with pytest.raises(AuthorityError, match="can be read by others"):
        authority.request(key, csr, "phu-thong-01", None)
