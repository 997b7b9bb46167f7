"""Floor 3. Asks for the pages of the whole centre before people do, and again while they run.

Templates are compiled, modules imported and a nation's roll-ups read at a page's first request:
up to two seconds. A figure that nobody asked for in three minutes is read anew, too. So that no
reader waits for either, each of these pages is asked for at the start and every two minutes.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from http import HTTPStatus
from typing import Any

from starlette.types import ASGIApp

from collector.domain.lines import KnownLine
from collector.store.store import StoreError
from collector.web.line_table import line_address

log = logging.getLogger(__name__)
# Less than the age at which `ReadModel.cached` no longer returns a value.
_PERIOD_S = 120.0
# The pages of the whole centre; most read every line's roll-ups, which others then share.
PAGES = (
    "/", "/campaign", "/isps", "/public", "/hours", "/system", "/live", "/alerts", "/papers",
    "/search?q=a",
)  # fmt: skip


def sample_addresses(lines: Sequence[KnownLine]) -> list[str]:
    """A page of each kind that is of one place; none where there are no lines."""
    if not lines:
        return []
    line = lines[0]
    code, address = line.commune_code, line_address(line.key)
    probe = f"/probe/{line.key.tenant}/{line.key.probe}"
    return [
        f"/commune/{code}", probe, address, f"{address}/chart", f"/public/{code}",
        f"/public/{code}/card",
    ]  # fmt: skip


class PageWarmer:
    """Runs in a thread of its own until `stop`.

    Args:
        application: whose pages.
        samples: addresses of a page of each kind that is of one place, for their templates.
        period_s: how long it waits from round to round.
    """

    def __init__(
        self,
        application: ASGIApp,
        samples: Callable[[], Iterable[str]],
        period_s: float = _PERIOD_S,
    ) -> None:
        self._application = application
        self._samples = samples
        self._period_s = period_s
        self._stopped = threading.Event()

    def run(self) -> None:
        """Ask for every page, then again and again for those of the whole centre."""
        self._ask_for(PAGES)
        try:
            self._ask_for(self._samples())
        except StoreError as error:
            log.warning("no pages of one place are made beforehand: %s", error)
        while not self._stopped.wait(self._period_s):
            self._ask_for(PAGES)

    def stop(self) -> None:
        """End `run` after the page that it is asking for."""
        self._stopped.set()

    def _ask_for(self, addresses: Iterable[str]) -> None:
        for address in addresses:
            if self._stopped.is_set():
                return
            try:
                status = asyncio.run(_status(self._application, address))
            except Exception:
                # A fault of a page: whoever asks for it sees it, and nothing else ends by it.
                log.exception("the page %s could not be made", address)
            else:
                if status == HTTPStatus.SERVICE_UNAVAILABLE:
                    return  # the store is away, and the collector says so itself


async def _status(application: ASGIApp, address: str) -> int:
    """The status of a page, as for a reader who is not signed in."""
    path, _, query = address.partition("?")
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET",
        "scheme": "http", "path": path, "raw_path": path.encode(), "query_string": query.encode(),
        "headers": [(b"host", b"localhost"), (b"accept-encoding", b"gzip")],
        "server": ("localhost", 80), "client": ("127.0.0.1", 0),
    }  # fmt: skip
    status = 0

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:  # noqa: ANN401 - as ASGI has it
        nonlocal status
        status = message.get("status", status)

    await application(scope, receive, send)
    return status
