"""The channel: rings by hash, nothing old believed, nothing misshapen; its signature."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from deploy.fleet import channel, signature
from deploy.fleet.channel import Bundle, Channel, ChannelError, Ring
from deploy.fleet.signature import SignatureError

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def said(**changes: object) -> Channel:
    fields: dict[str, object] = {
        "number": 7,
        "issued_at": NOW,
        "expires_at": NOW + 90 * DAY,
        "release": "0.2.0",
        "bundles": {"cp311-aarch64": Bundle("a" * 64, 1000)},
        "rings": [Ring(0.05, NOW), Ring(0.25, NOW + 2 * DAY), Ring(1.0, NOW + 4 * DAY)],
    }
    return Channel(**{**fields, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("after", "share"),
    [(-DAY, 0.0), (0 * DAY, 0.05), (1 * DAY, 0.05), (2 * DAY, 0.25), (4 * DAY, 1.0)],
)
def test_a_ring_s_share_of_the_nation_is_due(after: timedelta, share: float) -> None:
    due = sum(channel.is_due(said(), f"probe-{n}", NOW + after) for n in range(3321))
    # The hash is even: three standard deviations of a binomial draw are under 0.023 here.
    assert due / 3321 == pytest.approx(share, abs=0.025)
    assert (due == 0) == (share == 0)
    assert (due == 3321) == (share == 1)


def test_who_was_due_stays_due_and_another_release_begins_elsewhere() -> None:
    boxes = [f"probe-{n}" for n in range(500)]
    first = {b for b in boxes if channel.is_due(said(), b, NOW)}
    later = {b for b in boxes if channel.is_due(said(), b, NOW + 2 * DAY)}
    other = {b for b in boxes if channel.is_due(said(release="0.3.0"), b, NOW)}
    assert first
    assert first < later
    assert other
    assert other != first


def test_an_old_word_is_refused_and_an_ended_one() -> None:
    channel.refuse_stale(said(), 7, NOW)
    with pytest.raises(ChannelError, match="number 7, and 8 was seen before"):
        channel.refuse_stale(said(), 8, NOW)
    with pytest.raises(ChannelError, match="ended at 2027-02-22"):
        channel.refuse_stale(said(), 7, NOW + 90 * DAY)


def test_a_machine_that_the_release_was_not_made_for_is_told_so() -> None:
    assert channel.bundle_for(said(), "cp311-aarch64").size_bytes == 1000
    with pytest.raises(ChannelError, match=r"not made for cp313-x86_64, only for cp311-aarch64"):
        channel.bundle_for(said(), "cp313-x86_64")


def test_a_channel_survives_the_wire() -> None:
    assert channel.decode(channel.encode(said())) == said()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"release":"0.2.0"', '"release":"../../etc"'),
        ('"sha256":"a', '"sha256":"/'),
        ('"cp311-aarch64"', '"../cp311"'),
        ('"share":0.25', '"share":0.05'),
        ('"share":1.0', '"share":1.5'),
        ('"number":7', '"number":0'),
        ('"size_bytes":1000', '"size_bytes":9000000000'),
        ("{", '{"command":"rm -rf /",'),
    ],
)
def test_a_misshapen_channel_is_refused(old: str, new: str) -> None:
    content = channel.encode(said()).decode()
    assert old in content
    with pytest.raises(ChannelError, match="cannot be read"):
        channel.decode(content.replace(old, new, 1).encode())


def test_only_the_release_key_s_word_counts() -> None:
    private, public = signature.new_key()
    _, other_public = signature.new_key()
    document = signature.sign(b"hello", private)
    assert signature.verified(document, public) == b"hello"
    with pytest.raises(SignatureError, match="signed by another key"):
        signature.verified(document, other_public)
    with pytest.raises(SignatureError, match="signed by another key"):
        signature.verified(document.replace(b"aGVsbG8=", b"aGVsbHA="), public)
    with pytest.raises(SignatureError, match="not a signed document"):
        signature.verified(b'{"payload": "aGVsbG8="}', public)
    with pytest.raises(SignatureError, match="cannot be read"):
        signature.verified(document, b"no key")
