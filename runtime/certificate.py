"""Floor 1. The end date of a certificate or a revocation list in a PEM file, and its bytes.

Probe and collector have no certificate library (OpenSSL verifies at each connect) and need none for
one date, whose position in the DER of RFC 5280 §4.1 and §5.1 is fixed. Returns a date or None for
any bytes; nothing is trusted because of it.
"""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, datetime
from typing import NamedTuple

_PEM = re.compile(
    rb"-----BEGIN (CERTIFICATE|X509 CRL)-----(.+?)-----END (?:CERTIFICATE|X509 CRL)-----", re.DOTALL
)
_INTEGER, _SEQUENCE, _VERSION, _UTC_TIME, _GENERALIZED_TIME = 0x02, 0x30, 0xA0, 0x17, 0x18


class _Element(NamedTuple):
    """A DER element: its tag, its content, and what follows it."""

    tag: int
    content: bytes
    rest: bytes


def ends_at(pem: bytes) -> datetime | None:
    """`notAfter` of the first certificate in a PEM file, or `nextUpdate` of its revocation list.

    None where it cannot be read, and for a list without `nextUpdate` (RFC 5280 requires it).
    """
    found = _PEM.search(pem)
    if found is None:
        return None
    try:
        content = base64.b64decode(found[2])
        return _not_after(content) if found[1] == b"CERTIFICATE" else _next_update(content)
    except (ValueError, IndexError, binascii.Error):
        return None


def der(pem: bytes) -> bytes | None:
    """The DER of the first certificate in a PEM file; None where there is none."""
    for found in _PEM.finditer(pem):
        if found[1] == b"CERTIFICATE":
            try:
                return base64.b64decode(found[2])
            except binascii.Error:
                return None
    return None


def _not_after(der: bytes) -> datetime:
    # Certificate > TBSCertificate > [version], serial, signature, issuer, validity > notAfter
    fields = _signed_fields(der)
    if fields[0] == _VERSION:
        fields = _element(fields).rest
    for _ in ("serialNumber", "signature", "issuer"):
        fields = _element(fields).rest
    not_before = _element(_element(fields, _SEQUENCE).content)
    return _time(_element(not_before.rest))


def _next_update(der: bytes) -> datetime:
    # CertificateList > TBSCertList > [version], signature, issuer, thisUpdate, nextUpdate
    fields = _signed_fields(der)
    if fields[0] == _INTEGER:
        fields = _element(fields).rest
    for _ in ("signature", "issuer", "thisUpdate"):
        fields = _element(fields).rest
    return _time(_element(fields))


def _signed_fields(der: bytes) -> bytes:
    return _element(_element(der, _SEQUENCE).content, _SEQUENCE).content


def _time(element: _Element) -> datetime:
    text = element.content.decode("ascii")
    if element.tag == _UTC_TIME:
        # A two-digit year: 50 and above is of the 20th century (§4.1.2.5.1).
        text = ("19" if text >= "50" else "20") + text
    elif element.tag != _GENERALIZED_TIME:
        raise ValueError("no time")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _element(der: bytes, tag: int | None = None) -> _Element:
    found, length, at = der[0], der[1], 2
    if length & 0x80:
        size = length & 0x7F
        at += size
        length = int.from_bytes(der[2:at], "big")
    if at + length > len(der) or (tag is not None and found != tag):
        raise ValueError("not the element that belongs here")
    return _Element(found, der[at : at + length], der[at + length :])
