"""Compressed envelopes: what they weigh, how they differ from JSON, when they are sent."""

from __future__ import annotations

import zlib
from datetime import UTC, datetime

import pytest

from collector.ingest.validation import decompressed_bytes, validate
from collector.store.messages import RejectedMessage, ResultsMessage
from probe.deliver.encoding import NegotiatedEncoding
from tests import samples
from wire import compression, topics
from wire.compression import CODING, CompressionError, DecompressedTooLargeError
from wire.dictionary import RESULTS
from wire.envelope import MAX_ENVELOPE_BYTES
from wire.messages import Rejection
from wire.result import encode_result

NOW = datetime(2026, 7, 25, 5, 2, tzinfo=UTC)
TOPIC = topics.measurement(samples.TENANT, samples.PROBE, "latency")
ENVELOPE = samples.envelope([(4, samples.latency()), (5, samples.latency(rtt_ms=80.0))])


def test_what_was_compressed_comes_back_byte_for_byte() -> None:
    packed = compression.compress(ENVELOPE)
    assert len(packed) < len(ENVELOPE) / 3
    assert compression.decompress(packed, len(ENVELOPE)) == ENVELOPE


def test_a_stream_is_any_other_programs_zlib_with_the_published_dictionary() -> None:
    packed = compression.compress(ENVELOPE)
    reader = zlib.decompressobj(zdict=RESULTS)
    assert reader.decompress(packed) == ENVELOPE
    assert packed[2:6] == zlib.adler32(RESULTS).to_bytes(4, "big"), "its header names it"
    assert compression.decompress(zlib.compress(ENVELOPE), len(ENVELOPE)) == ENVELOPE


def test_no_byte_of_the_dictionary_may_change() -> None:
    assert CODING == "deflate;dictionary=8fdb1d85"


@pytest.mark.parametrize("text", [b"{}", b" {}", b"\n[]", b'"x"', b"1", b"-1", b"true", b""])
def test_no_json_text_is_taken_for_a_stream(text: bytes) -> None:
    assert not compression.is_compressed(text)
    assert compression.is_compressed(compression.compress(text))


def test_no_more_than_the_limit_is_decompressed() -> None:
    stream = compression.compress(b" " * 1_000_000)
    assert len(stream) < 5_000
    assert len(compression.decompress(stream, 1_000_000)) == 1_000_000
    with pytest.raises(DecompressedTooLargeError, match="hold more than 999999"):
        compression.decompress(stream, 999_999)


@pytest.mark.parametrize(
    ("stream", "why"),
    [
        (compression.compress(ENVELOPE)[:-1], "no end"),
        (compression.compress(ENVELOPE)[:40], "no end"),
        (compression.compress(ENVELOPE) + b"!", "follow"),
        (compression.compress(ENVELOPE)[:-4] + b"\0\0\0\0", "incorrect data check"),
        (b"x", "no end"),
        (b"x9z", "dictionary 7a is not known"),
        (b"x!!", "dictionary 21 is not known"),
        (zlib.compressobj(zdict=b"another").flush(), "dictionary 0bb102f2 is not known"),
    ],
)
def test_a_damaged_stream_is_refused(stream: bytes, why: str) -> None:
    with pytest.raises(CompressionError, match=why):
        compression.decompress(stream, MAX_ENVELOPE_BYTES)


def test_every_cut_and_flipped_byte_is_refused_or_changes_nothing() -> None:
    stream = compression.compress(ENVELOPE)
    for place in range(len(stream)):
        for broken in (stream[:place], _flipped(stream, place)):
            try:
                assert compression.decompress(broken, MAX_ENVELOPE_BYTES) == ENVELOPE
            except CompressionError:
                continue


def _flipped(stream: bytes, place: int) -> bytes:
    return stream[:place] + bytes([stream[place] ^ 0x10]) + stream[place + 1 :]


def test_the_centre_stores_the_bodies_of_a_compressed_envelope_as_they_were() -> None:
    checked = validate(TOPIC, compression.compress(ENVELOPE), NOW)
    assert isinstance(checked, ResultsMessage)
    assert checked == validate(TOPIC, ENVELOPE, NOW)
    bodies = [encode_result(samples.latency()), encode_result(samples.latency(rtt_ms=80.0))]
    assert [one.body for one in checked.records] == bodies
    assert decompressed_bytes(checked) == sum(map(len, bodies))


@pytest.mark.parametrize(
    ("payload", "reason", "detail"),
    [
        (compression.compress(ENVELOPE)[:-1], Rejection.NOT_ZLIB, "no whole zlib stream"),
        (
            compression.compress(b"{" + b" " * MAX_ENVELOPE_BYTES),
            Rejection.DECOMPRESSED_TOO_LARGE,
            f"hold more than {MAX_ENVELOPE_BYTES}",
        ),
        (compression.compress(b"no json"), Rejection.NOT_JSON, "malformed"),
        (compression.compress(b'{"schema":"tramdo/1"}'), Rejection.SCHEMA, "missing"),
    ],
)
def test_each_refusal_of_a_compressed_envelope_has_its_reason(
    payload: bytes, reason: Rejection, detail: str
) -> None:
    checked = validate(TOPIC, payload, NOW)
    assert isinstance(checked, RejectedMessage)
    assert checked.reason is reason
    assert detail in checked.detail
    assert decompressed_bytes(checked) > 0


def test_what_is_kept_of_a_refused_envelope_is_its_json() -> None:
    checked = validate(TOPIC, compression.compress(b'{"schema":"tramdo/1"}'), NOW)
    assert isinstance(checked, RejectedMessage)
    assert checked.payload == b'{"schema":"tramdo/1"}'


def test_only_results_come_compressed() -> None:
    topic = topics.of_probe(samples.TENANT, samples.PROBE, "state")
    checked = validate(topic, compression.compress(b'{"presence":"online"}'), NOW)
    assert isinstance(checked, RejectedMessage)
    assert checked.reason is Rejection.NOT_JSON


def test_an_announcement_is_a_list_of_codings() -> None:
    assert compression.announces(CODING)
    assert compression.announces(f"deflate;dictionary=00000000, {CODING}")
    for other in (None, "", "deflate", "gzip", "deflate;dictionary=00000000", CODING.upper()):
        assert not compression.announces(other)


def test_json_until_the_centre_announces_and_after_it_no_longer_does() -> None:
    encoding = NegotiatedEncoding()
    assert encoding.encode(ENVELOPE) == ENVELOPE
    encoding.on_receipt(CODING, retained=True)
    assert compression.decompress(encoding.encode(ENVELOPE), len(ENVELOPE)) == ENVELOPE
    encoding.on_receipt(None, retained=False)
    assert encoding.encode(ENVELOPE) == ENVELOPE


def test_a_receipt_of_an_earlier_time_does_not_end_the_doubt() -> None:
    encoding = NegotiatedEncoding()
    encoding.on_receipt(CODING, retained=False)
    encoding.on_overdue()
    assert not encoding.is_compressed
    encoding.on_receipt(CODING, retained=True)
    assert not encoding.is_compressed, "the centre that wrote it may be gone"
    encoding.on_receipt(CODING, retained=False)
    assert encoding.is_compressed
