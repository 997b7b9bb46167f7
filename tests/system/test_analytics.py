"""The export to ClickHouse: the real command, a real store, ClickHouse's own engine (chDB)."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest

from collector.analytics import tables
from collector.analytics.clickhouse import AnalyticsError
from collector.analytics.exporter import Exporter
from collector.analytics.http_client import HttpClient
from collector.analytics.ranges import Exported
from collector.analytics.result_columns import columns, rows
from collector.analytics.settings import AnalyticsConfig
from collector.ingest.validation import validate
from collector.store.records import StoredResult
from collector.store.sqlite import SqliteStore
from tests import clickhouse, samples, seeded_centre
from tests.clickhouse import Server
from wire import topics
from wire.result import KINDS, Line, LineOperator, Nat, decode_result

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 7, 26, 3, 0, tzinfo=UTC)
DAYS = 3


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with clickhouse.running(tmp_path_factory.mktemp("clickhouse")) as server:
        yield server


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteStore]:
    found = SqliteStore(tmp_path_factory.mktemp("store") / "results.sqlite")
    seeded_centre.fill(found, NOW, days=DAYS)
    yield found
    found.close()


@pytest.fixture
def config(engine: Server, request: pytest.FixtureRequest) -> Iterator[AnalyticsConfig]:
    """A database of the test's own, with the tables."""
    name = re.sub(r"\W+", "_", request.node.name).lower()[:60]
    found = AnalyticsConfig(url=engine.url, database=name)
    client = HttpClient(found)
    for statement in tables.creation(name, cluster=False):
        client.execute(statement)
    yield found
    client.execute(f"DROP DATABASE {name}")


def exporter(store: SqliteStore, config: AnalyticsConfig, range_results: int = 200) -> Exporter:
    return Exporter(store, HttpClient(config), lambda stored: stored.body, range_results)


def export_all(one: Exporter) -> list[Exported]:
    return list(iter(one.export_range, None))


def count(engine: Server, config: AnalyticsConfig) -> int:
    return sum(engine.rows(f"SELECT count() FROM {config.database}.{kind}")[0][0] for kind in KINDS)


def stored_results(kind: str) -> list[StoredResult]:
    """The contract's example of a kind, as it would be stored."""
    content = (ROOT / "docs" / "contract" / "examples" / f"{kind}.json").read_bytes()
    records = json.loads(content)["payload"]["records"]
    return [
        StoredResult(
            number=number,
            tenant="t",
            probe="p",
            epoch=UUID(int=7),
            seq=number,
            kind=kind,
            line="vnpt",
            target=None,
            received_at=NOW,
            stored_at=NOW + timedelta(microseconds=3),
            body=msgspec.json.encode(record["result"]),
        )
        for number, record in enumerate(records, start=1)
    ]


def expected(value: object, type_: str) -> object:
    """A field of a result's JSON as ClickHouse gives it in JSON."""
    if type_.startswith("Array"):
        inner = type_.removeprefix("Array(").removesuffix(")")
        return [expected(one, inner) for one in value or []]  # type: ignore[attr-defined]
    if "DateTime64" in type_ and isinstance(value, str):
        at = datetime.fromisoformat(value).astimezone(UTC)
        return f"{at:%Y-%m-%d %H:%M:%S.%f}"
    if isinstance(value, dict):
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return value


def field(body: Any, path: str) -> Any:
    """What stands at a path of a result's JSON; a list's structs give a list."""
    for name in path.split("."):
        if isinstance(body, list):
            return [one[name] for one in body]
        body = None if body is None else body.get(name)
    return body


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_of_a_kind_comes_back_as_it_was_sent(
    kind: str, engine: Server, config: AnalyticsConfig
) -> None:
    stored = stored_results(kind)
    results = [(one, decode_result(one.body)) for one in stored]
    HttpClient(config).insert(kind, rows(kind, results), "token")
    names = ", ".join(f"`{column.name}`" for column in columns(kind))
    found = engine.rows(f"SELECT {names} FROM {config.database}.{kind} ORDER BY number")
    assert len(found) == len(stored) > 0
    for row, one, (_, result) in zip(found, stored, results, strict=True):
        body = msgspec.json.decode(msgspec.json.encode(result))
        for column, cell in zip(columns(kind), row, strict=True):
            if column.field is not None:
                assert cell == expected(field(body, column.field), column.type), column.name
        of_store = dict(zip((column.name for column in columns(kind)), row, strict=True))
        assert (of_store["number"], of_store["seq"]) == (one.number, one.seq)
        assert (of_store["tenant"], of_store["probe"]) == ("t", "p")
        assert of_store["epoch"] == "00000000-0000-0000-0000-000000000007"
        assert of_store["received_at"] == "2026-07-26 03:00:00.000000"
        assert of_store["stored_at"] == "2026-07-26 03:00:00.000003"


def test_the_same_token_stores_once_and_another_one_again(
    engine: Server, config: AnalyticsConfig
) -> None:
    """It is the token that decides: not the content, and not the order."""
    client = HttpClient(config)
    first = rows("latency", [(one, decode_result(one.body)) for one in stored_results("latency")])
    other = rows("latency", [])
    count_of = f"SELECT count() FROM {config.database}.latency"
    client.insert("latency", first, "1-20")
    (once,) = engine.rows(count_of)
    client.insert("latency", first, "1-20")
    assert engine.rows(count_of) == [once]
    client.insert("latency", other + first.removeprefix(other) * 2, "1-20")
    assert engine.rows(count_of) == [once]
    client.insert("latency", first, "21-40")
    assert engine.rows(count_of) == [[2 * once[0]]]


def test_all_that_is_stored_is_exported_once(
    engine: Server, store: SqliteStore, config: AnalyticsConfig
) -> None:
    export = exporter(store, config)
    done = export_all(export)
    assert len(done) > 1, "several ranges"
    assert sum(one.results for one in done) == store.totals().results == count(engine, config)
    assert export.pending() == 0
    # Another one, with other ranges in mind, has nothing left to do.
    assert exporter(store, config, 17).export_range() is None


class LosesAnswers(HttpClient):
    """The n-th insert reaches ClickHouse, and its answer does not come back."""

    def __init__(self, config: AnalyticsConfig, lost: int) -> None:
        super().__init__(config)
        self._left = lost

    def insert(self, table: str, body: bytes, token: str | None) -> None:
        super().insert(table, body, token)
        self._left -= 1
        if self._left == 0:
            raise AnalyticsError("the connection is gone")


@pytest.mark.parametrize("lost", range(1, 7))
def test_a_range_that_was_broken_off_anywhere_is_repeated_as_it_was(
    lost: int, engine: Server, store: SqliteStore, config: AnalyticsConfig
) -> None:
    """The note that it begins, each kind's insert, the note that it is done."""
    broken = Exporter(store, LosesAnswers(config, lost), lambda stored: stored.body, 150)
    with pytest.raises(AnalyticsError):
        export_all(broken)
    # More results at a time: the range that was begun keeps its size all the same.
    export = exporter(store, config, 400)
    again = export.export_range()
    assert again is not None
    export_all(export)
    assert count(engine, config) == store.totals().results
    ranges = engine.rows(
        f"SELECT first, last FROM {config.database}.ranges WHERE state = 'done' ORDER BY first"
    )
    assert [first for first, _ in ranges] == [1, *(last + 1 for _, last in ranges[:-1])]


def test_two_exporters_at_once_store_once(
    engine: Server, store: SqliteStore, config: AnalyticsConfig
) -> None:
    """In turn, one step ahead of each other: both have read their place before the other begins."""
    sizes = (150, 250)
    clients = [Waits(config), Waits(config)]
    both = [
        Exporter(store, client, lambda stored: stored.body, size)
        for client, size in zip(clients, sizes, strict=True)
    ]
    clients[0].before_begin = both[1].export_range
    export_all(both[0])
    assert clients[0].met > 1
    assert count(engine, config) == store.totals().results


class Waits(HttpClient):
    """Lets another exporter go first between reading the place and noting a range."""

    before_begin: Any = None
    met = 0

    def insert(self, table: str, body: bytes, token: str | None) -> None:
        if self.before_begin is not None and token is not None and token.startswith("begun"):
            self.met += 1
            self.before_begin()
        super().insert(table, body, token)


def run(
    tmp_path: Path, config: AnalyticsConfig, *arguments: str
) -> subprocess.CompletedProcess[str]:
    table = {
        "broker": {"host": "127.0.0.1"},
        "store": {"path": str(tmp_path / "results.sqlite")},
        "analytics": {
            "url": config.url,
            "database": config.database,
            "addresses": config.addresses,
            "metrics_file": str(tmp_path / "analytics.prom"),
        },
    }
    path = tmp_path / "collector.toml"
    path.write_bytes(msgspec.toml.encode(table))
    command = [sys.executable, "-m", "collector.cli", "analytics", *arguments, "-c", str(path)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False, cwd=ROOT
    )


def test_the_command_makes_the_tables_and_exports(
    tmp_path: Path, engine: Server, config: AnalyticsConfig
) -> None:
    store = SqliteStore(tmp_path / "results.sqlite")
    seeded_centre.fill(store, NOW, days=1)
    stored = store.totals().results
    config = msgspec.structs.replace(config, database="of_the_command")
    store.close()
    done = run(tmp_path, config, "export", "--once")
    assert done.returncode == 1
    assert "of_the_command" in done.stderr
    assert run(tmp_path, config, "create").returncode == 0
    for _ in range(2):  # a second time changes nothing
        done = run(tmp_path, config, "export", "--once")
        assert done.returncode == 0, done.stderr
        assert count(engine, config) == stored
    metrics = (tmp_path / "analytics.prom").read_text(encoding="utf-8")
    assert "tramdo_analytics_pending_results 0.0" in metrics
    assert f"tramdo_analytics_last_number {stored}.0" not in metrics, "nothing was left to do"
    (lines,) = engine.rows("SELECT count(), uniq(isp) FROM of_the_command.lines FINAL")
    assert lines == [6, 2]


def test_whole_addresses_are_not_exported_unless_it_is_configured(
    tmp_path: Path, engine: Server, config: AnalyticsConfig
) -> None:
    result = msgspec.structs.replace(
        samples.latency(),
        line=Line("vnpt", "VNPT", "eth0", "2001:db9:7:8::9"),
        operator=LineOperator("198.41.0.4", Nat.NAT, NOW),
        detail="198.41.0.4 does not answer",
    )
    store = SqliteStore(tmp_path / "results.sqlite")
    topic = topics.measurement(samples.TENANT, samples.PROBE, "latency")
    for seq, address in enumerate(("198.41.0.0/24", "198.41.0.4"), start=1):
        store.store_batch([validate(topic, samples.envelope([(seq, result)]), NOW)], NOW)
        of = msgspec.structs.replace(config, addresses=address == "198.41.0.4")
        done = run(tmp_path, of, "export", "--once")
        assert done.returncode == 0, done.stderr
        (found,) = engine.rows(
            f"SELECT operator_public_address, detail, * FROM latency WHERE seq = {seq}",
            config.database,
        )
        assert found[:2] == [address, f"{address} does not answer"]
        assert "2001:db9" not in str(found)
    store.close()


def test_tables_of_another_version_are_refused_with_what_to_do(
    engine: Server, config: AnalyticsConfig
) -> None:
    client = HttpClient(config)
    body = rows("dns", [(one, decode_result(one.body)) for one in stored_results("dns")])
    client.execute(f"ALTER TABLE {config.database}.dns MODIFY COLUMN port Nullable(UInt8)")
    with pytest.raises(AnalyticsError, match="analytics create"):
        client.insert("dns", body, "1-1")
    client.execute(f"ALTER TABLE {config.database}.dns DROP COLUMN port")
    with pytest.raises(AnalyticsError, match="analytics create"):
        client.insert("dns", body, "1-1")
    for statement in tables.new_columns(config.database, cluster=False):
        client.execute(statement)
    client.insert("dns", body, "1-1")
    assert engine.rows(f"SELECT port FROM {config.database}.dns")[0] == [53]
