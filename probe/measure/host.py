"""Floor 2. Wraps psutil and sysfs: host evidence for results, and the host's health.

perfSONAR does not support the Raspberry Pi because its faults look like network faults; so every
result has host evidence (docs/method.md#validity, V1). Values that cannot be read are None.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from pathlib import Path

import psutil
from msgspec import Struct

from probe import clock
from runtime.certificate_file import ends_at
from wire.figures import MEGABIT
from wire.messages import Health, LineState
from wire.record import Host, LineOperator

SYSFS = Path("/sys")
_MODEL = Path("/proc/device-tree/model")
# The kernel's names of a processor's own sensor: Raspberry Pi, other ARM boards, Intel, AMD.
_CPU_SENSORS = ("cpu_thermal", "cpu-thermal", "soc_thermal", "coretemp", "k10temp")
_LEAST_S = 0.5
_DUPLEX: dict[int, str] = {psutil.NIC_DUPLEX_FULL: "full", psutil.NIC_DUPLEX_HALF: "half"}


class CoreTime(Struct, frozen=True):
    """A core's time since boot, in seconds; waiting for a disk does not count as busy."""

    busy_s: float
    total_s: float


class HostSnapshot(Struct, frozen=True):
    """The host's counters at one moment; `evidence` compares two of them."""

    interface: str | None
    cores: list[CoreTime]
    received_bytes: int | None
    sent_bytes: int | None


def snapshot(interface: str | None) -> HostSnapshot:
    """Read the counters now. `interface` is the line's, None when unknown."""
    counters = None if interface is None else psutil.net_io_counters(pernic=True).get(interface)
    return HostSnapshot(
        interface=interface,
        cores=core_times(),
        received_bytes=None if counters is None else counters.bytes_recv,
        sent_bytes=None if counters is None else counters.bytes_sent,
    )


def evidence(before: HostSnapshot, after: HostSnapshot, sysfs: Path = SYSFS) -> Host:
    """The host evidence between two snapshots."""
    link_speed_bps, link_duplex = _link(after.interface)
    return Host(
        cpu_per_core_ratio=busy_ratios(before.cores, after.cores),
        cpu_frequency_mhz=_cpu_frequency_mhz(),
        load_1min=round(os.getloadavg()[0], 2),
        memory_available_bytes=psutil.virtual_memory().available,
        temperature_c=temperature_c(),
        throttled=throttled(sysfs),
        link_speed_bps=link_speed_bps,
        link_duplex=link_duplex,
        interface_received_bytes=counter_increase(before.received_bytes, after.received_bytes),
        interface_sent_bytes=counter_increase(before.sent_bytes, after.sent_bytes),
        kernel=platform.release(),
        machine=machine_name(),
    )


def health(
    pending: int,
    outbox_bytes: int,
    *,
    directory: str,
    leds: Callable[[], dict[str, str]],
    lines: Callable[[], dict[str, LineState]],
    operators: Callable[[], dict[str, list[LineOperator]]] = dict,
    certificate_file: Path | str | None = None,
) -> Health:
    """The host's present health.

    Args:
        pending: results that wait for a receipt.
        outbox_bytes: size of the outbox.
        directory: whose file system's free space counts.
        leds: returns what each LED shows.
        lines: returns the state of each line.
        operators: returns who carries each line.
        certificate_file: the probe's certificate; read each time because it is renewed in place.
    """
    return Health(
        at=clock.utc_now(),
        pending=pending,
        outbox_bytes=outbox_bytes,
        clock_synchronised=clock.synchronised(),
        temperature_c=temperature_c(),
        throttled=throttled(),
        disk_free_bytes=disk_free_bytes(directory),
        memory_available_bytes=psutil.virtual_memory().available,
        uptime_s=round(clock.reading().boottime_s, 1),
        leds=leds(),
        lines=lines(),
        operators=operators(),
        certificate_ends_at=ends_at(Path(certificate_file)) if certificate_file else None,
    )


def interface_of(address: str | None) -> str | None:
    """The interface that has an address; None when there is none."""
    for interface, addresses in psutil.net_if_addrs().items():
        if any(entry.address == address for entry in addresses):
            return interface
    return None


def carried_bytes(interface: str | None, *, received: bool) -> int | None:
    """The bytes of an interface in one direction; None where the counter cannot be read.

    One small file of sysfs, cheap enough to read with each sample of a test.
    """
    if interface is None:
        return None
    name = "rx_bytes" if received else "tx_bytes"
    try:
        return int((SYSFS / "class/net" / interface / "statistics" / name).read_text("ascii"))
    except (OSError, ValueError):
        return None


def transmit_queues_starve(
    interface: str | None, machine: str | None = None, sysfs: Path = SYSFS
) -> bool:
    """Whether several upload streams may starve each other here (OB-UDPST, README).

    So it is on a Raspberry Pi 4 whose card has several transmit queues, none of them pinned to
    processors (Documentation/networking/scaling.rst, XPS).
    """
    if interface is None or not (machine or machine_name()).startswith("Raspberry Pi 4"):
        return False
    masks = []
    for path in sysfs.glob(f"class/net/{interface}/queues/tx-*/xps_cpus"):
        try:
            masks.append(int(path.read_text("ascii").replace(",", ""), 16))
        except (OSError, ValueError):
            masks.append(0)
    return len(masks) > 1 and not any(masks)


def temperature_c() -> float | None:
    """The processor's temperature in °C, of its hottest sensor."""
    found = psutil.sensors_temperatures()
    readings = [entry.current for name in _CPU_SENSORS for entry in found.get(name, [])]
    return max(readings, default=None)


def throttled(sysfs: Path = SYSFS) -> bool | None:
    """Whether the supply voltage is or was too low since the last look (rpi_volt's alarm).

    Never by `get_throttled`: the kernel logs a warning at each read of that file.
    """
    alarms = []
    for path in sysfs.glob("class/hwmon/hwmon*/in0_lcrit_alarm"):
        try:
            alarms.append(path.read_text(encoding="ascii").strip() != "0")
        except OSError:
            continue
    return any(alarms) if alarms else None


def core_times() -> list[CoreTime]:
    """Every core's time since boot."""
    cores = []
    for times in psutil.cpu_times(percpu=True):
        # Linux counts a guest's time within user's and nice's already.
        total_s = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
        idle_s = times.idle + getattr(times, "iowait", 0.0)
        cores.append(CoreTime(total_s - idle_s, total_s))
    return cores


def busy_ratios(before: list[CoreTime], after: list[CoreTime]) -> list[float]:
    """Each core's busy ratio, 0 to 1.

    A core with too little time between the readings is left out (the kernel counts in 10 ms).
    """
    return [
        round(min(1.0, max(0.0, (then.busy_s - first.busy_s) / (then.total_s - first.total_s))), 4)
        for first, then in zip(before, after, strict=False)
        if then.total_s - first.total_s >= _LEAST_S
    ]


def counter_increase(before: int | None, after: int | None) -> int | None:
    """The increase of a counter; None when it is missing or was reset."""
    if before is None or after is None or after < before:
        return None
    return after - before


def _link(interface: str | None) -> tuple[float | None, str | None]:
    link = None if interface is None else psutil.net_if_stats().get(interface)
    if link is None:
        return None, None
    return float(link.speed * MEGABIT) or None, _DUPLEX.get(link.duplex)


def _cpu_frequency_mhz() -> float | None:
    try:
        # None on a machine without cpufreq, whatever the stubs say.
        current: float | None = getattr(psutil.cpu_freq(), "current", None)
    except (OSError, NotImplementedError):  # psutil's way to say so on some virtual machines
        return None
    return current or None


def disk_free_bytes(directory: str) -> int | None:
    """The free bytes of a directory's file system; None where it does not exist."""
    try:
        return psutil.disk_usage(directory).free
    except OSError:
        return None


def machine_name() -> str:
    """The board's model, else the processor's architecture."""
    try:
        return _MODEL.read_text(encoding="utf-8").rstrip("\0\n")
    except OSError:
        return platform.machine()
