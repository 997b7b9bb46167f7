"""Floor 1. The authority's policy: permitted names, lifetimes, and what is refused.

Knows no file, key or clock.
"""

from __future__ import annotations

import ipaddress
import re
from datetime import UTC, datetime, timedelta

from wire.topics import is_name

# One authority outlives the boxes that it certifies; renewing it means visiting every one of them.
AUTHORITY_LIFETIME = timedelta(days=3650)
# Long enough that a box which lay in a cupboard for a year comes back by itself.
PROBE_LIFETIME = timedelta(days=730)
# Renewed once a year, with a month to spare.
SERVER_LIFETIME = timedelta(days=397)
# An expired revocation list shuts everybody out (OpenSSL, X509_V_ERR_CRL_HAS_EXPIRED): it is to be
# made anew weekly, and half a year of forgetting does no harm.
REVOCATION_LIST_LIFETIME = timedelta(days=180)
# A Raspberry Pi without a clock battery starts in the past; a day of it is forgiven.
BACKDATE = timedelta(days=1)

# RFC 5280 appendix A.1, ub-common-name.
_LONGEST_NAME = 64
# RFC 1123 §2.1.
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")


class AuthorityError(Exception):
    """The authority refuses; the text says what and what to do instead."""


def probe_name(text: str) -> str:
    """Check a probe's name, which becomes a level of its topics; returns it.

    Raises:
        AuthorityError: it may not.
    """
    if not is_name(text):
        raise AuthorityError(f"{text!r} is no probe's name: a-z, 0-9 and -, 1 to 40 characters")
    return text


def host_name(text: str) -> str:
    """Check a host name (lower case) or an IP address; returns it.

    Raises:
        AuthorityError: it is neither.
    """
    if is_address(text) or (len(text) <= _LONGEST_NAME and _HOST.fullmatch(text)):
        return text
    raise AuthorityError(f"{text!r} is neither a host's name in lower case nor an IP address")


def authority_name(text: str) -> str:
    """Check an authority's name; returns it.

    Raises:
        AuthorityError: it may not.
    """
    if 1 <= len(text) <= _LONGEST_NAME and text.isprintable():
        return text
    raise AuthorityError(f"an authority's name has 1 to {_LONGEST_NAME} characters")


def is_address(text: str) -> bool:
    """Whether the text is an IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def validity(
    now: datetime, lifetime: timedelta, authority_ends: datetime
) -> tuple[datetime, datetime]:
    """The validity period of a certificate: it ends no later than the authority's own.

    Raises:
        AuthorityError: the authority has ended.
    """
    if now >= authority_ends:
        raise AuthorityError(f"the authority itself ended on {authority_ends:%Y-%m-%d}: a new one")
    return now - BACKDATE, min(now + lifetime, authority_ends)


def whole_days(ends: datetime, now: datetime) -> int:
    """Whole days until then; negative when it is past."""
    return (ends - now) // timedelta(days=1)


def in_utc(moment: datetime) -> datetime:
    """The moment in UTC, whole seconds: what X.509 can say (RFC 5280 §4.1.2.5)."""
    return moment.astimezone(UTC).replace(microsecond=0)
