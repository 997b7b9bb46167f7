"""Floor 1. JSON bytes to a type of the contract, with one family of errors for every bad byte.

msgspec lets a UnicodeDecodeError and a RecursionError through; whoever catches its DecodeError
alone would fall over a single broken byte from the network.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec


@cache
def _decoder(expected: Any) -> msgspec.json.Decoder[Any]:  # noqa: ANN401 - types of every shape
    # For a union, msgspec reads all of its types anew at each call: that triples the cost.
    return msgspec.json.Decoder(expected)


def decode_json(payload: bytes | msgspec.Raw, expected: Any) -> Any:  # noqa: ANN401 - the caller names the type
    """The value that the bytes spell, checked against `expected`.

    Raises:
        msgspec.ValidationError: JSON, but not of that type; the text names the place.
        msgspec.DecodeError: not JSON, not UTF-8, or nested too deep.
    """
    try:
        return _decoder(expected).decode(payload)
    except UnicodeDecodeError as error:
        raise msgspec.DecodeError(f"not UTF-8: {error.reason}") from error
    except RecursionError as error:
        raise msgspec.DecodeError("nested too deep") from error
