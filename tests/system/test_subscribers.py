"""The files for other programs: run where the program is at hand, parsed where it is not.

Telegraf, Grafana and Node-RED are not among our packages and were not run. What is asserted of
their files is what can be without them: Grafana's queries on a real PostgreSQL, Node-RED's function
in Node.js where there is one, Telegraf's paths against a real envelope.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from collector.store.postgresql import PostgresqlStore
from deploy.grafana import make_dashboard
from runtime.broker import BrokerConfig
from tests import postgresql, samples, seeded_centre
from tests.broker import Broker
from tests.client import Client, eventually

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
ENVELOPE = samples.envelope(
    [(1, samples.throughput()), (2, samples.throughput(line=samples.VIETTEL))]
)
TOPIC = f"tramdo/v1/{samples.TENANT}/{samples.PROBE}/m/throughput"


# Mosquitto's clients and twenty lines of Python


@pytest.mark.parametrize("command", ["subscribe.py", "mosquitto_sub.sh"])
def test_a_subscriber_that_has_none_of_our_code_gets_results(command: str, tmp_path: Path) -> None:
    for program in ("mosquitto_sub", "jq") if command.endswith(".sh") else ():
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    with Broker(tmp_path) as broker, (tmp_path / "said").open("w") as said:
        if command == "subscribe.py":
            schema = ROOT / "docs/contract/envelope.schema.json"
            argv = [sys.executable, "-I", str(DEPLOY / "subscribers" / command), "127.0.0.1"]
            argv += [str(broker.port), str(schema)]
            environment = {}
        else:
            argv = [str(DEPLOY / "subscribers" / command)]
            environment = {"BROKER": "127.0.0.1", "PORT": str(broker.port)}
        path = "/usr/bin:/bin"
        process = subprocess.Popen(argv, cwd="/", stdout=said, env=environment | {"PATH": path})
        try:
            with Client(
                BrokerConfig(host="127.0.0.1", port=broker.port, tls=False), "sender"
            ) as client:

                def heard() -> bool:
                    client.publish(TOPIC, ENVELOPE)
                    return len((tmp_path / "said").read_text().splitlines()) >= 2

                eventually(heard, "both results are printed", 20.0)
        finally:
            process.terminate()
            process.wait(10)
    lines = (tmp_path / "said").read_text().splitlines()
    assert all(samples.PROBE in line and "throughput" in line for line in lines)
    assert any("viettel" in line for line in lines)
    assert any("vnpt" in line for line in lines)


# Telegraf


def flat(value: Any, prefix: str = "") -> Iterator[str]:
    """Names as json_v2 makes them of an object's leaves."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from flat(item, f"{prefix}_{key}" if prefix else key)
    elif not isinstance(value, list):
        yield prefix


def test_telegraf_names_keys_that_an_envelope_has() -> None:
    config = tomllib.loads((DEPLOY / "telegraf" / "tramdo.conf").read_text(encoding="utf-8"))
    results = {"throughput": samples.throughput(), "latency": samples.latency()}
    for consumer in config["inputs"]["mqtt_consumer"]:
        (topic,) = consumer["topics"]
        kind = topic.rpartition("/")[2]
        envelope = json.loads(samples.envelope([(1, results[kind])]))
        (parser,) = consumer["json_v2"]
        (record,) = parser["object"]
        names = set(flat(envelope[record["path"]][0]))
        for name in (*record["included_keys"], record["timestamp_key"], *record["tags"]):
            assert name in names, name
        (parsing,) = consumer["topic_parsing"]
        assert len(parsing["topic"].split("/")) == len(topic.split("/"))


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
        assert source["uid"] == make_dashboard.SOURCE["uid"]


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
