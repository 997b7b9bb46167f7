"""Host evidence: what the box did during a test, and what that says against the result."""

from __future__ import annotations

import socket
from pathlib import Path

import msgspec
import pytest

from probe.config import LineConfig
from probe.measure import host
from probe.measure.host import CoreTime, HostSnapshot
from probe.measure.host_limits import validity_from
from tests import samples
from wire.messages import LineState
from wire.result import Host, ThroughputValues, Validity


def snapshot(
    *cores: CoreTime, received: int | None = 0, sent: int | None = 0, interface: str = "lo"
) -> HostSnapshot:
    return HostSnapshot(interface, list(cores), received, sent)


def test_real_counters_of_an_interface() -> None:
    before = host.snapshot("lo")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sink:
        sink.bind(("127.0.0.1", 0))
        sink.sendto(b"x" * 5000, sink.getsockname())
    found = host.evidence(before, host.snapshot("lo"))
    assert found.interface_received_bytes is not None
    assert found.interface_sent_bytes is not None
    assert found.interface_received_bytes >= 5000
    assert found.interface_sent_bytes >= 5000
    assert found.memory_available_bytes > 0
    assert found.kernel
    assert found.machine
    body = msgspec.json.encode(found)
    assert msgspec.json.decode(body, type=Host) == found


@pytest.mark.parametrize("interface", ["nope0", None])
def test_an_interface_that_is_not_there_is_unknown_and_not_zero(interface: str | None) -> None:
    found = host.evidence(host.snapshot(interface), host.snapshot(interface))
    assert (found.interface_received_bytes, found.interface_sent_bytes) == (None, None)
    assert (found.link_speed_bps, found.link_duplex) == (None, None)


def test_each_core_is_told_apart() -> None:
    before = snapshot(CoreTime(10.0, 100.0), CoreTime(20.0, 100.0))
    after = snapshot(CoreTime(19.7, 110.0), CoreTime(21.0, 110.0))
    assert host.evidence(before, after).cpu_per_core_ratio == [0.97, 0.1]


def test_too_short_a_time_says_nothing_about_cores() -> None:
    before, after = snapshot(CoreTime(10.0, 100.0)), snapshot(CoreTime(10.1, 100.1))
    assert host.evidence(before, after).cpu_per_core_ratio == []


def test_counters_that_ran_backwards_are_unknown() -> None:
    found = host.evidence(snapshot(received=900, sent=900), snapshot(received=5, sent=1000))
    assert (found.interface_received_bytes, found.interface_sent_bytes) == (None, 100)


@pytest.mark.parametrize(
    ("alarms", "throttled"),
    [([], None), (["0"], False), (["1"], True), (["0", "1"], True)],
)
def test_under_voltage_is_the_alarm_of_hwmon(
    tmp_path: Path, alarms: list[str], throttled: bool | None
) -> None:
    for number, alarm in enumerate(alarms):
        directory = tmp_path / "class" / "hwmon" / f"hwmon{number}"
        directory.mkdir(parents=True)
        (directory / "in0_lcrit_alarm").write_text(f"{alarm}\n")
    assert host.throttled(tmp_path) is throttled
    assert host.evidence(snapshot(), snapshot(), tmp_path).throttled is throttled


def test_an_alarm_that_cannot_be_read_is_unknown(tmp_path: Path) -> None:
    (tmp_path / "class" / "hwmon" / "hwmon0" / "in0_lcrit_alarm").mkdir(parents=True)
    assert host.throttled(tmp_path) is None


@pytest.mark.parametrize(
    ("machine", "masks", "starve"),
    [
        ("Raspberry Pi 4 Model B Rev 1.4", ["0", "0", "0", "0", "0"], True),
        ("Raspberry Pi 4 Model B Rev 1.4", ["1", "2", "4", "8", "0"], False),
        ("Raspberry Pi 4 Model B Rev 1.4", ["00000000,00000000", "0"], True),
        ("Raspberry Pi 4 Model B Rev 1.4", ["0"], False),
        ("Raspberry Pi 4 Model B Rev 1.4", [], False),
        ("Raspberry Pi 5 Model B Rev 1.0", ["0", "0"], False),
    ],
)
def test_transmit_queues_that_starve_upload_streams(
    tmp_path: Path, machine: str, masks: list[str], starve: bool
) -> None:
    for number, mask in enumerate(masks):
        queue = tmp_path / "class" / "net" / "eth0" / "queues" / f"tx-{number}"
        queue.mkdir(parents=True)
        (queue / "xps_cpus").write_text(f"{mask}\n")
    assert host.transmit_queues_starve("eth0", machine, tmp_path) is starve
    assert not host.transmit_queues_starve(None, machine, tmp_path)


def test_what_an_interface_carried() -> None:
    before = host.carried_bytes("lo", received=True)
    assert before is not None
    assert host.carried_bytes("no-such-card", received=False) is None
    assert host.carried_bytes(None, received=True) is None
    assert host.counter_increase(5, 3) is None, "made anew"


def test_the_interface_that_bears_an_address() -> None:
    assert host.interface_of("127.0.0.1") == "lo"
    assert host.interface_of("192.0.2.200") is None
    assert host.interface_of(None) is None


def test_health_of_this_box() -> None:
    found = host.health(
        3,
        40_960,
        directory="/",
        leds=lambda: {"power": "steady"},
        lines=lambda: {"vnpt": LineState.DOWN},
    )
    assert found.lines == {"vnpt": LineState.DOWN}
    assert (found.pending, found.outbox_bytes, found.leds) == (3, 40_960, {"power": "steady"})
    assert found.disk_free_bytes
    assert found.uptime_s > 0
    assert _health_of("/nonexistent") is None


def _health_of(directory: str) -> int | None:
    return host.health(0, 0, directory=directory, leds=dict, lines=dict).disk_free_bytes


IDLE = Host(
    cpu_per_core_ratio=[0.3, 0.1, 0.1, 0.95],
    cpu_frequency_mhz=1500.0,
    load_1min=0.4,
    memory_available_bytes=700_000_000,
    temperature_c=48.5,
    throttled=False,
    link_speed_bps=1e9,
    link_duplex="full",
    interface_received_bytes=1,
    interface_sent_bytes=1,
    kernel="6.12",
    machine="Raspberry Pi 4 Model B",
)
LINE = LineConfig(
    id="vnpt", isp="VNPT", interface="eth0", plan_download_bps=300e6, plan_upload_bps=200e6
)


def test_an_idle_host_is_no_objection() -> None:
    assert validity_from(IDLE, LINE) == []


@pytest.mark.parametrize(
    ("changed", "flags"),
    [
        ({"cpu_per_core_ratio": [0.1, 0.96]}, [Validity.PROBE_LIMITED]),
        ({"cpu_per_core_ratio": []}, []),
        ({"throttled": True}, [Validity.THROTTLED]),
        ({"throttled": None}, []),
        ({"link_speed_bps": 1e8}, [Validity.LINK_BELOW_PLAN]),
        ({"link_speed_bps": 3e8}, []),
        ({"link_speed_bps": None}, []),
        ({"link_duplex": "half"}, [Validity.PROBE_LIMITED]),
        ({"link_duplex": None}, []),
    ],
)
def test_what_the_evidence_says(changed: dict[str, object], flags: list[Validity]) -> None:
    assert validity_from(msgspec.structs.replace(IDLE, **changed), LINE) == flags


@pytest.mark.parametrize(
    ("download", "upload", "flags"),
    [
        ([0.97, 0.2], [0.3, 0.2], [Validity.PROBE_LIMITED]),
        ([0.3, 0.2], [0.2, 0.96], [Validity.PROBE_LIMITED]),
        ([0.3, 0.2], None, []),
        ([], [0.3, 0.2], []),
        # Where neither is known, the whole test's mean is what there is.
        (None, None, [Validity.PROBE_LIMITED]),
        ([], None, [Validity.PROBE_LIMITED]),
    ],
)
def test_each_direction_of_a_bulk_test_is_judged_by_its_own_time(
    download: list[float] | None, upload: list[float] | None, flags: list[Validity]
) -> None:
    host = msgspec.structs.replace(
        IDLE,
        cpu_per_core_ratio=[0.99, 0.99],
        cpu_download_per_core_ratio=download,
        cpu_upload_per_core_ratio=upload,
    )
    assert validity_from(host, LINE) == flags


def found(download_bps: float | None, upload_bps: float | None) -> ThroughputValues:
    values = samples.throughput().values
    assert values is not None
    return msgspec.structs.replace(values, download_bps=download_bps, upload_bps=upload_bps)


@pytest.mark.parametrize(
    ("ceilings", "measured", "flags"),
    [
        # 0.9 of 300 and 200 is enough, and then a figure near the ceiling is no objection.
        ((270e6, 180e6), (268e6, 180e6), []),
        ((940e6, 940e6), (300e6, 200e6), []),
        # Less is not, and a figure near it may be the host's.
        ((260e6, 180e6), (100e6, 100e6), [Validity.LINK_BELOW_PLAN]),
        ((260e6, 180e6), (250e6, 100e6), [Validity.LINK_BELOW_PLAN, Validity.PROBE_LIMITED]),
        ((940e6, 170e6), (250e6, 165e6), [Validity.LINK_BELOW_PLAN, Validity.PROBE_LIMITED]),
        ((None, 180e6), (250e6, 180e6), []),
        ((260e6, None), (None, None), [Validity.LINK_BELOW_PLAN]),
    ],
)
def test_what_the_hosts_own_ceiling_says(
    ceilings: tuple[float | None, float | None],
    measured: tuple[float | None, float | None],
    flags: list[Validity],
) -> None:
    down_bps, up_bps = ceilings
    host = msgspec.structs.replace(IDLE, ceiling_download_bps=down_bps, ceiling_upload_bps=up_bps)
    assert sorted(validity_from(host, LINE, found(*measured))) == flags


def test_without_a_plan_a_figure_at_the_ceiling_is_the_hosts() -> None:
    line = LineConfig(id="x", isp="X", interface="eth0")
    host = msgspec.structs.replace(IDLE, ceiling_download_bps=100e6)
    assert validity_from(host, line, found(96e6, None)) == [Validity.PROBE_LIMITED]
    assert validity_from(host, line, found(94e6, None)) == []
    assert validity_from(host, line, None) == []


def test_without_a_plan_no_link_is_below_it() -> None:
    line = LineConfig(id="x", isp="X", interface="eth0")
    assert validity_from(msgspec.structs.replace(IDLE, link_speed_bps=1e7), line) == []
