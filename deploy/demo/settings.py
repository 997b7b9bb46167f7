"""Floor 1. The demo's configuration files: a commune office with two lines, and its centre."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

# Rates in bit/s on the wire; what is sold to a commune, scaled so that one round is quick.
SHAPES = {"vnpt": (60_000_000, 40_000_000), "viettel": (100_000_000, 80_000_000)}
TENANT, PROBE = "demo", "phu-thong-01"
# The measurement servers' name below which each has its own, as an office resolves them.
SERVER_DOMAIN = "demo.vn"
# Sites of the national and the provincial public services, served by the demo itself.
SITES = ("dichvucong.gov.vn", "dichvucong.thainguyen.gov.vn")
ISPS = {"vnpt": "VNPT", "viettel": "Viettel"}

# Who issues the reports: a made-up letterhead says so.
_OFFICE = {
    "parent": "UBND tỉnh Thái Nguyên",
    "name": "Sở Văn hóa, Thể thao và Du lịch",
    "place": "Thái Nguyên",
    "symbol": "BC-MOPHONG",
    "signer_title": "Giám đốc",
    "signer_name": "(mô phỏng)",
    "recipients": ["UBND tỉnh (báo cáo)", "UBND các xã"],
}


class DemoLine(Struct, frozen=True):
    """A line of the demo: how the probe is bound to it and, if it is shaped, its rates."""

    id: str
    interface: str | None
    source_address: str | None
    download_bps: int | None = None
    upload_bps: int | None = None


class DemoServices(Struct, frozen=True):
    """What the office uses beyond its lines: resolvers, of each family, and pages over TLS."""

    resolvers: list[str]
    public_resolver: str
    dns_port: int
    pages_port: int
    ca_file: str


class DemoServer(Struct, frozen=True):
    """A measurement server of the demo: a name or an address, and its ports."""

    name: str
    host: str
    iperf3_ports: list[int]
    stamp_port: int
    http_port: int


def probe_toml(
    lines: list[DemoLine],
    servers: list[DemoServer],
    services: DemoServices,
    broker: tuple[str, int],
    folder: str,
    *,
    once: bool,
) -> bytes:
    """The probe's configuration: as in an office, but for short windows and many tests a day."""
    table: dict[str, Any] = {
        "tenant": TENANT,
        "probe": PROBE,
        "state_dir": f"{folder}/probe",
        "runtime_dir": f"{folder}/run",
        "site": {
            "commune_code": "01969",
            "office": "Trụ sở UBND xã Phủ Thông",
            "group": "Bạch Thông (cũ)",
        },
        "broker": {
            "host": broker[0],
            "port": broker[1],
            "tls": False,
            "reconnect_max_s": 4.0,
        },
        # One every five minutes on each line, and never a wait: somebody is watching.
        "plan": {
            "samples_per_month": 8928,
            "monthly_budget_bytes": 10**13,
            "office_hours": "allow",
            "cross_traffic_download_bps": 1e12,
            "cross_traffic_upload_bps": 1e12,
            "idle_look_s": 1.0,
            "light_every_min": 2,
        },
        # A window of a few seconds shows something soon; gaps are shortened with it.
        "latency": {"window_s": 10.0, "mean_gap_s": 0.05 if once else 0.1},
        "dns": {
            "names": list(SITES),
            "public_resolver": services.public_resolver,
            "port": services.dns_port,
        },
        "web": {
            "pages": [f"https://{site}:{services.pages_port}/" for site in SITES],
            "ca_file": services.ca_file,
        },
        # A fault should show soon, and where it is.
        "path": {"every_min": 1},
        "availability": {"report_every_min": 60 if once else 2},
        "delivery": {"resend_after_s": 10.0, "health_every_s": 10.0, "clock_wait_s": 0.0},
        "leds": {"driver": "simulated"},
        "lines": [_line(line) | {"resolvers": services.resolvers} for line in lines],
        "servers": [msgspec.structs.asdict(server) for server in servers],
    }
    return msgspec.toml.encode(table)


def collector_toml(
    broker: tuple[str, int], folder: str, page: tuple[str, int], *, has_past: bool = True
) -> bytes:
    """The collector's configuration; with `has_past` signatures of the district are checked."""
    table: dict[str, Any] = {
        "broker": {"host": broker[0], "port": broker[1], "tls": False, "reconnect_max_s": 2.0},
        "store": {"path": f"{folder}/collector.sqlite"},
        "web": {"host": page[0], "port": page[1], "people_file": f"{folder}/people.sqlite"},
        # An alert should show soon.
        "alerts": {"path": f"{folder}/alerts.sqlite", "look_every_s": 10.0},
        "papers": {"path": f"{folder}/papers", "office": _OFFICE},
    }
    if has_past:
        table["intake"] = {"authority_file": f"{folder}/authority/ca.pem"}
    return msgspec.toml.encode(table)


def _line(line: DemoLine) -> dict[str, Any]:
    table: dict[str, Any] = {
        "id": line.id,
        "isp": ISPS[line.id],
    }
    for name in ("interface", "source_address"):
        if (value := getattr(line, name)) is not None:
            table[name] = value
    for direction in ("download", "upload"):
        if (rate := getattr(line, f"{direction}_bps")) is not None:
            table[f"plan_{direction}_bps"] = float(rate)
    return table
