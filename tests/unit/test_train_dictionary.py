"""The packaged dictionary is what its program makes, so that it can be made anew."""

from __future__ import annotations

from pathlib import Path

from bench import train_dictionary
from collector.store.bodies import BodyCompressor, packaged_dictionary
from tests import samples
from wire.result import encode_result


def test_the_program_writes_the_packaged_dictionary(tmp_path: Path) -> None:
    path = tmp_path / "dictionary"
    assert train_dictionary.main([str(path)]) == 0
    assert path.read_bytes() == packaged_dictionary()


def test_a_body_takes_a_third_with_it() -> None:
    body = encode_result(samples.latency())
    assert len(BodyCompressor().compress([body])) < len(body) / 3
