"""Pages that are asked for before people do: they need no roll-ups at their first reader's."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from collector.alerts.alert_store import AlertStore
from collector.domain import thresholds_file
from collector.domain.read_model import ReadModel
from collector.ingest.status import IngestStatus
from collector.store.sqlite import SqliteStore
from collector.store.store import StoreError
from collector.users.user_store import UserStore
from collector.web.app import Web
from collector.web.change_signal import ChangeSignal
from collector.web.page_warmer import PAGES, PageWarmer, _status, sample_addresses
from tests import seeded_centre
from tests.client import eventually

_LIMIT_S = 60.0


class Pages:
    """Every page; which were asked for, and how often. `/isps` fails, and ends nothing."""

    def __init__(self, answer: Callable[[str], Response]) -> None:
        self.asked: list[str] = []
        self._answer = answer
        self.application = Starlette(routes=[Route("/{path:path}", self.page)])

    def page(self, request: Request) -> Response:
        self.asked.append(request.url.path)
        return self._answer(request.url.path)


def failing_at_isps(path: str) -> Response:
    if path == "/isps":
        raise ZeroDivisionError
    return PlainTextResponse("")


@contextmanager
def running(warmer: PageWarmer) -> Iterator[threading.Thread]:
    thread = threading.Thread(target=warmer.run)
    thread.start()
    yield thread
    warmer.stop()
    thread.join(_LIMIT_S)
    assert not thread.is_alive()


def test_every_page_is_asked_for_at_the_start_and_those_of_all_again() -> None:
    pages = Pages(failing_at_isps)
    paths = [address.partition("?")[0] for address in PAGES]
    with running(PageWarmer(pages.application, lambda: ["/commune/01969"], period_s=0.01)):
        eventually(lambda: pages.asked.count(paths[-1]) > 2, "three rounds", _LIMIT_S)
    assert pages.asked[: len(paths) + 1] == [*paths, "/commune/01969"]
    assert pages.asked.count("/commune/01969") == 1
    assert pages.asked.count("/isps") > 1


def test_while_the_store_is_away_one_page_is_enough() -> None:
    pages = Pages(lambda _path: PlainTextResponse("", 503))
    with running(PageWarmer(pages.application, list, period_s=0.01)):
        eventually(lambda: len(pages.asked) > 2, "three rounds", _LIMIT_S)
    assert set(pages.asked) == {"/"}


def test_the_store_goes_away_between_the_pages_of_all_and_those_of_one_place() -> None:
    def samples() -> list[str]:
        raise StoreError("the database is gone")

    pages = Pages(lambda _path: PlainTextResponse(""))
    with running(PageWarmer(pages.application, samples, period_s=0.01)):
        eventually(lambda: pages.asked.count("/") > 2, "three rounds", _LIMIT_S)


def test_it_ends_after_the_page_that_it_asks_for() -> None:
    def stopping(_path: str) -> Response:
        warmer.stop()
        return PlainTextResponse("")

    pages = Pages(stopping)
    warmer = PageWarmer(pages.application, lambda: ["/commune/01969"])
    warmer.run()
    assert pages.asked == ["/"]


class Centre:
    """A seeded centre whose roll-ups can be taken away."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "results.sqlite"
        self.store = SqliteStore(self._path)
        seeded_centre.fill(self.store, datetime.now(UTC), days=2)
        self.model = ReadModel(self.store, thresholds_file.read())
        self.application = Web(
            self.model,
            ChangeSignal(),
            IngestStatus,
            "Asia/Ho_Chi_Minh",
            UserStore(folder / "people.sqlite"),
            alerts=AlertStore(folder / "alerts.sqlite"),
        ).application()

    def lose_roll_ups(self) -> None:
        with closing(sqlite3.connect(self._path)) as database, database:
            for step in ("hour", "day", "month"):
                database.execute(f"DROP TABLE rollup_{step}")

    def status(self, address: str) -> int:
        return asyncio.run(_status(self.application, address))


@pytest.fixture
def centre(tmp_path: Path) -> Iterator[Centre]:
    opened = Centre(tmp_path)
    yield opened
    opened.store.close()


@pytest.mark.parametrize("warm", [True, False])
def test_what_was_warmed_reads_no_roll_ups_at_its_first_visit(centre: Centre, warm: bool) -> None:
    if warm:
        warmer = PageWarmer(
            centre.application, lambda: [*sample_addresses(centre.model.lines()), "/stop"]
        )

        def stop(_request: Request) -> Response:
            warmer.stop()
            return Response()

        centre.application.router.routes.append(Route("/stop", stop))
        warmer.run()
    centre.lose_roll_ups()
    expected = 200 if warm else 503
    for address in ("/", "/campaign", "/isps", "/public"):
        assert centre.status(address) == expected, address


def test_a_sample_of_each_kind_of_page_is_there(centre: Centre) -> None:
    addresses = sample_addresses(centre.model.lines())
    assert {centre.status(address) for address in addresses} == {200}
    assert {address.split("/")[1] for address in addresses} == {
        "commune", "probe", "line", "public",
    }  # fmt: skip
    assert sample_addresses([]) == []
