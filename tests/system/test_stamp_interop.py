"""Others' STAMP and TWAMP Light against ours: their packets to our reflector, theirs to our sender.

scapy builds and reads STAMP packets; what no package has (nokia/twampy, perfSONAR's twping) is laid
out here as its own source or RFC 5357 has it.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from scapy.contrib.stamp import (
    ErrorEstimate,
    STAMPSessionReflectorTestUnauthenticated,
    STAMPSessionSenderTestUnauthenticated,
    STAMPTestTLV,
)

from probe.config import LatencyConfig, LineConfig, ServerConfig
from probe.measure.latency.probe import measure
from probe.measure.measurement import RawResult
from tests.line_request import line_request
from tests.reflector_process import ReflectorProcess
from wire import stamp
from wire.result import LatencyValues, Outcome, Reason

NTP_EPOCH_S = 2_208_988_800
Reflect = Callable[[bytes, int], bytes]


@pytest.fixture(scope="module")
def reflector() -> Iterator[ReflectorProcess]:
    """One that takes 127.0.0.9, and nobody else, for a sender of TWAMP Light."""
    options = ["--rate-limit-pps", "0", "--twamp-light-sender", "127.0.0.9/32"]
    with ReflectorProcess(["127.0.0.1"], options=options) as process:
        yield process


@contextmanager
def sender_at(reflector: ReflectorProcess, address: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((address, 0))
        sock.settimeout(60)
        sock.connect(("127.0.0.1", reflector.ports["127.0.0.1"]))
        yield sock


def twampy_request(seq: int, at_s: float, padding: int) -> bytes:
    """nokia/twampy 885b986, twampySessionSender.run: number, NTP time, error estimate, zeros."""
    fraction = int((at_s - int(at_s)) * 0xFFFFFFFF)
    return struct.pack("!L2IH", seq, int(NTP_EPOCH_S + at_s), fraction, 0x3FFF) + bytes(padding)


def twampy_times(answer: bytes) -> tuple[int, float, float, float]:
    """The sender's number, T1, T2, T3 as twampy reads them, which drops less than 36 octets."""
    assert len(answer) >= 36

    def seconds(at: int) -> float:
        whole, part = struct.unpack("!2I", answer[at : at + 8])
        return float(whole - NTP_EPOCH_S + part / 0xFFFFFFFF)

    (seq,) = struct.unpack("!I", answer[24:28])
    return seq, seconds(28), seconds(16), seconds(4)


def test_a_known_twamp_light_sender_of_14_octets_gets_the_base_packet(
    reflector: ReflectorProcess,
) -> None:
    """RFC 8762, 4.6: an answer to less than 44 octets is the base packet."""
    with sender_at(reflector, "127.0.0.9") as sock:
        for seq, padding in enumerate((0, 8, 27)):
            before_s = time.time()
            sock.send(twampy_request(seq, before_s, padding))
            answer = sock.recv(2000)
            after_s = time.time()
            assert len(answer) == 44
            number, t1_s, t2_s, t3_s = twampy_times(answer)
            assert number == seq
            assert t1_s == pytest.approx(before_s, abs=1e-6)
            # A float of these seconds has a resolution of 0.24 us.
            assert before_s - 1e-6 <= t2_s <= t3_s + 1e-6 <= after_s + 2e-6
            assert answer[40] == 64


def test_nobody_else_gets_more_octets_than_were_sent(reflector: ReflectorProcess) -> None:
    """The source may be forged: whatever the length, no answer is longer than its request."""
    before = reflector.counters()
    with sender_at(reflector, "127.0.0.1") as sock:
        for length in (*range(14, 49), 100, 1472):
            request = twampy_request(length, time.time(), length - 14)
            sock.send(request)
            answer = sock.recv(2000)
            assert len(answer) == len(request)
            assert struct.unpack("!I", answer[:4]) == (length,)
            if length >= 38:
                assert twampy_times(answer)[0] == length
    after = reflector.counters()
    assert after["short"] - before["short"] == 44 - 14
    assert after["reflected"] - before["reflected"] == 37


def test_twping_s_41_octets_come_back_with_all_fields(reflector: ReflectorProcess) -> None:
    """RFC 5357, 4.2.1, and perfSONAR's owamp eecec26 (OWPTestTWPayloadSize: 41 octets)."""
    with sender_at(reflector, "127.0.0.1") as sock:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 255)
        body = struct.pack("!IQH", 5, 0xEE_00_00_01_80_00_00_00, 0x8A05) + b"\xa5" * 27
        sock.send(body)
        answer = sock.recv(2000)
    _, sent, _, _, received, seq, t1, estimate, _, ttl = struct.unpack("!IQHHQIQHHB", answer)
    assert (seq, t1, estimate, ttl) == (5, 0xEE_00_00_01_80_00_00_00, 0x8A05, 255)
    assert 0 < stamp.interval_ns(received, sent) < 60 * 10**9


def test_two_reflectors_do_not_answer_each_other_s_short_answers(
    reflector: ReflectorProcess,
) -> None:
    """One forged packet would else go round between them for ever."""
    with (
        ReflectorProcess(["127.0.0.1"], options=["--rate-limit-pps", "0"]) as other,
        sender_at(reflector, "127.0.0.1") as sock,
    ):
        answers = []
        for length in (14, 23, 24, 41, 43, 44, 48):
            body = twampy_request(1, time.time(), length - 14)
            # With a session identifier where there is room for one.
            sock.send(body[:14] + b"\xca\xfe"[: length - 14] + body[16:])
            answers.append(sock.recv(2000))
        with sender_at(other, "127.0.0.1") as forged:
            for answer in answers:
                forged.send(answer)
            forged.send(twampy_request(999, time.time(), 30))
            assert struct.unpack("!I", forged.recv(2000)[:4]) == (999,)
        assert other.counters()["refused"] == len(answers)


def scapy_request(ssid: int, *tlvs: STAMPTestTLV) -> bytes:
    return bytes(
        STAMPSessionSenderTestUnauthenticated(
            seq=3,
            ts=3_900_000_000.5,
            err_estimate=ErrorEstimate(S=1, Z=0, scale=10, multiplier=5),
            ssid=ssid,
            tlv_objects=list(tlvs),
        )
    )


def test_scapy_reads_session_identifier_and_tlvs_from_our_answer(
    reflector: ReflectorProcess,
) -> None:
    def tlv(kind: int, value: bytes) -> STAMPTestTLV:
        # By number: scapy 2.8 writes the flag that it calls U as 0x01, and RFC 8972 has 0x80.
        return STAMPTestTLV(flags=0x80, type=kind, len=len(value), value=value)

    counted = b"\0\0\0\x2a" + bytes(8)
    with sender_at(reflector, "127.0.0.1") as sock:
        for turn in (1, 2):
            request = scapy_request(
                0xCAFE,
                tlv(1, b"\xde\xad\xbe\xef"),
                tlv(3, bytes(4)),
                tlv(5, counted),
                tlv(4, b"\xb8\0\0\0"),
                tlv(3, bytes(5)),
                tlv(1, b"rest"),
            )
            sock.send(request)
            body = sock.recv(2000)
            assert len(body) == len(request)
            answer = STAMPSessionReflectorTestUnauthenticated(body)
            assert (answer.seq, answer.seq_sender, answer.ssid) == (3, 3, 0xCAFE)
            assert (answer.err_estimate_sender.S, answer.err_estimate_sender.scale) == (1, 10)
            assert answer.ttl_sender == 64
            back = [(int(one.flags), one.type, bytes(one.value)) for one in answer.tlv_objects]
            # By NTP (1) or free running (5), in software (2).
            assert back[1][2] in (b"\1\2\1\2", b"\5\2\5\2")
            counts = struct.pack("!III", 42, turn, turn)
            assert back[0] == (0, 1, b"\xde\xad\xbe\xef")
            assert back[1][:2] == (0, 3)
            assert back[2:] == [
                (0, 5, counts),
                (0x80, 4, b"\xb8\0\0\0"),
                (0x40, 3, bytes(5)),
                (0x80, 1, b"rest"),  # not processed: behind a malformed one
            ]
        # Another session of the same address and port has its own counts.
        sock.send(scapy_request(0xBEEF, tlv(5, counted)))
        answer = STAMPSessionReflectorTestUnauthenticated(sock.recv(2000))
        assert bytes(answer.tlv_objects[0].value) == struct.pack("!III", 42, 1, 1)


@contextmanager
def reflector_of(reflect: Reflect) -> Iterator[int]:
    """Another's reflector: answers each datagram by what `reflect` makes of it and T2; its port."""
    ended = threading.Event()

    def run(sock: socket.socket) -> None:
        while not ended.is_set():
            try:
                body, source = sock.recvfrom(2000)
            except TimeoutError:
                continue
            sock.sendto(reflect(body, stamp.ntp_from_unix_ns(time.time_ns())), source)

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(0.1)
        thread = threading.Thread(target=run, args=(sock,))
        thread.start()
        try:
            yield sock.getsockname()[1]
        finally:
            ended.set()
            thread.join()


def measured_with(reflect: Reflect) -> RawResult:
    """The STAMP result of a window against another's reflector. Tmax covers a busy machine."""
    with reflector_of(reflect) as port:
        line = LineConfig(id="lo", isp="none", interface="lo")
        server = ServerConfig(name="hanoi", host="127.0.0.1", stamp_port=port)
        request = line_request(
            line, [server], latency=LatencyConfig(mean_gap_s=0.02, timeout_s=4, window_s=1)
        )
        results = list(measure(request, windows=1))
    return next(one for one in results if one.target == "stamp:hanoi")


def values_of(result: RawResult) -> LatencyValues:
    assert isinstance(result.values, LatencyValues), result
    return result.values


def twamp_light(body: bytes, received: int) -> bytes:
    """RFC 5357, 4.2.1: 41 octets."""
    return struct.pack("!IQHHQ", 77, received, 1, 0, received) + body[:14] + b"\0\0\xff"


def twampy_reflector(body: bytes, received: int) -> bytes:
    """nokia/twampy 885b986, twampySessionReflector.run: no TTL, and one time for T2 and T3."""
    sec, fraction = received >> 32, received & 0xFFFFFFFF
    return struct.pack("!L2I2H2I", 77, sec, fraction, 0x001, 0, sec, fraction) + body[:14]


def scapy_reflector(body: bytes, received: int) -> bytes:
    asked = STAMPSessionSenderTestUnauthenticated(body)
    answer = STAMPSessionReflectorTestUnauthenticated(
        seq=asked.seq,
        err_estimate=ErrorEstimate(S=0, Z=0, scale=0, multiplier=1),
        ssid=asked.ssid,
        seq_sender=asked.seq,
        err_estimate_sender=asked.err_estimate,
        ttl_sender=64,
    )
    # As numbers: scapy keeps an NTP time as a float.
    octets = bytearray(bytes(answer))
    octets[4:12] = octets[16:24] = received.to_bytes(8, "big")
    octets[28:36] = body[4:12]
    return bytes(octets)


@pytest.mark.parametrize("reflect", [twamp_light, twampy_reflector, scapy_reflector])
def test_an_answer_that_has_the_fields_is_taken(reflect: Reflect) -> None:
    result = measured_with(reflect)
    values = values_of(result)
    assert (result.outcome, result.detail) == (Outcome.OK, None)
    assert values.received == values.sent > 0
    assert (values.malformed, values.forged, values.altered_timestamps) == (0, 0, 0)


def in_microseconds(body: bytes, received: int) -> bytes:
    """A reflector that keeps the sender's time as whole microseconds of Unix time."""
    t1 = int.from_bytes(body[4:12], "big")
    micros = (t1 & 0xFFFFFFFF) * 1_000_000 >> 32
    rounded = (t1 >> 32 << 32) | ((micros << 32) // 1_000_000)
    return twamp_light(body[:4] + rounded.to_bytes(8, "big") + body[12:], received)


def through_scapy(body: bytes, received: int) -> bytes:
    """scapy 2.8 itself: its number for an NTP time has nine decimals, and is written again."""
    asked = STAMPSessionSenderTestUnauthenticated(body)
    again = bytes(STAMPSessionSenderTestUnauthenticated(seq=asked.seq, ts=asked.ts))
    return twamp_light(body[:4] + again[4:12] + body[12:], received)


@pytest.mark.parametrize("reflect", [in_microseconds, through_scapy])
def test_timestamps_a_few_units_off_are_no_loss_and_are_stated(reflect: Reflect) -> None:
    result = measured_with(reflect)
    values = values_of(result)
    assert result.outcome is Outcome.OK
    assert values.received == values.sent > 0
    assert values.forged == 0
    assert values.rtt_samples == values.received
    # By chance a time needs no rounding.
    assert 0 < values.altered_timestamps <= values.received
    assert result.detail is not None
    assert f"returned {values.altered_timestamps} of {values.received} timestamps" in result.detail


def test_a_timestamp_that_is_far_off_is_forged() -> None:
    def another(body: bytes, received: int) -> bytes:
        t1 = int.from_bytes(body[4:12], "big") + (1 << 20)  # a quarter of a millisecond
        return twamp_light(body[:4] + t1.to_bytes(8, "big") + body[12:], received)

    result = measured_with(another)
    values = values_of(result)
    assert (result.outcome, result.reason) == (Outcome.FAILED, Reason.PROTOCOL_ERROR)
    assert values.forged == values.sent == values.lost > 0


def test_an_answer_of_another_session_is_forged() -> None:
    seen = set()

    def another(body: bytes, received: int) -> bytes:
        seen.add(body[14:16])
        answer = bytearray(twampy_reflector(body, received) + bytes(6))
        answer[14:16] = bytes((body[14] ^ 1, body[15]))
        return bytes(answer)

    values = values_of(measured_with(another))
    assert values.forged == values.sent == values.lost > 0
    # One identifier in each packet of the session, and never zero (RFC 8972, 3).
    assert len(seen) == 1
    assert seen != {b"\0\0"}
