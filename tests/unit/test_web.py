"""Kind `web`: addresses of pages, redirects, cookies, heads, and what a fetch comes to."""

from __future__ import annotations

import io
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.measure.failure import Failure
from probe.measure.web import method
from probe.measure.web.cookies import CookieJar
from probe.measure.web.method import HttpExchange, redirect_target
from probe.measure.web.response import BodyReader, Reader, read_head
from probe.measure.web.response_head import MOST_BYTES, BadResponseError, BodyEnd, parse_head
from probe.measure.web.url import BadUrlError, Url, parse_url, resolve_reference
from wire.result import Outcome, Reason, Validity, WebPhase


@pytest.mark.parametrize(
    ("text", "url", "authority"),
    [
        ("https://a.vn", Url("https", "a.vn", 443, "/"), "a.vn"),
        ("HTTP://A.vn:8080/x?y=1#z", Url("http", "a.vn", 8080, "/x?y=1"), "a.vn:8080"),
        ("https://a.vn?q", Url("https", "a.vn", 443, "/?q"), "a.vn"),
        ("https://[2001:db8::1]/", Url("https", "2001:db8::1", 443, "/"), "[2001:db8::1]"),
        ("https://xã.vn/Phủ", Url("https", "xn--x-yfa.vn", 443, "/Ph%E1%BB%A7"), "xn--x-yfa.vn"),
    ],
)
def test_an_address_in_its_parts(text: str, url: Url, authority: str) -> None:
    assert parse_url(text) == url
    assert url.authority == authority
    assert parse_url(str(url)) == url


@pytest.mark.parametrize(
    "text",
    ["", "ftp://a.vn/", "https://", "https://a b.vn/", "https://u@a.vn/", "https://a.vn:0/",
     "https://a.vn:70000/", "https://a.vn/\r\nX: y", "a.vn", "https://a..vn/"],
)  # fmt: skip
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(BadUrlError):
        parse_url(text)


@given(st.text(max_size=60))
def test_no_text_ends_a_line_of_the_request(text: str) -> None:
    try:
        url = parse_url(f"https://a.vn/{text}")
    except BadUrlError:
        return
    assert not set(f"{url.path}{url.authority}") & set("\r\n \x00")
    assert url.path.isascii()


@given(st.binary(max_size=80))
def test_no_redirect_ends_a_line_of_the_request(location: bytes) -> None:
    try:
        url = resolve_reference(Url("http", "a.vn", 80, "/"), location.decode("latin-1"))
    except BadUrlError:
        return
    assert not set(f"{url.path}{url.authority}") & set(map(chr, [*range(0x21), *range(0x7F, 256)]))
    assert parse_url(str(url)) == url, "it is the same when it is read again"


@pytest.mark.parametrize(
    ("reference", "means"),
    [
        # RFC 3986 §5.4.1 and §5.4.2, but for the schemes.
        ("g", "http://a/b/c/g"),
        ("./g", "http://a/b/c/g"),
        ("g/", "http://a/b/c/g/"),
        ("/g", "http://a/g"),
        ("//g", "http://g/"),
        ("?y", "http://a/b/c/d;p?y"),
        ("g?y", "http://a/b/c/g?y"),
        ("#s", "http://a/b/c/d;p?q"),
        ("g#s", "http://a/b/c/g"),
        ("g?y#s", "http://a/b/c/g?y"),
        (";x", "http://a/b/c/;x"),
        ("g;x?y#s", "http://a/b/c/g;x?y"),
        ("", "http://a/b/c/d;p?q"),
        (".", "http://a/b/c/"),
        ("./", "http://a/b/c/"),
        ("..", "http://a/b/"),
        ("../g", "http://a/b/g"),
        ("../..", "http://a/"),
        ("../../g", "http://a/g"),
        ("../../../../g", "http://a/g"),
        ("/./g", "http://a/g"),
        ("/../g", "http://a/g"),
        ("g.", "http://a/b/c/g."),
        ("..g", "http://a/b/c/..g"),
        ("./../g", "http://a/b/g"),
        ("./g/.", "http://a/b/c/g/"),
        ("g/../h", "http://a/b/c/h"),
        ("g;x=1/../y", "http://a/b/c/y"),
        ("g?y/../x", "http://a/b/c/g?y/../x"),
        ("http:g", "http://a/b/c/g"),
        ("https:g", "https://g/"),
        ("http://b:80/", "http://b/"),
        ("http://b:/", "http://b/"),
        ("//[2001:DB8::1]:8080", "http://[2001:db8::1]:8080/"),
    ],
)
def test_a_reference_as_the_standard_has_it(reference: str, means: str) -> None:
    assert str(resolve_reference(Url("http", "a", 80, "/b/c/d;p?q"), reference)) == means


@pytest.mark.parametrize(
    "reference",
    ["mailto:a@b.vn", "//", "http://", "//a b/", "//[::g]/", "//a%00b/", "//" + "a" * 2000],
)
def test_a_reference_to_no_page(reference: str) -> None:
    with pytest.raises(BadUrlError):
        resolve_reference(Url("http", "a.vn", 80, "/"), reference)


def visit(status: int | None = 200, location: str | None = None, **fields: object) -> HttpExchange:
    url = Url("https", "a.vn", 443, "/p/home?x=1")
    begun = {"url": url, "began_s": 10.0, "ended_s": 10.5, "complete": True}
    return HttpExchange(**(begun | {"status": status, "location": location} | fields))  # type: ignore[arg-type]  # by name


@pytest.mark.parametrize(
    ("location", "onward"),
    [
        ("https://b.vn/y", "https://b.vn/y"),
        ("http://a.vn/", "http://a.vn/"),
        ("//c.vn/z", "https://c.vn/z"),
        ("/login?u=https://d.vn/", "https://a.vn/login?u=https://d.vn/"),
        ("next", "https://a.vn/p/next"),
        ("?page=2", "https://a.vn/p/home?page=2"),
        ("/x#part", "https://a.vn/x"),
    ],
)
def test_a_redirect_leads_on(location: str, onward: str) -> None:
    assert str(redirect_target(visit(302, location))) == onward


@pytest.mark.parametrize(
    ("status", "location"), [(200, "/x"), (302, None), (304, "/x"), (500, "/")]
)
def test_what_is_no_redirect(status: int, location: str | None) -> None:
    assert redirect_target(visit(status, location)) is None


def test_a_redirect_to_nowhere_is_told() -> None:
    with pytest.raises(BadUrlError):
        redirect_target(visit(302, "javascript://x"))


# Cookies

SITE = Url("https", "www.a.vn", 443, "/p/home?x=1")
DATE = "Mon, 30 Nov 2026 00:00:00 GMT"


@pytest.mark.parametrize(
    ("field", "url", "sent"),
    [
        ("a=1", SITE, "a=1"),
        ("a=1", SITE._replace(path="/p/"), "a=1"),
        ("a=1", SITE._replace(path="/px"), ""),
        ("a=1", SITE._replace(host="a.vn"), ""),
        ("a=1; Domain=a.vn; Path=/", SITE._replace(host="a.vn", path="/"), "a=1"),
        ("a=1; Domain=.A.vn; Path=/", SITE._replace(host="b.a.vn"), "a=1"),
        ("a=1; Domain=w.a.vn", SITE, ""),
        ("a=1; Domain=vn", SITE, ""),
        ("a=1; Secure", SITE._replace(scheme="http"), ""),
        ("a=1; Max-Age=0", SITE, ""),
        ("a=1; Max-Age=-5", SITE, ""),
        ("a=1; Max-Age=9; Expires=Thu, 01-Jan-1970 00:00:00 GMT", SITE, "a=1"),
        ("a=1; Expires=Sun, 29 Nov 2026 23:59:59 GMT", SITE, ""),
        ("a=1; Expires=Mon, 30 Nov 2026 00:00:01 GMT", SITE, "a=1"),
        ("a=1; Expires=Mon, 99 Nov 2026 00:00:01 GMT", SITE, "a=1"),
        ("a", SITE, "a"),
        ("a= b = c ", SITE, "a=b = c"),
        ("=", SITE, ""),
        ("a=b\x01", SITE, ""),
        ("a=" + "b" * 5000, SITE, ""),
        ("à=\xc3\xa0", SITE, "à=\xc3\xa0"),
    ],
)
def test_where_a_cookie_is_sent(field: str, url: Url, sent: str) -> None:
    jar = CookieJar()
    jar.store(SITE, [field], DATE)
    assert jar.field(url) == sent


def test_a_cookie_is_deleted_by_the_server_s_own_clock() -> None:
    jar = CookieJar()
    jar.store(SITE, ["a=1; Expires=Sun, 29 Nov 2026 23:59:59 GMT"], None)
    assert jar.field(SITE) == "a=1", "without a date nobody knows that it has ended"
    jar.store(SITE, ["a=; Expires=Thu, 01 Jan 1970 00:00:00 GMT"], None)
    assert jar.field(SITE) == ""


def test_a_page_has_a_bounded_number_of_cookies() -> None:
    jar = CookieJar()
    jar.store(SITE, [f"c{number}=1" for number in range(1000)], DATE)
    assert jar.field(SITE).count("=1") == 180


# Heads


def head(*lines: str) -> bytes:
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def test_a_head_by_its_fields() -> None:
    parsed = parse_head(head("HTTP/1.1 200 OK", "A: 1", " 2", "a:3 ", "Content-Length: 7, 7"))
    assert (parsed.status, parsed.version, parsed.all("a")) == (200, "HTTP/1.1", ["1 2", "3"])
    assert (parsed.body_end, parsed.content_length) == (BodyEnd.LENGTH, 7)


@pytest.mark.parametrize(
    ("lines", "end"),
    [
        (["HTTP/1.1 200 OK"], BodyEnd.CLOSE),
        (["HTTP/1.1 204 OK"], BodyEnd.LENGTH),
        (["HTTP/1.1 200 OK", "Transfer-Encoding: gzip, Chunked"], BodyEnd.CHUNKS),
        (["HTTP/1.0 200 OK", "Transfer-Encoding: chunked"], BodyEnd.CLOSE),
        (["HTTP/1.1 200 OK", "Content-Length: 99999999999999999999"], BodyEnd.CLOSE),
    ],
)
def test_how_a_body_ends(lines: list[str], end: BodyEnd) -> None:
    assert parse_head(head(*lines)).body_end is end


@given(st.binary(max_size=200), st.sampled_from([b"", b"HTTP/1.1 200 OK\r\n"]))
def test_any_octets_are_a_head_or_none(octets: bytes, before: bytes) -> None:
    try:
        parsed = parse_head(before + octets)
    except BadResponseError:
        return
    assert 100 <= parsed.status <= 999


class Connection(io.RawIOBase):
    """A server's answer; counts what is read of it."""

    def __init__(self, octets: bytes) -> None:
        super().__init__()
        self._octets = octets
        self.read_bytes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # as io calls it
        piece = self._octets[self.read_bytes : self.read_bytes + len(buffer)]
        buffer[: len(piece)] = piece
        self.read_bytes += len(piece)
        return len(piece)


MEGABYTE = 1_000_000


@pytest.mark.parametrize(
    "flood",
    [
        b"HTTP/1.1 200 OK\r\n" + b"a:b\n" * MEGABYTE,
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 4 * MEGABYTE,
        b"HTTP/1.1 200 OK\r\nX: y\r\n" + b" \n" * MEGABYTE,
        b"HTTP/1.1 200 OK\r\n" + b"\r" * 4 * MEGABYTE,
        b"HTTP/1.1 100 Continue\r\n\r\n" * MEGABYTE,
        b"\n" * MEGABYTE,
        b"x" * MEGABYTE,
    ],
    ids=["lines", "line", "folds", "returns", "interim", "empty", "nothing"],
)
def test_a_head_without_an_end_is_given_up_in_bounds(flood: bytes) -> None:
    connection = Connection(flood)
    with pytest.raises(BadResponseError):
        read_head(cast("Reader", io.BufferedReader(connection)))
    assert connection.read_bytes <= 2 * MOST_BYTES


@pytest.mark.parametrize(
    "lines",
    [
        ["a:b"] * 50_000,
        ["X: y", *[" z"] * 50_000],
        ["\r" * 200_000 + "x"],
        ["Set-Cookie: a=1"] * 12_000,
    ],
    ids=["lines", "folds", "returns", "cookies"],
)
def test_a_head_as_long_as_may_be_is_parsed(lines: list[str]) -> None:
    octets = head("HTTP/1.1 200 OK", *lines)
    assert len(octets) <= MOST_BYTES
    found = read_head(cast("Reader", io.BufferedReader(Connection(octets))))
    CookieJar().store(SITE, found.all("set-cookie"), None)
    assert found.status == 200


def body_of(body: bytes, *fields: str, max_bytes: int = MEGABYTE) -> tuple[BodyReader, Connection]:
    connection = Connection(body)
    parsed = parse_head(head("HTTP/1.1 200 OK", *fields))
    return BodyReader(cast("Reader", io.BufferedReader(connection)), parsed, max_bytes), connection


def test_chunks_that_are_mostly_framing_are_read_so_far() -> None:
    flood = (b"1;" + b"x" * 10_000 + b"\r\na\r\n") * 2000
    body, connection = body_of(flood, "Transfer-Encoding: chunked")
    body.read()
    assert not body.complete
    assert connection.read_bytes < 2 * MEGABYTE


@pytest.mark.parametrize(
    ("octets", "error"),
    [
        (b"5\r\nabc", EOFError),
        (b"3\r\nabc\r\n0\r\n", EOFError),
        (b"3\r\nabcd\r\n0\r\n\r\n", BadResponseError),
        (b"0x3\r\nabc\r\n0\r\n\r\n", BadResponseError),
        (b"1" * 20_000, BadResponseError),
        (b"ffffffffffffffffffff\r\n", BadResponseError),
    ],
)
def test_what_are_no_chunks(octets: bytes, error: type[Exception]) -> None:
    body, _ = body_of(octets, "Transfer-Encoding: chunked")
    with pytest.raises(error):
        body.read()
    assert not body.complete


@pytest.mark.parametrize(
    ("page", "outcome", "reason", "validity"),
    [
        (visit(200), Outcome.OK, None, []),
        (visit(204), Outcome.OK, None, []),
        (visit(404), Outcome.FAILED, Reason.HTTP_STATUS, []),
        (visit(503), Outcome.FAILED, Reason.HTTP_STATUS, []),
        (visit(200, complete=False), Outcome.OK, None, [Validity.SHORT]),
        (
            visit(None, failure=Failure(Reason.TLS_ERROR, "No TLS.")),
            Outcome.FAILED,
            Reason.TLS_ERROR,
            [],
        ),
    ],
)
def test_how_a_page_ended(
    page: HttpExchange, outcome: Outcome, reason: Reason | None, validity: list[Validity]
) -> None:
    ended = method.page_status(page)
    assert (ended.outcome, ended.reason, ended.validity) == (outcome, reason, validity)


def test_a_page_s_figures_are_its_own_and_what_led_there_stands_apart() -> None:
    before = visit(302, "/x", dns_ms=3.0)
    page = visit(200, began_s=10.5, ended_s=11.25, dns_ms=1.0, tcp_ms=2.0, body_bytes=70)
    found = method.values("https://a.vn/", [before, page], None)
    assert (found.redirects, found.redirect_ms, found.total_ms) == (1, 500.0, 1250.0)
    assert (found.dns_ms, found.tcp_ms, found.tls_ms, found.body_bytes) == (1.0, 2.0, None, 70)
    assert found.failed_phase is None


def test_a_page_that_failed_has_no_total_and_says_where() -> None:
    failure = Failure(Reason.TIMEOUT, "No answer.")
    page = visit(None, failure=failure, phase=WebPhase.TCP, dns_ms=1.0, complete=False)
    found = method.values("https://a.vn/", [page], page)
    assert (found.total_ms, found.failed_phase, found.dns_ms) == (None, WebPhase.TCP, 1.0)
