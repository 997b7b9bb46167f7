"""Floor 1. What became of one tool's packets, from an emulated link's truth. Pure.

Packets are matched by what they bear: ICMP echo by identifier and number, STAMP by number. irtt's
numbers are not where the truth looks, so its packets are matched by their order, which is exact
on a link that neither loses nor reorders. It must not know what a tool said.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import count
from typing import NamedTuple

from bench.capture import Seen
from tests.lab.truth import Direction, PacketIdentity, PacketTruth

_NS_PER_MS = 1_000_000
_ECHO_TYPES = (8, 0, 128, 129)  # RFC 792, RFC 4443: request, reply
_IRTT_MAGIC = 0x14A75B  # the first three bytes of its payload; flags follow
_IRTT_DATA = {(_IRTT_MAGIC, flags) for flags in (0, 2)}  # request, reply

# Gives a packet's key, the same for request and answer; None for a packet that is not the tool's.
Key = Callable[[PacketTruth], Hashable | None]


class Counts(NamedTuple):
    """What a sender that counts right counts: the names of `wire.result.LatencyValues`."""

    sent: int
    received: int
    duplicates: int
    reordered: int


def icmp_key(packet: PacketTruth) -> Hashable | None:
    """ICMP echo: identifier and number."""
    identity = packet.identity
    if identity.icmp_type not in _ECHO_TYPES:
        return None
    return identity.icmp_id, identity.icmp_seq


def stamp_key(port: int) -> Key:
    """STAMP to a reflector's port: the sequence number."""

    def key(packet: PacketTruth) -> Hashable | None:
        identity = packet.identity
        return identity.udp_seq if port in _ports(packet) else None

    return key


def irtt_key(port: int) -> Key:
    """Irtt to a server's port: the how manieth packet of its direction. For one run only."""
    numbers = {"upload": count(), "download": count()}

    def key(packet: PacketTruth) -> Hashable | None:
        first_word = packet.identity.udp_seq
        if port not in _ports(packet) or first_word is None:
            return None
        magic, flags = divmod(first_word, 256)
        return next(numbers[packet.direction]) if (magic, flags) in _IRTT_DATA else None

    return key


def between_interfaces(near: Iterable[Seen], far: Iterable[Seen]) -> list[PacketTruth]:
    """The truth of a network that lies between two captured interfaces.

    Upload leaves by the near one and comes in by the far one. The n-th packet of an identity at one
    end is the n-th at the other: exact on a network that neither loses nor reorders. Times are
    the wall clock's, so no clock may be stepped meanwhile.
    """
    there, back = _by_identity(near, outgoing=True), _by_identity(near, outgoing=False)
    arrived, sent = _by_identity(far, outgoing=False), _by_identity(far, outgoing=True)
    return [*_joined("upload", there, arrived), *_joined("download", sent, back)]


def between(truths: Iterable[PacketTruth], start_ns: int, end_ns: int) -> list[PacketTruth]:
    """The packets that came to the link within a span of CLOCK_MONOTONIC."""
    return [truth for truth in truths if start_ns <= truth.arrived_ns <= end_ns]


def path_times_ms(
    truths: Sequence[PacketTruth], key: Key, *, with_far_end: bool = False
) -> list[float]:
    """For each answered packet, how long the link held it on both ways, in the order sent.

    Nothing that the sender's stack does is in it; and of the other end's only what `with_far_end`
    asks for, the time from a packet's coming to its answer's going.
    """
    there, back = _by_key(truths, key)
    pairs = [
        (sent[0], back[number][0])
        for number, sent in there.items()
        if sent[0].departed_ns and number in back and back[number][0].departed_ns
    ]
    return [
        (
            _first_ns([sent])
            + _first_ns([answer])
            + (answer.arrived_ns - sent.departed_ns[0] if with_far_end else 0)
        )
        / _NS_PER_MS
        for sent, answer in pairs
    ]


def counts(truths: Sequence[PacketTruth], key: Key) -> Counts:
    """What came back of what was sent. Reordered is by RFC 4737, 3.3, on first copies."""
    there, back = _by_key(truths, key)
    arrivals = sorted(
        (departed_ns, place, number)
        for number, answers in back.items()
        for answer in answers
        for place, departed_ns in enumerate(answer.departed_ns)
    )
    order = {number: place for place, number in enumerate(there)}
    seen: set[Hashable] = set()
    reordered, expected = 0, 0
    for _, _, number in arrivals:
        if number in seen or number not in order:
            continue
        seen.add(number)
        if order[number] < expected:
            reordered += 1
        else:
            expected = order[number] + 1
    copies = sum(number in order for _, _, number in arrivals)
    return Counts(len(there), len(seen), copies - len(seen), reordered)


def _ports(packet: PacketTruth) -> tuple[int | None, int | None]:
    if packet.identity.protocol != "udp":
        return None, None
    return packet.identity.source_port, packet.identity.destination_port


def _by_identity(seen: Iterable[Seen], *, outgoing: bool) -> dict[tuple[PacketIdentity, int], int]:
    """When each packet passed, by identity and which of that identity it was."""
    numbers: Counter[PacketIdentity] = Counter()
    passed = {}
    for one in seen:
        if one.outgoing is outgoing:
            passed[one.identity, numbers[one.identity]] = one.at_ns
            numbers[one.identity] += 1
    return passed


def _joined(
    direction: Direction,
    entered: Mapping[tuple[PacketIdentity, int], int],
    left: Mapping[tuple[PacketIdentity, int], int],
) -> Iterator[PacketTruth]:
    for index, (name, at_ns) in enumerate(entered.items()):
        departed_ns = (left[name],) if name in left else ()
        yield PacketTruth(
            direction=direction,
            index=index,
            arrived_ns=at_ns,
            due_ns=departed_ns,
            departed_ns=departed_ns,
            dropped=None,
            length_bytes=0,
            identity=name[0],
        )


def _first_ns(packets: Sequence[PacketTruth]) -> int:
    return packets[0].departed_ns[0] - packets[0].arrived_ns


def _by_key(
    truths: Sequence[PacketTruth], key: Key
) -> tuple[dict[Hashable, list[PacketTruth]], dict[Hashable, list[PacketTruth]]]:
    there: dict[Hashable, list[PacketTruth]] = {}
    back: dict[Hashable, list[PacketTruth]] = {}
    for truth in truths:
        number = key(truth)
        if number is not None:
            way = there if truth.direction == "upload" else back
            way.setdefault(number, []).append(truth)
    return there, back
