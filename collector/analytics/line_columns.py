"""Floor 1. The table `lines`: the registry, a row for each line, for questions by ISP and place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import NamedTuple

from collector.analytics import row_binary
from collector.analytics.row_binary import Encode
from collector.registry.registry import Commune, Isp, Line, Probe, Registry

_TEXT = "LowCardinality(String)"
_MAYBE_TEXT = "LowCardinality(Nullable(String))"
_maybe_text = row_binary.nullable(row_binary.text)
_maybe_float64 = row_binary.nullable(row_binary.float64)


class _Known(NamedTuple):
    """What the registry knows of a line; the place and the ISP may be missing in it."""

    probe: Probe
    line: Line
    commune: Commune | None
    isp: Isp | None


class LineColumn(NamedTuple):
    """A column: its name and type, a value and how it is encoded."""

    name: str
    type: str
    encode: Encode
    value: Callable[[_Known], object]


LINE_COLUMNS = (
    LineColumn("tenant", _TEXT, row_binary.text, lambda of: of.probe.tenant),
    LineColumn("probe", _TEXT, row_binary.text, lambda of: of.probe.probe),
    LineColumn("line", _TEXT, row_binary.text, lambda of: of.line.id),
    LineColumn("isp", _TEXT, row_binary.text, lambda of: of.isp.name if of.isp else of.line.isp),
    LineColumn("office", "String", row_binary.text, lambda of: of.probe.office),
    LineColumn("commune", _TEXT, row_binary.text, lambda of: of.probe.commune),
    LineColumn("commune_name", _MAYBE_TEXT, _maybe_text, lambda of: of.commune and of.commune.name),
    LineColumn(
        "province", _MAYBE_TEXT, _maybe_text, lambda of: of.commune and of.commune.province_code
    ),
    LineColumn(
        "province_name",
        _MAYBE_TEXT,
        _maybe_text,
        lambda of: of.commune and of.commune.province_name,
    ),
    LineColumn(
        "plan_down_bps", "Nullable(Float64)", _maybe_float64, lambda of: of.line.plan_down_bps
    ),
    LineColumn("plan_up_bps", "Nullable(Float64)", _maybe_float64, lambda of: of.line.plan_up_bps),
    LineColumn("technology", _MAYBE_TEXT, _maybe_text, lambda of: of.line.technology),
)
# Of several rows of a line the last one counts.
EXPORTED_AT = ("exported_at", "DateTime64(6, 'UTC')")


def line_rows(registry: Registry, exported_at: datetime) -> bytes:
    """The body of an insert of all lines, in RowBinaryWithNamesAndTypes."""
    parts = [row_binary.head([*((one.name, one.type) for one in LINE_COLUMNS), EXPORTED_AT])]
    at = row_binary.time(exported_at)
    for known in _lines(registry):
        parts += [column.encode(column.value(known)) for column in LINE_COLUMNS]
        parts.append(at)
    return b"".join(parts)


def _lines(registry: Registry) -> Iterator[_Known]:
    for probe in registry.probes.values():
        commune = registry.communes.get(probe.commune)
        for line in probe.lines:
            yield _Known(probe, line, commune, registry.isps.get(line.isp))
