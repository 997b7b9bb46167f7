"""How much a source may send: each second anew, each source for itself."""

from __future__ import annotations

from server.rate_limit import RateLimit, source_of

S = 1_000_000_000


def test_each_source_has_its_packets_each_second() -> None:
    limit = RateLimit(2)
    at = 5 * S
    assert [limit.allows("192.0.2.1", at + n) for n in range(3)] == [True, True, False]
    assert limit.allows("192.0.2.2", at)
    assert limit.allows("192.0.2.1", at + S)


def test_zero_is_no_limit() -> None:
    limit = RateLimit(0)
    assert all(limit.allows("192.0.2.1", 0) for _ in range(10_000))


def test_an_ipv6_customer_is_its_64_bit_prefix() -> None:
    assert source_of("2001:db8::1") == source_of("2001:db8:0:0:ffff::9")
    assert source_of("2001:db8::1") != source_of("2001:db8:0:1::1")
    assert source_of("fe80::1%eth0") == source_of("fe80::2")
    assert source_of("192.0.2.1") != source_of("192.0.2.2")
