"""Floor 1. The data dictionary, and the description of a published month.

Both are Frictionless Data (Table Schema and Data Package, version 1): a standard that R, Python
and spreadsheet tools read. What it does not have stands under names of our own: `unit`,
`description_vi`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from msgspec import Struct

from collector.open_data import texts
from collector.open_data.columns import PUBLIC_KINDS, Column, ColumnType, columns

LICENCE = "CC-BY-4.0"
LICENCE_URL = "https://creativecommons.org/licenses/by/4.0/"
DESCRIPTOR = "datapackage.json"
SIGNATURE = f"{DESCRIPTOR}.sig"
METHOD_DOCUMENT = "docs/method.md"
_PACKAGE_PROFILE = "tabular-data-package"


class LineColumn(Struct, frozen=True):
    """A column of lines.csv."""

    name: str
    type: ColumnType


LINE_COLUMNS = tuple(
    LineColumn(name, ColumnType(type_))
    for name, type_ in (
        ("line", "string"), ("commune_code", "string"), ("commune", "string"),
        ("province_code", "string"), ("province", "string"), ("latitude", "number"),
        ("longitude", "number"), ("isp", "string"), ("plan_down_bps", "number"),
        ("plan_up_bps", "number"), ("results", "integer"),
    )
)  # fmt: skip


class PublishedMonth(NamedTuple):
    """A month: when it was published (RFC 3339), and what is in it."""

    month: str
    created: str
    results: int
    files: int
    bytes: int
    parquet: bool
    sha256: str


class PublishedFile(Struct, frozen=True, kw_only=True):
    """A file of a month. `kind` is that of `columns`, or `lines`; `province` a code."""

    path: str
    kind: str
    province: str
    format: str
    rows: int
    bytes: int
    sha256: str


class MonthFacts(Struct, frozen=True, kw_only=True):
    """What is said of a month besides its files.

    `unreadable` results are stored and cannot be read by this version; they are not published.
    """

    month: str
    published_at: str
    version: str
    key_id: str
    unreadable: int
    parquet: bool


def schema(kind: str) -> dict[str, Any]:
    """The Table Schema of a kind's files, or of `lines`."""
    if kind == "lines":
        fields = [_field(kind, one.name, one.type, one.name) for one in LINE_COLUMNS]
        return {"fields": fields, "primaryKey": "line", "missingValues": [""]}
    keys = {"fields": "line", "reference": {"resource": "lines", "fields": "line"}}
    return {
        "fields": [_of_column(kind, column) for column in columns(kind)],
        "missingValues": [""],
        "foreignKeys": [keys],
    }


def dictionary() -> dict[str, Any]:
    """The schemas of all kinds."""
    return {
        "standard": "Frictionless Data Table Schema 1",
        "method": METHOD_DOCUMENT,
        "licence": LICENCE,
        "tables": {
            kind: {
                "title": texts.KINDS[kind].en,
                "title_vi": texts.KINDS[kind].vi,
                "schema": schema(kind),
            }
            for kind in (*PUBLIC_KINDS, "lines")
        },
    }


def schema_path(kind: str) -> str:
    """The file of a kind's schema in a month's folder."""
    return f"schema/{kind}.json"


def descriptor(
    facts: MonthFacts, files: Sequence[PublishedFile], schemas: Mapping[str, str]
) -> dict[str, Any]:
    """The Data Package of a month: what is signed. `schemas`: the SHA-256 of each kind's schema."""
    return {
        "profile": _PACKAGE_PROFILE,
        "name": f"tramdo-{facts.month}",
        "id": facts.month,
        "title": f"Internet quality measured at commune offices in {facts.month}",
        "title_vi": f"Chất lượng Internet đo tại trụ sở xã, tháng {facts.month}",
        "created": facts.published_at,
        "version": "1",
        "licenses": [{"name": LICENCE, "path": LICENCE_URL}],
        "method": {"document": METHOD_DOCUMENT, "version": facts.version},
        "signing_key": facts.key_id,
        "unreadable_results": facts.unreadable,
        "parquet": facts.parquet,
        "schemas": [
            {"path": schema_path(kind), "hash": f"sha256:{digest}"}
            for kind, digest in schemas.items()
        ],
        "resources": [_resource(one) for one in files],
    }


def sums(files: Iterable[PublishedFile], schemas: Mapping[str, str]) -> str:
    """A file for `sha256sum --check`."""
    every = [(one.sha256, one.path) for one in files]
    every += [(digest, schema_path(kind)) for kind, digest in schemas.items()]
    return "".join(f"{digest}  {path}\n" for digest, path in every)


def _resource(one: PublishedFile) -> Mapping[str, Any]:
    place = f"-{one.province}" if one.province else ""
    name = f"{one.kind}{place}" + ("-parquet" if one.format == "parquet" else "")
    described: dict[str, Any] = {
        "name": name,
        "path": one.path,
        "format": one.format,
        "mediatype": "application/vnd.apache.parquet" if one.format == "parquet" else "text/csv",
        "rows": one.rows,
        "bytes": one.bytes,
        "hash": f"sha256:{one.sha256}",
        "schema": schema_path(one.kind),
    }
    if one.format == "csv":
        described |= {"profile": "tabular-data-resource", "encoding": "utf-8"}
        if one.path.endswith(".gz"):
            described["compression"] = "gz"
    return described


def _of_column(kind: str, column: Column) -> dict[str, Any]:
    field = _field(kind, column.name, column.type, column.field, column.part)
    if column.choices:
        field["constraints"] = {"enum": list(column.choices)}
    return field


def _field(kind: str, name: str, type_: ColumnType, field: str, part: str = "") -> dict[str, Any]:
    meaning = texts.meaning(kind, field, part)
    described: dict[str, Any] = {
        "name": name,
        "type": type_.value,
        "description": meaning.en,
        "description_vi": meaning.vi,
    }
    if type_ is ColumnType.DATETIME:
        described["format"] = "%Y-%m-%dT%H:%M:%S.%fZ"
    if type_ is ColumnType.NUMBER and name in ("latitude", "longitude"):
        described["unit"] = "degree"
    elif (unit := texts.unit(name)) is not None and type_ is not ColumnType.STRING:
        described["unit"] = unit
    return described
