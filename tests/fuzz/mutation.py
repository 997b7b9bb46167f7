"""Floor 1. Broken inputs from sound ones: bytes changed, and JSON changed where its grammar holds.

Blind bytes die at the first brace. So half of the time a sound document is taken apart, one value
in it is replaced by a hostile one (a number that no type holds, a name with a line break, a date
that no zone has, a list where an object was), and it is put together again.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import msgspec

_NUMBERS = [0, -1, 1, 2**31, 2**53, 2**63 - 1, 2**63, 2**64, -(2**63), 10**30, 0.0, -0.0, 1e-320]
_NUMBERS += [1e300, -1e300, 1.5, 0.1 + 0.2]
_TEXTS = ["", "a", "A", "a\n", "vnpt", "\x00", "\ud7ff", "\uffff", "😀" * 200, "a" * 501, "../x"]
_TEXTS += ["2026-07-25T05:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"]
_TEXTS += ["2026-07-25T05:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-02-30T00:00:00Z"]
_TEXTS += ["latency", "throughput", "results_dropped", "ok", "failed", "timeout", "tramdo/1"]
_TEXTS += ["6f1c1b1e-8f0e-4a57-9d0c-0d3b6f2f7a01", "01969", "1", "true", "null", "NaN"]
_OTHERS: list[Any] = [None, True, False, [], {}, [[]], [None], {"": None}, {"a": {"a": {}}}]
# What JSON readers stumble over, put into the text itself.
_LITERALS = [b"NaN", b"Infinity", b"1e999", b"-1e999", b"1e-999", b"0x1", b"01", b"'a'", b"\xff"]
_LITERALS += [b'"\\ud800"', b'"\\u0000"', b"[" * 200, b"1" * 400, b'{"a":1,"a":2}', b"//", b"\x00"]


def mutated(good: bytes, others: Sequence[bytes], draw: random.Random) -> bytes:
    """A broken form of a sound input; seldom it stays sound."""
    way = draw.random()
    if way < 0.55:
        return _by_grammar(good, draw)
    if way < 0.9:
        return _by_bytes(good, draw)
    other = draw.choice(others)
    cut, other_cut = draw.randrange(len(good) + 1), draw.randrange(len(other) + 1)
    return good[:cut] + other[other_cut:]


def _by_bytes(good: bytes, draw: random.Random) -> bytes:
    broken = bytearray(good)
    for _ in range(1 + int(draw.expovariate(0.7))):
        at = draw.randrange(len(broken) + 1)
        match draw.randrange(5):
            case 0:
                broken[at : at + 1] = bytes([draw.randrange(256)])
            case 1:
                del broken[at : at + draw.randrange(1, 30)]
            case 2:
                broken[at:at] = draw.choice(_LITERALS)
            case 3:
                broken[at:at] = broken[at : at + draw.randrange(1, 60)]
            case _:
                if broken:
                    broken[at % len(broken)] ^= 1 << draw.randrange(8)
    return bytes(broken)


def _by_grammar(good: bytes, draw: random.Random) -> bytes:
    try:
        document = msgspec.json.decode(good)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _by_bytes(good, draw)
    for _ in range(1 + int(draw.expovariate(1.2))):
        document = _changed(document, draw)
    try:
        encoded = msgspec.json.encode(document)
    except RecursionError:
        return _by_bytes(good, draw)
    if draw.random() < 0.1:
        at = encoded.find(b":", draw.randrange(len(encoded) + 1)) + 1
        return encoded[:at] + draw.choice(_LITERALS) + encoded[at:]
    return encoded


def _changed(document: Any, draw: random.Random) -> Any:
    """The document with one place of it changed; objects are changed in place."""
    parent: Any = None
    key: Any = None
    place = document
    while isinstance(place, dict | list) and place and draw.random() < 0.9:
        parent = place
        key = draw.choice(list(place)) if isinstance(place, dict) else draw.randrange(len(place))
        place = place[key]
    if parent is None:
        return document if draw.random() < 0.9 else _hostile(draw)
    match draw.randrange(6):
        case 0:
            del parent[key]
        case 1 if isinstance(parent, dict):
            parent[draw.choice([*_TEXTS, *parent])] = _hostile(draw)
        case 1 | 2 if isinstance(parent, list):
            parent.extend([place] * draw.choice([1, 2, 50]))
        case _:
            parent[key] = _near(place, draw)
    return document


def _near(value: Any, draw: random.Random) -> Any:
    """A value of the same type where that is more telling than another one."""
    if isinstance(value, bool) or value is None or draw.random() < 0.4:
        return _hostile(draw)
    if isinstance(value, int | float):
        return draw.choice([*_NUMBERS, -value, value + 1, value - 1])
    if isinstance(value, str):
        return draw.choice([*_TEXTS, value + "\n", value.upper(), value * 2, value[:-1]])
    return _hostile(draw)


def _hostile(draw: random.Random) -> Any:
    return draw.choice([*_NUMBERS, *_TEXTS, *_OTHERS])
