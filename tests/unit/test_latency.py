"""A latency session told packet by packet: what is counted, where, and what is summed up of it."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.measure.failure import Failure
from probe.measure.latency import icmp_echo
from probe.measure.latency.clock_offset import STEP_NS, ClockOffset, ClockReading
from probe.measure.latency.icmp_echo import Echo, EchoDiscard
from probe.measure.latency.session import LatencySession, LatencyWindow, poisson_gap_ns
from probe.measure.latency.summary import (
    SessionParameters,
    loaded_columns,
    loaded_values,
    validity,
    window_status,
    window_values,
)
from wire.result import (
    HttpValues,
    LatencyValues,
    Outcome,
    Reason,
    ThroughputValues,
    Validity,
)

MS = 1_000_000
S = 1_000 * MS
TMAX = 3 * S
PARAMETERS = SessionParameters(protocol="stamp", address="192.0.2.1", timeout_s=3.0, mean_gap_s=1.5)
TOKEN = 77


def session_with(count: int, gap_ns: int = S) -> LatencySession:
    """A session that has sent so many packets, one each `gap_ns` from 0 on."""
    session = LatencySession(TMAX, 0)
    for seq in range(count):
        session.sent(seq, seq * gap_ns, TOKEN)
    return session


def answer(session: LatencySession, seq: int, delay_ns: int, gap_ns: int = S) -> None:
    session.received(seq, seq * gap_ns + delay_ns, TOKEN)


def only_window(session: LatencySession, end_ns: int = 60 * S) -> LatencyWindow:
    session.end_window(end_ns)
    (window,) = session.closed(end_ns + TMAX)
    return window


def summed(session: LatencySession, end_ns: int = 60 * S) -> LatencyValues:
    return window_values(only_window(session, end_ns), PARAMETERS)


def test_delays_by_hand() -> None:
    session = session_with(4)
    for seq, delay_ms in ((0, 10), (1, 26), (2, 10)):
        answer(session, seq, delay_ms * MS)
    values = summed(session)
    assert (values.sent, values.received, values.lost) == (4, 3, 1)
    assert values.loss_ratio == 0.25
    # rank ceil(0.5 * 4) = 2 of 10, 10, 26, infinity
    assert values.rtt_p50_ms == 10.0
    assert (values.rtt_min_ms, values.rtt_max_ms) == (10.0, 26.0)
    assert values.rtt_mean_ms == pytest.approx(46 / 3, abs=1e-6)
    assert values.ipdv_abs_mean_ms == 16.0
    assert values.jitter_rfc3550_ms == 1.9375
    assert (values.rtt_p95_ms, values.pdv_ms, values.pdv_name) == (None, None, None)
    assert values.rtt_samples == 3
    assert values.rtt_us == [10_000, 26_000, 10_000]


def test_a_session_beside_a_transfer_is_told_by_the_same_rules() -> None:
    session = session_with(61, S // 10)
    for seq in range(60):
        answer(session, seq, (seq + 1) * MS, S // 10)
    window = only_window(session, 6 * S)
    loaded = loaded_values(window, PARAMETERS)
    values = window_values(window, PARAMETERS)
    assert (loaded.sent, loaded.received, loaded.lost) == (61, 60, 1)
    assert (loaded.rtt_p50_ms, loaded.rtt_p95_ms, loaded.rtt_p99_ms) == (31.0, 58.0, None)
    assert loaded.rtt_us == values.rtt_us
    assert loaded.span_s == 6.0
    # 44 octets of STAMP, 8 of UDP, 20 of IPv4, 61 times in 6 s
    assert loaded.sent_bps == pytest.approx(61 * 72 * 8 / 6)
    columns = loaded_columns(None, loaded)
    assert columns["rtt_loaded_upload_p95_ms"] == 58.0
    assert columns["loss_loaded_upload_ratio"] == loaded.loss_ratio
    assert columns["loaded_download"] is None
    assert set(columns) <= set(ThroughputValues.__struct_fields__)
    assert set(columns) <= set(HttpValues.__struct_fields__)


def test_where_nothing_came_back_beside_a_transfer_no_loss_of_the_line_is_claimed() -> None:
    loaded = loaded_values(only_window(session_with(60, S // 10), 6 * S), PARAMETERS)
    assert (loaded.sent, loaded.loss_ratio) == (60, 1.0)
    assert loaded_columns(loaded, None) == {"loaded_download": loaded, "loaded_upload": None}


def test_packets_after_the_last_counted_byte_are_forgotten() -> None:
    session = session_with(3)
    answer(session, 0, MS)
    answer(session, 1, MS)
    session.end_window(S + MS)
    before = session.window.outstanding
    session.window.drop_after(S + MS)
    assert (before, session.window.outstanding) == (True, False)
    assert list(session.window.packets) == [0, 1]


def test_59_packets_are_enough_for_p95_and_300_for_p99() -> None:
    session = session_with(300)
    for seq in range(300):
        answer(session, seq, (seq + 1) * MS)
    values = summed(session, 300 * S)
    # ranks 285 and 297 of 1..300
    assert (values.rtt_p95_ms, values.rtt_p99_ms) == (285.0, 297.0)
    assert (values.pdv_name, values.pdv_ms) == ("p95 - min", 284.0)
    assert values.loss_ratio_upper95 == 0.01


def test_the_reflector_s_own_time_is_taken_off() -> None:
    session = session_with(1)
    session.received(0, 30 * MS, TOKEN, residence_ns=12 * MS)
    assert summed(session).rtt_min_ms == 18.0


def test_the_kernel_s_word_on_departure_counts_and_only_the_first() -> None:
    session = session_with(1)
    session.departed(0, 5 * MS)
    session.departed(0, 9 * MS)  # the outer packet of a tunnel
    session.received(0, 30 * MS, TOKEN)
    assert summed(session).rtt_min_ms == 25.0


def test_a_late_packet_is_lost_and_counted_as_late() -> None:
    session = session_with(3)
    answer(session, 0, TMAX)
    answer(session, 1, TMAX + 1)
    values = summed(session)
    assert (values.received, values.lost, values.late) == (1, 2, 1)
    assert values.rtt_max_ms == 3000.0


def test_tmax_counts_the_time_away_with_the_reflector_s_in_it() -> None:
    session = session_with(1)
    session.received(0, TMAX + 1, TOKEN, residence_ns=S)
    assert summed(session).late == 1


def test_the_first_copy_wins() -> None:
    session = session_with(2)
    answer(session, 0, 10 * MS)
    answer(session, 0, 11 * MS)
    answer(session, 0, 12 * MS)
    answer(session, 1, TMAX + 1)
    answer(session, 1, TMAX + 2)
    values = summed(session)
    assert (values.received, values.duplicates, values.late) == (1, 3, 1)
    assert values.rtt_max_ms == 10.0


def test_reordering_as_in_rfc_4737() -> None:
    session = session_with(6, gap_ns=MS)
    # Arriving as 0 1 4 2 3 5, with a copy of 2: 2 and 3 come after the later 4.
    for at, seq in enumerate((0, 1, 4, 2, 2, 3, 5)):
        session.received(seq, (10 + at) * MS, TOKEN)
    values = summed(session)
    assert (values.reordered, values.duplicates, values.received) == (2, 1, 6)


def test_a_late_packet_is_not_reordered() -> None:
    session = session_with(2)
    answer(session, 1, 10 * MS)
    answer(session, 0, TMAX + 1)
    assert summed(session).reordered == 0


def test_forged_and_malformed_have_places_of_their_own() -> None:
    session = session_with(2)
    session.received(0, 10 * MS, TOKEN + 1)  # not made from what we sent
    session.received(2, 10 * MS, TOKEN)  # never sent
    session.forged()  # from another address
    session.malformed()
    values = summed(session)
    assert (values.forged, values.malformed) == (3, 1)
    assert (values.received, values.lost, values.duplicates) == (0, 2, 0)


def test_a_forged_answer_does_not_take_the_true_one_s_place() -> None:
    session = session_with(1)
    session.received(0, 1 * MS, TOKEN + 1)
    answer(session, 0, 10 * MS)
    values = summed(session)
    assert (values.received, values.forged, values.rtt_min_ms) == (1, 1, 10.0)


def test_packets_belong_to_the_window_in_which_they_were_sent() -> None:
    session = session_with(2)
    session.next_window(2 * S)
    session.sent(2, 2 * S + MS, TOKEN)
    answer(session, 1, 1500 * MS)  # in time, after the window's end
    assert list(session.closed(2 * S + TMAX - 1)) == []
    (first,) = session.closed(2 * S + TMAX)
    assert list(first.packets) == [0, 1]
    assert window_values(first, PARAMETERS).received == 1
    session.received(0, 2 * S + TMAX + 1, TOKEN)  # too late to be told
    second = only_window(session)
    assert list(second.packets) == [2]
    assert (second.forged, second.duplicates) == (0, 0)


def test_reordering_is_seen_across_windows() -> None:
    session = session_with(1)
    session.next_window(S)
    session.sent(1, S, TOKEN)
    session.received(1, S + 10 * MS, TOKEN)
    session.received(0, S + 20 * MS, TOKEN)
    (first,) = session.closed(S + TMAX)
    assert first.reordered == 1


def test_a_window_cut_short_keeps_only_what_is_decided() -> None:
    session = session_with(6)  # sent at 0, 1, 2, 3, 4 and 5 s
    for seq in (0, 2, 4, 5):
        answer(session, seq, 10 * MS)
    session.cut(5 * S + 500 * MS)  # decided: what was sent until 2.5 s
    (window,) = session.closed(5 * S + 500 * MS)
    values = window_values(window, PARAMETERS)
    assert (values.sent, values.received, window.duration_ns) == (3, 2, 2500 * MS)
    assert validity(window) == [Validity.SHORT]


def test_a_cut_leaves_a_finished_window_whole() -> None:
    session = session_with(2)
    session.next_window(2 * S)
    session.cut(2 * S + TMAX)
    first, *_ = session.closed(2 * S + TMAX)
    assert (len(first.packets), validity(first)) == (2, [])


def test_no_delay_is_taken_across_a_clock_step() -> None:
    session = session_with(3)
    answer(session, 0, 10 * MS)
    session.clock_stepped()
    session.received(1, 9_000 * S, TOKEN)  # the stamps differ by hours
    session.sent(3, 3 * S, TOKEN)
    answer(session, 3, 12 * MS)
    window = only_window(session)
    values = window_values(window, PARAMETERS)
    assert validity(window) == [Validity.CLOCK_STEPPED]
    assert (values.sent, values.received, values.lost, values.late) == (4, 3, 1, 0)
    assert (values.rtt_samples, values.rtt_max_ms) == (2, 12.0)
    assert values.ipdv_abs_mean_ms is None


@pytest.mark.parametrize("residence_ns", [-1, 30 * MS + 1])
def test_a_reflector_whose_clock_stepped_gives_no_delay(residence_ns: int) -> None:
    session = session_with(1)
    session.received(0, 30 * MS, TOKEN, residence_ns)
    window = only_window(session)
    values = window_values(window, PARAMETERS)
    assert (values.received, values.rtt_samples, values.rtt_min_ms) == (1, 0, None)
    assert validity(window) == [Validity.CLOCK_STEPPED]


def test_packets_are_numbered_without_a_gap() -> None:
    session = session_with(2)
    with pytest.raises(ValueError, match="packet 3 is sent after packet 1"):
        session.sent(3, 2 * S, TOKEN)


def test_silence() -> None:
    session = session_with(0)
    assert not session.window.silent
    session.sent(0, 0, TOKEN)
    assert (session.window.silent, session.answered) == (True, False)
    answer(session, 0, TMAX + 1)
    assert (session.window.silent, session.answered) == (False, True)


@pytest.mark.parametrize(
    ("by_kernel", "source"),
    [
        ([(True, True), (True, True)], "kernel"),
        ([(False, True)], "kernel receive"),
        ([(True, False)], "kernel send"),
        ([(False, False)], "process"),
        ([(True, True), (False, True)], "mixed"),
        ([], "none"),
    ],
)
def test_whose_clock_it_was_is_stated(by_kernel: list[tuple[bool, bool]], source: str) -> None:
    session = session_with(len(by_kernel) + 1)
    for seq, (sent, received) in enumerate(by_kernel):
        if sent:
            session.departed(seq, seq * S)
        session.received(seq, seq * S + MS, TOKEN, by_kernel=received)
    assert summed(session).timestamp_source == source


UNREACHABLE = Failure(Reason.UNREACHABLE, "192.0.2.1 cannot be reached.")


def test_an_answer_in_time_makes_a_window_ok() -> None:
    session = session_with(2)
    answer(session, 0, MS)
    values = summed(session)
    assert window_status(values, None) == (Outcome.OK, None, None)
    assert window_status(values, UNREACHABLE) == (Outcome.OK, None, UNREACHABLE.sentence)


def test_a_window_without_an_answer_says_why() -> None:
    silent = summed(session_with(2))
    assert window_status(silent, None)[:2] == (Outcome.FAILED, Reason.NO_REPLY)
    assert window_status(silent, None).detail == "192.0.2.1 answered none of 2 packets."
    assert window_status(silent, UNREACHABLE) == (Outcome.FAILED, *UNREACHABLE)

    session = session_with(1)
    answer(session, 0, TMAX + 1)
    outcome, reason, detail = window_status(summed(session), None)
    assert (outcome, reason) == (Outcome.FAILED, Reason.TIMEOUT)
    assert detail == "192.0.2.1 answered 1 of 1 packet, all later than 3 s."

    session = session_with(1)
    session.malformed()
    assert window_status(summed(session), None).reason is Reason.PROTOCOL_ERROR


@given(st.data())
def test_whatever_comes_the_counts_add_up(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 20))
    session = session_with(count)
    arrivals = data.draw(
        st.lists(
            st.tuples(
                st.integers(0, count + 1), st.integers(0, 40 * S), st.sampled_from([TOKEN, 5]),
                st.integers(-1, S),
            ),
            max_size=40,
        )
    )  # fmt: skip
    for seq, at_ns, token, residence_ns in arrivals:
        session.received(seq, at_ns, token, residence_ns)
    values = summed(session)
    assert values.sent == count == values.received + values.lost
    assert values.late <= values.lost
    assert values.rtt_samples is not None
    assert values.rtt_samples <= values.received
    assert values.reordered <= values.received
    assert values.received + values.late + values.duplicates + values.forged == len(arrivals), (
        "each arrival is counted once"
    )
    if values.rtt_min_ms is not None:
        assert values.rtt_min_ms >= 0
        assert values.rtt_max_ms is not None
        assert values.rtt_max_ms <= 3000.0


def test_gaps_are_exponential() -> None:
    assert poisson_gap_ns(0.0, 1.5) == 0
    # The median of an exponential distribution is its mean times ln 2.
    assert poisson_gap_ns(0.5, 1.5) == round(1.5 * math.log(2) * S)
    generator = random.Random(862)
    gaps_s = [poisson_gap_ns(generator.random(), 1.5) / S for _ in range(20_000)]
    mean_s = sum(gaps_s) / len(gaps_s)
    variance = sum((gap - mean_s) ** 2 for gap in gaps_s) / len(gaps_s)
    # Mean and standard deviation of an exponential distribution are equal.
    assert mean_s == pytest.approx(1.5, rel=0.03)
    assert math.sqrt(variance) == pytest.approx(1.5, rel=0.05)


def reading(monotonic_ns: int, wall_ns: int, width_ns: int = 100) -> ClockReading:
    return ClockReading(monotonic_ns, wall_ns + width_ns // 2, monotonic_ns + width_ns)


def test_wall_clock_stamps_are_put_on_the_monotonic_line() -> None:
    line = ClockOffset(reading(1_000, 5_000_000))
    assert line.monotonic_ns(5_000_500) == 1_500


def test_a_step_is_noticed_once_and_moves_the_line() -> None:
    line = ClockOffset(reading(0, 7 * S))
    assert not line.stepped(reading(S, 8 * S))
    assert line.stepped(reading(2 * S, 9 * S + MS))
    assert not line.stepped(reading(3 * S, 10 * S + MS))
    assert line.monotonic_ns(10 * S + MS) == 3 * S


def test_a_step_backwards_is_noticed() -> None:
    line = ClockOffset(reading(0, 7 * S))
    assert line.stepped(reading(S, 7 * S))


def test_what_a_pause_between_the_readings_explains_is_no_step() -> None:
    line = ClockOffset(reading(0, 7 * S))
    away = ClockReading(S, 8 * S, S + MS)  # away for 1 ms, after the wall clock was read
    assert not line.stepped(away)
    # and the line has not moved by that half millisecond
    assert line.monotonic_ns(9 * S) == 2 * S
    assert line.stepped(reading(2 * S, 9 * S + STEP_NS + 200))


def test_the_checksum_of_rfc_1071() -> None:
    # The example of its section 3: the sum is ddf2, the checksum its complement.
    assert icmp_echo.checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0xFFFF - 0xDDF2


def test_an_echo_request_by_hand() -> None:
    packet = icmp_echo.encode_request(Echo(seq=0x1_0002, nonce=3), 0x1234, ipv6=False)
    assert len(packet) == 64
    assert packet[:2] == bytes([8, 0])
    assert packet[4:8] == bytes.fromhex("12340002")  # identifier; the number's lower 16 bits
    assert packet[8:24] == bytes.fromhex("0000000000000003 0000000000010002")
    assert icmp_echo.checksum(packet) == 0
    assert icmp_echo.encode_request(Echo(1, 3), 5, ipv6=True)[:8] == bytes.fromhex(
        "80 00 0000 0005 0001"
    )


def test_only_a_reply_to_us_is_taken() -> None:
    request = icmp_echo.encode_request(Echo(1, 3), 5, ipv6=True)
    reply = bytes([129]) + request[1:]
    assert icmp_echo.decode_reply(reply, 5, ipv6=True) == Echo(1, 3)
    assert icmp_echo.decode_reply(reply, None, ipv6=True) == Echo(1, 3)
    assert icmp_echo.decode_reply(reply, 6, ipv6=True) is EchoDiscard.FOREIGN
    assert icmp_echo.decode_reply(request, 5, ipv6=True) is EchoDiscard.FOREIGN
    assert icmp_echo.decode_reply(reply[:-1], 5, ipv6=True) is EchoDiscard.MALFORMED
    assert icmp_echo.decode_reply(reply[:-1] + b"\xff", 5, ipv6=True) is EchoDiscard.MALFORMED
    assert icmp_echo.decode_reply(reply[:7], 5, ipv6=True) is EchoDiscard.MALFORMED
