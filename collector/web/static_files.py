"""Floor 3. Style sheets, scripts and pictures of the pages, read and compressed once at the start.

A page asks for one style sheet: the sheets of `_SHEETS` joined. Its address names its content
(`?v=DIGEST`), so that a browser keeps it for a year and asks for another one after an upgrade.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from importlib import resources
from typing import NamedTuple

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

SHEET = "site.css"
# In the order of the cascade; the media type of each.
_SHEETS = (("style.css", ""), ("pages.css", ""), ("map.css", ""), ("print.css", "print"))
_MEDIA_TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_DIGITS = 12
_COMPRESSION_LEVEL = 9
_FOR_A_YEAR = "public, max-age=31536000, immutable"


class StaticFile(NamedTuple):
    """A file and its form compressed by gzip; `digest` is of its content."""

    body: bytes
    compressed: bytes
    media_type: str
    digest: str


@cache
def static_files() -> Mapping[str, StaticFile]:
    """Every file by name, and the joined style sheet."""
    folder = resources.files("collector.web").joinpath("static")
    bodies = {one.name: one.read_bytes() for one in folder.iterdir() if one.is_file()}
    bodies[SHEET] = b"\n".join(_of_media(bodies[name], media) for name, media in _SHEETS)
    return {name: _static_file(name, body) for name, body in bodies.items()}


def static_address(name: str) -> str:
    """The address of a file with its present content."""
    return f"/static/{name}?v={static_files()[name].digest}"


def _of_media(sheet: bytes, media: str) -> bytes:
    return b"@media %s {\n%s}\n" % (media.encode(), sheet) if media else sheet


def _static_file(name: str, body: bytes) -> StaticFile:
    return StaticFile(
        body,
        gzip.compress(body, _COMPRESSION_LEVEL, mtime=0),
        _MEDIA_TYPES[name.rpartition(".")[2]],
        sha256(body).hexdigest()[:_DIGITS],
    )


async def _answer(request: Request) -> Response:
    """A file, from memory: no thread is waited for."""
    found = static_files().get(request.path_params["name"])
    if found is None:
        raise HTTPException(404)
    is_named = request.query_params.get("v") == found.digest
    entity_tag = f'"{found.digest}"'
    headers = {
        "ETag": entity_tag,
        "Vary": "Accept-Encoding",
        "Cache-Control": _FOR_A_YEAR if is_named else "no-cache",
    }
    if entity_tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    body = found.body
    if "gzip" in request.headers.get("accept-encoding", ""):
        body = found.compressed
        headers["Content-Encoding"] = "gzip"
    return Response(body, headers=headers, media_type=found.media_type)


ROUTES = (Route("/static/{name}", _answer),)
