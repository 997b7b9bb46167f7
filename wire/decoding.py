"""Floor 1. JSON bytes to a type of the contract, with one family of errors for every bad byte.

msgspec lets a UnicodeDecodeError and a RecursionError through; whoever catches its DecodeError
alone would fall over a single broken byte from the network.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import msgspec


def reader_of(expected: Any) -> Callable[[bytes | msgspec.Raw], Any]:  # noqa: ANN401 - any type
    """What `decode_json` does for one type, for those who ask again and again.

    For a union, msgspec reads all of its types anew at each call: that triples the cost.
    """
    decode = msgspec.json.Decoder(expected).decode

    def read(payload: bytes | msgspec.Raw) -> Any:  # noqa: ANN401 - as above
        try:
            return decode(payload)
        except UnicodeDecodeError as error:
            raise msgspec.DecodeError(f"not UTF-8: {error.reason}") from error
        except RecursionError as error:
            raise msgspec.DecodeError("nested too deep") from error

    return read


_reader = cache(reader_of)


def decode_json(payload: bytes | msgspec.Raw, expected: Any) -> Any:  # noqa: ANN401 - the caller names the type
    """The value that the bytes spell, checked against `expected`.

    Raises:
        msgspec.ValidationError: JSON, but not of that type; the text names the place.
        msgspec.DecodeError: not JSON, not UTF-8, or nested too deep.
    """
    return _reader(expected)(payload)
