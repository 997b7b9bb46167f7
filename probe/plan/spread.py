"""Floor 1. Even spreading: counts over parts, kinds over a sequence, names over an interval.

Everything is exact (integers), so that promises about sums hold to the last test, and comes from a
hash, so that a fleet spreads and the same name always draws the same. Knows nothing of lines.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

_BITS = 56


def hashed(name: str) -> int:
    """0 <= n < 2**56 from a name, the same on every machine."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[: _BITS // 8])


def fraction(name: str) -> float:
    """0 <= f < 1 from a name."""
    return hashed(name) / float(2**_BITS)


def cumulative(part: int, parts: int, count: int, phase: int) -> int:
    """How many of `count` things, spread evenly over `parts`, come before a part.

    The n-th comes where `count * part / parts + phase` passes a whole number, so any parts in a row
    hold as many as they must, less at most a fraction: seven parts at a rate of r a part hold at
    least floor(7 r). It stays true across two sequences of the same phase, one after the other.

    Args:
        part: 0 (none before it) to `parts` (all of them).
        parts: how many parts there are.
        count: how many things.
        phase: from `hashed`.
    """
    return ((count * part << _BITS) // parts + phase) >> _BITS


def apportioned(count: int, shares: Mapping[str, float]) -> dict[str, int]:
    """`count` divided in proportion to shares, to whole numbers, by largest remainder."""
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
    """Each key as often as its count says, evenly mixed; `name` decides who begins."""
    places = [
        ((index + fraction(f"{name}/{key}")) / count, key)
        for key, count in counts.items()
        for index in range(count)
    ]
    return [key for _, key in sorted(places)]
