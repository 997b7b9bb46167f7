"""Floor 3. How large a request's body may be, by who sends it, with or without a proxy."""

from __future__ import annotations

from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# A stranger sends the form to sign in; a user a registry of 4 MB at most, and its fields.
STRANGER_MOST = 16_384
USER_MOST = 5_000_000


class BodyLimit:
    """Refuses larger bodies with 413, before anything is read where their length is declared.

    The error is raised where the application reads the body, so that it becomes a page like others.

    Args:
        app: the application.
        is_user: whether the request is of a signed-in user.
    """

    def __init__(self, app: ASGIApp, is_user: Callable[[Request], bool]) -> None:
        self._app = app
        self._is_user = is_user

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        most = USER_MOST if await run_in_threadpool(self._is_user, request) else STRANGER_MOST
        declared = request.headers.get("content-length", "0")
        left = most - (int(declared) if declared.isdecimal() and len(declared) < 16 else most + 1)
        received = 0

        async def receive_within_limit() -> Message:
            nonlocal received
            if left < 0:
                raise _too_large(most)
            message = await receive()
            received += len(message.get("body", b""))
            if received > most:
                raise _too_large(most)
            return message

        await self._app(scope, receive_within_limit, send)


def _too_large(most: int) -> HTTPException:
    return HTTPException(413, f"at most {most} bytes are taken", {"Connection": "close"})
