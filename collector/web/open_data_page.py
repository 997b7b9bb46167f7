"""Floor 3. Published months of raw results: the page, the list for programs, and the files."""

from __future__ import annotations

from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from collector.open_data import dictionary
from collector.open_data.months import file_of, published
from collector.web import open_data_view as view
from collector.web.page_context import PageContext
from collector.web.query import one_of
from collector.web.responses import json_response

_OPEN = {"Access-Control-Allow-Origin": "*", "Cross-Origin-Resource-Policy": "cross-origin"}


class Compression(GZipMiddleware):
    """Compresses answers, but for files that are compressed and whose parts may be asked for."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An ASGI application."""
        if scope["type"] == "http" and scope["path"].startswith(f"{view.ADDRESS}/"):
            await self.app(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


class OpenDataPages:
    """`/open`, `/open/months.json`, `/open/dictionary.json`, `/open/months/…`.

    Args:
        context: what pages share.
        root: the folder of published months.
    """

    def __init__(self, context: PageContext, root: Path) -> None:
        self._context = context
        self._root = root
        self.routes = [
            Route("/open", self.page),
            Route("/open/months.json", self.index),
            Route("/open/dictionary.json", self.dictionary),
            Route("/open/months/{path:path}", self.file),
        ]

    def page(self, request: Request) -> Response:
        """The months, how a download is checked, and what the columns of a `kind` mean."""
        locale = self._context.locale(request)
        kind = one_of("kind", request.query_params.get("kind"), view.TABLES)
        return self._context.render(
            request,
            "open_data.html",
            months=view.months(published(self._root), locale),
            tables=view.tables(kind, locale),
            licence=dictionary.LICENCE,
            licence_url=dictionary.LICENCE_URL,
            address=view.ADDRESS,
        )

    def index(self, _request: Request) -> Response:
        """The months for programs."""
        return json_response(view.index(published(self._root)), headers=_OPEN)

    def dictionary(self, _request: Request) -> Response:
        """The data dictionary for programs (Frictionless Table Schema)."""
        return json_response(dictionary.dictionary(), headers=_OPEN)

    def file(self, request: Request) -> Response:
        """A file of a month, or a public key."""
        found = file_of(self._root, request.path_params["path"])
        if found is None:
            raise HTTPException(404, "there is no such file")
        media_type = view.MEDIA_TYPES.get(found.suffix, view.OTHER_MEDIA_TYPE)
        return FileResponse(found, headers=_OPEN, media_type=media_type)
