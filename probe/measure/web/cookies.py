"""Floor 1. Kind `web`: the cookies of one page, from its first redirect on (RFC 6265).

Many sites set a cookie and redirect to themselves until it comes back. Nothing outlives the page.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime

from msgspec import Struct

from probe.measure.web.url import Url

# RFC 6265 §6.1 asks for at least 50 of 4096 bytes; Chromium keeps 180 for a host.
_MOST, _MOST_BYTES = 180, 4096
# No others: in UTF-8 an "à" ends by an octet that counts as a blank in ISO 8859-1.
_BLANKS = " \t"
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_EXPIRES = re.compile(r"(\d{1,2})[ -]([A-Za-z]{3})[a-z]*[ -](\d{2,4}) (\d{2}):(\d{2}):(\d{2})")


class _Cookie(Struct, frozen=True, kw_only=True):
    name: str
    value: str
    domain: str
    host_only: bool
    path: str
    secure: bool

    def is_for(self, url: Url) -> bool:
        """Whether a request for a URL has it."""
        at_home = url.host == self.domain if self.host_only else _is_in(url.host, self.domain)
        return at_home and _path_is_in(url.path, self.path) and _is_safe(url, self.secure)


class CookieJar:
    """The cookies that servers set on the way to one page."""

    def __init__(self) -> None:
        self._cookies: dict[tuple[str, str, str], _Cookie] = {}

    def store(self, url: Url, fields: Iterable[str], date: str | None) -> None:
        """Take a response's cookies (RFC 6265 §5.3).

        Args:
            url: the request's.
            fields: the values of `Set-Cookie`.
            date: the response's `Date`, by which `Expires` counts; the probe's clock may be wrong.
        """
        for field in fields:
            self._store(url, field, date)

    def field(self, url: Url) -> str:
        """The `Cookie` field of a request, "" where there is none (RFC 6265 §5.4)."""
        sent = [cookie for cookie in self._cookies.values() if cookie.is_for(url)]
        sent.sort(key=lambda cookie: -len(cookie.path))
        return "; ".join(
            f"{cookie.name}={cookie.value}" if cookie.name else cookie.value for cookie in sent
        )

    def _store(self, url: Url, field: str, date: str | None) -> None:
        pair, *rest = field.split(";")
        attributes = _attributes(rest)
        cookie = _cookie(url, pair, attributes)
        if cookie is None:
            return
        key = (cookie.domain, cookie.path, cookie.name)
        # A new value counts as a new cookie in the order of sending, as in Chromium.
        self._cookies.pop(key, None)
        if not _is_expired(attributes, date) and len(self._cookies) < _MOST:
            self._cookies[key] = cookie


def _attributes(parts: Iterable[str]) -> dict[str, str]:
    """The attributes by their name in lower case; the last one of a name counts."""
    pairs = (part.partition("=") for part in parts)
    return {name.strip(_BLANKS).lower(): value.strip(_BLANKS) for name, _, value in pairs}


def _cookie(url: Url, pair: str, attributes: Mapping[str, str]) -> _Cookie | None:
    """The cookie; None where a browser would not take it."""
    name, mark, value = (part.strip(_BLANKS) for part in pair.partition("="))
    if not mark:
        name, value = "", name
    domain = attributes.get("domain", "").removeprefix(".").lower()
    path = attributes.get("path", "")
    cookie = _Cookie(
        name=name,
        value=value,
        domain=domain or url.host,
        host_only=not domain,
        path=path if path.startswith("/") else _default_path(url),
        secure="secure" in attributes,
    )
    return cookie if _is_acceptable(cookie, url) else None


def _is_acceptable(cookie: _Cookie, url: Url) -> bool:
    text = cookie.name + cookie.value
    if not text or len(text) > _MOST_BYTES or _CONTROL.search(text):
        return False
    if not cookie.host_only and not _may_be_domain(cookie.domain, url.host):
        return False
    prefix = cookie.name.lower()
    if prefix.startswith("__host-") and not (cookie.host_only and cookie.path == "/"):
        return False
    if prefix.startswith(("__host-", "__secure-")) and not cookie.secure:
        return False
    return _is_safe(url, cookie.secure)


def _may_be_domain(domain: str, host: str) -> bool:
    # Of the public suffixes (RFC 6265 §5.3, 5) those of one label are known without a list.
    return domain == host or ("." in domain and _is_in(host, domain))


def _is_expired(attributes: Mapping[str, str], date: str | None) -> bool:
    """Whether a cookie is one that deletes (RFC 6265 §5.2.1, §5.2.2)."""
    max_age = attributes.get("max-age", "")
    if re.fullmatch(r"-?\d+", max_age):
        return max_age.startswith("-") or not max_age.strip("0")
    ends = _time(attributes.get("expires"))
    now = _time(date)
    if ends is None:
        return False
    # Without a date to count from only what has ended long ago is known to have.
    return ends <= (now or datetime(2000, 1, 1, tzinfo=ends.tzinfo))


def _time(text: str | None) -> datetime | None:
    found = None if text is None else _EXPIRES.search(text)
    if found is None:
        return None
    day, month, year, *clock = found.groups()
    try:
        return parsedate_to_datetime(f"{day} {month} {year} {':'.join(clock)} +0000")
    except ValueError:
        return None


def _default_path(url: Url) -> str:
    """RFC 6265 §5.1.4."""
    return url.path.partition("?")[0].rpartition("/")[0] or "/"


def _is_in(host: str, domain: str) -> bool:
    """Whether a host is a domain or lies in it (RFC 6265 §5.1.3); an address is in none."""
    if host == domain:
        return True
    is_name = ":" not in host and not host.rpartition(".")[2].isdecimal()
    return is_name and host.endswith(f".{domain}")


def _path_is_in(path: str, folder: str) -> bool:
    """RFC 6265 §5.1.4."""
    path = path.partition("?")[0]
    return path == folder or path.startswith(folder if folder.endswith("/") else f"{folder}/")


def _is_safe(url: Url, secure: bool) -> bool:
    return url.scheme == "https" or not secure
