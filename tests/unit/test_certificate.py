"""When a certificate ends: what the doctor, the centre's pages and a probe's health say."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from probe.measure import host
from runtime.certificate import ends_at


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
