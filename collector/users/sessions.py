"""Floor 2. Signed cookies and form tokens, by itsdangerous. Nothing of a session is kept here.

A cookie names a person and their generation; the register's generation must be the same, so that
signing out, a new password or being disabled ends every session at once. A form token is bound to
the cookie that the page was made for, carries a salt (so that no two are alike in a compressed
page), and ends after a working day.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import NamedTuple

from itsdangerous import BadData, URLSafeTimedSerializer

SESSION_S = 12 * 3600
TOKEN_S = 12 * 3600


class Claim(NamedTuple):
    """Whom a cookie names; to be held against the register."""

    name: str
    generation: int


class SessionSigner:
    """Signs and reads. `key` is the centre's own secret, 32 bytes or more."""

    def __init__(self, key: bytes) -> None:
        self._cookies = URLSafeTimedSerializer(key, salt="tramdo.session")
        self._tokens = URLSafeTimedSerializer(key, salt="tramdo.form")

    def cookie(self, claim: Claim) -> str:
        """The value of a session cookie."""
        return self._cookies.dumps([claim.name, claim.generation])

    def claim(self, cookie: str) -> Claim | None:
        """Whom it names; None when it is not ours, was changed, or is too old."""
        try:
            name, generation = self._cookies.loads(cookie, max_age=SESSION_S)
        except (BadData, ValueError, TypeError):
            return None
        return Claim(str(name), int(generation))

    def token(self, cookie: str) -> str:
        """A token for a form on a page that was made for this cookie."""
        return self._tokens.dumps([secrets.token_urlsafe(6), _digest(cookie)])

    def is_valid_token(self, token: str, cookie: str) -> bool:
        """Whether the form came from a page of ours, made for this cookie."""
        try:
            _, digest = self._tokens.loads(token, max_age=TOKEN_S)
        except (BadData, ValueError, TypeError):
            return False
        return hmac.compare_digest(str(digest), _digest(cookie))


def _digest(cookie: str) -> str:
    return hashlib.sha256(cookie.encode()).hexdigest()[:32]
