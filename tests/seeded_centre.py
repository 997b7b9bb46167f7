"""Floor 3. A centre that has watched some communes for weeks: seeded, through intake and store.

Every message passes `collector.ingest.validation.validate` as it would from the broker, and the
store rolls it up as it would in service. Nothing is written into a table by hand. The same seed is
the same centre but for its days, which end at `now` so that the pages have a last week.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import msgspec

from collector.ingest.validation import validate
from collector.registry.communes import official
from collector.registry.file_format import parse_toml
from collector.store.store import Store
from tests import samples
from wire import messages, topics
from wire.messages import Presence, State
from wire.result import Family, Line, Outcome, Reason, Result, Validity
from wire.site import Site

TENANT = "bach-thong"
FAMILY_DAYS = 14
REGISTRY = """
[[isp]]
id = "vnpt"
name = "VNPT"
[[isp]]
id = "viettel"
name = "Viettel"

[[probe]]
tenant = "bach-thong"
probe = "tram-01969-1"
commune = "01969"
office = "Văn phòng UBND xã Phủ Thông"
[[probe.line]]
id = "vnpt"
isp = "vnpt"
plan_down_mbit_s = 300
plan_up_mbit_s = 200
contract_date = 2026-01-15
technology = "fibre"
[[probe.line]]
id = "viettel"
isp = "viettel"
plan_down_mbit_s = 300
plan_up_mbit_s = 300

[[probe]]
tenant = "bach-thong"
probe = "tram-01981-1"
commune = "01981"
office = "Trụ sở UBND xã Vĩnh Thông"
[[probe.line]]
id = "vnpt"
isp = "vnpt"
plan_down_mbit_s = 150
plan_up_mbit_s = 150
[[probe.line]]
id = "viettel"
isp = "viettel"

[[probe]]
tenant = "bach-thong"
probe = "tram-02008-1"
commune = "02008"
office = "Trụ sở UBND xã Cẩm Giàng"
[[probe.line]]
id = "viettel"
isp = "viettel"
plan_down_mbit_s = 200
plan_up_mbit_s = 200

[[probe]]
tenant = "bach-thong"
probe = "tram-02014-1"
commune = "02014"
office = "Trụ sở UBND xã Bạch Thông"
[[probe.line]]
id = "vnpt"
isp = "vnpt"
plan_down_mbit_s = 300
plan_up_mbit_s = 300

[[group]]
id = "bach-thong-cu"
name = "Huyện Bạch Thông (cũ)"
communes = ["01969", "01981", "02008", "02014"]
"""


class SeededLine(NamedTuple):
    """How a line behaves: its mean rates (Mbit/s), round-trip time (ms) and share of loss.

    Of a line that is `dual_stack`, IPv6 is a little slower; its probe states no family before the
    last `FAMILY_DAYS` days.
    """

    line: Line
    down: float
    up: float
    rtt_ms: float
    loss: float = 0.001
    dual_stack: bool = False


class SeededProbe(NamedTuple):
    """A probe, its lines, how many throughput tests a day, and for how many days up to when."""

    probe: str
    site: Site
    lines: Sequence[SeededLine]
    tests_a_day: int
    presence: Presence = Presence.ONLINE
    silent_days: int = 0
    pending: int = 0


def _line(name: str, isp: str) -> Line:
    return Line(name, isp, "eth0" if name == "vnpt" else "eth1", "192.0.2.10")


PROBES = (
    SeededProbe(
        "tram-01969-1",
        Site("01969", "Văn phòng UBND xã Phủ Thông", "Bạch Thông (cũ)"),
        [
            SeededLine(_line("vnpt", "VNPT"), 272, 186, 9.5, dual_stack=True),
            SeededLine(_line("viettel", "Viettel"), 214, 240, 14.0, 0.012),
        ],
        48,
    ),
    SeededProbe(
        "tram-01981-1",
        Site("01981", "Trụ sở UBND xã Vĩnh Thông", "Bạch Thông (cũ)"),
        [
            SeededLine(_line("vnpt", "VNPT"), 96, 80, 18.0, 0.02),
            SeededLine(_line("viettel", "Viettel"), 131, 118, 16.0),
        ],
        10,
        pending=1234,
    ),
    SeededProbe(
        "tram-02008-1",
        Site("02008", "Trụ sở UBND xã Cẩm Giàng", "Bạch Thông (cũ)"),
        [SeededLine(_line("viettel", "Viettel"), 188, 176, 12.0)],
        4,
        presence=Presence.LOST,
        silent_days=5,
    ),
)


def fill(store: Store, now: datetime, days: int = 24, seed: int = 1) -> None:
    """Register the group and give its probes `days` of results that end at `now`."""
    registry = parse_toml(REGISTRY.encode(), "seeded.toml", official())
    store.registry.apply(registry, "centre", "seeded.toml", now - timedelta(days=days))
    for probe in PROBES:
        _fill_probe(store, probe, now, days, random.Random(f"{seed} {probe.probe}"))
    bad = validate(topics.of_probe(TENANT, "tram-01981-1", "info"), b"{", now)
    store.store_batch([bad], now)
    while store.roll_up(now):
        pass


def _fill_probe(
    store: Store, probe: SeededProbe, now: datetime, days: int, chance: random.Random
) -> None:
    last = now - timedelta(days=probe.silent_days)
    info = msgspec.structs.replace(
        samples.info(lines=[one.line for one in probe.lines]),
        site=probe.site,
        plan=[
            messages.PlannedKind("throughput", probe.tests_a_day),
            messages.PlannedKind("latency", 24),
        ],
    )
    leds = {"power": "steady", "centre": "steady"}
    for number, one in enumerate(probe.lines):
        degraded = number > 0 and probe.presence is Presence.ONLINE
        leds[f"{one.line.id}.green"] = "slow_blink" if degraded else "steady"
        leds[f"{one.line.id}.red"] = "slow_blink" if degraded else "off"
    health = msgspec.structs.replace(
        samples.health(
            pending=probe.pending, at=last, certificate_ends_at=last + timedelta(days=20)
        ),
        leds=leds,
        clock_synchronised=probe.pending == 0,
    )
    told: list[tuple[str, messages.Payload]] = [
        ("info", info), ("state", State(probe.presence, last)), ("health", health)
    ]  # fmt: skip
    store.store_batch(
        [
            validate(topics.of_probe(TENANT, probe.probe, name), messages.encode(message), last)
            for name, message in told
        ],
        last,
    )
    seq = 1
    epoch = UUID(int=chance.getrandbits(128), version=4)
    for day in range(days):
        begins = now - timedelta(days=days - day)
        if begins > last - timedelta(hours=12):
            break
        by_kind: dict[str, list[tuple[int, Result]]] = {}
        for result in _day(probe, begins, chance, stated=days - day <= FAMILY_DAYS):
            by_kind.setdefault(result.kind, []).append((seq, result))
            seq += 1
        batch = [
            validate(
                topics.measurement(TENANT, probe.probe, kind),
                samples.envelope(
                    numbered, tenant=TENANT, probe=probe.probe, epoch=epoch, site=probe.site,
                    sent_at=begins + timedelta(days=1),
                ),
                begins + timedelta(days=1),
            )
            for kind, numbered in by_kind.items()
        ]  # fmt: skip
        store.store_batch(batch, begins + timedelta(days=1))


def _day(
    probe: SeededProbe, begins: datetime, chance: random.Random, *, stated: bool
) -> Iterator[Result]:
    for one in probe.lines:
        families = (Family.IPV4, Family.IPV6) if stated and one.dual_stack else (None,)
        for number in range(probe.tests_a_day):
            at = begins + timedelta(days=(number + chance.random() * 0.8) / probe.tests_a_day)
            yield _throughput(one, at, chance, families[number % len(families)])
        for hour in range(24):
            at = begins + timedelta(hours=hour + chance.random() * 0.5)
            lost = sum(chance.random() < one.loss for _ in range(60))
            rtt_ms = one.rtt_ms * (1 + 0.3 * _busy(at)) * chance.lognormvariate(0, 0.08)
            for family in families:
                yield samples.latency(
                    line=one.line,
                    family=family,
                    started_at=at,
                    rtt_ms=rtt_ms * (1.2 if family is Family.IPV6 else 1),
                    lost=lost,
                )
            down = 7 if chance.random() < one.loss else 0
            yield samples.availability(
                line=one.line,
                started_at=at.replace(minute=0),
                up=60 - down,
                down=down,
                unknown=0,
                ipv4_down=down if len(families) > 1 else None,
                ipv6_down=max(down, 2 if hour == 3 else 0) if len(families) > 1 else None,
            )
            if down:
                began_at = at.replace(minute=20, second=0, microsecond=0)
                yield samples.outage(line=one.line, began_at=began_at, down=down)


def _throughput(
    one: SeededLine, at: datetime, chance: random.Random, family: Family | None
) -> Result:
    if chance.random() < 0.02:
        return samples.throughput(
            line=one.line,
            family=family,
            started_at=at,
            outcome=Outcome.FAILED,
            reason=Reason.TIMEOUT,
        )
    if chance.random() < 0.02:
        return samples.throughput(
            line=one.line,
            family=family,
            started_at=at,
            outcome=Outcome.SKIPPED,
            reason=Reason.SERVER_BUSY,
        )
    slower = (1 - 0.25 * _busy(at)) * (0.9 if family is Family.IPV6 else 1)
    measured = samples.throughput(
        line=one.line,
        family=family,
        started_at=at,
        download_bps=one.down * 1e6 * slower * chance.gauss(1, 0.04),
        upload_bps=one.up * 1e6 * chance.gauss(1, 0.03),
        validity=[Validity.CROSS_TRAFFIC] if chance.random() < 0.03 else (),
    )
    assert measured.values is not None
    loaded = msgspec.structs.replace(
        measured.values,
        rtt_loaded_download_p50_ms=one.rtt_ms * chance.gauss(2.4, 0.3),
        rtt_loaded_upload_p50_ms=one.rtt_ms * chance.gauss(3.1, 0.4),
    )
    return msgspec.structs.replace(measured, values=loaded)


def _busy(at: datetime) -> float:
    """How much of the evening's load: 1 at 20:00 in Vietnam, 0 by night."""
    hour = (at.astimezone(UTC).hour + 7 + at.minute / 60) % 24
    return max(0.0, 1 - abs(hour - 20) / 4)
