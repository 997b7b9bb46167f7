"""What servers do that browsers take, or refuse: each behaviour by the bytes that it sends."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import NamedTuple

from tests.page_server import PageRequest

HOST, OTHER_HOST, LETTER_HOST = "www.trang.vn", "trang.vn", "xn--x-yfa.trang.vn"
PAGE = b"<!doctype html><p>trang"
MOST_REDIRECTS = 19


class Origin(NamedTuple):
    """Where the servers are."""

    http_port: int
    https_port: int

    def fill(self, text: bytes) -> bytes:
        """A text with the ports put in."""
        return text.replace(b"HTTP_PORT", b"%d" % self.http_port).replace(
            b"HTTPS_PORT", b"%d" % self.https_port
        )


class Behaviour(NamedTuple):
    """What a server does: `first` to the first request, `then` to those that it leads to."""

    title: str
    first: bytes
    then: Callable[[PageRequest], bytes] | None = None
    scheme: str = "http"

    @property
    def path(self) -> str:
        """Where it begins; a reference in it is relative to `/NAME/a/b/`."""
        return "/a/b/start?x=1"

    def answer(self, request: PageRequest) -> bytes:
        """The response to a request."""
        if self.then is not None:
            return self.then(request)
        return self.first if request.target == self.path else page()


def page(*fields: bytes, status: bytes = b"HTTP/1.1 200 OK", body: bytes = PAGE) -> bytes:
    """A page; without `Content-Length` among the fields it is added."""
    stated = any(field.lower().startswith((b"content-length", b"transfer")) for field in fields)
    length = [] if stated else [b"Content-Length: %d" % len(body)]
    head = [status, b"Content-Type: text/html", *fields, *length]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


def redirect(location: bytes, *fields: bytes, status: bytes = b"302 Found") -> bytes:
    """A redirect without a body."""
    head = [b"HTTP/1.1 " + status, *fields, b"Location: " + location, b"Content-Length: 0"]
    return b"\r\n".join(head) + b"\r\n\r\n"


def chunked(body: bytes) -> bytes:
    """A page by chunks, with the framing as given."""
    return page(b"Transfer-Encoding: chunked", body=body)


def _until_cookie(request: PageRequest) -> bytes:
    if "phien=1" in request.cookie:
        return page()
    return redirect(request.target.encode(), b"Set-Cookie: phien=1; Path=/; HttpOnly")


def _until_all_cookies(request: PageRequest) -> bytes:
    if request.target.startswith("/a/b/start"):
        return redirect(
            b"next",
            b"Set-Cookie: a=1",
            b"Set-Cookie: b=2; Path=/",
            b"Set-Cookie: c=3; Path=/khac",
            b"Set-Cookie: d=4; Secure",
            b"Set-Cookie: __Host-e=5; Path=/",
            b"Set-Cookie: f=6; Domain=khac.vn",
            b"Set-Cookie: g=7; Max-Age=0",
            b"Set-Cookie: h=8; Expires=Thu, 01-Jan-1970 00:00:00 GMT",
            b"Set-Cookie: i=9; SameSite=Strict; Expires=Fri, 01 Jan 2100 00:00:00 GMT",
            "Set-Cookie: xã=Đà Nẵng à".encode(),
            b"Set-Cookie: a=10",
        )
    return page()


def _count(most: int) -> Callable[[PageRequest], bytes]:
    def answer(request: PageRequest) -> bytes:
        text = request.target.rpartition("/")[2]
        number = int(text) if text.isdigit() else 0
        return page() if number == most else redirect(b"%d" % (number + 1))

    return answer


_OTHER = b"http://trang.vn:HTTP_PORT"
_STATUSES = [
    Behaviour(f"{status} with a relative `Location`", redirect(b"next", status=b"%d X" % status))
    for status in (301, 303, 307, 308)
]
_NO_REDIRECTS = [
    Behaviour(
        f"{status} with a `Location`", page(b"Location: next", status=b"HTTP/1.1 %d X" % status)
    )
    for status in (200, 201, 300, 404, 500)
]
_REFERENCES = [
    Behaviour(f"`Location: {title}`", redirect(location))
    for title, location in (
        ("../x/./y/../z", b"../x/./y/../z"),
        ("../../../../up", b"../../../../up"),
        ("%2e%2E/x%2e%2e", b"%2e%2E/x%2e%2e"),
        ("?page=2", b"?page=2"),
        (";x=1", b";x=1"),
        ("/x#part", b"/x#part"),
        ("//trang.vn:PORT/y", b"//trang.vn:HTTP_PORT/y"),
        ("http://trang.vn:PORT", _OTHER),
        ("http://trang.vn:PORT?q", _OTHER + b"?q"),
        ("HTTP:/y, one slash", b"HTTP:/y"),
        (r"\x\y, backslashes", rb"\x\y"),
        ("http://u:p@trang.vn:PORT/y", b"http://u:p@trang.vn:HTTP_PORT/y"),
        ("ftp://trang.vn/", b"ftp://trang.vn/"),
        ("javascript:alert(1)", b"javascript:alert(1)"),
        ("http://trang.vn:99999/", b"http://trang.vn:99999/"),
    )
]

BEHAVIOURS = [
    Behaviour("Plain page", page()),
    Behaviour("A cookie is wanted before a redirect to itself", b"", _until_cookie),
    Behaviour("Cookies of every sort, then a redirect", b"", _until_all_cookies),
    Behaviour(
        "A cookie of the domain, a redirect to another host in it",
        redirect(_OTHER + b"/y", b"Set-Cookie: a=1; Domain=trang.vn; Path=/", b"Set-Cookie: b=2"),
    ),
    Behaviour("Raw UTF-8 in `Location`", redirect("/xã?q=phủ".encode())),
    Behaviour("Raw ISO 8859-1 in `Location`", redirect(b"/x\xe3?q=\xe9")),
    Behaviour(
        "Raw UTF-8 in the host of `Location`", redirect("http://xã.trang.vn:HTTP_PORT/y".encode())
    ),
    Behaviour("Blanks in and around `Location`", redirect(b"  /a b?c d  ")),
    Behaviour("Tab and control characters in `Location`", redirect(b"/a\tb\x01")),
    Behaviour("Quotes and brackets in `Location`", redirect(b"/\"<>`{}|^[]'?\"<>`{}|^[]'")),
    *_REFERENCES,
    Behaviour("Empty `Location`", page(b"Location: ", status=b"HTTP/1.1 302 Found")),
    Behaviour("`Location` twice, equal", redirect(b"next", b"Location: next")),
    Behaviour("`Location` twice, different", redirect(b"next", b"Location: other")),
    Behaviour("https to http", redirect(_OTHER + b"/y"), scheme="https"),
    Behaviour("http to https", redirect(b"https://www.trang.vn:HTTPS_PORT/y")),
    *_STATUSES,
    *_NO_REDIRECTS,
    Behaviour(f"{MOST_REDIRECTS} redirects", b"", _count(MOST_REDIRECTS)),
    Behaviour("25 redirects", b"", _count(25)),
    Behaviour(
        "103 Early Hints first",
        b"HTTP/1.1 103 Early Hints\r\nLink: </s.css>; rel=preload\r\nLocation: /no\r\n\r\n"
        + page(),
    ),
    Behaviour("20 interim answers", b"HTTP/1.1 100 Continue\r\n\r\n" * 20 + page()),
    Behaviour("101 that nobody asked for", b"HTTP/1.1 101 X\r\nUpgrade: h2c\r\n\r\n" + page()),
    Behaviour("103 and nothing more", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    Behaviour("300 header lines", page(*(b"X-%d: y" % number for number in range(300)))),
    Behaviour("200 KB of header", page(b"X: " + b"y" * 200_000)),
    Behaviour("300 KB of header", page(b"X: " + b"y" * 300_000)),
    Behaviour("A folded header line (obs-fold)", redirect(b"\r\n next", b"X: a\r\n b")),
    Behaviour("Lines end by LF", redirect(b"next").replace(b"\r\n", b"\n")),
    Behaviour("No reason phrase", redirect(b"next", status=b"302")),
    Behaviour("No status code", page(status=b"HTTP/1.1")),
    Behaviour("Status 999", page(status=b"HTTP/1.1 999 X")),
    Behaviour("HTTP/2.0 in the status line", page(status=b"HTTP/2.0 200 OK")),
    Behaviour("An empty line before the status line", b"\r\n" + page()),
    Behaviour("No HTTP", PAGE),
    Behaviour("A blank before the colon", redirect(b"next").replace(b"Location:", b"Location :")),
    Behaviour("A header line without a colon", page(b"rubbish")),
    Behaviour("A zero octet in the header", page(b"X: a\0b")),
    Behaviour(
        "Chunks with an extension and trailers",
        chunked(b"17;a=1\r\n" + PAGE + b"\r\n0\r\nX: y\r\n\r\n"),
    ),
    Behaviour(
        "Chunks and a wrong `Content-Length`",
        page(b"Transfer-Encoding: Chunked", b"Content-Length: 3", body=b"17\n" + PAGE + b"\n0\n\n"),
    ),
    Behaviour("Chunks without an end", chunked(b"17\r\n" + PAGE + b"\r\n")),
    Behaviour("Chunks without a size", chunked(b"zz\r\n" + PAGE + b"\r\n0\r\n\r\n")),
    Behaviour(
        "`Content-Length` twice, equal", page(b"Content-Length: 23", b"Content-Length: 23, 23")
    ),
    Behaviour(
        "`Content-Length` twice, different", page(b"Content-Length: 23", b"Content-Length: 4")
    ),
    Behaviour("`Content-Length` is no number", page(b"Content-Length: -1")),
    Behaviour("More than `Content-Length`", page() + b"more"),
    Behaviour("Closed before `Content-Length`", page(b"Content-Length: 600")),
    Behaviour("HTTP/1.0 without a length", b"HTTP/1.0 200 OK\r\n\r\n" + PAGE),
    Behaviour(
        "A redirect closed before its body",
        redirect(b"next", b"Content-Length: 600").replace(b"Content-Length: 0\r\n", b""),
    ),
    Behaviour("gzip", page(b"Content-Encoding: gzip", body=zlib.compress(PAGE, wbits=31))),
]
