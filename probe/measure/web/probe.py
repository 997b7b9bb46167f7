"""Floor 2. Kind `web`: fetches each configured page over the line, following redirects.

Phases are timed in `fetch`, values are made in `method`.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from functools import partial

from probe import clock
from probe.config import WebConfig
from probe.measure.failure import Failure
from probe.measure.families import families_of
from probe.measure.measurement import MeasurementRequest, Progress, RawResult, failed_result
from probe.measure.web import method
from probe.measure.web.cookies import CookieJar
from probe.measure.web.fetch import Fetcher
from probe.measure.web.method import HttpExchange
from probe.measure.web.resolver import LineResolver
from probe.measure.web.url import BadUrlError, Url, parse_url
from probe.version import VERSION
from wire.record import Family, Method, Reason


def measure(request: MeasurementRequest) -> Iterator[RawResult]:
    """Fetch each page of `web.pages`; yields a RawResult for each. Without pages, nothing.

    A page that `request.stop` interrupts yields nothing.
    """
    config = request.config.web
    if not config.pages:
        return
    try:
        context = ssl.create_default_context(cafile=config.ca_file)
    except (OSError, ssl.SSLError) as error:
        yield failed_result(Reason.TOOL_FAILED, f"web.ca_file: {config.ca_file}: {error}")
        return
    names = LineResolver(
        request.line, request.config.dns.port, request.config.dns.timeout_s, request.stop
    )
    fetcher = Fetcher(request.line, names, _families(request), context, config.max_bytes)
    for number, page in enumerate(config.pages):
        if request.stop.is_set():
            return
        request.progress(Progress("web", number / len(config.pages)))
        raw = _page(page, config, fetcher)
        if not request.stop.is_set():
            yield raw


def _families(request: MeasurementRequest) -> tuple[Family, ...]:
    """Those that pages may be fetched over; both where the line has none that is known."""
    if request.family is not None:
        return (request.family,)
    return families_of(request.line) or tuple(Family)


def _page(text: str, config: WebConfig, fetcher: Fetcher) -> RawResult:
    began_s = clock.monotonic_s()
    try:
        url = parse_url(text)
    except BadUrlError as error:
        return failed_result(Reason.PROTOCOL_ERROR, str(error), target=f"web:{text}"[:500])
    fetch = partial(fetcher.fetch, cookies=CookieJar(), deadline_s=began_s + config.timeout_s)
    exchanges = _exchanges(url, config, fetch)
    page = exchanges[-1]
    bad = page if page.failure is not None else None
    outcome, reason, detail, validity = method.page_status(page)
    return RawResult(
        outcome=outcome,
        reason=reason,
        detail=None if detail is None else detail[:500],
        target=f"web:{url.authority}{url.path}".rstrip("/")[:500],
        family=None if page.address is None else Family.of(page.address),
        values=method.values(text, exchanges, bad),
        validity=validity,
        method=Method(
            "tramdo-web",
            VERSION,
            {"timeout_s": config.timeout_s, "max_redirects": config.max_redirects},
        ),
        began_s=began_s,
        duration_s=clock.monotonic_s() - began_s,
    )


def _exchanges(url: Url, config: WebConfig, exchange: partial[HttpExchange]) -> list[HttpExchange]:
    """The redirects and the page; the last one has the failure if there was one."""
    exchanges = [exchange(url)]
    while exchanges[-1].failure is None:
        try:
            onward = method.redirect_target(exchanges[-1])
        except BadUrlError as error:
            exchanges[-1].failure = Failure(Reason.PROTOCOL_ERROR, f"A redirect: {error}.")
            break
        if onward is None:
            break
        if len(exchanges) > config.max_redirects:
            sentence = f"More than {config.max_redirects} redirects."
            exchanges[-1].failure = Failure(Reason.PROTOCOL_ERROR, sentence)
            break
        exchanges.append(exchange(onward))
    return exchanges
