"""Floor 1. Decodes JSON bytes and plain values to types, with msgspec's errors for any bytes.

msgspec lets a UnicodeDecodeError and a RecursionError through; whoever catches its DecodeError
alone would fall over a single broken byte from the network.

And msgspec (0.22) reads what a Struct consists of when it first decodes one, and has another thread
that decodes one meanwhile use the half of it: the program ends by a segmentation fault. So every
type is read under one lock, here, and nobody decodes to a Struct by msgspec itself
(`tests/unit/test_decoding.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any, TypeVar, overload

import msgspec

T = TypeVar("T")

_LOCK = Lock()
_READERS: dict[Any, Callable[[bytes | str | msgspec.Raw], Any]] = {}


def reader_of(expected: Any) -> Callable[[bytes | str | msgspec.Raw], Any]:  # noqa: ANN401 - any type
    """A decoder of one type, cached; for repeated use.

    Without the cache msgspec would analyse all types of a union at each call, at three times the
    cost.
    """
    reader = _READERS.get(expected)
    if reader is None:
        with _LOCK:
            decoder = msgspec.json.Decoder(expected)
        reader = _READERS[expected] = _reader(decoder.decode)
    return reader


def _reader(
    decode: Callable[[bytes | str | msgspec.Raw], Any],
) -> Callable[[bytes | str | msgspec.Raw], Any]:
    def read(payload: bytes | str | msgspec.Raw) -> Any:  # noqa: ANN401 - any type
        try:
            return decode(payload)
        except UnicodeDecodeError as error:
            raise msgspec.DecodeError(f"not UTF-8: {error.reason}") from error
        except RecursionError as error:
            raise msgspec.DecodeError("nested too deep") from error

    return read


@overload
def decode_json(payload: bytes | str | msgspec.Raw, expected: type[T]) -> T: ...
@overload
def decode_json(payload: bytes | str | msgspec.Raw, expected: Any) -> Any: ...  # noqa: ANN401 - a union
def decode_json(payload: bytes | str | msgspec.Raw, expected: Any) -> Any:
    """Decode JSON bytes to a value of type `expected`.

    Raises:
        msgspec.ValidationError: JSON, but not of that type; the text names the place.
        msgspec.DecodeError: not JSON, not UTF-8, or nested too deep.
    """
    return reader_of(expected)(payload)


@overload
def converted(value: object, expected: type[T], *, strict: bool = True) -> T: ...
@overload
def converted(value: object, expected: Any, *, strict: bool = True) -> Any: ...  # noqa: ANN401 - as above
def converted(value: object, expected: Any, *, strict: bool = True) -> Any:
    """Convert a value of plain types (a TOML table, a row) to `expected`; `strict` as in msgspec.

    Raises:
        msgspec.ValidationError: it is not of that type; the text names the place.
    """
    reader_of(expected)
    return msgspec.convert(value, expected, strict=strict)
