"""Floor 2. Signed session cookies and form (CSRF) tokens, by itsdangerous. No session is stored.

A cookie holds the user's name and generation; the stored generation must be equal, so that signing
out, a new password or disabling ends every session at once. A form token is bound to the cookie
that the page was made for and expires after 12 hours; its salt makes each one different, against
attacks on compressed pages (BREACH).
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
    """The claim of a session cookie, to be compared with the user store."""

    name: str
    generation: int


class SessionSigner:
    """Signs and verifies cookies and tokens. `key` is the centre's secret, 32 bytes or more."""

    def __init__(self, key: bytes) -> None:
        self._cookies = URLSafeTimedSerializer(key, salt="tramdo.session")
        self._tokens = URLSafeTimedSerializer(key, salt="tramdo.form")

    def cookie(self, claim: Claim) -> str:
        """The value of a session cookie."""
        return self._cookies.dumps([claim.name, claim.generation])

    def claim(self, cookie: str) -> Claim | None:
        """The verified claim of a cookie; None if the signature is wrong or it is too old."""
        try:
            name, generation = self._cookies.loads(cookie, max_age=SESSION_S)
        except (BadData, ValueError, TypeError):
            return None
        return Claim(str(name), int(generation))

    def token(self, cookie: str) -> str:
        """A form token bound to this cookie."""
        return self._tokens.dumps([secrets.token_urlsafe(6), _digest(cookie)])

    def is_valid_token(self, token: str, cookie: str) -> bool:
        """Whether the token was signed by us, for this cookie, and is not too old."""
        try:
            _, digest = self._tokens.loads(token, max_age=TOKEN_S)
        except (BadData, ValueError, TypeError):
            return False
        return hmac.compare_digest(str(digest), _digest(cookie))


def _digest(cookie: str) -> str:
    return hashlib.sha256(cookie.encode()).hexdigest()[:32]
