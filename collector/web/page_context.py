"""Floor 3. What all pages share: templates, language, who is signed in, and how a form is trusted.

A page module takes a Site, asks it for its Reader, and lets it render. Vietnamese is the default;
`?lang=en` on any page is one click, and a cookie remembers it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import jinja2
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from collector.users.sessions import SessionSigner
from collector.users.user import AuditEvent, Permission, User
from collector.users.user_store import UserStore
from collector.web.formatting import MISSING
from collector.web.presentation import Locale
from runtime.language import Language

SESSION_COOKIE, LANGUAGE_COOKIE = "tramdo_session", "lang"
_YEAR_S = 365 * 24 * 3600
# On top of every page, in this order: the name of its words, and where it is.
NAVIGATION = (
    ("nav_overview", "/"),
    ("nav_campaign", "/campaign"),
    ("nav_isps", "/isps"),
    ("nav_reports", "/papers"),
    ("nav_alerts", "/alerts"),
    ("nav_system", "/system"),
    ("nav_live", "/live"),
    ("nav_public", "/public"),
)


class Visitor(NamedTuple):
    """Who asks: a person who is signed in, and the token for forms on their page."""

    user: User | None
    token: str

    def may(self, permission: str, commune_code: str | None = None) -> bool:
        """Whether they may do it; templates ask by the act's name."""
        return self.user is not None and self.user.may(Permission(permission), commune_code)


class PageContext:
    """One for the whole application."""

    def __init__(self, timezone: str, user_store: UserStore) -> None:
        self.timezone = ZoneInfo(timezone)
        self.user_store = user_store
        self.sessions = SessionSigner(user_store.session_key())
        self._templates = jinja2.Environment(
            loader=jinja2.PackageLoader("collector.web"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def locale(self, request: Request) -> Locale:
        """For whom a page is made: the language that the address names, else the cookie's."""
        asked = request.query_params.get("lang") or request.cookies.get(LANGUAGE_COOKIE)
        return Locale(Language.EN if asked == Language.EN else Language.VI, self.timezone)

    def visitor(self, request: Request) -> Visitor:
        """Who asks. A cookie that is old, changed, or of an ended session is nobody's."""
        cookie = request.cookies.get(SESSION_COOKIE, "")
        claim = self.sessions.claim(cookie) if cookie else None
        user = self.user_store.user(claim.name) if claim else None
        if claim is None or user is None or not user.enabled:
            return Visitor(None, "")
        if user.generation != claim.generation:
            return Visitor(None, "")
        return Visitor(user, self.sessions.token(cookie))

    def require(
        self, request: Request, permission: Permission, commune_code: str | None = None
    ) -> User:
        """The person who asks, when they may do this.

        Raises:
            HTTPException: 401 nobody is signed in, 403 they may not; the refusal is in the trail.
        """
        user = self.visitor(request).user
        if user is None:
            raise HTTPException(401, "sign in first")
        if not user.may(permission, commune_code):
            self.audit(request, user.name, "refused", f"{permission} {commune_code or ''}".strip())
            raise HTTPException(403, f"{user.role} may not {permission} here")
        return user

    def require_form(self, request: Request, token: str) -> None:
        """Refuse a form that did not come from a page of ours, made for this session.

        Raises:
            HTTPException: 403.
        """
        cookie = request.cookies.get(SESSION_COOKIE, "")
        if not is_same_origin(request) or not self.sessions.is_valid_token(token, cookie):
            raise HTTPException(403, "this form is not from a page of ours, or too old: try again")

    def audit(
        self, request: Request, user: str, action: str, subject: str = "", detail: str = ""
    ) -> None:
        """Add a line to the audit trail."""
        self.user_store.record(
            AuditEvent(
                at=datetime.now(UTC),
                user=user,
                address=address_of(request),
                action=action,
                subject=subject,
                detail=detail,
            )
        )

    def render(
        self, request: Request, template: str, *, status: int = 200, **context: object
    ) -> Response:
        """A page (or a part) as HTML."""
        locale = self.locale(request)
        path = request.url.path
        html = self._templates.get_template(template).render(
            language=locale.language,
            label=locale.label,
            locale=locale,
            missing=MISSING,
            timezone=self.timezone.key,
            path=path,
            visitor=self.visitor(request),
            navigation=[(locale.label(name), where, where == path) for name, where in NAVIGATION],
            here_in={language.value: _in_language(request, language) for language in Language},
            **context,
        )
        answer = HTMLResponse(html, status, headers={"Content-Language": locale.language})
        answer.headers["Vary"] = "Cookie"
        if request.query_params.get("lang") in set(Language):
            answer.set_cookie(LANGUAGE_COOKIE, locale.language, _YEAR_S, samesite="lax")
        return answer


def address_of(request: Request) -> str:
    """Where a request came from; behind a proxy on loopback, what the proxy says."""
    return request.client.host if request.client else ""


def is_same_origin(request: Request) -> bool:
    """Whether a browser says that a page of ours sent this; one that says nothing is refused."""
    fetch_site = request.headers.get("sec-fetch-site")
    if fetch_site is not None:
        return fetch_site == "same-origin"
    origin = request.headers.get("origin", "")
    return origin.partition("://")[2] == request.headers.get("host")


def _in_language(request: Request, language: Language) -> str:
    kept = [(k, v) for k, v in request.query_params.multi_items() if k != "lang"]
    # One slash: an address that begins with two is another host's.
    path = f"/{request.url.path.lstrip('/')}"
    return f"{path}?{urlencode([*kept, ('lang', language.value)])}"
