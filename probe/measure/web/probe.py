"""Floor 2. Kind `web`: each configured page over the line, one after another, redirects followed.

Phases and figures are below; what is here is the loop.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from functools import partial

from probe import clock
from probe.config import WebConfig
from probe.measure.failure import Failure
from probe.measure.measurement import MeasurementRequest, Progress, RawResult, failed_result
from probe.measure.web import method
from probe.measure.web.fetch import Fetcher
from probe.measure.web.method import BadUrlError, HttpExchange, Url
from probe.measure.web.resolver import LineResolver
from probe.version import VERSION
from wire.result import Method, Reason


def measure(request: MeasurementRequest) -> Iterator[RawResult]:
    """Fetch each page of `web.pages`; yields a Finding for each. Without pages, nothing.

    What `request.stop` interrupts is not told.
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
    fetcher = Fetcher(request.line, names, context, config.max_bytes)
    for number, page in enumerate(config.pages):
        if request.stop.is_set():
            return
        request.progress(Progress("web", number / len(config.pages)))
        finding = _page(page, config, fetcher)
        if not request.stop.is_set():
            yield finding


def _page(text: str, config: WebConfig, fetcher: Fetcher) -> RawResult:
    began_s = clock.monotonic_s()
    try:
        url = method.parse_url(text)
    except BadUrlError as error:
        return failed_result(Reason.PROTOCOL_ERROR, str(error), target=f"web:{text}"[:500])
    visits = _visits(url, config, partial(fetcher.visit, deadline_s=began_s + config.timeout_s))
    page = visits[-1]
    bad = page if page.failure is not None else None
    outcome, reason, detail, validity = method.page_status(page)
    return RawResult(
        outcome=outcome,
        reason=reason,
        detail=None if detail is None else detail[:500],
        target=f"web:{url.authority}{url.path}".rstrip("/")[:500],
        values=method.values(text, visits, bad),
        validity=validity,
        method=Method(
            "tramdo-web",
            VERSION,
            {"timeout_s": config.timeout_s, "max_redirects": config.max_redirects},
        ),
        began_s=began_s,
        duration_s=clock.monotonic_s() - began_s,
    )


def _visits(url: Url, config: WebConfig, visit: partial[HttpExchange]) -> list[HttpExchange]:
    """The page and what led there; the last one has the trouble if there was any."""
    visits = [visit(url)]
    while visits[-1].failure is None:
        try:
            onward = method.redirect_target(visits[-1])
        except BadUrlError as error:
            visits[-1].failure = Failure(Reason.PROTOCOL_ERROR, f"A redirect: {error}.")
            break
        if onward is None:
            break
        if len(visits) > config.max_redirects:
            sentence = f"More than {config.max_redirects} redirects."
            visits[-1].failure = Failure(Reason.PROTOCOL_ERROR, sentence)
            break
        visits.append(visit(onward))
    return visits
