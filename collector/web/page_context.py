"""Floor 3. What all pages share: templates, locale, signed-in user, form checks, audit trail.

Vietnamese is the default; `?lang=en` selects English, and a cookie keeps the choice.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Hashable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from secrets import token_hex
from typing import NamedTuple
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import jinja2
from markupsafe import Markup, escape
from msgspec import Struct
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from collector.domain.shared_cache import SharedCache
from collector.users.sessions import SessionSigner
from collector.users.user import AuditEvent, Permission, User
from collector.users.user_store import UserStore, UserStoreError
from collector.web.drawing.place_map import SHAPES
from collector.web.formatting import MISSING, moment
from collector.web.presentation import Locale
from collector.web.static_files import static_address
from collector.web.table_cards import with_labels
from runtime.language import Language

SESSION_COOKIE, LANGUAGE_COOKIE = "tramdo_session", "lang"
# Fields of forms that nobody typed; of the others a page of a refusal gives back what was written.
_NOT_TYPED = ("token", "back", "last", "do", "number", "seen", "shown", "tenant", "scope", "hours")
# Pages in each language and with each filter; the nation's overview takes 100 kB.
_PAGES_SHARED = 64
# Of gzip: a page of 200 kB takes 5 ms; at 9, three times as long for a fiftieth less.
COMPRESSION_LEVEL = 6
_COMMAND = re.compile("`([^`]+)`")
_YEAR_S = 365 * 24 * 3600
# The navigation of every page: label name and path.
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
    """The signed-in user of a request, if any, and the token for the forms of the page."""

    user: User | None
    token: str

    def may(self, permission: str, commune_code: str | None = None) -> bool:
        """Whether the user has the permission, given by its value (for templates)."""
        return self.user is not None and self.user.may(Permission(permission), commune_code)


class _Blocks(Struct, frozen=True, eq=False):
    """The rendered blocks of a page, in the order of `blocks.html`.

    Two renderings are never equal: the page around them says as of when its figures are.
    """

    title: Markup
    head: Markup
    body_attributes: Markup
    main: Markup
    footer: Markup


class PageContext:
    """One per application. `office` is whose pages these are, for print; "" for nobody's."""

    def __init__(self, timezone: str, user_store: UserStore, office: str = "") -> None:
        self._office = office
        self.timezone = ZoneInfo(timezone)
        self.user_store = user_store
        self.sessions = SessionSigner(user_store.session_key())
        self._shared = SharedCache(_PAGES_SHARED)
        self._compressed = SharedCache(_PAGES_SHARED)
        self._templates = jinja2.Environment(
            loader=jinja2.PackageLoader("collector.web"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals["map_shapes"] = SHAPES
        self._templates.globals["static"] = static_address
        self._templates.filters["commands"] = with_commands

    def locale(self, request: Request) -> Locale:
        """The visitor's locale: the language of the parameter `lang`, else of the cookie."""
        asked = request.query_params.get("lang") or request.cookies.get(LANGUAGE_COOKIE)
        return Locale(Language.EN if asked == Language.EN else Language.VI, self.timezone)

    def visitor(self, request: Request) -> Visitor:
        """The signed-in user; none if the cookie is invalid, expired, or of an ended session."""
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
        """The signed-in user, if it has the permission.

        Raises:
            HTTPException: 401 without a signed-in user, 403 without the permission; the latter is
                recorded in the audit trail.
        """
        user = self.require_user(request)
        if not user.may(permission, commune_code):
            self.audit(request, user.name, "refused", f"{permission} {commune_code or ''}".strip())
            raise HTTPException(403, f"{user.role} may not {permission} here")
        return user

    def require_user(self, request: Request) -> User:
        """The signed-in user. Raises HTTPException 401 without one."""
        user = self.visitor(request).user
        if user is None:
            raise HTTPException(401, "sign in first")
        return user

    async def form(
        self, request: Request, fields_most: int = 10, permission: Permission | None = None
    ) -> dict[str, str]:
        """The fields of a form that a signed-in user has sent, its token checked.

        Args:
            request: the request. Of one of another origin nothing is read before it is known who
                sends it; what somebody wrote on a page of ours is given back where it is refused.
            fields_most: more are refused.
            permission: what the user needs, if it is the same for everything in the form.

        Raises:
            HTTPException: see `require_user`, `require` and `require_form`.
        """
        try:
            if permission is None:
                await run_in_threadpool(self.require_user, request)
            else:
                await run_in_threadpool(self.require, request, permission)
        except HTTPException:
            # Of our own page: the session has ended while somebody was writing.
            if is_same_origin(request):
                with suppress(HTTPException):
                    await self._fields(request, fields_most)
            raise
        fields = await self._fields(request, fields_most)
        self.require_form(request, fields.get("token", ""))
        return fields

    async def _fields(self, request: Request, fields_most: int) -> dict[str, str]:
        form = await request.form(max_files=0, max_fields=fields_most)
        fields = {name: str(value) for name, value in form.items()}
        if is_same_origin(request):
            request.state.typed = [
                (name, text.strip())
                for name, text in fields.items()
                if name not in _NOT_TYPED and text.strip()
            ]
        return fields

    def require_form(self, request: Request, token: str) -> None:
        """Refuse a form without a valid token of this session, or of another origin (CSRF).

        Raises:
            HTTPException: 403.
        """
        cookie = request.cookies.get(SESSION_COOKIE, "")
        if not is_same_origin(request) or not self.sessions.is_valid_token(token, cookie):
            raise HTTPException(403, "this form is not from a page of ours, or too old: try again")

    def audit(
        self, request: Request, user: str, action: str, subject: str = "", detail: str = ""
    ) -> None:
        """Append an event to the audit trail."""
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
        """A template (a page or a fragment) as an HTML response."""
        return self._answer(request, self._page_html(request, template, context), status)

    def render_refusal(self, request: Request, status: int, said: str, detail: str) -> Response:
        """The page of an error; as for somebody not signed in where the users cannot be read."""
        try:
            visitor = self.visitor(request)
        except UserStoreError:
            visitor = Visitor(None, "")
        fields = getattr(request.state, "typed", ())
        typed = [(_field_name(name, self.locale(request)), text) for name, text in fields]
        # An address of before may choose what is no more; the page itself is still there.
        can_ask_again = status == 400 and request.method == "GET" and request.url.query
        context = {
            "said": said,
            "detail": detail,
            "typed": typed,
            "path_alone": f"/{request.url.path.lstrip('/')}" if can_ask_again else "",
        }
        html = self._page_html(request, "refused.html", context, visitor)
        return self._answer(request, html, status)

    def _page_html(
        self,
        request: Request,
        template: str,
        context: Mapping[str, object],
        visitor: Visitor | None = None,
    ) -> str:
        locale, path = self.locale(request), request.url.path
        return self._html(
            template,
            locale,
            path=path,
            visitor=visitor or self.visitor(request),
            way_back=way_back(request),
            navigation=[(locale.label(name), where, where == path) for name, where in NAVIGATION],
            print_office=self._office,
            printed_at=moment(datetime.now(UTC), locale.language, locale.timezone).text,
            print_address=_in_language(request, None),
            here_in={language.value: _in_language(request, language) for language in Language},
            **context,
        )

    def _answer(self, request: Request, html: str | bytes, status: int = 200) -> Response:
        locale = self.locale(request)
        answer = HTMLResponse(html, status, headers={"Content-Language": locale.language})
        answer.headers["Vary"] = "Cookie"
        if request.query_params.get("lang") in set(Language):
            answer.set_cookie(LANGUAGE_COOKIE, locale.language, _YEAR_S, samesite="lax")
        return answer

    def render_shared(
        self,
        request: Request,
        template: str,
        key: Hashable,
        version: Callable[[], Hashable],
        content: Callable[[], Mapping[str, object]],
        max_age_s: float = float("inf"),
    ) -> Response:
        """A page whose blocks are rendered once for all readers who want it at the same time.

        Its template extends `layout` and does not use the visitor. For those who are not signed in
        the whole page is the same, and is compressed once.

        Args:
            request: of one reader.
            template: of the page.
            key: what the content depends on, beside template and language.
            version: see `SharedCache.get`.
            content: computes the context of the template.
            max_age_s: see `SharedCache.get`.
        """
        locale = self.locale(request)

        def blocks() -> _Blocks:
            # Random, so that no text in the page can be one.
            separator = token_hex(16)
            html = self._html(
                template, locale, layout="blocks.html", separator=separator, **content()
            )
            # Rendered with autoescape.
            return _Blocks(*(Markup(part.strip()) for part in html.split(separator)))  # noqa: S704

        shared = self._shared.get((template, locale.language, key), version, blocks, max_age_s)
        if request.cookies.get(SESSION_COOKIE):
            return self.render(request, "shared.html", blocks=shared)
        return self._anonymous(request, (template, locale.language, key), shared)

    def _anonymous(self, request: Request, key: Hashable, blocks: _Blocks) -> Response:
        """A page for somebody who is not signed in, compressed once for all of them."""

        def compressed() -> bytes:
            html = self._page_html(request, "shared.html", {"blocks": blocks})
            return gzip.compress(html.encode(), COMPRESSION_LEVEL)

        # Its links name the address that was asked for.
        address = request.url.path, request.url.query
        page = self._compressed.get((key, address), lambda: blocks, compressed)
        if "gzip" not in request.headers.get("accept-encoding", ""):
            return self._answer(request, gzip.decompress(page))
        answer = self._answer(request, page)
        answer.headers["Content-Encoding"] = "gzip"
        answer.headers["Vary"] = "Cookie, Accept-Encoding"
        return answer

    def fragment(self, template: str, locale: Locale, **context: object) -> Markup:
        """A template as HTML to put into a page."""
        return Markup(self._html(template, locale, **context))  # noqa: S704 - with autoescape

    def _html(self, template: str, locale: Locale, **context: object) -> str:
        html = self._templates.get_template(template).render(
            language=locale.language,
            label=locale.label,
            locale=locale,
            missing=MISSING,
            timezone=self.timezone.key,
            **context,
        )
        return with_labels(html)


def _field_name(name: str, locale: Locale) -> str:
    """The name of a form's field for its reader."""
    return locale.label(f"typed_{name}") if locale.has_label(f"typed_{name}") else name


def with_commands(text: str) -> Markup:
    """A text as HTML; what is between backticks in it is a command or a setting."""
    # As a plain text: a substitution in Markup escapes what is put in.
    return Markup(_COMMAND.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped


def address_of(request: Request) -> str:
    """The client's address; behind a proxy on loopback, the one of `X-Forwarded-For`."""
    return request.client.host if request.client else ""


def is_same_origin(request: Request) -> bool:
    """Whether `Sec-Fetch-Site` or `Origin` states our origin; False without either header."""
    fetch_site = request.headers.get("sec-fetch-site")
    if fetch_site is not None:
        return fetch_site == "same-origin"
    origin = request.headers.get("origin", "")
    return origin.partition("://")[2] == request.headers.get("host")


def way_back(request: Request) -> str:
    """The address to return to after signing in: that of a page that was asked for, else "/"."""
    return _in_language(request, None) if request.method == "GET" else "/"


def local_path(text: str) -> str:
    """The path if it is one of ours, else "/": never a URL of another host."""
    sound = text.startswith("/") and not text.startswith(("//", "/\\"))
    return text if sound and text.isprintable() else "/"


def _in_language(request: Request, language: Language | None) -> str:
    """The address of this page, in a language where one is given."""
    query = [(k, v) for k, v in request.query_params.multi_items() if k != "lang"]
    if language is not None:
        query.append(("lang", language.value))
    # One slash: a path that begins with two is a URL of another host.
    path = f"/{request.url.path.lstrip('/')}"
    return f"{path}?{urlencode(query)}" if query else path
