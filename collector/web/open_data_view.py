"""Floor 1. The page of published months and of the data dictionary."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from collector.open_data import dictionary, texts
from collector.open_data.columns import PUBLIC_KINDS
from collector.open_data.dictionary import PublishedMonth
from collector.web.presentation import Locale

# Of a published file, by the end of its name.
MEDIA_TYPES = {
    ".gz": "application/gzip",
    ".parquet": "application/vnd.apache.parquet",
    ".json": "application/json",
    ".pem": "application/x-pem-file",
    ".sig": "application/octet-stream",
}
OTHER_MEDIA_TYPE = "text/plain"
ADDRESS = "/open/months"
# The kinds of files that the dictionary describes.
TABLES = (*PUBLIC_KINDS, "lines")


class MonthRow(NamedTuple):
    """A month in the table; sizes in the reader's words."""

    month: str
    href: str
    published: str
    results: str
    files: str
    size: str
    formats: str


class ColumnRow(NamedTuple):
    """A column in the dictionary."""

    name: str
    type: str
    unit: str
    meaning: str
    choices: str


class TableRow(NamedTuple):
    """A kind of file in the dictionary."""

    kind: str
    title: str
    columns: Sequence[ColumnRow]


def months(found: Iterable[PublishedMonth], locale: Locale) -> list[MonthRow]:
    """The months as a table."""
    return [
        MonthRow(
            month=f"{one.month[5:]}/{one.month[:4]}",
            href=f"{ADDRESS}/{one.month}/{dictionary.DESCRIPTOR}",
            published=one.created[:10],
            results=locale.number(one.results),
            files=locale.number(one.files),
            size=f"{locale.number(max(one.bytes // 1_000_000, 1))} MB",
            formats="CSV, Parquet" if one.parquet else "CSV",
        )
        for one in found
    ]


def index(found: Iterable[PublishedMonth]) -> dict[str, Any]:
    """The months for programs."""
    return {
        "licence": dictionary.LICENCE,
        "licence_url": dictionary.LICENCE_URL,
        "public_key": f"{ADDRESS}/key.pem",
        "dictionary": "/open/dictionary.json",
        "months": [
            {
                "month": one.month,
                "published_at": one.created,
                "results": one.results,
                "files": one.files,
                "bytes": one.bytes,
                "parquet": one.parquet,
                "description": f"{ADDRESS}/{one.month}/{dictionary.DESCRIPTOR}",
                "signature": f"{ADDRESS}/{one.month}/{dictionary.SIGNATURE}",
                "sha256": one.sha256,
            }
            for one in found
        ],
    }


def tables(chosen: str, locale: Locale) -> list[TableRow]:
    """The dictionary: the kinds of files, with the columns of the one that is chosen."""
    return [
        TableRow(
            kind,
            texts.KINDS[kind].in_(locale.language),
            [_column(field, locale) for field in dictionary.schema(kind)["fields"]]
            if kind == chosen
            else [],
        )
        for kind in TABLES
    ]


def _column(field: dict[str, Any], locale: Locale) -> ColumnRow:
    vietnamese = locale.language == "vi"
    return ColumnRow(
        field["name"],
        field["type"],
        field.get("unit", ""),
        field["description_vi" if vietnamese else "description"],
        ", ".join(field.get("constraints", {}).get("enum", ())),
    )
