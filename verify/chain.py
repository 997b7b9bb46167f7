"""Floor 1. Walks along one epoch's results and signature blocks (README.md of the bundle).

Each signature is over the SHA-256 of each result of its block and of the block before it. So what
was changed, left out, doubled or moved is found, and where.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any, NamedTuple, Protocol

from verify.findings import Finding, Kind

_VERSION = "tramdo-signature/1"
_START = "0" * 64
_MOST_RESULTS = 500
_MOST_NUMBER = 2**53
_FLAG = "signature_mismatch"
# What the centre may change in a result: flags, and where one says so (clock repair) its time.
_TIMES = ("started_at", "slot_at")
_REPAIRED = "clock_repaired"
_FLAGS_OF_THE_CENTRE = {
    _REPAIRED, "clock_unsynced", "time_in_future", "time_ancient", _FLAG,
}  # fmt: skip
# Findings of one kind that are named one by one.
_NAMED = 20


class Verifier(Protocol):
    """A certificate."""

    def is_in_force(self, at: datetime) -> bool:
        """Whether it was in force at a time."""

    def verifies(self, text: bytes, signature: str) -> bool:
        """Whether its key made this signature of a text."""


class _Record(NamedTuple):
    digest: str
    times: tuple[datetime, datetime]
    masked: bool
    flagged: bool
    changed: bool


class _Block(NamedTuple):
    first: int
    results: int
    key: str
    previous: str
    signature: str
    digests: dict[int, str]

    @property
    def last(self) -> int:
        return self.first + self.results - 1


class Counts:
    """The results of an epoch by what is proven of them."""

    def __init__(self) -> None:
        # Byte for byte; by their digest, as addresses are masked; changed by the centre, with the
        # bytes as they were signed.
        self.proven = self.masked = self.changed = 0
        self.unsigned = self.mismatched = self.unknown_key = self.by_digest = 0


class ChainCheck:
    """Checks one epoch.

    Args:
        epoch: tenant, probe, epoch.
        certificates: of the probe, by key.
        given_up: ranges of numbers that the probe has given up, as the centre states.
    """

    def __init__(
        self,
        epoch: tuple[str, str, str],
        certificates: Mapping[str, Verifier],
        given_up: Sequence[tuple[int, int]],
    ) -> None:
        self.counts = Counts()
        self.findings: list[Finding] = []
        self._epoch, self._certificates, self._given_up = epoch, certificates, given_up
        self._waiting: dict[int, _Record] = {}
        self._last_seq = self._last_of_block = 0
        self._previous: str | None = None
        self._unsigned: list[tuple[int, int]] = []
        # Blocks whose certificate does not count, by why; named together, for there are many.
        self._not_counted: dict[str, list[tuple[int, int]]] = {}

    def results(
        self, lines: Iterable[Mapping[str, Any]]
    ) -> Iterator[tuple[dict[str, Any], datetime]]:
        """The results of the lines of a file and when each arrived, while they are checked."""
        for line in lines:
            if "record" in line:
                found = self._record(line["record"])
                if found is not None:
                    yield found
            elif "block" in line:
                self._block(line["block"])
            else:
                self._differs("a line is neither a result nor a block")
        self._leave_unsigned(_MOST_NUMBER)
        for why, ranges in self._not_counted.items():
            self._differs(f"results {_named(ranges)} are signed by a {why}")
        if self._unsigned:
            named = _named(self._unsigned)
            self._unknown(f"{self.counts.unsigned} results are not signed: numbers {named}")

    def _record(
        self,
        record: Any,  # noqa: ANN401 - of a stranger
    ) -> tuple[dict[str, Any], datetime] | None:
        try:
            seq, body = int(record["seq"]), str(record["body"])
            sent, masked = record.get("sent"), record.get("masked") is True
            stored = json.loads(body)
            times = (
                datetime.fromisoformat(stored["started_at"]),
                datetime.fromisoformat(record["received_at"]),
            )
            signed = stored if sent is None else json.loads(sent)
            flagged = _FLAG in stored.get("validity", ())
            same = sent is None or _is_the_same(stored, signed)
            digest = str(record["sha256"]) if masked else _digest(body if sent is None else sent)
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
            self._differs("a result cannot be read")
            return None
        if seq <= self._last_seq:
            self._differs(f"result {seq} is there twice or out of order")
            return None
        if not same:
            self._differs(f"the centre has changed more of result {seq} than a time or a flag")
        self._last_seq = seq
        if len(self._waiting) > 2 * _MOST_RESULTS:
            # No block is so long that it could still cover them.
            self._leave_unsigned(seq - _MOST_RESULTS)
        self._waiting[seq] = _Record(digest, times, masked, flagged, sent is not None)
        return stored, times[1]

    def _block(self, table: Any) -> None:  # noqa: ANN401 - of a stranger
        block = _parsed(table)
        if block is None:
            self._differs("a signature block cannot be read")
            return
        name = f"block {block.first} to {block.last}"
        if block.first <= self._last_of_block or self._last_seq > block.last:
            self._differs(f"{name} is there twice or out of order")
            return
        self._leave_unsigned(block.first)
        self._link(block, name)
        self._last_of_block = block.last
        here = {seq: one for seq, one in self._waiting.items() if seq <= block.last}
        for seq in here:
            del self._waiting[seq]
        digests = [
            here[seq].digest if seq in here else block.digests.get(seq)
            for seq in range(block.first, block.last + 1)
        ]
        whole = [digest for digest in digests if digest is not None]
        if len(whole) < len(digests):
            missing = block.first + digests.index(None)
            self._differs(f"{name}: result {missing} was signed and is left out")
            self._previous = None
            return
        text = "\n".join(
            (_VERSION, "/".join(self._epoch[:2]), self._epoch[2], str(block.first),
             block.previous, *whole, "")
        ).encode("ascii", "replace")  # fmt: skip
        self._previous = sha256(text).hexdigest()
        self.counts.by_digest += block.results - len(here)
        self._verify(block, name, text, list(here.values()))

    def _link(self, block: _Block, name: str) -> None:
        if self._previous == block.previous:
            return
        if self._previous is None:
            if not self._last_of_block and block.previous != _START:
                self._unknown(f"what the probe signed before {name} is not in the bundle")
            return
        first, last = self._last_of_block + 1, block.first - 1
        if any(low <= first and last <= high for low, high in self._given_up) and first <= last:
            self._unknown(
                f"results {first} to {last} are missing: the probe has given them up, as the "
                "centre states"
            )
        else:
            self._differs(
                f"a signed block between {first} and {last} is missing, or what stands before "
                f"{name} was changed"
            )

    def _verify(self, block: _Block, name: str, text: bytes, here: list[_Record]) -> None:
        certificate = self._certificates.get(block.key)
        counts = self.counts
        if certificate is None:
            counts.unknown_key += len(here)
            self._not_count(block, "key of which there is no certificate")
        elif not certificate.verifies(text, block.signature):
            counts.mismatched += len(here)
            if here and all(one.flagged for one in here):
                self._unknown(
                    f"{name} is not what the probe signed; the centre says so too, and has it in "
                    "no figure"
                )
            else:
                self._differs(f"{name} is not what the probe signed")
        elif here and not any(certificate.is_in_force(at) for one in here for at in one.times):
            counts.unknown_key += len(here)
            self._not_count(block, "certificate that was not in force")
        else:
            counts.masked += sum(one.masked for one in here)
            counts.changed += sum(one.changed for one in here)
            counts.proven += sum(not one.masked for one in here)

    def _not_count(self, block: _Block, why: str) -> None:
        ranges = self._not_counted.setdefault(why, [])
        if ranges and ranges[-1][1] == block.first - 1:
            ranges[-1] = ranges[-1][0], block.last
        else:
            ranges.append((block.first, block.last))

    def _leave_unsigned(self, before: int) -> None:
        """Count the results before a number that no block has covered."""
        found = sorted(seq for seq in self._waiting if seq < before)
        for seq in found:
            del self._waiting[seq]
            self.counts.unsigned += 1
            if self._unsigned and self._unsigned[-1][1] == seq - 1:
                self._unsigned[-1] = (self._unsigned[-1][0], seq)
            else:
                self._unsigned.append((seq, seq))

    def _differs(self, text: str) -> None:
        self.findings.append(Finding(Kind.DIFFERS, "/".join(self._epoch), text))

    def _unknown(self, text: str) -> None:
        self.findings.append(Finding(Kind.UNKNOWN, "/".join(self._epoch), text))


def _named(ranges: Sequence[tuple[int, int]]) -> str:
    more = len(ranges) - _NAMED
    named = ", ".join(f"{first} to {last}" for first, last in ranges[:_NAMED])
    return f"{named} and {more} more ranges" if more > 0 else named


def _parsed(table: Any) -> _Block | None:  # noqa: ANN401 - of a stranger
    try:
        block = _Block(
            int(table["first"]),
            int(table["count"]),
            str(table["key"]),
            str(table["previous"]),
            str(table["signature"]),
            {int(seq): str(digest) for seq, digest in table["digests"]},
        )
    except (KeyError, TypeError, ValueError):
        return None
    return block if block.first > 0 and 0 < block.results <= _MOST_RESULTS else None


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def _without_the_centre_s(result: Mapping[str, Any], *, repaired: bool) -> dict[str, Any]:
    """A result without what the centre may have changed in it."""
    left = dict(result)
    left["validity"] = [
        flag for flag in result.get("validity", ()) if flag not in _FLAGS_OF_THE_CENTRE
    ]
    if repaired:
        left["clock"] = {**result["clock"], "stated_at": None}
        left |= dict.fromkeys(_TIMES)
    return left


def _is_the_same(stored: Mapping[str, Any], signed: Mapping[str, Any]) -> bool:
    """Whether the centre has changed nothing but a time and flags."""
    repaired = _REPAIRED in stored.get("validity", ())
    return _without_the_centre_s(stored, repaired=repaired) == _without_the_centre_s(
        signed, repaired=repaired
    )
