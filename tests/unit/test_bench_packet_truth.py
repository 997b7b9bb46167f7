"""What became of a tool's packets, from truths made by hand."""

from __future__ import annotations

from bench.capture import Seen
from bench.packet_truth import (
    Counts,
    between,
    between_interfaces,
    counts,
    icmp_key,
    irtt_key,
    path_times_ms,
    stamp_key,
)
from tests.lab.impairment import Drop
from tests.lab.truth import Direction, PacketIdentity, PacketTruth

MS = 1_000_000
STAMP, IRTT = 8620, 2112


def packet(
    direction: Direction,
    identity: PacketIdentity,
    arrived_ms: float,
    *departed_ms: float,
    dropped: Drop | None = None,
) -> PacketTruth:
    departed_ns = tuple(round(at_ms * MS) for at_ms in departed_ms)
    return PacketTruth(
        direction=direction,
        index=0,
        arrived_ns=round(arrived_ms * MS),
        due_ns=departed_ns,
        departed_ns=departed_ns,
        dropped=dropped,
        length_bytes=72,
        identity=identity,
    )


def udp(direction: Direction, port: int, seq: int) -> PacketIdentity:
    ports = (40_000, port) if direction == "upload" else (port, 40_000)
    return PacketIdentity(
        protocol="udp",
        source="192.0.2.1",
        destination="192.0.2.2",
        source_port=ports[0],
        destination_port=ports[1],
        udp_seq=seq,
    )


def echo(kind: int, seq: int) -> PacketIdentity:
    return PacketIdentity(
        protocol="icmp",
        source="192.0.2.1",
        destination="192.0.2.2",
        icmp_type=kind,
        icmp_id=7,
        icmp_seq=seq,
    )


def stamp(direction: Direction, seq: int, arrived_ms: float, *departed_ms: float) -> PacketTruth:
    return packet(direction, udp(direction, STAMP, seq), arrived_ms, *departed_ms)


def test_path_times_leave_out_what_the_other_end_took() -> None:
    truths = [
        stamp("download", 1, 17, 22.5),
        stamp("upload", 0, 0, 5),
        stamp("upload", 1, 10, 15.25),
        packet("upload", udp("upload", STAMP, 2), 20, dropped="loss"),
        stamp("upload", 3, 30, 35),
        stamp("download", 0, 6, 11),
    ]
    assert path_times_ms(truths, stamp_key(STAMP)) == [10.0, 10.75]


def test_a_key_knows_its_own_packets_only() -> None:
    truths = [
        packet("upload", echo(8, 0), 0, 5),
        packet("download", echo(0, 0), 6, 12),
        packet("download", echo(3, 0), 6, 12),  # destination unreachable
        stamp("upload", 0, 0, 5),
        stamp("download", 0, 6, 11),
    ]
    assert path_times_ms(truths, icmp_key) == [11.0]
    assert path_times_ms(truths, stamp_key(STAMP)) == [10.0]
    assert path_times_ms(truths, stamp_key(862)) == []


def test_irtt_is_matched_by_order_without_its_opening_and_closing() -> None:
    def irtt(direction: Direction, flags: int, at_ms: float, left_ms: float) -> PacketTruth:
        return packet(direction, udp(direction, IRTT, 0x14A75B00 | flags), at_ms, left_ms)

    truths = [
        irtt("download", 3, 1, 6),
        irtt("download", 2, 21, 27),
        irtt("download", 2, 31, 36),
        irtt("upload", 1, 0, 5),
        irtt("upload", 0, 10, 15),
        irtt("upload", 0, 20, 25),
        irtt("upload", 4, 40, 45),
    ]
    assert path_times_ms(truths, irtt_key(IRTT)) == [11.0, 10.0]


def test_counts_of_a_link_that_did_nothing() -> None:
    truths = [stamp("upload", n, n * 10, n * 10 + 5) for n in range(3)]
    truths += [stamp("download", n, n * 10 + 5, n * 10 + 10) for n in range(3)]
    assert counts(truths, stamp_key(STAMP)) == Counts(3, 3, 0, 0)


def test_counts_of_loss_copies_and_a_late_packet() -> None:
    truths = [
        stamp("upload", 0, 0, 5, 5),  # doubled, so answered twice
        stamp("upload", 1, 10, 15),
        stamp("upload", 2, 20, 25),
        packet("upload", udp("upload", STAMP, 3), 30, dropped="loss"),
        stamp("upload", 4, 40, 45),
        stamp("download", 0, 5, 50, 50),  # held back, and its copy, doubled: three come
        stamp("download", 0, 5, 10),
        stamp("download", 1, 15, 60),  # after 2: reordered
        stamp("download", 2, 25, 30),
        packet("download", udp("download", STAMP, 4), 45, dropped="loss"),
    ]
    assert counts(truths, stamp_key(STAMP)) == Counts(5, 3, 2, 1)


def test_a_copy_that_comes_late_is_not_reordered() -> None:
    truths = [stamp("upload", n, n * 10, n * 10 + 5) for n in range(2)]
    truths += [stamp("download", 0, 5, 10, 40), stamp("download", 1, 15, 20)]
    assert counts(truths, stamp_key(STAMP)) == Counts(2, 2, 1, 0)


def test_between_is_by_arrival() -> None:
    truths = [stamp("upload", n, n * 10, n * 10 + 5) for n in range(4)]
    assert between(truths, 10 * MS, 20 * MS) == truths[1:3]


def seen(identity: PacketIdentity, at_ms: float, *, outgoing: bool) -> Seen:
    return Seen(identity, outgoing, round(at_ms * MS))


def test_what_two_interfaces_saw_is_the_truth_of_what_lies_between() -> None:
    near = [
        seen(echo(8, 1), 0.0, outgoing=True),
        seen(echo(8, 2), 10.0, outgoing=True),
        seen(echo(0, 1), 21.0, outgoing=False),
        seen(echo(0, 2), 32.0, outgoing=False),
    ]
    far = [
        seen(echo(8, 1), 9.0, outgoing=False),
        seen(echo(0, 1), 10.5, outgoing=True),
        seen(echo(8, 2), 20.0, outgoing=False),
        seen(echo(0, 2), 21.0, outgoing=True),
    ]
    truths = between_interfaces(near, far)
    assert path_times_ms(truths, icmp_key) == [19.5, 21.0]
    assert path_times_ms(truths, icmp_key, with_far_end=True) == [21.0, 22.0]


def test_packets_of_one_identity_are_told_apart_by_their_order() -> None:
    """irtt's packets all look alike where the truth looks."""
    there, back = udp("upload", IRTT, 0x14A75B00), udp("download", IRTT, 0x14A75B02)
    near = [
        seen(there, 0.0, outgoing=True),
        seen(there, 5.0, outgoing=True),
        seen(back, 8.0, outgoing=False),
        seen(back, 15.0, outgoing=False),
    ]
    far = [
        seen(there, 3.0, outgoing=False),
        seen(back, 4.0, outgoing=True),
        seen(there, 9.0, outgoing=False),
        seen(back, 10.0, outgoing=True),
    ]
    assert path_times_ms(between_interfaces(near, far), irtt_key(IRTT)) == [7.0, 9.0]


def test_a_packet_that_one_end_never_saw_has_no_time() -> None:
    near = [seen(echo(8, 1), 0.0, outgoing=True), seen(echo(0, 1), 2.0, outgoing=False)]
    far = [seen(echo(0, 1), 1.0, outgoing=True)]
    assert path_times_ms(between_interfaces(near, far), icmp_key) == []
