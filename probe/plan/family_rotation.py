"""Floor 1. Whose turn it is: the address family of each bulk test, IPv4 and IPv6 by halves.

Two results a slot would double the bytes of bulk tests, so the slots alternate (decision 77). By a
bare alternation with ten tests a day, each hour would always get the same family, and with two
servers each server too. So each test gets the family that has had fewer tests like it so far, by
part of the day, kind and server together: minimisation, as trials assign treatments (Pocock and
Simon, Biometrics 31, 1975). Ties are decided by a hash.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable

from probe.config import LineConfig
from probe.plan import spread
from wire.record import Family


def planned_families(line: LineConfig) -> tuple[Family, ...]:
    """The families that a line may have by its configuration; both where it says nothing.

    Those that it has (`probe.measure.families`) are known only when a slot is due.
    """
    if line.source_address is not None:
        return (Family.of(line.source_address),)
    return tuple(Family if line.families is None else sorted(line.families))


class FamilyRotation:
    """Assigns families to a sequence of tests.

    Args:
        families: those to assign.
        name: makes the ties of different lines and months differ.
    """

    def __init__(self, families: tuple[Family, ...], name: str) -> None:
        self._families = families
        self._name = name
        self._counts: Counter[tuple[Hashable, Family]] = Counter()
        self._number = 0

    def next(self, features: Iterable[Hashable]) -> Family:
        """The family of the next test, which has these features."""
        features = tuple(features)
        self._number += 1

        def load(family: Family) -> tuple[int, int]:
            tie = spread.hashed(f"{self._name}/{self._number}/{family}")
            return sum(self._counts[feature, family] for feature in features), tie

        chosen = min(self._families, key=load)
        self._counts.update((feature, chosen) for feature in features)
        return chosen
