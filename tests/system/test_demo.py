"""The demo is the whole path: every part real, as a stranger would start it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deploy.demo.outcome import ROUND_KINDS
from tests import broker, resources
from tests.contract_clients import clients, expected_figures
from tests.interruption import DEFAULT_SIGNALS, Left
from tests.lab import network
from wire import topics

ROOT = Path(__file__).parents[2]
# "within 3 % of the shaped lines' theoretical TCP goodput": the issue's bound.
GOODPUT_TOLERANCE = 0.03
DIRECTIONS = ("download", "upload")

needs_broker = pytest.mark.skipif(broker.why_not() is not None, reason=str(broker.why_not()))
needs_lines = pytest.mark.skipif(network.why_not() is not None, reason=str(network.why_not()))


def one_round(messages: Path) -> dict[str, Any]:
    """What `make -s demo ONCE=1 JSON=1 MESSAGES=FILE` prints."""
    done = subprocess.run(
        [sys.executable, "-m", "deploy.demo", "--once", "--json", "--messages", str(messages)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    whole: dict[str, Any] = json.loads(done.stdout)
    return whole


def off_theory(round_: dict[str, Any]) -> float:
    """How far the worst figure of a round is from its shaped line's goodput; 0 without shapes."""
    errors = [line[f"{way}_error_ratio"] for line in round_["lines"] for way in DIRECTIONS]
    return max((abs(error) for error in errors if error is not None), default=0.0)


@pytest.fixture(scope="module")
def messages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the round's MQTT messages are written."""
    return tmp_path_factory.mktemp("demo") / "messages.jsonl"


@pytest.fixture(scope="module")
def round_(messages: Path) -> dict[str, Any]:
    """One round; a second one where somebody else had the processor during the first."""
    first = one_round(messages)
    return first if off_theory(first) <= GOODPUT_TOLERANCE else one_round(messages)


@needs_broker
def test_one_round_brings_every_kind_on_every_line_to_the_centre(round_: dict[str, Any]) -> None:
    assert round_["pending"] == 0
    found = {(row["result"]["line"]["id"], row["result"]["kind"]) for row in round_["results"]}
    assert found == {(line["id"], kind) for line in round_["lines"] for kind in ROUND_KINDS}
    assert {row["result"]["outcome"] for row in round_["results"]} == {"ok"}
    # No NAT in the demo; who reads without signing in sees no whole address.
    assert {row["result"]["operator"]["nat"] for row in round_["results"]} == {"none"}
    assert all("/" in row["result"]["operator"]["public_address"] for row in round_["results"])
    seqs = sorted(row["seq"] for row in round_["results"])
    assert seqs == list(range(1, len(seqs) + 1))


@needs_broker
@needs_lines
def test_each_line_shows_both_address_families(round_: dict[str, Any]) -> None:
    results = [row["result"] for row in round_["results"]]
    for line in ("vnpt", "viettel"):
        for kind in ("latency", "dns", "path"):
            families = {
                result["family"]
                for result in results
                if (result["line"]["id"], result["kind"]) == (line, kind)
            }
            assert families == {"ipv4", "ipv6"}, f"{line} {kind}"


@needs_broker
@needs_lines
def test_the_centre_shows_the_shaped_lines_goodput(round_: dict[str, Any]) -> None:
    assert list(dict.fromkeys(line["id"] for line in round_["lines"])) == ["vnpt", "viettel"]
    for line in round_["lines"]:
        for way in DIRECTIONS:
            assert line[f"{way}_bps"] == pytest.approx(
                line[f"goodput_{way}_bps"], rel=GOODPUT_TOLERANCE
            ), f"{line['id']} {way}"


@needs_broker
def test_generated_clients_decode_what_the_broker_carried(
    round_: dict[str, Any], messages: Path
) -> None:
    lines = [json.loads(line) for line in messages.read_text(encoding="utf-8").splitlines()]
    samples = [clients.sample_of(line["topic"], line["payload"]) for line in lines]
    parsed = [topics.parse(line["topic"]) for line in lines]
    channels = {topic.channel for topic in parsed if topic is not None}
    assert channels == {"m", "state", "info", "health", "receipt"}
    expected = expected_figures.of(samples)
    assert {seq for seq, *_ in expected} == {row["seq"] for row in round_["results"]}
    assert clients.by_python(samples) == expected
    assert clients.by_typescript(samples) == expected
    assert clients.typescript_errors(samples) == ""
    assert all(clients.by_node(samples)["verdicts"])


@needs_broker
def test_ctrl_c_ends_everything() -> None:
    demo = subprocess.Popen(
        [*DEFAULT_SIGNALS, sys.executable, "-m", "deploy.demo"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert demo.stdout is not None
    for line in demo.stdout:
        if line.startswith("stored:"):
            break
    run = resources.run_of(demo.pid)
    assert run is not None
    left = Left(run)
    assert any("tramdo-probe" in line for line in left.now())
    os.killpg(demo.pid, signal.SIGINT)
    rest = demo.communicate(timeout=60)[0]
    assert demo.returncode == 0, rest
    assert "nothing is left running" in rest
    left.until_nothing()
