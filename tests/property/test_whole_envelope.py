"""An envelope that is decoded at once gives what it gives record by record, or is left to that."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from probe.deliver.row_codec import records_text
from tests import samples
from wire.envelope import decode_frame, decode_whole, encode_envelope, encode_envelope_end
from wire.result import Method, Result, decode_result, encode_result
from wire.signature import CHAIN_START, SignatureBlock

RESULT = samples.latency()
BODY = encode_result(RESULT)
OTHER = encode_result(samples.latency(rtt_ms=80.0))
BLOCK = SignatureBlock(first=1, count=1, key="0" * 16, previous=CHAIN_START, signature="A" * 86)


def envelope(*bodies: bytes, signed: bool = False) -> bytes:
    return encode_envelope(
        samples.TENANT, samples.PROBE, samples.EPOCH, samples.SITE, samples.NOON,
        list(enumerate(bodies, start=1)), signatures=[BLOCK] if signed else [],
    )  # fmt: skip


def burst(*bodies: bytes, signed: bool = False) -> bytes:
    """As a burst is sent: it was packed before it was known when it is sent."""
    end = encode_envelope_end(
        samples.TENANT, samples.PROBE, samples.EPOCH, samples.SITE, samples.NOON,
        signatures=[BLOCK] if signed else [],
    )  # fmt: skip
    return records_text(bodies, 1) + end


def is_whole(payload: bytes) -> bool:
    """Whether it is decoded at once; then it is what it is record by record."""
    whole = decode_whole(payload)
    if whole is None:
        return False
    at_once, bodies = whole
    frame = decode_frame(payload)
    assert [record.seq for record in frame.records] == [record.seq for record in at_once.records]
    assert [bytes(record.result) for record in frame.records] == bodies
    assert [decode_result(body) for body in bodies] == [one.result for one in at_once.records]
    for name in ("tenant", "probe", "epoch", "site", "sent_at", "clock", "signatures"):
        assert getattr(at_once, name) == getattr(frame, name)
    return True


def with_settings(**settings: str | int) -> bytes:
    method = Method("a tool", None, dict(settings))
    return encode_result(structs.replace(RESULT, method=method))


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("results", [1, 2, 20])
@pytest.mark.parametrize("form", [envelope, burst])
def test_what_a_probe_sends_is_decoded_at_once(
    form: Callable[..., bytes], results: int, signed: bool
) -> None:
    assert is_whole(form(*([BODY, OTHER] * 10)[:results], signed=signed))


SOUND = envelope(BODY, OTHER)
SIGNED = envelope(BODY, OTHER, signed=True)
BURST = burst(BODY, OTHER)
SIGNED_BURST = burst(BODY, OTHER, signed=True)
SIGNATURES = SIGNED_BURST[SIGNED_BURST.index(b',"signatures"') : -1]
SECOND = b'},{"seq":2,"result":'
SECOND_LINE = b'},\n{"seq":2,"result":'


@pytest.mark.parametrize(
    "payload",
    [
        # A record with something twice: the last one counts, and the text has both.
        SOUND.replace(SECOND, b',"result":' + OTHER + SECOND),
        SOUND.replace(SECOND, b',"result" :' + OTHER + SECOND),
        SOUND.replace(SECOND, b',"res\\u0075lt":' + OTHER + SECOND),
        SOUND.replace(SECOND, b',"seq":1' + SECOND),
        SOUND.replace(b"}]}", b',"result":' + OTHER + b"}]}"),
        SOUND.replace(b'{"seq":1,', b'{"seq":7,"seq":1,'),
        SOUND.replace(b'"records":', b'"records":[{"seq":9,"result":' + BODY + b'}],"records":'),
        # White space, another order.
        SOUND.replace(SECOND, b" " + SECOND),
        SOUND.replace(SECOND, b'}, {"seq":2,"result":'),
        SOUND.replace(b"}]}", b" }]}"),
        SOUND.replace(b"}]}", b"}]} "),
        SOUND.replace(SECOND, b'},{"seq":2,"result": '),
        SOUND.replace(b'{"seq":2,"result":' + OTHER, b'{"result":' + OTHER + b',"seq":2'),
        SIGNED.replace(b'}],"signatures"', b'} ],"signatures"'),
        SIGNED.replace(b'}],"signatures":', b'}],"signatures" :[],"signatures":'),
        SIGNED.replace(b'}],"signatures":', b'} ],"signatures":[],"signatures":'),
        SIGNED.replace(b'}],"signatures"', b'}],"clock":null,"signatures"'),
        SOUND.replace(b"}]}", b'}],"clock":null}'),
        # The same of a burst.
        BURST.replace(SECOND_LINE, b',"result":' + OTHER + SECOND_LINE),
        BURST.replace(SECOND_LINE, b" " + SECOND_LINE),
        BURST.replace(SECOND_LINE, SECOND),
        BURST.replace(b'}],"schema"', b',"result":' + OTHER + b'}],"schema"'),
        BURST.replace(b'}],"schema"', b'}], "schema"'),
        BURST.replace(b'],"schema"', b'],"records":[{"seq":9,"result":' + BODY + b'}],"schema"'),
        BURST.replace(b'],"schema"', b'],"clock":null,"schema"'),
        BURST.replace(b'],"schema"', b"]" + SIGNATURES + b',"schema"'),
        SIGNED_BURST.replace(b'],"schema"', b"]" + SIGNATURES + b',"schema"'),
        SIGNED_BURST.replace(b'],"schema"', b'],"signatures":[],"schema"'),
        BURST.replace(b'{"records"', b' {"records"'),
        burst(with_settings(x='"result"'), OTHER),
        # The same words as a setting's name or as text.
        envelope(with_settings(result=1), OTHER),
        envelope(with_settings(seq=2, result="x"), OTHER),
        envelope(with_settings(x="result"), OTHER),
        envelope(with_settings(x='{"seq":2,"result":{'), OTHER),
        envelope(with_settings(x='"result"'), OTHER),
    ],
)  # fmt: skip
def test_another_form_is_read_record_by_record(payload: bytes) -> None:
    assert results_of(payload)  # it is sound
    assert not is_whole(payload)


@pytest.mark.parametrize(
    "payload",
    [
        envelope(with_settings(seq=2), OTHER),
        envelope(with_settings(signatures="x", records=1), OTHER),
        SOUND.replace(b'{"schema":"tramdo/1",', b'{ "schema" : "tramdo/1" ,'),
        burst(with_settings(schema="x", signatures=1), OTHER),
        BURST.replace(b'"schema":"tramdo/1",', b'"schema": "tramdo/1" ,'),
    ],
)
def test_what_is_no_beginning_of_a_result_does_no_harm(payload: bytes) -> None:
    assert is_whole(payload)


@given(st.data())
def test_any_change_of_the_text(data: st.DataObject) -> None:
    payload = bytearray(data.draw(st.sampled_from([SOUND, SIGNED, BURST, SIGNED_BURST])))
    pieces = st.sampled_from(
        [
            *(b" ", b"{", b"}", b"]", b"[", b",", b'"', b"\\", b'"seq":1,', b',"seq":2', SECOND),
            *(b'"result":', b',"result":{}', b',"result":' + BODY, b'],"signatures":[', b"\xff"),
            *(b'}],"schema":', SIGNATURES, b'],"records":['),
        ]
    )
    for _ in range(data.draw(st.integers(1, 3))):
        marks = [place for place, byte in enumerate(payload) if byte in b'{}[],:"']
        place = data.draw(st.sampled_from(marks))
        payload[place : place + data.draw(st.integers(0, 2))] = data.draw(pieces)
    is_whole(bytes(payload))


def results_of(payload: bytes) -> list[Result]:
    return [decode_result(record.result) for record in decode_frame(payload).records]


def test_the_starting_points_are_sound() -> None:
    for payload in (SOUND, SIGNED, BURST, SIGNED_BURST):
        assert results_of(payload) == [RESULT, decode_result(OTHER)]
