"""Floor 1. `tramdo-collector status`: what is stored, and which collector holds what."""

from __future__ import annotations

from collections.abc import Sequence

from collector.store.leases import StoredLease, label, without_homes
from collector.store.records import Totals


def as_table(
    totals: Totals, leases: Sequence[StoredLease] | None, holder: str
) -> dict[str, object]:
    """All of it for JSON. `leases` None: the store has one collector and no leases."""
    return {
        "results": totals.results,
        "probes": totals.probes,
        "holder": holder if leases is not None else None,
        "leases": [
            {
                "name": one.name,
                "holder": one.holder if one.is_held else None,
                "generation": one.generation,
                "left_s": round(max(one.left_s, 0.0), 1) if one.is_held else 0.0,
            }
            for one in without_homes(leases or ())
        ],
    }


def as_text(totals: Totals, leases: Sequence[StoredLease] | None, holder: str) -> str:
    """The same for users, a line each."""
    lines = [f"{totals.results} results of {totals.probes} probes are stored"]
    if leases is None:
        return "\n".join([*lines, "one collector writes this store: SQLite has no leases"])
    for one in without_homes(leases):
        here = " (this one)" if one.holder == holder else ""
        by = f"{one.holder}{here}" if one.is_held else "nobody"
        lines.append(f"{label(one.name)}: held by {by}, generation {one.generation}")
    return "\n".join(lines if leases else [*lines, "no collector has taken anything yet"])
