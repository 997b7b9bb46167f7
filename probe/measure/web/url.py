"""Floor 1. Kind `web`: http and https URLs, and the references of redirects (docs/method.md#web).

A setting is parsed strictly. A `Location` is resolved as browsers do it (WHATWG URL Standard, which
for a well-formed reference is RFC 3986 §5.2): blanks, backslashes and octets that are not ASCII
are taken, and become what may stand in a request.
"""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple

_URL = re.compile(
    r"(?P<scheme>https?)://(?P<authority>[^/?#\\\s@]+)(?P<rest>([/?][^\s#]*)?)(#.*)?", re.I
)
_SCHEME = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*):(?P<rest>.*)", re.I | re.S)
_AUTHORITY = re.compile(r"(\[(?P<ipv6>[0-9A-Fa-f:.]+)\]|(?P<host>[^:\[\]]+))(:(?P<port>\d{0,5}))?")
_PORTS = {"http": 80, "https": 443}
# Far beyond the 253 of DNS with each octet encoded; the codec is slow with more.
_MOST_HOST = 1000
# WHATWG URL §3.1: forbidden domain code points.
_FORBIDDEN_IN_HOST = re.compile(r"[\x00-\x20#/:<>?@\[\\\]^|%\x7f]")
_ENCODED_OCTETS = re.compile(r"[\x80-\xff]")
# WHATWG URL §1.3: the path (and "|", as Chromium) and the special-query percent-encode sets.
_ENCODED_IN_PATH = re.compile(r"[^\x21\x24-\x3b\x3d\x40-\x5d\x5f\x61-\x7a\x7e]")
_ENCODED_IN_QUERY = re.compile(r"[^\x21\x24-\x26\x28-\x3b\x3d\x3f-\x7e]")
_DOT = {".", "%2e"}
_TWO_DOTS = {"..", ".%2e", "%2e.", "%2e%2e"}
_C0_AND_SPACE = "".join(map(chr, range(0x21)))
_REMOVED = re.compile(r"[\t\r\n]")


class BadUrlError(ValueError):
    """A text is not an http or https URL."""


class Url(NamedTuple):
    """An http or https URL in its parts; `path` includes the query, `host` is ASCII."""

    scheme: str
    host: str
    port: int
    path: str

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"

    @property
    def authority(self) -> str:
        """Host, with the port where it is not the scheme's default, as in `Host` (RFC 9110)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


def parse_url(text: str) -> Url:
    """Parse the URL of a setting.

    Raises:
        BadUrlError: it is not an http or https URL, or has blanks or control characters.
    """
    found = _URL.fullmatch(text.strip())
    if found is None or any(ord(letter) < 0x21 for letter in found["rest"]):
        raise BadUrlError(f"{text[:200]!r} is not the address of a page")
    return _absolute(found["scheme"].lower(), found["authority"] + found["rest"])


def resolve_reference(base: Url, reference: str) -> Url:
    """The URL that a reference means on the page of a URL; its fragment is left out.

    Args:
        base: of the page.
        reference: as in `Location`, each octet a letter (ISO 8859-1). A user name and password in
            it are dropped: a browser would send them only when asked.

    Raises:
        BadUrlError: it leads to something else than http and https, or to no host.
    """
    text = _REMOVED.sub("", reference.strip(_C0_AND_SPACE)).partition("#")[0]
    # Octets that are no ASCII are kept as they are, whatever their encoding (as Chromium does).
    text = _ENCODED_OCTETS.sub(lambda found: f"%{ord(found[0]):02X}", text)
    found = _SCHEME.fullmatch(text)
    if found is not None:
        scheme, text = found["scheme"].lower(), found["rest"]
        if scheme not in _PORTS:
            raise BadUrlError(f"{reference[:200]!r} is not the address of a page")
        if scheme != base.scheme:
            return _absolute(scheme, text.lstrip("/\\"))
    if re.match(r"[/\\]{2}", text):
        return _absolute(base.scheme, text.lstrip("/\\"))
    path, mark, query = text.partition("?")
    base_path, base_mark, base_query = base.path.partition("?")
    if not path:
        return base._replace(path=base_path + (_query(mark, query) or base_mark + base_query))
    path = path.replace("\\", "/")
    if not path.startswith("/"):
        path = f"{base_path.rpartition('/')[0]}/{path}"
    return base._replace(path=_path(path) + _query(mark, query))


def _absolute(scheme: str, rest: str) -> Url:
    """The URL of a scheme and what follows its slashes."""
    authority, path, mark, query = _split(rest)
    found = _AUTHORITY.fullmatch(authority.rpartition("@")[2])
    if found is None:
        raise BadUrlError(f"{authority[:200]!r} is no host")
    port = int(found["port"] or _PORTS[scheme])
    if not 1 <= port <= 65535:
        raise BadUrlError(f"{authority[:200]!r} has no such port")
    host = _ipv6(found["ipv6"]) if found["ipv6"] else _ascii(found["host"])
    return Url(scheme, host, port, _path(path) + _query(mark, query))


def _split(rest: str) -> tuple[str, str, str, str]:
    before, mark, query = rest.partition("?")
    authority, slash, path = before.replace("\\", "/").partition("/")
    return authority, slash + path, mark, query


def _path(path: str) -> str:
    """A path without dot segments (RFC 3986 §5.2.4), in the letters that a request may have."""
    segments: list[str] = []
    _, *parts = path.split("/") if path else ("", "")
    for number, part in enumerate(parts):
        dots = part.lower()
        if dots in _TWO_DOTS:
            segments[-1:] = []
        elif dots not in _DOT:
            segments.append(part)
        if number == len(parts) - 1 and dots in _DOT | _TWO_DOTS:
            segments.append("")
    return _encoded("/" + "/".join(segments), _ENCODED_IN_PATH)


def _query(mark: str, query: str) -> str:
    return mark + _encoded(query, _ENCODED_IN_QUERY)


def _encoded(text: str, wanted: re.Pattern[str]) -> str:
    """Percent-encode (RFC 3986 §2.5); a percent sign stays as it is."""
    return wanted.sub(lambda found: "".join(f"%{octet:02X}" for octet in found[0].encode()), text)


def _ipv6(text: str) -> str:
    try:
        return str(ipaddress.IPv6Address(text))
    except ValueError as error:
        raise BadUrlError(f"{text[:200]!r} is no IPv6 address") from error


def _ascii(host: str) -> str:
    """A host name in ASCII, as DNS and TLS use it; other letters are encoded (RFC 3490)."""
    if len(host) > _MOST_HOST:
        raise BadUrlError(f"{host[:200]!r} is no host name")
    try:
        octets = re.sub(
            rb"%([0-9A-Fa-f]{2})", lambda found: bytes([int(found[1], 16)]), host.encode()
        )
        name = octets.decode().encode("idna").decode("ascii").lower()
    except UnicodeError as error:
        raise BadUrlError(f"{host[:200]!r} is no host name") from error
    if not name or _FORBIDDEN_IN_HOST.search(name):
        raise BadUrlError(f"{host[:200]!r} is no host name")
    return name
