"""An outage at the centre's page and API: while it goes on, and when its end was told."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from msgspec import structs

from collector.ingest.validation import validate
from collector.store.sqlite import SqliteStore
from tests import samples
from tests.broker import Broker
from tests.client import eventually
from tests.collector_process import CollectorProcess
from wire import messages, topics
from wire.result import FaultLocation, Result

PLACE = "Đường truy nhập của nhà mạng"
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


class Probe:
    """What a probe sends, put through intake into a store."""

    def __init__(self, path: Path, now: datetime) -> None:
        self._path, self._now, self._seq = path, now, 0

    def sends(self, *results: Result, leds: dict[str, str]) -> None:
        health = structs.replace(samples.health(pending=0, at=self._now), leds=leds)
        told: list[tuple[str, messages.Payload]] = [
            ("info", samples.info()),
            ("state", messages.State(messages.Presence.ONLINE, self._now)),
            ("health", health),
        ]
        batch = [
            validate(
                topics.of_probe(samples.TENANT, samples.PROBE, name), messages.encode(it), self._now
            )
            for name, it in told
        ]
        for result in results:
            self._seq += 1
            topic = topics.measurement(samples.TENANT, samples.PROBE, result.kind)
            envelope = samples.envelope([(self._seq, result)], sent_at=self._now)
            batch.append(validate(topic, envelope, self._now))
        store = SqliteStore(self._path)
        assert store.store_batch(batch, self._now).stored == len(results)
        while store.roll_up(self._now):
            pass
        store.close()


def outages_shown(collector: CollectorProcess) -> list[list[str]]:
    """The rows of the page's table of outages, without their times."""
    _, page = collector.text(f"/line/{samples.TENANT}/{samples.PROBE}/vnpt")
    table = page[page.index("Phút mất kết nối") :]
    table = table[: table.index("</table>")]
    rows = re.findall(r"<tr[^>]*><th[^>]*scope=\"row\"[^>]*>.*?</tr>", table, re.DOTALL)
    return [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in rows]


def test_an_outage_has_its_place_before_and_after_its_end_was_told(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    hour = now.replace(minute=0, second=0, microsecond=0)
    access = FaultLocation.ISP_ACCESS
    look = structs.replace(
        samples.path(fault=access, reached=False), slot_at=None, started_at=hour - 10 * MINUTE
    )
    with Broker(tmp_path / "broker") as broker:
        collector = CollectorProcess(tmp_path / "centre", broker.config())
        probe = Probe(collector.store_path, now)
        probe.sends(
            samples.outage(began_at=hour - 3 * HOUR, down=7, fault=FaultLocation.BEYOND),
            samples.availability(started_at=hour - 3 * HOUR, up=53, down=7, unknown=0),
            samples.availability(started_at=hour - 2 * HOUR, up=60, down=0, unknown=0),
            look,
            samples.availability(started_at=hour - HOUR, up=20, down=40, unknown=0),
            leds={"vnpt.green": "off", "vnpt.red": "fast_blink"},
        )
        with collector:
            eventually(lambda: collector.get("/healthz")[0] == 200, "the collector is connected")
            beyond = "Phía sau đường truy nhập của nhà mạng"
            assert outages_shown(collector) == [
                ["40", "0", f"{PLACE} (chưa ghi nhận kết thúc)"],
                ["7", "0", beyond],
            ]
            _, page = collector.text(f"/line/{samples.TENANT}/{samples.PROBE}/vnpt")
            assert f"Vị trí sự cố: {PLACE} (quan sát lúc" in page
            address = f"/api/v1/lines/{samples.TENANT}/{samples.PROBE}/vnpt/series"
            _, series = collector.get(address)
            seen_at = f"{look.started_at:%Y-%m-%dT%H:%M:%SZ}"
            assert series["fault_now"] == {"seen_at": seen_at, "fault": "isp_access"}
            assert [one["fault"] for one in series["outages"]] == ["beyond"]

            probe.sends(
                samples.outage(began_at=hour - 40 * MINUTE, down=40, fault=access),
                leds={"vnpt.green": "steady", "vnpt.red": "off"},
            )
            assert outages_shown(collector) == [["40", "0", PLACE], ["7", "0", beyond]]
            _, series = collector.get(address)
            assert series["fault_now"] is None
            assert [one["fault"] for one in series["outages"]] == ["beyond", "isp_access"]
