"""One probe floods; the others' results are stored and receipted all the same, promptly.

Real Mosquitto, real collector, a real courier as the quiet neighbour, and a process that publishes
one message as fast as the broker takes it.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from msgspec import structs

from probe import config
from probe.deliver.publisher import Publisher
from tests import samples
from tests.broker import Broker, why_not
from tests.client import eventually
from tests.collector_process import CollectorProcess
from tests.unit.test_config import GOOD
from wire import topics

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))

ROOT = Path(__file__).parents[2]
# Small, so that the flood's burst is over soon on a loaded machine too.
LIMITS = {"probe_messages_per_s": 20.0, "probe_burst_s": 1.0}
ROUNDS = 10
# "N messages dropped unread": at once and then every minute.
TOLD = 10
# Waited out, the flood alone would keep a collector that takes everything busy for longer.
PROMPT_S = 5.0


@contextmanager
def flood(port: int, topic: str, payload: bytes, folder: Path) -> Iterator[None]:
    path = folder / "payload"
    path.write_bytes(payload)
    # A probe does not compute on the centre's processors: at a lower priority it floods with what
    # the broker and the collector leave, as one at the end of a line would.
    process = subprocess.Popen(
        ["nice", "-n", "5", sys.executable, "-m", "tests.flood", str(port), topic, str(path)],
        cwd=ROOT,
    )
    try:
        yield
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("garbage", [True, False])
def test_a_flood_of_one_does_not_delay_the_others(tmp_path: Path, garbage: bool) -> None:
    topic = topics.measurement(samples.TENANT, "noisy", "latency")
    payload = (
        b"\xff" * 200 if garbage else samples.envelope([(1, samples.latency())], probe="noisy")
    )
    with (
        Broker(tmp_path / "broker") as broker,
        CollectorProcess(tmp_path / "centre", broker.config(), tables={"intake": LIMITS}) as centre,
    ):
        settings = structs.replace(
            config.parse(GOOD.encode(), "probe.toml"),
            broker=broker.config(),
            delivery=config.DeliveryConfig(clock_wait_s=0.0, resend_after_s=5.0),
        )
        quiet = Publisher(
            settings, tmp_path / "outbox.sqlite", lambda _: None, samples.info_of, samples.health_of
        )
        quiet.start()
        try:
            began_s = time.monotonic()
            with flood(broker.port, topic, payload, tmp_path):
                eventually(lambda: "dropped unread" in centre.log, "the flood is noticed", 60.0)
                took_s = [_receipted(quiet) for _ in range(ROUNDS)]
                allowed = LIMITS["probe_messages_per_s"] * (
                    time.monotonic() - began_s + LIMITS["probe_burst_s"]
                )
                refused = centre.log.count("rejected (")
        finally:
            quiet.stop()
        print(f"receipts under a flood: {[round(one, 2) for one in took_s]} s")
        assert sorted(took_s)[ROUNDS // 2] < PROMPT_S
        seqs = {one["seq"] for one in centre.results() if one["probe"] == settings.probe}
        assert seqs == set(range(1, ROUNDS + 1))
        # Each line is of a message within the allowance, or says how many were not (once a minute).
        assert refused <= allowed + TOLD, "a flood of garbage does not flood the log"


def _receipted(courier: Publisher) -> float:
    """Submit one result and wait for its receipt; how long that took."""
    began_s = time.monotonic()
    courier.submit(samples.latency())
    assert courier.wait_delivered(60.0, threading.Event())
    return time.monotonic() - began_s
