"""Floor 1. Even spreading by hashes: counts over parts, kinds over a sequence, names in time.

Integer arithmetic, so that sums are exact to the last test. Positions come from a hash, so that a
fleet is spread and the same name always gets the same position.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

_BITS = 56


def hashed(name: str) -> int:
    """A hash of a name, 0 <= n < 2**56, the same on every machine."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[: _BITS // 8])


def fraction(name: str) -> float:
    """A hash of a name as a fraction, 0 <= f < 1."""
    return hashed(name) / float(2**_BITS)


def cumulative(part: int, parts: int, count: int, phase: int) -> int:
    """How many of `count` items, spread evenly over `parts`, come before a part.

    The n-th comes where `count * part / parts + phase` passes a whole number, so any parts in a row
    hold as many as they must, less at most a fraction: seven parts at a rate of r a part hold at
    least floor(7 r). It stays true across two sequences of the same phase, one after the other.

    Args:
        part: 0 (none before it) to `parts` (all of them).
        parts: the number of parts.
        count: the number of items.
        phase: from `hashed`.
    """
    return ((count * part << _BITS) // parts + phase) >> _BITS


def apportioned(count: int, shares: Mapping[str, float]) -> dict[str, int]:
    """Divide `count` in proportion to shares into whole numbers, by largest remainder."""
    total = sum(shares.values())
    if total == 0:
        return dict.fromkeys(shares, 0)
    exact = {name: count * share / total for name, share in shares.items()}
    parts = {name: int(part) for name, part in exact.items()}
    owed = sorted(exact, key=lambda name: (parts[name] - exact[name], name))
    for name in owed[: count - sum(parts.values())]:
        parts[name] += 1
    return parts


def interleaved(counts: Mapping[str, int], name: str) -> list[str]:
    """Each key as often as its count, evenly interleaved; `name` decides which comes first."""
    places = [
        ((index + fraction(f"{name}/{key}")) / count, key)
        for key, count in counts.items()
        for index in range(count)
    ]
    return [key for _, key in sorted(places)]
