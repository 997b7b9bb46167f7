"""Tokens: one box, one key, once; and what a second asker is told."""

from __future__ import annotations

from datetime import timedelta

import pytest

from deploy.fleet import tokens
from deploy.fleet.tokens import TokenError, Tokens
from tests.unit.test_fleet_channel import NOW

SECRET = "a-token-that-nobody-guesses"


def issued() -> Tokens:
    return tokens.with_token(Tokens(), "phu-thong-01", SECRET, NOW)


def test_the_file_never_holds_the_token() -> None:
    content = tokens.encode(issued())
    assert SECRET.encode() not in content
    assert tokens.decode(content) == issued()


def test_a_token_is_burnt_by_the_first_key() -> None:
    burnt, again = tokens.redeemed(issued(), "phu-thong-01", SECRET, "key-1", NOW)
    assert not again
    assert burnt.issued[0].burnt_by == "key-1"
    # The answer was lost: the same key may ask again, for an hour.
    same, again = tokens.redeemed(
        burnt, "phu-thong-01", SECRET, "key-1", NOW + timedelta(minutes=59)
    )
    assert again
    assert same == burnt
    for key, later in (("key-2", timedelta(0)), ("key-1", timedelta(minutes=60))):
        with pytest.raises(TokenError, match="has been used"):
            tokens.redeemed(burnt, "phu-thong-01", SECRET, key, NOW + later)


def test_a_token_ends_is_for_one_name_and_must_be_right() -> None:
    with pytest.raises(TokenError, match="ended on 2026-12-08"):
        tokens.redeemed(issued(), "phu-thong-01", SECRET, "k", NOW + timedelta(days=14))
    with pytest.raises(TokenError, match="no such token"):
        tokens.redeemed(issued(), "cam-giang-01", SECRET, "k", NOW)
    with pytest.raises(TokenError, match="no such token"):
        tokens.redeemed(issued(), "phu-thong-01", SECRET + "x", "k", NOW)


def test_a_new_seed_makes_the_earlier_token_void_and_keeps_what_was_burnt() -> None:
    burnt, _ = tokens.redeemed(issued(), "phu-thong-01", SECRET, "key-1", NOW)
    twice = tokens.with_token(
        tokens.with_token(burnt, "phu-thong-01", "b", NOW), "phu-thong-01", "c", NOW
    )
    assert [one.burnt_by for one in twice.issued] == ["key-1", None]
    with pytest.raises(TokenError, match="no such token"):
        tokens.redeemed(twice, "phu-thong-01", "b", "k", NOW)


def test_a_damaged_file_is_said_to_be_one() -> None:
    with pytest.raises(TokenError, match="cannot be read"):
        tokens.decode(b'{"issued": [{}]}')
