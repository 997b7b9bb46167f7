"""Floor 1. What a bundle is asked for, and the names of its files."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from msgspec import Struct

from collector.registry.registry import LineKey, Registry
from collector.rollup.periods import Period
from wire.result import HOST_LINE

SCHEMA = "tramdo-evidence/1"
MANIFEST = "manifest.json"


class Question(Struct, frozen=True, kw_only=True):
    """The lines and the whole local days that a bundle is of.

    `as_of` (UTC) bounds a period that is not over. `whole_addresses`: nothing is masked.
    `every_line`: with the results of all lines of these lines' probes, so that no result of
    the probe is there by its digest alone.
    """

    lines: tuple[LineKey, ...]
    period: Period
    as_of: datetime
    whole_addresses: bool = False
    every_line: bool = False

    @property
    def probes(self) -> list[tuple[str, str]]:
        """The probes of the lines (tenant, name), ascending."""
        return sorted({(key.tenant, key.probe) for key in self.lines})

    def lines_of(self, probe: tuple[str, str]) -> frozenset[str] | None:
        """The line ids whose results are in the bundle, with that of the box; None: all."""
        if self.every_line:
            return None
        own = {key.line for key in self.lines if (key.tenant, key.probe) == probe}
        return frozenset({*own, HOST_LINE.id})

    def as_table(self) -> dict[str, object]:
        """The question as the manifest has it."""
        return {
            "lines": ["/".join(key) for key in self.lines],
            "first_day": self.period.first,
            "last_day": self.period.last,
            "as_of": self.as_of,
            "addresses": "whole" if self.whole_addresses else "masked",
            "results": "every line of the probe" if self.every_line else "these lines",
        }


def parse_line(text: str, registry: Registry) -> LineKey:
    """`TENANT/PROBE/LINE` of the registry.

    Raises:
        ValueError: it is none; the text is a sentence.
    """
    parts = text.split("/")
    if len(parts) != 3:
        raise ValueError(f"{text!r} is not TENANT/PROBE/LINE")
    key = LineKey(*parts)
    if registry.line(key) is None:
        raise ValueError(f"the registry has no line {text!r}")
    return key


def results_file(tenant: str, probe: str, epoch: UUID) -> str:
    """The name of the file with an epoch's results and signatures."""
    return f"results/{tenant}/{probe}/{epoch}.jsonl.xz"
