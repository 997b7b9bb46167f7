"""Floor 3. `tramdo-collector signatures`: holds the store against what its probes have signed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator

from collector.domain.signature_chain import ChainReport, ChainWalk, FindingKind
from collector.store.messages import EpochKey
from collector.store.store import Store, StoreError
from runtime.signing_certificate import SigningCertificate
from wire.ledger import Ledger

OK, FAILED, DIFFERS = 0, 1, 3
# Results that are read at a time.
_AT_A_TIME = 1_000
# What cannot be put down to a probe that does not sign, or to age.
_WRONG = frozenset({FindingKind.MISMATCH, FindingKind.MISSING})


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the options of `signatures`."""
    command.add_argument("probe", nargs="?", help="its name, or TENANT/NAME (default: every probe)")


def run(options: argparse.Namespace, store: Store) -> int:
    """Print a line for each epoch of which results are stored, and what was found.

    Returns the exit code: 3 where something is missing or was changed.
    """
    wrong = False
    try:
        for stored in store.probes():
            if options.probe in (None, stored.probe, f"{stored.tenant}/{stored.probe}"):
                wrong |= _of_probe(store, stored.tenant, stored.probe)
    except StoreError as error:
        sys.stderr.write(f"{error}\n")
        return FAILED
    return DIFFERS if wrong else OK


def _of_probe(store: Store, tenant: str, probe: str) -> bool:
    certificates = {
        one.key: SigningCertificate(one.der) for one in store.certificates(tenant, probe)
    }
    wrong = False
    for key, (known, ledger) in store.epochs(tenant, probe).items():
        given_up = Ledger(tuple(_known_of(ledger.missing, known)))
        walk = ChainWalk(certificates, given_up)
        report = _walked(store, key, walk, ledger.stored_through)
        wrong |= any(finding.kind in _WRONG for finding in report.findings)
        lines = [f"{tenant}/{probe} {key.epoch}: {report.checked} results signed and checked"]
        lines += [f"  {kind.value}: {first} to {last}" for kind, first, last in report.findings]
        sys.stdout.write("".join(f"{line}\n" for line in lines))
    return wrong


def _known_of(missing: Iterable[tuple[int, int]], known: Ledger) -> Iterator[tuple[int, int]]:
    """The parts of ranges that are in a ledger, ascending."""
    for low, high in missing:
        for first, last in known.ranges:
            if first <= high and last >= low:
                yield max(first, low), min(last, high)


def _walked(store: Store, key: EpochKey, walk: ChainWalk, through: int) -> ChainReport:
    for first in range(1, through + 1, _AT_A_TIME):
        last = min(first + _AT_A_TIME - 1, through)
        blocks = store.signatures(key, first, last)
        if blocks:
            bodies = store.bodies(key, blocks[0].block.first, max(b.block.last for b in blocks))
            walk.take(blocks, bodies)
    return walk.report(through)
