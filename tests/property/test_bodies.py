"""Bodies come back from a block byte for byte, whatever they hold."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.store.bodies import (
    BodyCompressor,
    DamagedBlockError,
    decompress,
    packaged_dictionary,
)
from collector.store.packs import Pack, PackWriter
from tests import samples
from wire.result import encode_result

BODY = st.one_of(
    st.binary(max_size=400),
    st.text(max_size=200).map(str.encode),
    st.sampled_from([b"", b'{"a":"\\u0000"}', encode_result(samples.latency())]),
)


@settings(deadline=None)
@given(st.lists(BODY, min_size=1, max_size=64))
def test_bodies_come_back_byte_for_byte(bodies: list[bytes]) -> None:
    frame = BodyCompressor().compress(bodies)
    assert decompress(packaged_dictionary(), frame, len(bodies)) == bodies


NUMBERS = st.lists(st.integers(0, 10**9 + 5), max_size=70)
LISTS = st.builds(
    lambda *parts: b",".join(str(part).replace(" ", "").encode() for part in parts),
    st.sampled_from(["[007,1,2,3,4,5,6,7,8]", "x", "[1,2,,3,4,5,6,7,8,9]", "[\x01]"]),
    NUMBERS,
    NUMBERS,
)


@settings(deadline=None)
@given(st.lists(st.one_of(BODY, LISTS), min_size=1, max_size=64))
def test_bodies_come_back_from_a_pack_byte_for_byte(bodies: list[bytes]) -> None:
    content = PackWriter().pack(bodies)
    pack = Pack(packaged_dictionary(), content, len(bodies))
    assert pack.all() == bodies
    for cut in (b"", content[:-1], content + b"\0", b"\x07" + content[1:]):
        with pytest.raises(DamagedBlockError):
            Pack(packaged_dictionary(), cut, len(bodies))


def test_another_dictionary_is_an_error_and_not_another_body() -> None:
    bodies = [encode_result(samples.latency())]
    frame = BodyCompressor().compress(bodies)
    other = bytes(reversed(packaged_dictionary()))
    with pytest.raises(DamagedBlockError):
        decompress(other, frame, 1)
