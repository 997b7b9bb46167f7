"""Kind `web`: addresses of pages, redirects, and what a fetch comes to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.measure.failure import Failure
from probe.measure.web import method
from probe.measure.web.method import BadUrlError, HttpExchange, Url, parse_url, redirect_target
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
