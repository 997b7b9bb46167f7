"""TLVs behind STAMP packets, against bytes laid out by hand from the figures of RFC 8972."""

from __future__ import annotations

import pytest

from server.session_counts import SessionCounts
from wire.stamp_tlv import PacketCounts, SynchronisationSource, answer_tlvs, begins_with_tlv

BASE = bytes(44)
NTP = SynchronisationSource.NTP


def answered(tail: str, count: int = 7) -> str:
    packet = bytearray(BASE + bytes.fromhex(tail))
    answer_tlvs(packet, NTP, lambda: PacketCounts(count, count - 1))
    assert packet[:44] == BASE
    return packet[44:].hex(" ")


@pytest.mark.parametrize(
    ("sent", "back"),
    [
        # Extra Padding (1): understood, and its value as it came
        ("80 01 00 04 de ad be ef", "00 01 00 04 de ad be ef"),
        ("80 01 00 00", "00 01 00 00"),
        # Timestamp Information (3): in and out by NTP (1), software of this host (2)
        ("80 03 00 04 00 00 00 00", "00 03 00 04 01 02 01 02"),
        # Direct Measurement (5): the sender's count stays, received and sent are filled in
        (
            "80 05 00 0c 00 00 00 09 00 00 00 00 00 00 00 00",
            "00 05 00 0c 00 00 00 09 00 00 00 07 00 00 00 06",
        ),
        # An implementation that leaves U out
        ("00 03 00 04 00 00 00 00", "00 03 00 04 01 02 01 02"),
        # Flags that no sender sets are ignored: scapy 2.8 writes U as the lowest bit
        ("01 01 00 01 aa 02 03 00 04 00 00 00 00", "00 01 00 01 aa 00 03 00 04 01 02 01 02"),
        # Class of Service (4), Location (2), HMAC (8), unassigned (200): U stays
        ("80 04 00 04 b8 00 00 00", "80 04 00 04 b8 00 00 00"),
        ("00 c8 00 02 01 02", "80 c8 00 02 01 02"),
        ("80 02 00 00 80 08 00 10" + " 11" * 16, "80 02 00 00 80 08 00 10" + " 11" * 16),
        # What follows one that is not understood is processed
        ("80 c8 00 01 ff 80 01 00 01 aa", "80 c8 00 01 ff 00 01 00 01 aa"),
        # Malformed: a wrong length, a length beyond the packet, no room for a header
        ("80 03 00 03 00 00 00", "40 03 00 03 00 00 00"),
        ("80 05 00 10 00 00 00 09", "40 05 00 10 00 00 00 09"),
        ("80 c8 ff ff 01", "c0 c8 ff ff 01"),
        ("80 01 00 00 80 01", "00 01 00 00 40 01"),
        # After a malformed one nothing more is processed
        ("80 03 00 00 80 03 00 04 00 00 00 00", "40 03 00 00 80 03 00 04 00 00 00 00"),
    ],
)
def test_a_tlv_is_answered_as_rfc_8972_has_it(sent: str, back: str) -> None:
    assert answered(sent) == back


@pytest.mark.parametrize(
    "tail", ["", "00" * 27, "a5" * 30, "00", "ff" * 4, "c0 01 00 07", "01 01 00 01"]
)
def test_padding_of_twamp_light_comes_back_as_it_was(tail: str) -> None:
    packet = bytearray(BASE + bytes.fromhex(tail))
    assert not begins_with_tlv(packet)
    answer_tlvs(packet, NTP, lambda: PacketCounts(1, 1))
    assert packet == BASE + bytes.fromhex(tail)


def test_packets_are_counted_once_and_only_for_who_asks() -> None:
    calls = []

    def count() -> PacketCounts:
        calls.append(1)
        return PacketCounts(1 << 32, 5)

    measurement = bytes.fromhex("80 05 00 0c") + bytes(12)
    packet = bytearray(BASE + measurement * 2)
    answer_tlvs(packet, NTP, count)
    # 32 bits: a counter goes round.
    assert packet[44:].hex() == ("0005000c" + "00000000" + "00000000" + "00000005") * 2
    assert len(calls) == 1
    answer_tlvs(bytearray(BASE + bytes.fromhex("80 01 00 00")), NTP, count)
    assert len(calls) == 1


def test_sessions_are_counted_apart_and_are_bounded() -> None:
    counts = SessionCounts(most=2)
    one, two, three = ("192.0.2.1", 5000, 1), ("192.0.2.1", 5000, 2), ("192.0.2.2", 5000, 1)
    assert [counts.add(one), counts.add(two), counts.add(one)] == [(1, 1), (1, 1), (2, 2)]
    counts.not_sent(one)
    assert counts.add(one) == (3, 2)
    # The third takes the place of the one that was silent for longest.
    assert counts.add(three) == (1, 1)
    assert counts.add(one) == (4, 3)
    assert counts.add(two) == (1, 1)
    counts.not_sent(three)
