"""Floor 1. Holds what is stored of an epoch against the chain that its probe signed.

Each signature is verified anew, whatever came of it as it arrived. A signed block that is not
stored shows, because the one behind it has its digest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol

from collector.store.records import StoredSignature
from collector.store.signed_text import text_of
from wire.ledger import Ledger
from wire.signature import CHAIN_START, SignatureBlock, block_digest


class Certificate(Protocol):
    """What verifies: `runtime.signing_certificate.SigningCertificate`."""

    def verifies(self, text: bytes, signature: str) -> bool:
        """Whether its key made this signature of a text."""


class FindingKind(StrEnum):
    """What is not signed, checked and linked."""

    # The probe has not signed it: the chain goes on behind it without a gap.
    UNSIGNED = "unsigned"
    # A signed block before the next one is not stored, or was changed.
    MISSING = "missing"
    # The same, and the probe has reported that it gave these results up.
    GIVEN_UP = "given_up"
    # Before the first block that is stored: gone by age, as far as can be known.
    BEFORE = "before"
    MISMATCH = "mismatch"
    UNKNOWN_KEY = "unknown_key"
    # A result of it is not stored, nor its digest.
    INCOMPLETE = "incomplete"


class Finding(NamedTuple):
    """Results `first` to `last` of an epoch; of `MISSING` those between two signed blocks.

    With `MISSING` `last` may be lower than `first`: then what is missing has no room, and one of
    both blocks was changed.
    """

    kind: FindingKind
    first: int
    last: int


class ChainReport(NamedTuple):
    """What came of a chain: the results that are signed and checked, and what was found."""

    checked: int
    findings: Sequence[Finding]


class ChainWalk:
    """The walk along one epoch's chain, from its first block to its last.

    Args:
        certificates: of the probe, by key.
        given_up: the numbers that the probe has reported as given up.
    """

    def __init__(self, certificates: Mapping[str, Certificate], given_up: Ledger) -> None:
        self._certificates = certificates
        self._given_up = given_up
        self._checked = 0
        self._findings: list[Finding] = []
        # The number and digest of the last block's end; None: not known.
        self._last = 0
        self._previous: str | None = CHAIN_START

    def take(self, stored: Iterable[StoredSignature], bodies: Mapping[int, bytes]) -> None:
        """The next blocks, ascending, with the bodies of their results that are stored."""
        for one in stored:
            if one.block.first > self._last:
                self._take(one, bodies)

    def report(self, through: int) -> ChainReport:
        """The report, of an epoch of which results up to `through` are stored."""
        findings = list(self._findings)
        if self._last < through:
            findings.append(Finding(FindingKind.UNSIGNED, self._last + 1, through))
        return ChainReport(self._checked, findings)

    def _take(self, one: StoredSignature, bodies: Mapping[int, bytes]) -> None:
        block = one.block
        self._link(block)
        self._last = block.last
        text = text_of(one, bodies)
        if text is None:
            self._previous = None
            self._find(FindingKind.INCOMPLETE, block)
            return
        self._previous = block_digest(text)
        certificate = self._certificates.get(block.key)
        if certificate is None:
            self._find(FindingKind.UNKNOWN_KEY, block)
        elif certificate.verifies(text, block.signature):
            self._checked += block.count
        else:
            self._find(FindingKind.MISMATCH, block)

    def _link(self, block: SignatureBlock) -> None:
        gap = self._last + 1, block.first - 1
        if self._previous is not None and block.previous != self._previous:
            self._findings.append(Finding(self._why_missing(*gap), *gap))
        elif gap[0] <= gap[1]:
            self._findings.append(Finding(FindingKind.UNSIGNED, *gap))

    def _why_missing(self, first: int, last: int) -> FindingKind:
        if not self._last and first <= last:
            return FindingKind.BEFORE
        if first <= last and not self._given_up.without(range(first, last + 1)):
            return FindingKind.GIVEN_UP
        return FindingKind.MISSING

    def _find(self, kind: FindingKind, block: SignatureBlock) -> None:
        self._findings.append(Finding(kind, block.first, block.last))
