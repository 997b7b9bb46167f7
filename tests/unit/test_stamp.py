"""STAMP packets against bytes laid out by hand from the figures of RFC 8762."""

from __future__ import annotations

import pytest

from wire import stamp
from wire.stamp import Defect, ErrorEstimate, ReflectorPacket, SenderPacket, StampError

# Half a second into 1970 is 2,208,988,800 s = 0x83AA7E80 into NTP's era 0.
HALF_PAST_EPOCH = 0x83AA7E80_80000000
# S set, Z clear, scale 10, multiplier 5: 1 0 001010 00000101.
ESTIMATE = ErrorEstimate(synchronised=True, ptp=False, scale=10, multiplier=5)
SENDER_BYTES = bytes.fromhex("00000007 83aa7e80 80000000 8a05") + bytes(30)
REFLECTOR_BYTES = bytes.fromhex(
    "00000009"  # sequence number
    "83aa7e80 c0000000"  # T3
    "0101 0000"  # error estimate: scale 1, multiplier 1; MBZ
    "83aa7e80 a0000000"  # T2
    "00000007"  # session-sender sequence number
    "83aa7e80 80000000"  # session-sender timestamp
    "8a05 0000"  # session-sender error estimate; MBZ
    "3f 000000"  # session-sender TTL 63; MBZ
)
REFLECTOR = ReflectorPacket(
    seq=9,
    timestamp=0x83AA7E80_C0000000,
    error_estimate=ErrorEstimate(synchronised=False, ptp=False, scale=1, multiplier=1),
    receive_timestamp=0x83AA7E80_A0000000,
    sender_seq=7,
    sender_timestamp=HALF_PAST_EPOCH,
    sender_error_estimate=ESTIMATE,
    sender_ttl=63,
)


def test_both_packets_have_44_octets() -> None:
    assert len(SENDER_BYTES) == len(REFLECTOR_BYTES) == stamp.PACKET_BYTES == 44


def test_a_sender_packet_is_laid_out_as_in_the_rfc() -> None:
    packet = SenderPacket(7, HALF_PAST_EPOCH, ESTIMATE)
    assert stamp.encode_sender(packet) == SENDER_BYTES
    assert stamp.decode_sender(SENDER_BYTES) == packet


def test_a_reflector_packet_is_laid_out_as_in_the_rfc() -> None:
    assert stamp.encode_reflector(REFLECTOR) == REFLECTOR_BYTES
    assert stamp.decode_reflector(REFLECTOR_BYTES) == REFLECTOR


def test_residence_is_sent_less_received() -> None:
    # 0xC0000000 - 0xA0000000 = 0x20000000 = 1/8 s
    assert REFLECTOR.residence_ns == 125_000_000


def test_octets_after_the_packet_are_tolerated() -> None:
    tlv = bytes.fromhex("80 01 0004 00000000")  # RFC 8972 extra padding
    assert stamp.decode_sender(SENDER_BYTES + tlv).seq == 7
    assert stamp.decode_reflector(REFLECTOR_BYTES + tlv) == REFLECTOR


def test_what_must_be_zero_is_ignored_when_it_is_not() -> None:
    assert stamp.decode_sender(SENDER_BYTES[:16] + b"\xff" * 28) == stamp.decode_sender(
        SENDER_BYTES
    )


@pytest.mark.parametrize("length", [0, 1, 13])
def test_a_sender_packet_without_its_fields_is_refused(length: int) -> None:
    with pytest.raises(StampError) as sender:
        stamp.decode_sender(SENDER_BYTES[:length])
    assert sender.value.defect is Defect.TOO_SHORT


@pytest.mark.parametrize("length", [0, 14, 37])
def test_a_reflector_packet_without_its_fields_is_refused(length: int) -> None:
    with pytest.raises(StampError) as reflector:
        stamp.decode_reflector(REFLECTOR_BYTES[:length])
    assert reflector.value.defect is Defect.TOO_SHORT


@pytest.mark.parametrize("length", [14, 15, 41, 43])
def test_a_twamp_light_sender_s_packet_is_taken(length: int) -> None:
    assert stamp.decode_sender(SENDER_BYTES[:length]) == stamp.decode_sender(SENDER_BYTES)


def test_a_twamp_light_reflector_s_packet_is_taken() -> None:
    # RFC 5357, 4.2.1: 41 octets end with the TTL; nokia/twampy's reflector leaves it out (38).
    assert stamp.decode_reflector(REFLECTOR_BYTES[:41]) == REFLECTOR
    assert stamp.decode_reflector(REFLECTOR_BYTES[:38]) == REFLECTOR._replace(sender_ttl=0)


def test_the_session_identifier_is_where_rfc_8972_has_it() -> None:
    with_ssid = SENDER_BYTES[:14] + bytes.fromhex("cafe") + SENDER_BYTES[16:]
    assert stamp.decode_sender(with_ssid).ssid == 0xCAFE
    assert stamp.encode_sender(SenderPacket(7, HALF_PAST_EPOCH, ESTIMATE, 0xCAFE)) == with_ssid
    reflected = stamp.encode_reflector(REFLECTOR._replace(ssid=0xCAFE))
    assert reflected == REFLECTOR_BYTES[:14] + bytes.fromhex("cafe") + REFLECTOR_BYTES[16:]
    answer = stamp.reflect(
        with_ssid,
        stamp.decode_sender(with_ssid),
        received=1,
        error_estimate=stamp.UNSYNCHRONISED,
        ttl=1,
    )
    assert stamp.decode_reflector(bytes(answer)).ssid == 0xCAFE


@pytest.mark.parametrize("length", [14, 23, 24, 38, 41, 43])
def test_an_answer_to_a_short_packet_is_as_short_and_is_known_as_one(length: int) -> None:
    """Else two reflectors would answer each other for ever."""
    body = SENDER_BYTES[:length]
    request = stamp.decode_sender(body)
    answer = stamp.reflect(
        body,
        request,
        received=0x83AA7E80_A0000000,
        error_estimate=stamp.UNSYNCHRONISED,
        ttl=63,
    )
    stamp.put_sent_time(answer, 0x83AA7E80_C0000000)
    assert len(answer) == length
    assert bytes(answer[:12]) == REFLECTOR_BYTES[:3] + b"\7" + REFLECTOR_BYTES[4:12]
    assert stamp.is_reflected(bytes(answer))
    assert not stamp.is_reflected(body)
    whole = stamp.reflect(
        body,
        request,
        received=0x83AA7E80_A0000000,
        error_estimate=stamp.UNSYNCHRONISED,
        ttl=63,
        whole=True,
    )
    stamp.put_sent_time(whole, 0x83AA7E80_C0000000)
    assert len(whole) == 44
    assert stamp.decode_reflector(bytes(whole)).sender_ttl == 63
    assert stamp.is_reflected(bytes(whole))


@pytest.mark.parametrize(
    "body",
    [
        # A session identifier, as a reflector of RFC 8972 returns it.
        REFLECTOR_BYTES[:14] + bytes.fromhex("cafe") + REFLECTOR_BYTES[16:],
        # nokia/twampy's reflector: T2 and T3 are the same, and there is no TTL.
        REFLECTOR_BYTES[:16] + REFLECTOR_BYTES[4:12] + REFLECTOR_BYTES[24:38],
        REFLECTOR_BYTES[:41],
    ],
)
def test_another_s_answer_is_known_as_one(body: bytes) -> None:
    assert stamp.is_reflected(body)
    assert not stamp.is_reflected(SENDER_BYTES[:14] + b"\xa5" * (len(body) - 14))


@pytest.mark.parametrize(
    ("decode", "body", "multiplier_at"),
    [
        (stamp.decode_sender, SENDER_BYTES, 13),
        (stamp.decode_reflector, REFLECTOR_BYTES, 13),
        (stamp.decode_reflector, REFLECTOR_BYTES, 37),
    ],
)
def test_a_zero_multiplier_is_corrupt(decode: object, body: bytes, multiplier_at: int) -> None:
    corrupt = bytearray(body)
    corrupt[multiplier_at] = 0
    with pytest.raises(StampError) as caught:
        decode(bytes(corrupt))  # type: ignore[operator]
    assert caught.value.defect is Defect.MULTIPLIER_ZERO


def test_a_ptp_timestamp_with_a_whole_second_of_nanoseconds_is_refused() -> None:
    ptp = ErrorEstimate(synchronised=False, ptp=True, scale=0, multiplier=1)
    sound = stamp.encode_sender(SenderPacket(1, 5 << 32 | 999_999_999, ptp))
    assert stamp.decode_sender(sound).error_estimate.ptp
    with pytest.raises(StampError) as caught:
        stamp.decode_sender(stamp.encode_sender(SenderPacket(1, 5 << 32 | 1_000_000_000, ptp)))
    assert caught.value.defect is Defect.NANOSECONDS_OUT_OF_RANGE


def test_an_error_estimate_in_seconds() -> None:
    assert ESTIMATE.bits == 0x8A05
    assert ESTIMATE.error_s == 5 / 2**22  # 5 * 2^-32 * 2^10
    assert stamp.UNSYNCHRONISED.error_s == 1.0
    assert not stamp.UNSYNCHRONISED.synchronised


@pytest.mark.parametrize(
    "packet",
    [
        SenderPacket(1 << 32, 0, ESTIMATE),
        SenderPacket(-1, 0, ESTIMATE),
        SenderPacket(0, 1 << 64, ESTIMATE),
        SenderPacket(0, 0, ESTIMATE._replace(scale=64)),
        SenderPacket(0, 0, ESTIMATE._replace(multiplier=256)),
    ],
)
def test_a_field_that_does_not_fit_is_refused(packet: SenderPacket) -> None:
    with pytest.raises(ValueError, match=r"fit|scale"):
        stamp.encode_sender(packet)


def test_a_stateless_answer() -> None:
    tlv = bytes.fromhex("80 01 0004 deadbeef")
    request = SENDER_BYTES + tlv
    answer = stamp.reflect(
        request,
        stamp.decode_sender(request),
        received=0x83AA7E80_A0000000,
        error_estimate=ErrorEstimate(synchronised=False, ptp=False, scale=1, multiplier=1),
        ttl=63,
    )
    stamp.put_sent_time(answer, 0x83AA7E80_C0000000)
    # The sequence number is the sender's, 7, and the TLV comes back with its U flag still set.
    assert bytes(answer) == bytes.fromhex("00000007") + REFLECTOR_BYTES[4:] + tlv
    assert len(answer) == len(request)


@pytest.mark.parametrize(
    ("unix_ns", "ntp"),
    [
        (0, 0x83AA7E80_00000000),
        (500_000_000, HALF_PAST_EPOCH),
        (-2_208_988_800_000_000_000, 0),
        # 1 ns is 4.29 units of 2^-32 s
        (1, 0x83AA7E80_00000004),
        # 999,999,999 ns are 4294967291.7 units: rounded up, not yet a whole second
        (999_999_999, 0x83AA7E80_FFFFFFFC),
        # the first second of era 1: 2036-02-07T06:28:16Z
        (2_085_978_496_000_000_000, 0),
    ],
)
def test_ntp_from_unix_time(unix_ns: int, ntp: int) -> None:
    assert stamp.ntp_from_unix_ns(unix_ns) == ntp


def test_ntp_time_is_read_in_the_nearest_era() -> None:
    in_2026_ns = 1_780_000_000_000_000_000
    in_2040_ns = 2_208_988_800_000_000_000
    for unix_ns in (in_2026_ns + 123_456_789, in_2040_ns + 1):
        ntp = stamp.ntp_from_unix_ns(unix_ns)
        assert stamp.unix_ns_from_ntp(ntp, in_2026_ns) == unix_ns
    assert stamp.unix_ns_from_ntp(0, in_2026_ns) == 2_085_978_496_000_000_000


def test_an_interval_across_the_end_of_the_era() -> None:
    last, first = 0xFFFFFFFF_80000000, 0x00000000_40000000
    assert stamp.interval_ns(last, first) == 750_000_000
    assert stamp.interval_ns(first, last) == -750_000_000


def test_an_interval_of_ptp_timestamps() -> None:
    earlier, later = 5 << 32 | 999_999_000, 6 << 32 | 500
    assert stamp.interval_ns(earlier, later, ptp=True) == 1_500
    assert stamp.interval_ns(later, earlier, ptp=True) == -1_500
    assert stamp.interval_ns(0xFFFFFFFF_00000000, 0, ptp=True) == 1_000_000_000
