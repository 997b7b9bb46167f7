"""Floor 1. Enrolment tokens: each is valid for one box, one key, once.

The centre stores only a token's hash. The first key that redeems a token uses it up; the same key
may redeem it again for an hour, because a response can be lost. Knows no file or clock.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime, timedelta

import msgspec
from msgspec import Struct, structs

from wire.decoding import decode_json
from wire.record import Name, Utc

# A card is flashed today and in an office within the fortnight.
TOKEN_LIFETIME = timedelta(days=14)
# How long the same key may fetch its certificate again.
REDEEM_AGAIN_WITHIN = timedelta(hours=1)


class TokenError(Exception):
    """A token is refused. The text is for the log, not for the client."""


class Token(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A token that was given out; `burnt_by` is the SHA-256 of the key that redeemed it."""

    probe: Name
    sha256: str
    expires_at: Utc
    burnt_at: Utc | None = None
    burnt_by: str | None = None


class Tokens(Struct, frozen=True, forbid_unknown_fields=True):
    """All tokens that were issued."""

    issued: list[Token] = []


def encode(tokens: Tokens) -> bytes:
    """The tokens as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(tokens), indent=2)


def decode(content: bytes) -> Tokens:
    """What `encode` wrote.

    Raises:
        TokenError: the bytes are something else.
    """
    try:
        tokens: Tokens = decode_json(content, Tokens)
    except msgspec.MsgspecError as error:
        raise TokenError(f"the file of tokens cannot be read: {error}") from error
    return tokens


def with_token(tokens: Tokens, probe: str, token: str, now: datetime) -> Tokens:
    """With a new token for a probe; earlier ones that nobody has used are void."""
    kept = [one for one in tokens.issued if one.probe != probe or one.burnt_at is not None]
    new = Token(probe=probe, sha256=_hash(token), expires_at=now + TOKEN_LIFETIME)
    return Tokens([*kept, new])


def redeemed(
    tokens: Tokens, probe: str, token: str, key_sha256: str, now: datetime
) -> tuple[Tokens, bool]:
    """Redeem a token; returns the tokens, and whether the same key had redeemed it before.

    Raises:
        TokenError: unknown, of another probe, ended, or burnt by another key.
    """
    digest = _hash(token)
    found = [
        place
        for place, one in enumerate(tokens.issued)
        if one.probe == probe and hmac.compare_digest(one.sha256, digest)
    ]
    if not found:
        raise TokenError(f"no such token for {probe}")
    place = found[0]
    one = tokens.issued[place]
    if one.burnt_at is not None:
        if one.burnt_by == key_sha256 and now < one.burnt_at + REDEEM_AGAIN_WITHIN:
            return tokens, True
        raise TokenError(f"the token of {probe} has been used: make a new seed")
    if now >= one.expires_at:
        raise TokenError(f"the token of {probe} ended on {one.expires_at:%Y-%m-%d}: a new seed")
    burnt = structs.replace(one, burnt_at=now, burnt_by=key_sha256)
    return Tokens([*tokens.issued[:place], burnt, *tokens.issued[place + 1 :]]), False


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
