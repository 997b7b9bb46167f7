"""No bytes make the packet parsers raise anything but their own error; times survive the way."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from probe.measure.latency import icmp_echo
from probe.measure.latency.echo import EchoReply, IcmpEcho, StampEcho
from probe.measure.latency.icmp_echo import Echo, EchoDiscard
from wire import stamp, stamp_tlv
from wire.stamp import ErrorEstimate, ReflectorPacket, SenderPacket, StampError

bits16 = st.integers(0, 2**16 - 1)
bits32 = st.integers(0, 2**32 - 1)
bits64 = st.integers(0, 2**64 - 1)
unix_ns = st.integers(0, 2**32 * 10**9)
estimates = st.builds(
    ErrorEstimate,
    synchronised=st.booleans(),
    ptp=st.just(False),
    scale=st.integers(0, 63),
    multiplier=st.integers(1, 255),
)
senders = st.builds(SenderPacket, bits32, bits64, estimates, bits16)
# Short, exact and long ones alike; random bytes alone would seldom be long enough.
datagrams = (
    st.binary(min_size=14, max_size=43)
    | st.binary(max_size=80)
    | st.binary(min_size=44, max_size=44)
)


@given(datagrams)
def test_any_bytes_are_a_packet_or_a_named_defect(body: bytes) -> None:
    with suppress(StampError):
        request = stamp.decode_sender(body)
        assert stamp.decode_sender(stamp.encode_sender(request)) == request
    with suppress(StampError):
        answer = stamp.decode_reflector(body)
        assert stamp.decode_reflector(stamp.encode_reflector(answer)) == answer


@given(senders, st.binary(max_size=40))
def test_a_sender_packet_comes_back(packet: SenderPacket, tail: bytes) -> None:
    assert stamp.decode_sender(stamp.encode_sender(packet) + tail) == packet


@given(
    st.builds(
        ReflectorPacket, bits32, bits64, estimates, bits64, bits32, bits64, estimates,
        st.integers(0, 255), bits16,
    )
)  # fmt: skip
def test_a_reflector_packet_comes_back(packet: ReflectorPacket) -> None:
    assert stamp.decode_reflector(stamp.encode_reflector(packet)) == packet


@given(senders, st.binary(max_size=40), bits64, bits64, st.integers(0, 255))
def test_an_answer_is_as_long_as_its_request_and_carries_it(
    request: SenderPacket, tail: bytes, received: int, sent: int, ttl: int
) -> None:
    body = stamp.encode_sender(request) + tail
    answer = stamp.reflect(
        body, request, received=received, error_estimate=stamp.UNSYNCHRONISED, ttl=ttl
    )
    stamp.put_sent_time(answer, sent)
    assert len(answer) == len(body)
    decoded = stamp.decode_reflector(bytes(answer))
    assert decoded.seq == decoded.sender_seq == request.seq
    assert decoded.sender_timestamp == request.timestamp
    assert decoded.sender_error_estimate == request.error_estimate
    assert (decoded.receive_timestamp, decoded.timestamp) == (received, sent)
    assert decoded.sender_ttl == ttl


@given(senders, st.integers(14, 43), st.binary(max_size=30), unix_ns, st.integers(0, 15 * 10**9))
def test_no_answer_is_longer_than_its_request_or_taken_for_one(
    request: SenderPacket, length: int, tail: bytes, at_ns: int, held_ns: int
) -> None:
    """Whatever is answered, a reflector that gets the answer falls silent."""
    for body in (stamp.encode_sender(request)[:length], stamp.encode_sender(request) + tail):
        received, sent = stamp.ntp_from_unix_ns(at_ns), stamp.ntp_from_unix_ns(at_ns + held_ns)
        answer = stamp.reflect(
            body, request, received=received, error_estimate=stamp.UNSYNCHRONISED, ttl=64
        )
        stamp_tlv.answer_tlvs(
            answer, stamp_tlv.SynchronisationSource.NTP, lambda: stamp_tlv.PacketCounts(1, 1)
        )
        stamp.put_sent_time(answer, sent)
        assert len(answer) == len(body)
        assert stamp.is_reflected(bytes(answer)) or received == 0


@given(st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=20))), st.binary(max_size=9))
def test_every_tlv_comes_back_and_only_what_is_understood_changes(
    tlvs: list[tuple[int, bytes]], tail: bytes
) -> None:
    packet = bytearray(44)
    for kind, value in tlvs:
        packet += bytes((0x80, kind)) + len(value).to_bytes(2, "big") + value
    before = bytes(packet + tail)
    packet += tail
    stamp_tlv.answer_tlvs(
        packet, stamp_tlv.SynchronisationSource.NTP, lambda: stamp_tlv.PacketCounts(3, 2)
    )
    assert len(packet) == len(before)
    at = 44
    for kind, value in tlvs:
        flags, end = packet[at], at + 4 + len(value)
        assert packet[at + 1 : at + 4] == before[at + 1 : at + 4]
        understood = {1: None, 3: 4, 5: 12}
        malformed = understood.get(kind) not in (None, len(value))
        assert flags == (0 if kind in understood else 0x80) | (0x40 if malformed else 0)
        if malformed:
            assert packet[at + 4 :] == before[at + 4 :]
            return
        if kind not in (3, 5):
            assert packet[at + 4 : end] == value
        at = end


@given(unix_ns, st.integers(-(2**31) * 10**9 + 10**9, 2**31 * 10**9 - 10**9))
def test_unix_time_survives_ntp_to_the_nanosecond(at_ns: int, off_ns: int) -> None:
    near_ns = at_ns + off_ns
    assert stamp.unix_ns_from_ntp(stamp.ntp_from_unix_ns(at_ns), near_ns) == at_ns


@given(unix_ns, st.integers(-(10**18), 10**18))
def test_an_interval_of_ntp_times_is_right_to_a_nanosecond(at_ns: int, span_ns: int) -> None:
    earlier, later = stamp.ntp_from_unix_ns(at_ns), stamp.ntp_from_unix_ns(at_ns + span_ns)
    assert abs(stamp.interval_ns(earlier, later) - span_ns) <= 1


@given(datagrams, st.booleans())
def test_no_bytes_make_a_session_s_parser_raise(body: bytes, ipv6: bool) -> None:
    for protocol in (StampEcho(), IcmpEcho(1, 7, ipv6=ipv6), IcmpEcho(1, None, ipv6=ipv6)):
        assert isinstance(protocol.reply(body), EchoReply | EchoDiscard)
        assert isinstance(protocol.own_seq(body), int | None)


@given(bits64, bits64, st.integers(0, 65535), st.booleans(), st.binary(max_size=60))
def test_an_echo_request_is_found_behind_its_headers(
    seq: int, nonce: int, identifier: int, ipv6: bool, headers: bytes
) -> None:
    packet = icmp_echo.encode_request(Echo(seq, nonce), identifier, ipv6=ipv6)
    assert icmp_echo.decode_own_request(headers + packet) == Echo(seq, nonce)


@given(bits64, bits64, st.integers(0, 511))
def test_one_flipped_bit_is_never_taken_for_the_answer(seq: int, nonce: int, bit: int) -> None:
    request = bytearray(icmp_echo.encode_request(Echo(seq, nonce), 7, ipv6=False))
    reply = bytearray(request)
    reply[0] = icmp_echo.ECHO_REPLY_V4
    reply[2:4] = bytes(2)
    reply[2:4] = icmp_echo.checksum(bytes(reply)).to_bytes(2, "big")
    assert icmp_echo.decode_reply(bytes(reply), 7, ipv6=False) == Echo(seq, nonce)
    reply[bit // 8] ^= 1 << bit % 8
    assert isinstance(icmp_echo.decode_reply(bytes(reply), 7, ipv6=False), EchoDiscard)
