"""After a boot without NTP, end to end: results wait, and reach the store with their real times.

Real publisher, Mosquitto and collector. The clock's line is given: an unknown wall clock that is a
year wrong, until "NTP" comes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from probe import clock, config
from probe.deliver.publisher import Publisher
from tests import samples
from tests.broker import Broker, why_not
from tests.client import Client, eventually
from tests.collector_process import CollectorProcess
from tests.unit.test_config import GOOD
from wire.record import Clock
from wire.result import LatencyResult, Validity

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))

BOOT = "b90a1a81-1c5d-4e04-b4b8-16caf4aa0107"
A_YEAR_WRONG = timedelta(days=365)
WAIT_S = 300.0


class Box:
    """A Pi without a clock battery, `age_s` after its boot."""

    def __init__(self, age_s: float, boot_id: str = BOOT) -> None:
        self._booted_at_s = time.monotonic() - age_s
        self.synchronised = False
        self.boot_id = boot_id

    def reading(self) -> Clock:
        boottime_s = time.monotonic() - self._booted_at_s
        return Clock(self.synchronised, self.boot_id, boottime_s)

    def measure(self) -> LatencyResult:
        """A result as the runner makes it: with the wrong wall clock's time."""
        return structs.replace(
            samples.latency(
                started_at=datetime.now(UTC) - A_YEAR_WRONG, validity=[Validity.CLOCK_UNSYNCED]
            ),
            clock=self.reading(),
        )


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path / "broker") as started:
        yield started


def delivering(broker: Broker, folder: Path, read_clock: Callable[[], Clock]) -> Publisher:
    folder.mkdir(exist_ok=True)
    settings = structs.replace(
        config.parse(GOOD.encode(), "probe.toml"),
        broker=broker.config(),
        delivery=config.DeliveryConfig(clock_wait_s=WAIT_S),
    )
    path = folder / "outbox.sqlite"
    return Publisher(
        settings, path, lambda _: None, samples.info_of, samples.health_of, read_clock=read_clock
    )


def test_results_wait_for_the_clock_and_are_stored_with_their_real_times(
    broker: Broker, tmp_path: Path
) -> None:
    box = Box(age_s=10.0)
    publisher = delivering(broker, tmp_path / "probe", box.reading)
    topic = "tramdo/v1/+/+/m/+"
    with (
        CollectorProcess(tmp_path / "centre", broker.config()) as centre,
        Client(broker.config(), "witness", subscriptions=[topic, "tramdo/v1/+/+/health"]) as client,
    ):
        publisher.start()
        measured_at = []
        for _ in range(5):
            measured_at.append(clock.utc_now())
            publisher.submit(box.measure())
        client.wait_for(lambda message: message.topic.endswith("/health"))
        client.look()
        assert not [one for one in client.received if "/m/" in one.topic], "nothing has left"
        box.synchronised = True
        for result, at in zip(stored(centre, 5), measured_at, strict=True):
            assert abs(_time(result["started_at"]) - at) < timedelta(seconds=1)
            assert result["validity"] == ["clock_repaired"]
            assert _time(result["clock"]["stated_at"]) < at - timedelta(days=364)
        # And what is measured from now on needs no repair.
        publisher.submit(samples.latency(started_at=clock.utc_now()))
        assert stored(centre, 6)[-1]["validity"] == []
    publisher.stop()


def test_what_outlived_a_reboot_is_repaired_by_what_was_known_of_its_boot(
    broker: Broker, tmp_path: Path
) -> None:
    """Measured without a clock, the clock came, then the power went before the broker was back."""
    first = Box(age_s=10.0)
    broker.stop()
    publisher = delivering(broker, tmp_path / "probe", first.reading)
    publisher.start()
    at = clock.utc_now()
    publisher.submit(first.measure())
    first.synchronised = True
    eventually((tmp_path / "probe" / "boots.json").exists, "the boot is known")
    publisher.stop()
    broker.start()
    second = Box(age_s=5.0, boot_id="another")
    second.synchronised = True
    with CollectorProcess(tmp_path / "centre", broker.config()) as centre:
        publisher = delivering(broker, tmp_path / "probe", second.reading)
        publisher.start()
        (result,) = stored(centre, 1)
        assert abs(_time(result["started_at"]) - at) < timedelta(seconds=1)
    publisher.stop()


def test_where_ntp_never_comes_results_leave_marked(broker: Broker, tmp_path: Path) -> None:
    box = Box(age_s=WAIT_S - 1.0)
    with CollectorProcess(tmp_path / "centre", broker.config()) as centre:
        publisher = delivering(broker, tmp_path / "probe", box.reading)
        publisher.start()
        publisher.submit(box.measure())
        (result,) = stored(centre, 1)
        # Just connected, this centre cannot tell a wrong clock from a message that has waited.
        assert result["validity"] == ["clock_unsynced"]
        assert "stated_at" in result["clock"]
        assert result["clock"]["stated_at"] is None
    publisher.stop()


def stored(centre: CollectorProcess, count: int) -> list[dict[str, Any]]:
    eventually(lambda: len(centre.results()) == count, f"{count} results are stored")
    return [one["result"] for one in centre.results()]


def _time(text: Any) -> datetime:
    return datetime.fromisoformat(text)
