"""Floor 1. The reckoning: what the probe has numbered, against what the centre's store holds.

It trusts neither end's word for it. What the probe has numbered was read from its outbox files
after each death; each result bears a token of the program that made it ("life/number"), so that a
result under two numbers, or a number with another result in it, shows as well.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Set
from typing import NamedTuple

from wire.result import ResultsDroppedValues


class Life(NamedTuple):
    """One process of the probe: how many results it had made, and whether it ended in order."""

    made: int
    ended_in_order: bool


class Stored(NamedTuple):
    """A row of the centre's store; `dropped` is what a `results_dropped` says."""

    epoch: str
    seq: int
    token: str | None
    dropped: ResultsDroppedValues | None = None


class Numbered(NamedTuple):
    """What the probe has numbered.

    `last_seq` by epoch: everything from 1 to it was given. `tokens` are those that were seen in
    the file under an (epoch, seq): one, unless a number was given twice.
    """

    last_seq: Mapping[str, int]
    tokens: Mapping[tuple[str, int], Set[str]]


class Verdict(NamedTuple):
    """How one seed ended; `findings` has a sentence for everything that should not be.

    `sent` results had a number. Each is `stored`, or `dropped_named`, or `lost`. `unnumbered` ones
    were in the memory of a process that was killed before it had written them.
    """

    sent: int
    stored: int
    doubled: int
    lost: int
    dropped_named: int
    unnumbered: int
    findings: tuple[str, ...]


def together(parts: Iterable[Numbered]) -> Numbered:
    """What several boxes have numbered; clones share what was numbered before the copy."""
    last_seq: dict[str, int] = {}
    tokens: dict[tuple[str, int], set[str]] = defaultdict(set)
    for part in parts:
        for epoch, last in part.last_seq.items():
            last_seq[epoch] = max(last_seq.get(epoch, 0), last)
        for identity, some in part.tokens.items():
            tokens[identity] |= some
    return Numbered(last_seq, tokens)


def reckon(
    numbered: Numbered,
    stored: Iterable[Stored],
    lives: Mapping[int, Life],
    discarded: Set[tuple[str, int]] = frozenset(),
) -> Verdict:
    """Compare both ends.

    Args:
        numbered: what was read from the outboxes.
        stored: the rows of the centre's store.
        lives: every process of a probe.
        discarded: what was on a card alone that was thrown away. It is stored, or it is gone with
            the card and counts as never sent.
    """
    rows = list(stored)
    at_centre = {(row.epoch, row.seq): row.token for row in rows}
    everything = {
        (epoch, seq) for epoch, last in numbered.last_seq.items() for seq in range(1, last + 1)
    }
    everything -= discarded - at_centre.keys()
    findings: list[str] = []
    absent = everything - at_centre.keys()
    named = _named(absent, rows)
    lost = absent - named
    findings += _ranges("numbered, not stored and not named", lost)
    findings += _ranges("stored, but never numbered by the probe", at_centre.keys() - everything)
    usurped = {
        f"{token} (epoch {identity[0][:8]}, {identity[1]})"
        for identity, tokens in numbered.tokens.items()
        for token in tokens
        if identity in at_centre and at_centre[identity] != token
    }
    findings += [f"another result is stored in place of {one}" for one in sorted(usurped)]
    doubles = _doubles(rows)
    findings += [f"{token} is stored {times} times" for token, times in sorted(doubles.items())]
    vanished, unnumbered = _never_numbered(numbered, rows, lives)
    findings += [f"{token} was made and has no number" for token in sorted(vanished)]
    return Verdict(
        sent=len(everything),
        stored=len(everything & at_centre.keys()),
        doubled=sum(times - 1 for times in doubles.values()),
        lost=len(lost) + len(usurped) + len(vanished),
        dropped_named=len(named),
        unnumbered=unnumbered,
        findings=tuple(findings),
    )


def _named(absent: set[tuple[str, int]], rows: Iterable[Stored]) -> set[tuple[str, int]]:
    """What a stored `results_dropped` gives up by range, or by epoch where it knows no more."""
    named: set[tuple[str, int]] = set()
    for values in (row.dropped for row in rows if row.dropped is not None):
        epoch = str(values.epoch)
        for identity in absent:
            if identity[0] == epoch and (
                values.count is None
                or any(first <= identity[1] <= last for first, last in values.ranges)
            ):
                named.add(identity)
    return named


def _doubles(rows: Iterable[Stored]) -> dict[str, int]:
    counted = Counter(row.token for row in rows if row.token is not None)
    counted.update(_repeated_identities(rows))
    return {token: times for token, times in counted.items() if times > 1}


def _repeated_identities(rows: Iterable[Stored]) -> dict[str, int]:
    """Rows without a token that bear one number: the store's key should make that impossible."""
    counted = Counter(f"{row.epoch} {row.seq}" for row in rows if row.token is None)
    return dict(counted)


def _never_numbered(
    numbered: Numbered, rows: Iterable[Stored], lives: Mapping[int, Life]
) -> tuple[set[str], int]:
    """Results that were made and seen nowhere: (those that should have been, those in memory).

    A kill may take what waited in memory, and that is the end of what the process made; a hole
    before a result that was numbered, or after an end in order, is a loss.
    """
    seen = {token for tokens in numbered.tokens.values() for token in tokens}
    seen |= {row.token for row in rows if row.token is not None}
    vanished: set[str] = set()
    unnumbered = 0
    for life, (made, in_order) in lives.items():
        present = {number for number in range(1, made + 1) if f"{life}/{number}" in seen}
        last = max(present, default=0)
        due = made if in_order else last
        vanished |= {f"{life}/{number}" for number in range(1, due + 1) if number not in present}
        unnumbered += made - due
    return vanished, unnumbered


def _ranges(what: str, identities: Iterable[tuple[str, int]]) -> list[str]:
    """A sentence for each run of numbers."""
    sentences: list[str] = []
    run: list[int] = []
    epoch = ""
    for of, seq in [*sorted(identities), ("", 0)]:
        if run and (of != epoch or seq != run[-1] + 1):
            sentences.append(f"{what}: epoch {epoch[:8]}, {run[0]} to {run[-1]}")
            run = []
        epoch = of
        run.append(seq)
    return sentences
