"""Floor 1. Which faults strike, in which order, after which pause: a function of the seed alone.

The faults of all seeds are dealt from one deck, so that a run of many seeds meets each of them
equally often, in another company every time. It must not know what a fault does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

# Short, so that a fault often strikes before the one before it has healed.
_LONGEST_PAUSE_S = 0.6


class Planned(NamedTuple):
    """One fault: its name, the pause before it, and a number in 0..1 for what varies within it."""

    fault: str
    pause_s: float
    uniform: float


def schedule(deck: Sequence[str], seed: int, faults: int) -> list[Planned]:
    """The faults of one seed (0, 1, 2 …).

    Args:
        deck: the names of all faults that can be had here.
        seed: which part of the deck, and the order within it.
        faults: how many.
    """
    shuffled = sorted(deck, key=lambda name: _uniform("deck", name))
    dealt = [shuffled[(seed * faults + place) % len(shuffled)] for place in range(faults)]
    # Numbered, because one seed may get a fault twice.
    order = sorted(range(faults), key=lambda place: _uniform(seed, "order", place))
    return [
        Planned(
            dealt[place],
            _uniform(seed, "pause", place) * _LONGEST_PAUSE_S,
            _uniform(seed, "within", place),
        )
        for place in order
    ]


def _uniform(*of: object) -> float:
    """A number in 0..1 that looks random and is the same on every machine and version."""
    digest = hashlib.sha256(repr(of).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
