"""The emulator's decisions and its record of them, without a packet."""

import struct
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from ipaddress import IPv4Address, IPv6Address

import pytest

from tests.lab.impairment import Impairment, OneWay
from tests.lab.truth import (
    PacketIdentity,
    PacketTruth,
    identify,
    parse_truth_line,
    truth_line,
)

COUNT = 2_000
SPACING_NS = 1_000_000


def lost_indices(impairment: Impairment) -> list[int]:
    one_way = OneWay(impairment)
    fates = [one_way.accept(index * SPACING_NS, 100) for index in range(COUNT)]
    return [index for index, fate in enumerate(fates) if fate.dropped == "loss"]


def test_same_seed_loses_the_same_packets_whatever_else_is_impaired() -> None:
    alone = lost_indices(Impairment(loss_ratio=0.05, seed=7))
    among_others = lost_indices(
        Impairment(loss_ratio=0.05, duplicate_ratio=0.3, reorder_ratio=0.2, jitter_ms=4, seed=7)
    )
    assert alone == among_others
    assert 70 <= len(alone) <= 130  # 100 ± 3 standard deviations


def test_another_seed_loses_other_packets() -> None:
    assert lost_indices(Impairment(loss_ratio=0.05, seed=1)) != lost_indices(
        Impairment(loss_ratio=0.05, seed=2)
    )


def test_delay_and_jitter_add_and_never_reorder() -> None:
    one_way = OneWay(Impairment(delay_ms=20, jitter_ms=5, seed=3))
    due_ns = [one_way.accept(index * SPACING_NS, 100).due_ns[0] for index in range(COUNT)]
    added_ms = [(due - index * SPACING_NS) / 1e6 for index, due in enumerate(due_ns)]
    assert due_ns == sorted(due_ns)
    assert min(added_ms) >= 20
    assert max(added_ms) <= 25
    assert max(added_ms) - min(added_ms) > 4


def test_held_back_packets_leave_later_and_delay_no_other() -> None:
    one_way = OneWay(Impairment(delay_ms=1, reorder_ratio=0.1, reorder_hold_ms=10, seed=5))
    added_ms = {
        (one_way.accept(index * SPACING_NS, 100).due_ns[0] - index * SPACING_NS) / 1e6
        for index in range(COUNT)
    }
    assert added_ms == {1.0, 11.0}


def test_bottleneck_serialises_and_drops_at_its_tail() -> None:
    # 1,000 bytes at 8 Mbit/s take 1 ms; a queue of 5 ms holds five that wait and one in service
    one_way = OneWay(Impairment(rate_bps=8_000_000, queue_ms=5))
    fates = [one_way.accept(0, 1_000) for _ in range(8)]
    assert [fate.due_ns for fate in fates[:6]] == [(n * 1_000_000,) for n in range(1, 7)]
    assert [fate.dropped for fate in fates[6:]] == ["queue", "queue"]


def test_a_change_keeps_what_the_bottleneck_still_holds() -> None:
    one_way = OneWay(Impairment(rate_bps=8_000_000))
    one_way.accept(0, 1_000)
    one_way.change(Impairment(rate_bps=80_000_000))
    assert one_way.accept(0, 1_000).due_ns == (1_100_000,)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Impairment(loss_ratio=1.1), "loss_ratio must be within 0 and 1"),
        (lambda: Impairment(duplicate_ratio=-0.1), "duplicate_ratio must be within 0 and 1"),
        (lambda: Impairment(reorder_ratio=2), "reorder_ratio must be within 0 and 1"),
        (lambda: Impairment(delay_ms=-1), "delay_ms must not be negative"),
        (lambda: Impairment(jitter_ms=-1), "jitter_ms must not be negative"),
        (lambda: Impairment(reorder_hold_ms=-1), "reorder_hold_ms must not be negative"),
        (lambda: Impairment(queue_ms=-1), "queue_ms must not be negative"),
        (lambda: Impairment(rate_bps=0), "rate_bps must be positive, or None for no bottleneck"),
    ],
)
def test_impossible_impairments_are_refused(make: Callable[[], Impairment], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        make()


def ipv4(protocol: int, payload: bytes) -> bytes:
    addresses = IPv4Address("192.0.2.1").packed + IPv4Address("192.0.2.2").packed
    return struct.pack("!BxHxxxxBBxx", 0x45, 20 + len(payload), 64, protocol) + addresses + payload


# PacketIdentity with the two addresses that `ipv4` writes
between = partial(PacketIdentity, source="192.0.2.1", destination="192.0.2.2")


@pytest.mark.parametrize(
    ("packet", "expected"),
    [
        (
            ipv4(17, struct.pack("!HHHHI", 40_000, 862, 52, 0, 77) + bytes(40)),
            between(protocol="udp", source_port=40_000, destination_port=862, udp_seq=77),
        ),
        (
            ipv4(17, struct.pack("!HHHH", 40_000, 53, 8, 0)),
            between(protocol="udp", source_port=40_000, destination_port=53),
        ),
        (
            ipv4(1, struct.pack("!BBHHH", 8, 0, 0, 4_711, 3)),
            between(protocol="icmp", icmp_type=8, icmp_id=4_711, icmp_seq=3),
        ),
        (
            ipv4(6, struct.pack("!HHII", 50_000, 5_201, 1, 1) + bytes(8)),
            between(protocol="tcp", source_port=50_000, destination_port=5_201),
        ),
        (ipv4(47, b""), between(protocol="47")),
        (ipv4(17, b"cut"), between(protocol="udp")),
    ],
    ids=["stamp", "empty-udp", "ping", "tcp", "other", "cut-short"],
)
def test_packets_are_identified(packet: bytes, expected: PacketIdentity) -> None:
    assert identify(packet) == expected


def ipv6(next_header: int, payload: bytes) -> bytes:
    addresses = IPv6Address("2001:db8::1").packed + IPv6Address("2001:db8::2").packed
    return struct.pack("!IHBB", 6 << 28, len(payload), next_header, 64) + addresses + payload


@pytest.mark.parametrize(
    ("packet", "expected"),
    [
        (
            ipv6(17, struct.pack("!HHHHI", 40_000, 862, 52, 0, 77) + bytes(40)),
            between(protocol="udp", source_port=40_000, destination_port=862, udp_seq=77),
        ),
        (
            ipv6(58, struct.pack("!BBHHH", 128, 0, 0, 4_711, 3)),
            between(protocol="icmp", icmp_type=128, icmp_id=4_711, icmp_seq=3),
        ),
        (ipv6(59, b""), between(protocol="59")),
    ],
    ids=["stamp", "ping", "other"],
)
def test_packets_of_ipv6_are_identified(packet: bytes, expected: PacketIdentity) -> None:
    assert identify(packet) == replace(expected, source="2001:db8::1", destination="2001:db8::2")


@pytest.mark.parametrize("packet", [b"", bytes(40), b"\x45" + bytes(18), b"\x60" + bytes(38)])
def test_only_whole_headers_of_ip_are_identified(packet: bytes) -> None:
    with pytest.raises(ValueError, match="neither an IPv4 nor an IPv6 packet"):
        identify(packet)


def test_a_truth_survives_its_line() -> None:
    truth = PacketTruth(
        direction="download",
        index=4,
        arrived_ns=10,
        due_ns=(30, 30),
        departed_ns=(31, 32),
        dropped=None,
        length_bytes=84,
        identity=between(protocol="icmp", icmp_type=0, icmp_id=1, icmp_seq=2),
    )
    assert parse_truth_line(truth_line(truth)) == truth
