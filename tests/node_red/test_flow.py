"""deploy/node-red in Node-RED itself, with a result of every kind."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.broker import Broker, why_not
from tests.client import Client, eventually
from tests.contract_clients.clients import npm_installed
from tests.every_kind import messages
from tests.ports import free_port

HERE = Path(__file__).parent
FLOW = HERE.parents[1] / "deploy" / "node-red" / "flow.json"
pytestmark = [
    pytest.mark.skipif(why_not() is not None, reason=str(why_not())),
    pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed"),
]
ALL, SLOW = "seen/all", "seen/slow"


def flow(broker_port: int) -> list[dict[str, Any]]:
    """The flow as deployed, but for the broker; what it shows goes back to the broker."""
    nodes: list[dict[str, Any]] = json.loads(FLOW.read_bytes())
    seen = {"tramdo-debug": ALL, "tramdo-slow-debug": SLOW}
    for node in nodes:
        if node["type"] == "mqtt-broker":
            node |= {"broker": "127.0.0.1", "port": str(broker_port), "usetls": False, "tls": ""}
            node |= {"credentials": {}}
        if node["id"] in seen:
            node |= {"type": "mqtt out", "topic": seen[node["id"]], "qos": "1", "retain": "false"}
            node |= {"broker": "tramdo-broker"}
    return [node for node in nodes if node["type"] != "tls-config"]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path / "broker") as running:
        yield running


@pytest.fixture
def log(tmp_path: Path, broker: Broker) -> Iterator[Path]:
    """The log of Node-RED with the flow."""
    folder, log = tmp_path / "node-red", tmp_path / "node-red.log"
    folder.mkdir()
    (folder / "flows.json").write_text(json.dumps(flow(broker.config().port)))
    (folder / "settings.js").write_text(
        'module.exports = {flowFile: "flows.json", credentialSecret: false, httpAdminRoot: false, '
        'uiHost: "127.0.0.1", telemetry: {enabled: false}};\n'
    )
    program = npm_installed(HERE / "package.json", "node-red") / "node_modules/node-red/red.js"
    argv = ["node", program, "--userDir", folder, "--port", free_port()]
    with log.open("w") as out:
        process = subprocess.Popen(list(map(str, argv)), stdout=out, stderr=subprocess.STDOUT)
    try:
        yield log
    finally:
        process.terminate()
        process.wait(60)


def test_the_flow_sorts_a_result_of_every_kind(broker: Broker, log: Path) -> None:
    sent = messages()
    numbered = [
        (message.kind, seq, result)
        for message in sent
        for seq, result in enumerate(message.results, start=1)
    ]
    with (
        Client(broker.config(), "reader", subscriptions=["seen/#"]) as reader,
        Client(broker.config(), "probe") as probe,
    ):

        def seen(topic: str) -> set[tuple[str, int]]:
            reader.look()
            found = [json.loads(one.payload) for one in reader.received if one.topic == topic]
            return {(entry["kind"], entry["seq"]) for entry in found}

        def is_subscribed() -> bool:
            probe.publish(sent[-1].topic, sent[-1].payload)
            return bool(seen(ALL))

        eventually(lambda: "Connected to broker" in log.read_text(), "the flow is connected")
        eventually(is_subscribed, "the flow has subscribed")
        for message in sent:
            probe.publish(message.topic, message.payload)
        every = {(kind, seq) for kind, seq, _ in numbered}
        eventually(lambda: seen(ALL) == every, "each result is shown")
        # Neither a latency, nor an upload alone, nor a failed test is slow for want of a download.
        slow = {
            (kind, seq)
            for kind, seq, result in numbered
            if (bps := (result["values"] or {}).get("download_bps")) is not None and bps < 100e6
        }
        eventually(lambda: len(seen(SLOW)) >= len(slow), "each slow result is shown as one")
        assert seen(SLOW) == slow
    assert len(slow) == 6
