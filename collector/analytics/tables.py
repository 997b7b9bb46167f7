"""Floor 1. The SQL that makes ClickHouse's tables, on one server and on a cluster.

A kind has a table of its name. Parts are by the month in which results were received: a probe's
clock may be wrong by years, the centre's is not, so an insert has one part or two. Rows are sorted
by line, target and time, so that neighbours are alike.

On a cluster each shard has the results of some probes in `latency_local`, replicated; `latency` is
all of them (Distributed). `lines` and `ranges` are whole on every server. `{cluster}`, `{shard}`
and `{replica}` are macros of ClickHouse's settings.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from collector.analytics.line_columns import EXPORTED_AT, LINE_COLUMNS
from collector.analytics.result_columns import columns
from wire.result import KINDS

# So many inserts of a table are known by their tokens: two weeks, at one a minute.
_WINDOW = 20_000
_WINDOW_S = 14 * 86_400
_ON_CLUSTER = " ON CLUSTER '{cluster}'"
_MICROS = "DateTime64(6, 'UTC')"
# The ranges of numbers that were exported: begun before their first insert, done after the last.
RANGE_COLUMNS = (
    ("first", "UInt64"),
    ("last", "UInt64"),
    ("state", "Enum8('begun' = 1, 'done' = 2)"),
    ("results", "UInt64"),
    ("unreadable", "UInt64"),
    ("at", _MICROS),
)
# Kinds that have no target.
_WITHOUT_TARGET = {"availability", "outage", "results_dropped"}


def creation(database: str, *, cluster: bool) -> Iterator[str]:
    """The statements that make the database and its tables, where they are not there yet."""
    on = _ON_CLUSTER if cluster else ""
    yield f"CREATE DATABASE IF NOT EXISTS {database}{on}"
    for kind in KINDS:
        yield from (_kind_on_cluster if cluster else _kind)(database, kind)
    of_lines = [
        *((column.name, column.type, "ZSTD(1)") for column in LINE_COLUMNS),
        (*EXPORTED_AT, "ZSTD(1)"),
    ]
    yield _table(
        f"{database}.lines{on}",
        of_lines,
        _engine(database, "lines", "Replacing", "exported_at", everywhere=True, cluster=cluster),
        "(tenant, probe, line)",
    )
    of_ranges = [(name, type_, "ZSTD(1)") for name, type_ in RANGE_COLUMNS]
    yield _table(
        f"{database}.ranges{on}",
        of_ranges,
        _engine(database, "ranges", "", "", everywhere=True, cluster=cluster),
        "(state, first)",
        _window(cluster=cluster),
    )


def new_columns(database: str, *, cluster: bool) -> Iterator[str]:
    """The statements that add what an older version's tables lack; nothing else is changed."""
    on = _ON_CLUSTER if cluster else ""
    for kind in KINDS:
        added = ",\n".join(
            f"    ADD COLUMN IF NOT EXISTS `{name}` {type_} CODEC({codec})"
            for name, type_, codec in _of_kind(kind)
        )
        # Distributed stores nothing, so it has no codecs.
        plain = ",\n".join(
            f"    ADD COLUMN IF NOT EXISTS `{name}` {type_}" for name, type_, _ in _of_kind(kind)
        )
        if cluster:
            yield f"ALTER TABLE {database}.{kind}_local{on}\n{added}"
            yield f"ALTER TABLE {database}.{kind}{on}\n{plain}"
        else:
            yield f"ALTER TABLE {database}.{kind}\n{added}"


def script(database: str, *, cluster: bool) -> str:
    """The statements of `creation` as a file for clickhouse-client."""
    return "".join(f"{statement};\n\n" for statement in creation(database, cluster=cluster))


def _kind(database: str, kind: str) -> Iterator[str]:
    yield _kind_table(database, kind, kind, cluster=False)


def _kind_on_cluster(database: str, kind: str) -> Iterator[str]:
    local = f"{kind}_local"
    yield _kind_table(database, kind, local, cluster=True)
    yield (
        f"CREATE TABLE IF NOT EXISTS {database}.{kind}{_ON_CLUSTER} AS {database}.{local}\n"
        f"ENGINE = Distributed('{{cluster}}', {database}, {local}, cityHash64(tenant, probe))"
    )


def _kind_table(database: str, kind: str, name: str, *, cluster: bool) -> str:
    target = "" if kind in _WITHOUT_TARGET else "ifNull(target, ''), "
    return _table(
        f"{database}.{name}{_ON_CLUSTER if cluster else ''}",
        _of_kind(kind),
        _engine(database, name, "", "", everywhere=False, cluster=cluster),
        f"(tenant, probe, line, {target}started_at)",
        _window(cluster=cluster),
        "PARTITION BY toYYYYMM(received_at)\n",
    )


def _of_kind(kind: str) -> list[tuple[str, str, str]]:
    return [(column.name, column.type, column.codec) for column in columns(kind)]


def _table(
    name: str,
    listed: Sequence[tuple[str, str, str]],
    engine: str,
    order: str,
    settings: str = "",
    partitions: str = "",
) -> str:
    lines = ",\n".join(f"    `{column}` {type_} CODEC({codec})" for column, type_, codec in listed)
    if partitions:
        # Most questions are of a time, and rows are sorted by line first.
        lines += ",\n    INDEX started_at_bounds started_at TYPE minmax GRANULARITY 1"
    text = f"CREATE TABLE IF NOT EXISTS {name}\n(\n{lines}\n)\nENGINE = {engine}\n"
    return f"{text}{partitions}ORDER BY {order}{settings}"


def _engine(
    database: str, table: str, kind: str, version: str, *, everywhere: bool, cluster: bool
) -> str:
    """The engine of a table; one that is `everywhere` is whole on each server of all shards."""
    if not cluster:
        return f"{kind}MergeTree" + (f"({version})" if version else "")
    shard, replica = ("all", "{shard}-{replica}") if everywhere else ("{shard}", "{replica}")
    more = f", {version}" if version else ""
    return (
        f"Replicated{kind}MergeTree"
        f"('/clickhouse/tables/{shard}/{database}/{table}', '{replica}'{more})"
    )


def _window(*, cluster: bool) -> str:
    if not cluster:
        return f"\nSETTINGS non_replicated_deduplication_window = {_WINDOW}"
    return (
        f"\nSETTINGS replicated_deduplication_window = {_WINDOW}, "
        f"replicated_deduplication_window_seconds = {_WINDOW_S}"
    )
