"""Kind `dns`: real answers read, every query in its one place, and what a round comes to."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.config import DnsConfig
from probe.measure.dns import method
from probe.measure.dns.message import (
    BadNameError,
    DnsAnswer,
    DnsDiscard,
    DnsQuestion,
    decode_answer,
    encode_question,
)
from probe.measure.dns.method import PlannedQuery, QueryExchange, Resolver
from probe.measure.failure import Failure
from wire.result import DnsEnding, DnsValues, Outcome, Reason, ResolverRole

GOLDEN = Path(__file__).parents[1] / "golden" / "dns"
CONFIG = DnsConfig(names=["a.vn", "b.vn"], repeats=2, random_labels=1, timeout_s=3)
LINE = Resolver("192.168.1.1", ResolverRole.LINE)
NUMBER = 0x1234


def golden(name: str) -> bytes:
    return (GOLDEN / f"dnsmasq-2.90-{name}.packet").read_bytes()


def question(name: str, kind: str = "A") -> DnsQuestion:
    return DnsQuestion(name, kind, NUMBER)


# Messages


@pytest.mark.parametrize(
    ("name", "asked", "answer"),
    [
        ("ok", question("dichvucong.gov.vn"), DnsAnswer("NOERROR", False, 1, ("203.0.113.80",))),
        ("alias", question("cong.vn"), DnsAnswer("NOERROR", False, 2, ("203.0.113.80",))),
        ("ipv6", question("sau.vn", "AAAA"), DnsAnswer("NOERROR", False, 1, ("2001:db8::80",))),
        ("no-data", question("dichvucong.gov.vn", "AAAA"), DnsAnswer("NOERROR", False, 0, ())),
        ("not-found", question("khongco.vn"), DnsAnswer("NXDOMAIN", False, 0, ())),
        ("refused", question("example.com"), DnsAnswer("REFUSED", False, 0, ())),
        ("truncated", question("nhieu.vn"), DnsAnswer("NOERROR", True, 0, ())),
    ],
)
def test_real_answers_are_read(name: str, asked: DnsQuestion, answer: DnsAnswer) -> None:
    assert decode_answer(golden(name), asked) == answer


def test_a_real_answer_over_tcp_is_whole() -> None:
    answer = decode_answer(golden("whole-over-tcp"), question("nhieu.vn"))
    assert isinstance(answer, DnsAnswer)
    assert (answer.answers, len(answer.addresses), answer.truncated) == (120, 120, False)


@pytest.mark.parametrize(
    "asked",
    [
        DnsQuestion("dichvucong.gov.vn", "A", NUMBER + 1),
        DnsQuestion("dichvucong.gov.vn", "AAAA", NUMBER),
        DnsQuestion("dichvucong.gov.vn.x", "A", NUMBER),
    ],
    ids=["number", "type", "name"],
)
def test_an_answer_to_another_question_is_forged(asked: DnsQuestion) -> None:
    assert decode_answer(golden("ok"), asked) is DnsDiscard.FORGED


def test_our_own_question_is_no_answer() -> None:
    asked = question("dichvucong.gov.vn")
    assert decode_answer(encode_question(asked), asked) is DnsDiscard.FORGED


@pytest.mark.parametrize("length", [0, 1, 11, 20, 40, 61])
def test_a_cut_packet_is_malformed(length: int) -> None:
    stray = decode_answer(golden("ok")[:length], question("dichvucong.gov.vn"))
    assert stray in {DnsDiscard.MALFORMED, DnsDiscard.FORGED}


@given(st.binary(max_size=600))
def test_no_packet_breaks_the_parser(packet: bytes) -> None:
    found = decode_answer(packet, question("dichvucong.gov.vn"))
    assert isinstance(found, (DnsAnswer, DnsDiscard))


@given(st.sampled_from(sorted(GOLDEN.iterdir())), st.data())
def test_no_damage_breaks_the_parser(path: Path, data: st.DataObject) -> None:
    packet = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        packet[data.draw(st.integers(0, len(packet) - 1))] = data.draw(st.integers(0, 255))
    found = decode_answer(bytes(packet), question("dichvucong.gov.vn"))
    assert isinstance(found, (DnsAnswer, DnsDiscard))


@pytest.mark.parametrize("name", ["a..vn", f"{'a' * 64}.vn", ".".join(["a" * 60] * 5)])
def test_a_name_that_cannot_be_asked_is_told(name: str) -> None:
    with pytest.raises(BadNameError, match="cannot be asked"):
        encode_question(question(name))


# A round


def test_a_round_asks_each_name_and_the_random_labels_between() -> None:
    asked = method.round_of(CONFIG, ["x1"], ipv6=False)
    assert [(one.name, one.random_label) for one in asked] == [
        ("a.vn", False),
        ("b.vn", False),
        ("x1.vn", True),
        ("a.vn", False),
        ("b.vn", False),
    ]
    assert {one.record_type for one in method.round_of(CONFIG, ["x1"], ipv6=True)} == {"AAAA"}


def test_the_kernel_s_delay_holds_unless_the_clock_was_stepped() -> None:
    assert method.delay_ms(1_500_000, 2_000_000) == 1.5
    assert method.delay_ms(None, 2_000_000) == 2.0
    assert method.delay_ms(-5, 2_000_000) == 2.0
    assert method.delay_ms(9_000_000_000, 2_000_000) == 2.0


def answered(rcode: str, rtt_ms: float = 5.0) -> QueryExchange:
    return QueryExchange(answer=DnsAnswer(rcode, False, 1, ("192.0.2.1",)), rtt_ms=rtt_ms)


REFUSED_PORT = Failure(Reason.CONNECTION_REFUSED, "Nothing listens.")


@pytest.mark.parametrize(
    ("exchange", "random_label", "ending"),
    [
        (answered("NOERROR"), False, DnsEnding.ANSWERED),
        (answered("NXDOMAIN"), False, DnsEnding.NOT_FOUND),
        (answered("NXDOMAIN"), True, DnsEnding.ANSWERED),
        (answered("REFUSED"), True, DnsEnding.REFUSED),
        (answered("SERVFAIL"), False, DnsEnding.SERVER_FAILURE),
        (answered("FORMERR"), False, DnsEnding.SERVER_FAILURE),
        (QueryExchange(), False, DnsEnding.TIMEOUT),
        (QueryExchange(forged=3), False, DnsEnding.TIMEOUT),
        (QueryExchange(malformed=1), False, DnsEnding.MALFORMED),
        (QueryExchange(failure=REFUSED_PORT), False, DnsEnding.UNREACHABLE),
        (QueryExchange(failure=Failure(Reason.TIMEOUT, "TCP")), False, DnsEnding.TIMEOUT),
    ],
)
def test_a_query_ends_in_one_place(
    exchange: QueryExchange, random_label: bool, ending: DnsEnding
) -> None:
    assert method.dns_query(PlannedQuery("a.vn", "A", random_label), exchange).ending is ending


def of(*exchanges: QueryExchange, random_labels: int = 0) -> DnsValues:
    asked = [PlannedQuery(f"{n}.vn", "A", n < random_labels) for n in range(len(exchanges))]
    queries = [method.dns_query(*pair) for pair in zip(asked, exchanges, strict=True)]
    return method.values(LINE, CONFIG, queries, exchanges)


def test_the_counts_add_up_and_a_silence_counts_as_infinite() -> None:
    found = of(
        answered("NXDOMAIN", 40.0),
        answered("NOERROR", 4.0),
        answered("NOERROR", 6.0),
        QueryExchange(forged=2),
        answered("SERVFAIL"),
        QueryExchange(malformed=1),
        random_labels=1,
    )
    counts = (found.answered, found.timeouts, found.server_failures, found.malformed)
    assert counts == (3, 1, 1, 1)
    assert found.sent == sum(counts)
    assert found.failure_ratio == 0.5
    assert (found.rtt_min_ms, found.rtt_max_ms, found.forged) == (4.0, 6.0, 2)
    assert found.rtt_p50_ms is None, "two of five listed names were answered"
    assert found.uncached_p50_ms == 40.0


@pytest.mark.parametrize(
    ("exchanges", "reason"),
    [
        ([QueryExchange(), QueryExchange()], Reason.TIMEOUT),
        ([answered("NXDOMAIN")] * 2, Reason.NAME_NOT_FOUND),
        ([answered("REFUSED")] * 2, Reason.QUERY_REFUSED),
        ([answered("SERVFAIL")] * 2, Reason.SERVER_FAILURE),
        ([QueryExchange(malformed=1)] * 2, Reason.PROTOCOL_ERROR),
        ([QueryExchange(failure=REFUSED_PORT)] * 2, Reason.CONNECTION_REFUSED),
        ([QueryExchange(), QueryExchange(), answered("REFUSED")], Reason.TIMEOUT),
    ],
)
def test_a_round_without_an_answer_says_why(exchanges: list[QueryExchange], reason: Reason) -> None:
    failures = [one.failure for one in exchanges if one.failure is not None]
    outcome, said, detail = method.round_status(of(*exchanges), failures)
    assert (outcome, said) == (Outcome.FAILED, reason)
    assert detail


def test_one_listed_name_answered_is_ok_but_a_random_one_is_not_enough() -> None:
    assert method.round_status(of(answered("NOERROR"), QueryExchange()), []).outcome is Outcome.OK
    lying = of(answered("NXDOMAIN"), answered("NXDOMAIN"), random_labels=1)
    assert method.round_status(lying, []).reason is Reason.NAME_NOT_FOUND
