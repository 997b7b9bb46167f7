"""Floor 1. The results of an epoch and its signature blocks as lines of JSON, in the chain's order.

A result's bytes are a JSON string, so that they come back exactly. A block follows the last of its
results; it has the digests of those that the bundle leaves out, so that it can be verified all the
same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol

import msgspec
from msgspec import Struct

from collector.rollup.metrics import ON_DEMAND, invalidating
from collector.rollup.summary import SPEED_KINDS
from collector.store.messages import EpochKey
from collector.store.records import StoredResult, StoredSignature
from wire.signature import record_digest

# Numbers whose blocks are read at a time.
_AT_A_TIME = 4_000
_encode = msgspec.json.Encoder().encode


class _Flags(Struct):
    """What of a result says whether it is in a figure."""

    validity: list[str] = []
    slot_at: str | None = None


_decode_flags = msgspec.json.Decoder(_Flags).decode


class SignatureReader(Protocol):
    """What of a `Store` is needed."""

    def signatures(self, epoch: EpochKey, first: int, last: int) -> Iterable[StoredSignature]:
        """The blocks that cover a result from `first` to `last`, ascending."""

    def bodies(self, epoch: EpochKey, first: int, last: int) -> Mapping[int, bytes]:
        """The JSON of an epoch's results by number, of those that are stored."""


class ResultCounts:
    """Counts what is written: results, and those in no figure by line, kind and flag."""

    def __init__(self) -> None:
        self.results = 0
        self._left_out: Counter[tuple[str, str, str]] = Counter()

    def add(self, name: str, result: StoredResult) -> None:
        """Count a result of the line `name`."""
        self.results += 1
        flags = _decode_flags(result.body)
        keeping_out = {flag.value for flag in invalidating(result.kind)}
        found = [flag for flag in flags.validity if flag in keeping_out]
        if result.kind in SPEED_KINDS and flags.slot_at is None:
            found.append(ON_DEMAND)
        self._left_out.update((name, result.kind, flag) for flag in found)

    def left_out(self) -> list[dict[str, object]]:
        """A row for each line, kind and flag, sorted."""
        return [
            {"line": line, "kind": kind, "flag": flag, "results": count}
            for (line, kind, flag), count in sorted(self._left_out.items())
        ]


class EpochLines:
    """Makes the lines of one epoch.

    Args:
        store: reads the blocks.
        key: the epoch.
        lines: the line ids whose results are written, None for all.
        shown: the bytes of a result for whoever reads the bundle.
        counts: counts what is written.
    """

    def __init__(
        self,
        store: SignatureReader,
        key: EpochKey,
        lines: frozenset[str] | None,
        shown: Callable[[StoredResult], bytes],
        counts: ResultCounts,
    ) -> None:
        self._store, self._key, self._lines = store, key, lines
        self._shown, self._counts = shown, counts
        # Blocks that are read and not written, and what is known of results not written.
        self._blocks: list[StoredSignature] = []
        self._digests: dict[int, str] = {}
        self._written: set[int] = set()
        self._read_through = self._taken_through = 0

    def lines(self, results: Iterable[StoredResult]) -> Iterator[bytes]:
        """The lines of results, which ascend, and of the blocks from the first to the last."""
        last = 0
        for result in results:
            self._read(result.seq)
            yield from self._blocks_before(result.seq)
            sent = self._sent(result.seq)
            if self._lines is None or result.line in self._lines:
                self._written.add(result.seq)
                self._counts.add("/".join((*self._key[:2], result.line)), result)
                yield _encode({"record": self._record(result, sent)}) + b"\n"
            else:
                self._digests[result.seq] = record_digest(sent if sent is not None else result.body)
            last = result.seq
        yield from self._blocks_before(last + 1, whole=False)

    def _read(self, seq: int) -> None:
        """Read the blocks up to that of a result, those of a gap too."""
        if seq <= self._read_through:
            return
        # Of those before, none is asked for any more.
        least = self._blocks[0].block.first if self._blocks else seq
        self._written = {one for one in self._written if one >= least}
        self._digests = {one: self._digests[one] for one in self._digests if one >= least}
        while self._read_through < seq:
            first = self._read_through + 1 if self._read_through else seq
            self._read_through = first + _AT_A_TIME - 1
            for one in self._store.signatures(self._key, first, self._read_through):
                # A block that came in two parts may be stored twice.
                if one.block.first > self._taken_through:
                    self._blocks.append(one)
                    self._taken_through = one.block.last

    def _blocks_before(self, seq: int, *, whole: bool = True) -> Iterator[bytes]:
        """The blocks that end before a result; if not `whole`, that begin before it."""
        while (
            self._blocks
            and (self._blocks[0].block.last if whole else self._blocks[0].block.first) < seq
        ):
            yield self._block(self._blocks.pop(0))

    def _sent(self, seq: int) -> bytes | None:
        for one in self._blocks:
            if one.block.first > seq:
                break
            if seq in one.sent:
                return one.sent[seq]
        return None

    def _record(self, result: StoredResult, sent: bytes | None) -> dict[str, object]:
        shown = self._shown(result)
        found: dict[str, object] = {
            "seq": result.seq,
            "number": result.number,
            "received_at": result.received_at,
            "body": shown.decode(),
        }
        if sent is not None:
            found["sent"] = self._shown(msgspec.structs.replace(result, body=sent)).decode()
        if shown != result.body:
            found["masked"] = True
            found["sha256"] = record_digest(sent if sent is not None else result.body)
        return found

    def _block(self, one: StoredSignature) -> bytes:
        block = one.block
        absent = [seq for seq in block.seqs if seq not in self._written]
        self._written.difference_update(block.seqs)
        known = {seq: self._digests.pop(seq) for seq in absent if seq in self._digests}
        missing = [seq for seq in absent if seq not in known]
        if missing:
            stored = self._store.bodies(self._key, block.first, block.last)
            bodies = {seq: stored[seq] for seq in missing if seq in stored} | dict(one.sent)
            known |= {seq: record_digest(bodies[seq]) for seq in missing if seq in bodies}
            known = {seq: one.digests[seq] for seq in missing if seq in one.digests} | known
        return (
            _encode(
                {
                    "block": {
                        "first": block.first,
                        "count": block.count,
                        "key": block.key,
                        "previous": block.previous,
                        "signature": block.signature,
                        "digests": [[seq, known[seq]] for seq in absent if seq in known],
                    }
                }
            )
            + b"\n"
        )
