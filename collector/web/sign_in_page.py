"""Floor 3. Sign-in and sign-out.

A failed sign-in does not reveal whether the name exists or is disabled. Attempts are limited per
name and per address; the page states how long to wait.
"""

from __future__ import annotations

import secrets
import threading
import time
from datetime import UTC, datetime

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from collector.users import passwords
from collector.users.sessions import SESSION_S, Claim
from collector.users.sign_in_limiter import SignInLimiter
from collector.web.page_context import (
    SESSION_COOKIE,
    PageContext,
    address_of,
    is_same_origin,
    local_path,
)

_VISIT_COOKIE = "tramdo_visit"
_NAME_MOST = 40


class SignInPages:
    """`/sign-in`, `/sign-out`."""

    def __init__(self, context: PageContext) -> None:
        self._context = context
        self._limiter = SignInLimiter()
        # One password at a time: argon2 takes 64 MiB each.
        self._one_at_a_time = threading.Lock()
        self.routes = [
            Route("/sign-in", self.form, methods=["GET"]),
            Route("/sign-in", self.sign_in, methods=["POST"]),
            Route("/sign-out", self.sign_out, methods=["POST"]),
        ]

    def form(self, request: Request) -> Response:
        """The sign-in form; `next` is the page to return to."""
        return self._form(request, 200, None, local_path(request.query_params.get("next", "")))

    async def sign_in(self, request: Request) -> Response:
        """Verify name and password."""
        form = await request.form(max_files=0, max_fields=10)
        name, password, token = (str(form.get(key, "")) for key in ("name", "password", "token"))
        visit = request.cookies.get(_VISIT_COOKIE, "")
        if not is_same_origin(request) or not self._context.sessions.is_valid_token(token, visit):
            raise HTTPException(403, "this form is not from a page of ours, or too old: try again")
        after = local_path(str(form.get("next", "")))
        return await run_in_threadpool(
            self._sign_in, request, name.strip().lower(), password, after
        )

    async def sign_out(self, request: Request) -> Response:
        """End every session of the user."""
        form = await request.form(max_files=0, max_fields=10)
        self._context.require_form(request, str(form.get("token", "")))
        user = self._context.visitor(request).user
        if user is not None:
            await run_in_threadpool(self._context.user_store.end_sessions, user.name)
            self._context.audit(request, user.name, "sign_out")
        answer = RedirectResponse("/", 303)
        answer.delete_cookie(SESSION_COOKIE)
        return answer

    def _sign_in(self, request: Request, name: str, password: str, after: str) -> Response:
        user_store, address = self._context.user_store, address_of(request)
        with self._one_at_a_time:
            wait_s = self._limiter.wait_s(name, address, time.monotonic())
            if wait_s > 0:
                return self._form(request, 429, "sign_in_wait", after, wait_s, name)
            password_hash = user_store.password_hash(name)
            if not passwords.matches(password_hash, password):
                self._limiter.record_failure(name, address, time.monotonic())
                self._context.audit(request, name, "sign_in_refused")
                return self._form(request, 403, "sign_in_wrong", after, name=name)
            self._limiter.record_success(name, address)
        if password_hash is not None and passwords.is_outdated(password_hash):
            user_store.set_password_hash(name, passwords.make_hash(password))
        user = user_store.user(name)
        assert user is not None
        user_store.record_sign_in(name, datetime.now(UTC))
        self._context.audit(request, name, "sign_in")
        answer = RedirectResponse(after, 303)
        answer.set_cookie(
            SESSION_COOKIE,
            self._context.sessions.cookie(Claim(name, user.generation)),
            SESSION_S,
            httponly=True,
            samesite="lax",
            secure=request.url.scheme == "https",
        )
        answer.delete_cookie(_VISIT_COOKIE)
        return answer

    def _form(
        self,
        request: Request,
        status: int,
        problem: str | None,
        after: str,
        wait_s: float = 0,
        name: str = "",
    ) -> Response:
        visit = request.cookies.get(_VISIT_COOKIE) or secrets.token_urlsafe(16)
        answer = self._context.render(
            request,
            "sign_in.html",
            status=status,
            problem=problem,
            wait_minutes=int(wait_s // 60) + 1,
            token=self._context.sessions.token(visit),
            next=after,
            typed_name=name[:_NAME_MOST],
        )
        answer.set_cookie(
            _VISIT_COOKIE,
            visit,
            SESSION_S,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        if status == 429:
            answer.headers["Retry-After"] = str(int(wait_s) + 1)
        return answer
