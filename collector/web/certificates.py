"""Floor 1. When a certificate ends, read from its own bytes.

A walk through the DER of RFC 5280, 4.1: as far as `validity`, and no further. It checks nothing:
who signed it is the handshake's question.
"""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)
_SEQUENCE, _VERSION, _UTC_TIME, _GENERALIZED_TIME = 0x30, 0xA0, 0x17, 0x18


def ends_at(pem: bytes) -> datetime | None:
    """`notAfter` of the first certificate in PEM text; None where there is none to read."""
    found = _PEM.search(pem)
    if found is None:
        return None
    try:
        return _not_after(base64.b64decode(found[1]))
    except (ValueError, IndexError):
        return None


def _not_after(der: bytes) -> datetime:
    _, certificate, _ = _element(der, 0)
    _, body, _ = _element(certificate, 0)
    tag, _, at = _element(body, 0)
    if tag == _VERSION:
        _, _, at = _element(body, at)  # serialNumber
    _, _, at = _element(body, at)  # signature
    _, _, at = _element(body, at)  # issuer
    tag, validity, _ = _element(body, at)
    if tag != _SEQUENCE:
        raise ValueError("no validity")
    _, _, at = _element(validity, 0)  # notBefore
    tag, text, _ = _element(validity, at)
    digits = text.decode("ascii").rstrip("Z")
    if tag == _UTC_TIME:
        # RFC 5280, 4.1.2.5.1: YY from 50 on is 19YY.
        digits = ("19" if int(digits[:2]) >= 50 else "20") + digits
    elif tag != _GENERALIZED_TIME:
        raise ValueError("no time")
    return datetime.strptime(digits, "%Y%m%d%H%M%S").replace(tzinfo=UTC)


def _element(der: bytes, at: int) -> tuple[int, bytes, int]:
    """Tag, content, and where the next one begins."""
    tag, length = der[at], der[at + 1]
    at += 2
    if length & 0x80:
        count = length & 0x7F
        length = int.from_bytes(der[at : at + count], "big")
        at += count
    if at + length > len(der):
        raise ValueError("cut short")
    return tag, der[at : at + length], at + length
