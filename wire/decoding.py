"""Floor 1. JSON bytes to a type of the contract, with one family of errors for every bad byte.

msgspec lets a UnicodeDecodeError and a RecursionError through; whoever catches its DecodeError
alone would fall over a single broken byte from the network.
"""

from __future__ import annotations

from typing import Any

import msgspec


def decode_json(payload: bytes, expected: Any) -> Any:  # noqa: ANN401 - the caller names the type
    """The value that the bytes spell, checked against `expected`.

    Raises:
        msgspec.ValidationError: JSON, but not of that type; the text names the place.
        msgspec.DecodeError: not JSON, not UTF-8, or nested too deep.
    """
    try:
        return msgspec.json.decode(payload, type=expected)
    except UnicodeDecodeError as error:
        raise msgspec.DecodeError(f"not UTF-8: {error.reason}") from error
    except RecursionError as error:
        raise msgspec.DecodeError("nested too deep") from error
