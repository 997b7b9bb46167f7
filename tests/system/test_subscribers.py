"""The files for other programs: run where the program is at hand, parsed where it is not.

Node-RED itself runs the flow in tests/node_red. Telegraf and Grafana are on no index of packages
that we use (Debian, PyPI, npm) and were not run: Grafana's queries are, on a real PostgreSQL, and
Telegraf's paths are held against a message of every kind that it subscribes to.
"""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest
import yaml

from collector.store.postgresql import PostgresqlStore
from deploy.broker.configuration import BrokerSettings
from deploy.grafana import make_clickhouse_dashboard, make_dashboard
from runtime.broker import BrokerConfig
from tests import postgresql, samples, secured_broker, seeded_centre
from tests.broker import Broker
from tests.client import Client, eventually
from tests.every_kind import messages

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
ENVELOPE = samples.envelope(
    [(1, samples.throughput()), (2, samples.throughput(line=samples.VIETTEL))]
)
CONTRACT = ROOT / "docs" / "contract"
READERS = ["subscribe.py", "mosquitto_sub.sh"]
TOPIC = f"tramdo/v1/{samples.TENANT}/{samples.PROBE}/m/throughput"


# Mosquitto's clients and some lines of Python


class Reader(NamedTuple):
    """A command line and what stands in its environment."""

    argv: list[str]
    environment: dict[str, str]


def reader(command: str, port: int, account: tuple[str, Path, Path] | None) -> Reader:
    """How somebody would start it, with an account (user, password file, CA) or for a try."""
    if command == "subscribe.py":
        argv = [sys.executable, "-I", str(DEPLOY / "subscribers" / command), "localhost"]
        argv += ["--port", str(port), "--schema", str(CONTRACT / "envelope.schema.json")]
        if account is not None:
            user, password, ca = account
            argv += ["--user", user, "--password-file", str(password), "--ca", str(ca)]
        return Reader(argv, {})
    given = {"BROKER": "localhost", "PORT": str(port)}
    if account is not None:
        user, password, ca = account
        given |= {"READER": user, "PASSWORD_FILE": str(password), "CA": str(ca)}
    return Reader([str(DEPLOY / "subscribers" / command)], given)


def printed(reading: Reader, folder: Path, sender: Client, topic: str) -> list[str]:
    """The two lines that a reader prints of an envelope that is published until it does."""
    said = folder / "said"
    environment = reading.environment | {"PATH": "/usr/bin:/bin"}
    with said.open("w") as out:
        process = subprocess.Popen(reading.argv, cwd="/", stdout=out, env=environment)

    def heard() -> bool:
        sender.publish(topic, ENVELOPE)
        return len(said.read_text().splitlines()) >= 2

    try:
        eventually(heard, "both results are printed")
    finally:
        process.terminate()
        process.wait(10)
    return said.read_text().splitlines()


def assert_both_lines(lines: list[str]) -> None:
    assert all(samples.PROBE in line and "throughput" in line for line in lines)
    assert any("viettel" in line for line in lines)
    assert any("vnpt" in line for line in lines)


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[secured_broker.Scene]:
    """A broker as deploy/broker sets it up: TLS, users, rights."""
    with secured_broker.scene(tmp_path_factory.mktemp("scene")) as ready:
        yield ready


@pytest.mark.parametrize("command", READERS)
def test_a_reader_with_an_account_gets_results_from_the_broker_that_we_deploy(
    command: str, deployed: secured_broker.Scene, tmp_path: Path
) -> None:
    office, broker = deployed.office, deployed.broker
    user = secured_broker.SUBSCRIBER
    account = (user, office.path / f"{user}.password", office.ca_file)
    reading = reader(command, broker.ports["password"], account)
    topic = f"{secured_broker.ROOT}/{secured_broker.PROBE}/m/throughput"
    with Client(broker.by_certificate(deployed.probe), secured_broker.PROBE) as probe:
        lines = printed(reading, tmp_path, probe, topic)
    assert_both_lines(lines)
    if command == "mosquitto_sub.sh":
        values = samples.throughput().values
        assert values is not None
        assert values.download_whole_bps is not None
        assert f"\t{round(values.download_whole_bps / 1e6)}\t" in lines[0], "slow start included"


def lines_of_every_kind(command: str, folder: Path) -> set[str]:
    """What a reader prints of a message of every kind."""
    sent, said = messages(), folder / "said"
    results = sum(len(message.results) for message in sent)
    with Broker(folder / "broker") as broker:
        reading = reader(command, broker.config().port, None)
        environment = reading.environment | {"PATH": "/usr/bin:/bin"}
        with said.open("w") as out:
            process = subprocess.Popen(reading.argv, cwd="/", stdout=out, env=environment)

        def lines() -> set[str]:
            return set(said.read_text().splitlines())

        def heard(sender: Client) -> bool:
            for message in sent:
                sender.publish(message.topic, message.payload)
            return len(lines()) >= results

        try:
            with Client(broker.config(), "probe") as probe:
                eventually(lambda: heard(probe), "each result is printed")
        finally:
            process.terminate()
            process.wait(60)
    return lines()


def test_the_program_in_python_prints_a_result_of_every_kind(tmp_path: Path) -> None:
    """Each message is valid by the contract's schema too, else it would have ended."""
    assert lines_of_every_kind("subscribe.py", tmp_path) == {
        " ".join(
            (
                json.loads(message.payload)["epoch"],
                str(seq),
                "phu-thong-01",
                result["line"]["id"],
                message.kind,
                result["outcome"],
            )
        )
        for message in messages()
        for seq, result in enumerate(message.results, start=1)
    }


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
def test_each_figure_of_every_kind_stands_in_its_own_column(tmp_path: Path) -> None:
    sent = messages()
    rows = {tuple(line.split("\t")) for line in lines_of_every_kind("mosquitto_sub.sh", tmp_path)}
    assert {len(row) for row in rows} == {8}
    assert rows == {
        (
            "phu-thong-01",
            result["line"]["id"],
            message.kind,
            result["started_at"],
            result["outcome"],
            result["reason"] or "-",
            whole_mbps(result, "download"),
            whole_mbps(result, "upload"),
        )
        for message in sent
        for result in message.results
    }


def whole_mbps(result: dict[str, Any], direction: str) -> str:
    """A speed with its slow start, as the reader prints it."""
    bps = (result["values"] or {}).get(f"{direction}_whole_bps")
    return "-" if bps is None else str(math.floor(bps / 1e6 + 0.5))


@pytest.mark.parametrize("command", READERS)
def test_a_wrong_password_ends_a_reader_or_lets_nothing_in(
    command: str, deployed: secured_broker.Scene, tmp_path: Path
) -> None:
    (tmp_path / "password").write_text("not this one\n")
    account = (secured_broker.SUBSCRIBER, tmp_path / "password", deployed.office.ca_file)
    reading = reader(command, deployed.broker.ports["password"], account)
    before = deployed.broker.log.count("not authorised")
    process = subprocess.Popen(
        reading.argv,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=reading.environment | {"PATH": "/usr/bin:/bin"},
    )
    try:
        eventually(
            lambda: deployed.broker.log.count("not authorised") > before, "it is refused", 20.0
        )
    finally:
        process.terminate()
        process.communicate(timeout=10)


@pytest.mark.parametrize("command", READERS)
def test_a_reader_without_an_account_is_for_a_try(command: str, tmp_path: Path) -> None:
    with Broker(tmp_path) as broker:
        config = BrokerConfig(host="127.0.0.1", port=broker.port, tls=False)
        with Client(config, "sender") as sender:
            assert_both_lines(printed(reader(command, broker.port, None), tmp_path, sender, TOPIC))


def test_the_files_for_other_programs_fit_the_broker_that_we_deploy() -> None:
    """Host and port of readers, and a user whose name is the client identifier."""
    telegraf = tomllib.loads((DEPLOY / "telegraf" / "tramdo.conf").read_text(encoding="utf-8"))
    (node_red,) = (node for node in flow() if node["type"] == "mqtt-broker")
    found = [
        (consumer["servers"][0].rpartition(":")[2], consumer["username"], consumer["client_id"])
        for consumer in telegraf["inputs"]["mqtt_consumer"]
    ]
    found.append((node_red["port"], node_red["credentials"]["user"], node_red["clientid"]))
    (port,) = (
        listener.port
        for listener in BrokerSettings(tenant="x").listeners
        if listener.credential == "password" and listener.protocol == "mqtt"
    )
    users = [user for _, user, _ in found]
    BrokerSettings(tenant="bach-thong", subscribers=users)  # each may be named there, and once
    assert [(told, client) for told, _, client in found] == [(str(port), user) for user in users]


# Telegraf


def flat(value: Any, prefix: str = "") -> Iterator[str]:
    """Names as json_v2 makes them of an object's leaves."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from flat(item, f"{prefix}_{key}" if prefix else key)
    elif not isinstance(value, list):
        yield prefix


def test_telegraf_names_keys_that_the_messages_have() -> None:
    """Of every result: keys of figures may be absent, as of one that failed; others never are."""
    sent = {message.kind: message for message in messages()}
    for consumer in telegraf_consumers():
        (topic,) = consumer["topics"]
        message = sent[topic.rpartition("/")[2]]
        (parser,) = consumer["json_v2"]
        (record,) = parser["object"]
        of_each = [set(flat(one)) for one in json.loads(message.payload)[record["path"]]]
        wanted = {*record["included_keys"], record["timestamp_key"], *record["tags"]}
        assert wanted <= set.union(*of_each), "a figure that no result has"
        assert {name for name in wanted if "_values_" not in name} <= set.intersection(*of_each)
        (parsing,) = consumer["topic_parsing"]
        assert len(parsing["topic"].split("/")) == len(message.topic.split("/"))


def test_telegraf_s_times_are_those_of_the_messages() -> None:
    """Go's layout with fractions of any length, or none, and a zone as `Z` or `+00:00`."""
    layout = "2006-01-02T15:04:05.999999999Z07:00"
    for consumer in telegraf_consumers():
        (record,) = consumer["json_v2"][0]["object"]
        assert record["timestamp_format"] == layout
    for message in messages():
        for result in message.results:
            assert re.fullmatch(
                r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", result["started_at"]
            )


def telegraf_consumers() -> list[dict[str, Any]]:
    config = tomllib.loads((DEPLOY / "telegraf" / "tramdo.conf").read_text(encoding="utf-8"))
    consumers: list[dict[str, Any]] = config["inputs"]["mqtt_consumer"]
    return consumers


# Node-RED


def flow() -> list[dict[str, Any]]:
    nodes: list[dict[str, Any]] = json.loads((DEPLOY / "node-red" / "flow.json").read_bytes())
    return nodes


def test_the_flow_s_wires_lead_somewhere() -> None:
    ids = {node["id"] for node in flow()}
    assert len(ids) == len(flow())
    for node in flow():
        assert {target for wire in node.get("wires", []) for target in wire} <= ids
        broker = node.get("broker") if node["type"] == "mqtt in" else None
        assert {broker, node.get("tls"), node.get("z")} <= ids | {None}


@pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed")
def test_the_flow_s_function_makes_a_message_of_each_result() -> None:
    (function,) = (node["func"] for node in flow() if node["type"] == "function")
    script = (
        f"const run = new Function('msg', {json.dumps(function)});"
        f"console.log(JSON.stringify(run({{payload: {ENVELOPE.decode()}}})));"
    )
    done = subprocess.run(["node", "-e", script], capture_output=True, text=True, check=True)
    (messages,) = json.loads(done.stdout)
    assert [message["topic"] for message in messages] == [
        "bach-thong/tram-01969-1/vnpt/throughput",
        "bach-thong/tram-01969-1/viettel/throughput",
    ]
    assert messages[0]["payload"]["download_mbps"] == pytest.approx(238.81)
    assert messages[0]["payload"]["loss_ratio"] is None


# Grafana


def test_the_dashboard_is_what_its_program_writes() -> None:
    assert make_dashboard.FILE.read_text(encoding="utf-8") == make_dashboard.text()


@pytest.mark.parametrize("file", sorted((DEPLOY / "grafana").rglob("*.yml")), ids=lambda f: f.name)
def test_the_provisioning_parses(file: Path) -> None:
    told = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert told["apiVersion"] == 1
    for source in told.get("datasources", []):
        of = make_clickhouse_dashboard if "clickhouse" in source["type"] else make_dashboard
        assert (source["type"], source["uid"]) == (of.SOURCE["type"], of.SOURCE["uid"])


def expanded(sql: str, start: datetime, end: datetime, choices: dict[str, str]) -> str:
    """The query as Grafana's PostgreSQL data source sends it: its documented macros, expanded."""
    times = f"'{start.isoformat()}'", f"'{end.isoformat()}'"
    sql = re.sub(r"\$__timeFilter\((\w+)\)", rf"\1 BETWEEN {times[0]} AND {times[1]}", sql)
    sql = sql.replace("$__timeFrom()", times[0]).replace("$__timeTo()", times[1])
    sql = re.sub(
        r"\$__timeGroup\((\w+), ?\$__interval\)",
        r"floor(extract(epoch from \1)/3600)*3600",
        sql,
    )
    for name, value in choices.items():
        sql = sql.replace(f"${name}", value)
    assert "$" not in sql, sql
    return sql


@pytest.fixture(scope="module")
def database() -> Iterator[psycopg.Connection[Any]]:
    memory = Path("/dev/shm")
    parent = memory if memory.is_dir() else None
    with postgresql.running({"fsync": "off"}, parent) as server:
        conninfo = server.conninfo(server.new_database())
        store = PostgresqlStore(conninfo)
        seeded_centre.fill(store, datetime.now(UTC), days=4)
        store.close()
        with psycopg.connect(conninfo) as connection:
            connection.read_only = True
            yield connection


CHOICES = {"commune": "'01969','01981'", "line": "bach-thong/tram-01969-1/vnpt"}


@pytest.mark.parametrize("name", [*make_dashboard.QUERIES, *make_dashboard.VARIABLES])
def test_every_query_of_the_dashboard_runs_and_finds(
    name: str, database: psycopg.Connection[Any]
) -> None:
    sql = {**make_dashboard.QUERIES, **make_dashboard.VARIABLES}[name]
    end = datetime.now(UTC)
    cursor = database.execute(expanded(sql, end - timedelta(days=3), end, CHOICES).encode())
    rows = cursor.fetchall()
    database.rollback()
    assert rows, f"{name} finds nothing in a centre of four days"
    names = [column.name for column in cursor.description or []]
    if "time" in names and "value" in names:
        values = [row[names.index("value")] for row in rows]
        assert any(value is not None for value in values)


def test_the_dashboard_shows_names_and_keeps_lines_that_the_registry_lacks_apart(
    database: psycopg.Connection[Any],
) -> None:
    end = datetime.now(UTC)
    with psycopg.connect(database.info.dsn) as writable:
        # As of a probe that was given a second line before the registry was.
        writable.execute("DELETE FROM registry_lines WHERE line = 'viettel'")
        for name in ("lines", "download", "share", "samples"):
            sql = expanded(
                make_dashboard.QUERIES[name], end - timedelta(days=3), end, CHOICES
            ).encode()
            cursor = writable.execute(sql)
            names = [column.name for column in cursor.description or []]
            rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
            assert rows, name
            shown = {str(row.get("metric", row.get("Cơ quan, xã"))) for row in rows}
            assert not [text for text in shown if text == "None" or re.search(r"\d{5}", text)], name
            if name == "lines":
                assert {row["Doanh nghiệp"] for row in rows} == {"VNPT", "viettel"}
                assert len({(row["Trạm đo"], row["Đường truyền"]) for row in rows}) == len(rows)
            if name == "download":
                assert {text for text in shown if text.startswith("viettel ")}
        writable.rollback()
