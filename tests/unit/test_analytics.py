"""What is exported to ClickHouse: every field of every kind, as files say it, by sound settings."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from msgspec import inspect

from collector.analytics import row_binary, tables
from collector.analytics.line_columns import LINE_COLUMNS
from collector.analytics.result_columns import _ENUMS, LEFT_OUT, columns
from collector.analytics.settings import AnalyticsConfig
from collector.config import parse
from collector.registry.registry import Line, Probe
from collector.store.kind_tables import kind_tables
from runtime.settings import SettingsError
from wire.result import KINDS

DEPLOY = Path(__file__).parents[2] / "deploy" / "clickhouse"
MINIMAL = '[broker]\nhost = "broker.example.vn"\n[analytics]\n'


def fields(schema: dict[str, Any], of: dict[str, Any], path: str = "") -> Iterator[str]:
    """The path of every field in a JSON Schema that holds a value, or a list of values."""
    if "$ref" in of:
        of = schema["$defs"][of["$ref"].rpartition("/")[2]]
    options = [one for one in of.get("anyOf", [of]) if one.get("type") != "null"]
    (one,) = options if len(options) == 1 else ({},)
    if "$ref" in one:
        one = schema["$defs"][one["$ref"].rpartition("/")[2]]
    if "properties" in one:
        for name, inner in one["properties"].items():
            yield from fields(schema, inner, f"{path}.{name}" if path else name)
    elif one.get("type") == "array" and "$ref" in one.get("items", {}):
        yield from fields(schema, one["items"], path)
    else:
        yield path


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_of_a_kind_is_a_column_or_left_out_for_a_reason(kind: str) -> None:
    """By the JSON Schema, which is made by another way than the columns."""
    (of,), components = msgspec.json.schema_components([KINDS[kind]])
    schema = {"$defs": components}
    wanted = {path for path in fields(schema, of) if path != "kind"} - LEFT_OUT.keys()
    found = {column.field for column in columns(kind)} - {None}
    # Twice on the wire, once here: `download.whole_bps` is `download_whole_bps`.
    twice = {
        path for path in wanted - found
        if path.startswith("values.") and path.count(".") == 2
        and path.removeprefix("values.").replace(".", "_") in {one.name for one in columns(kind)}
    }  # fmt: skip
    assert found == wanted - twice
    assert len(twice) <= 2


@pytest.mark.parametrize("kind", KINDS)
def test_the_columns_of_the_store_s_views_are_there_by_their_names(kind: str) -> None:
    names = [column.name for column in columns(kind)]
    assert len(set(names)) == len(names)
    assert set(kind_tables()[kind].columns) <= set(names)


def test_a_list_that_is_numbered_has_all_its_members() -> None:
    for listed, numbers in _ENUMS.items():
        assert set(numbers) == set(listed)  # type: ignore[call-overload]
        assert len(set(numbers.values())) == len(numbers)


def test_every_field_of_a_line_is_a_column_or_left_out() -> None:
    left_out = {"id", "installed_on", "contract_date", "lines"}
    known = {field.name for of in (Line, Probe) for field in msgspec.structs.fields(of)}
    assert known - left_out <= {column.name for column in LINE_COLUMNS}


@pytest.mark.parametrize(("file", "cluster"), [("server.sql", False), ("cluster.sql", True)])
def test_the_files_of_tables_are_what_the_command_prints(file: str, cluster: bool) -> None:
    """tramdo-collector analytics ddl [--cluster] writes them anew."""
    assert (DEPLOY / file).read_text(encoding="utf-8") == tables.script("tramdo", cluster=cluster)


def test_a_cluster_has_a_whole_copy_of_ranges_and_lines_everywhere() -> None:
    text = tables.script("tramdo", cluster=True)
    assert text.count("/clickhouse/tables/all/tramdo/") == 2
    assert text.count("/clickhouse/tables/{shard}/tramdo/") == len(KINDS)
    assert text.count("cityHash64(tenant, probe)") == len(KINDS)
    assert "MergeTree" in text
    assert " ON CLUSTER" not in tables.script("tramdo", cluster=False)


@pytest.mark.parametrize(
    ("encoded", "content"),
    [
        (row_binary.length(0), "00"),
        (row_binary.length(127), "7f"),
        (row_binary.length(128), "8001"),
        (row_binary.length(300), "ac02"),
        (row_binary.text("é"), "02c3a9"),
        (row_binary.text("\ud800"), "013f"),
        (row_binary.uint64(2**53 - 1), "ffffffffffff1f00"),
        (row_binary.int64(-2), "feffffffffffffff"),
        (row_binary.nullable(row_binary.uint16)(None), "01"),
        (row_binary.nullable(row_binary.uint16)(513), "000102"),
        (row_binary.array_of_uint64([1, 2]), "0201000000000000000200000000000000"),
        (row_binary.array_of_uint64(None), "00"),
        (row_binary.array(row_binary.boolean)([True, False]), "020100"),
        (row_binary.uuid(UUID("00112233-4455-6677-8899-aabbccddeeff")),
         "7766554433221100ffeeddccbbaa9988"),
        (row_binary.time(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)), "40420f0000000000"),
        (row_binary.time(datetime(1, 1, 1, tzinfo=UTC)),
         row_binary.time(datetime(1900, 1, 1, tzinfo=UTC)).hex()),
        (row_binary.time(datetime.max.replace(tzinfo=UTC)),
         row_binary.time(datetime(2299, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)).hex()),
        (row_binary.head([("a", "UInt8")]), "0101610555496e7438"),
    ],
)  # fmt: skip
def test_cells_are_encoded_as_clickhouse_reads_them(encoded: bytes, content: str) -> None:
    assert encoded.hex() == content


def test_a_type_that_nobody_has_said_how_to_store_is_an_error() -> None:
    from collector.analytics.result_columns import _cell  # noqa: PLC0415

    with pytest.raises(TypeError, match="of_two"):
        _cell("of_two", [inspect.IntType(), inspect.StrType()])
    with pytest.raises(TypeError, match="what"):
        _cell("what", [inspect.AnyType()])


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ('url = "clickhouse.example.vn"', "analytics.url: expected a server"),
        ('url = "https://a:b@clickhouse.example.vn"', "analytics.url: expected a server"),
        ('url = "https://x"\ndatabase = "a; DROP"', "analytics.database: expected a database"),
        ('url = "https://x"\nusername = "tramdo"', "password_file"),
        ('url = "http://x:8123"\nusername = "a"\npassword_file = "/a"', "`url` with https"),
        ('url = "http://127.0.0.1.example.vn"\nusername = "a"\npassword_file = "/a"', "https"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_settings_is_named(table: str, sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        parse((MINIMAL + table).encode(), "c.toml")


def test_settings_that_are_sound() -> None:
    for url in (
        "http://127.0.0.1:8123",
        "http://[::1]:8123/",
        "https://clickhouse.example.vn:8443",
    ):
        text = f'url = "{url}"\nusername = "a"\npassword_file = "/a"'
        found = parse((MINIMAL + text).encode(), "c.toml").analytics
        assert found == AnalyticsConfig(url=url, username="a", password_file="/a")
