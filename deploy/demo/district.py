"""Floor 1. The demo's district: its offices, their lines, and what happens to them in a month.

Real communes of two former districts of Bắc Kạn, whose people's committees were asked by letter
1770/UBND-VHTT (2021) to measure twice a week. Everything else is made up: no figure here says
anything about an ISP or an office, and the names of the groups say so on every page and report.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple

import msgspec

from collector.rollup.periods import VIETNAM, local_day, week_of
from deploy.demo.settings import ISPS, PROBE, SHAPES, TENANT
from wire.kinds.path import FaultLocation
from wire.site import Site

# Tests a day and line: the default plan's 300 a month; 1,000 and more a month, which a verdict
# needs; two a week, the letter's.
_USUAL, _FOR_A_VERDICT, _LEAST = 10.0, 40.0, 2 / 7
_MBIT = 1e6


class DistrictLine(NamedTuple):
    """A line: its plan (Mbit/s), its quiet-hour speeds as shares of it, and how it falls short.

    `peak_drop` is the share of its download speed that it loses at 20:00; `loss` that of packets.
    """

    id: str
    plan_down: int
    plan_up: int
    down: float
    up: float
    rtt_ms: float
    peak_drop: float = 0.08
    loss: float = 0.001

    @property
    def isp(self) -> str:
        """The ISP's name."""
        return ISPS[self.id]


class Office(NamedTuple):
    """An office with a probe. `unplugged_days`: it has been silent for so long."""

    commune: str
    commune_name: str
    lines: tuple[DistrictLine, ...]
    tests_a_day: float = _USUAL
    unplugged_days: float = 0.0
    group: str = "bach-thong-cu"

    @property
    def probe(self) -> str:
        """The probe's name."""
        return f"tram-{self.commune}-1"

    @property
    def office(self) -> str:
        """The office's name."""
        return f"Trụ sở UBND xã {self.commune_name}"

    @property
    def site(self) -> Site:
        """The place as its probe reports it."""
        return Site(self.commune, self.office, GROUPS[self.group])


class Fault(NamedTuple):
    """What a line, or all lines of a probe, suffered: from `begins` (UTC) for some minutes.

    `location` None: the box itself had no power, so nothing is known of its lines.
    """

    probe: str
    lines: tuple[str, ...]
    begins: datetime
    minutes: int
    location: FaultLocation | None

    @property
    def ends(self) -> datetime:
        """When it was over."""
        return self.begins + timedelta(minutes=self.minutes)


GROUPS = {
    "bach-thong-cu": "Huyện Bạch Thông (cũ) – số liệu mô phỏng",
    "cho-don-cu": "Huyện Chợ Đồn (cũ) – số liệu mô phỏng",
}
_LIVE = "01969"
_BOTH = ("vnpt", "viettel")
_MINUTE = timedelta(minutes=1)


def _vnpt(plan: int, down: float, rtt_ms: float, **more: float) -> DistrictLine:
    return DistrictLine("vnpt", plan, plan * 2 // 3, down, 0.95, rtt_ms, **more)


def _viettel(plan: int, down: float, rtt_ms: float, **more: float) -> DistrictLine:
    return DistrictLine("viettel", plan, plan, down, 0.92, rtt_ms, **more)


def _cho_don(
    commune: str,
    name: str,
    *lines: DistrictLine,
    tests_a_day: float = _USUAL,
    unplugged_days: float = 0.0,
) -> Office:
    return Office(commune, name, lines, tests_a_day, unplugged_days, group="cho-don-cu")


# A line that is slow in the evening loses half of its speed then.
_SLOW: dict[str, float] = {"peak_drop": 0.55}
OFFICES: tuple[Office, ...] = (
    Office("01849", "Phong Quang", (_vnpt(150, 0.93, 11), _viettel(150, 0.90, 14)), _LEAST),
    Office("01981", "Vĩnh Thông", (_vnpt(200, 0.96, 12), _viettel(200, 0.91, 15)), _FOR_A_VERDICT),
    Office("02008", "Cẩm Giàng", (_vnpt(300, 0.94, 10), _viettel(300, 0.92, 13))),
    Office("02014", "Bạch Thông", (_vnpt(300, 0.97, 9), _viettel(200, 0.95, 12))),
    _cho_don("02020", "Chợ Đồn", _vnpt(300, 0.95, 13), _viettel(300, 0.90, 17, **_SLOW)),
    _cho_don("02026", "Nam Cường", _vnpt(150, 0.94, 16), _viettel(150, 0.90, 19, **_SLOW)),
    _cho_don("02038", "Quảng Bạch", _vnpt(150, 0.92, 15), _viettel(150, 0.88, 20, **_SLOW)),
    _cho_don("02044", "Yên Thịnh", _vnpt(200, 0.95, 16), _viettel(200, 0.86, 21, **_SLOW),
             tests_a_day=_FOR_A_VERDICT),
    _cho_don("02071", "Nghĩa Tá", _vnpt(150, 0.93, 18), _viettel(150, 0.90, 20, **_SLOW),
             unplugged_days=14.2),
    _cho_don("02083", "Yên Phong", _vnpt(150, 0.90, 17, loss=0.03),
             _viettel(150, 0.90, 22, **_SLOW)),
)  # fmt: skip


def faults(begins: datetime, now: datetime) -> list[Fault]:
    """The faults of the time from `begins` to `now`; that of Nam Cường still lasts.

    Two offices fell behind in the campaign: their boxes had no power for days.
    """
    storm = _at(begins, 17, time(15, 10))
    cable = _at(now, -8, time(9, 25))
    down = _at(now, -6, time(16, 40))
    # The week before this one, and a whole one of the month before.
    last_week, a_week = week_of(local_day(now)).first, week_of(local_day(begins)).first
    moved = _on(last_week - timedelta(days=6), time(17, 30))
    away = _on(a_week + timedelta(days=14), time(7, 0))
    struck = ("tram-01981-1", "tram-02008-1", "tram-02014-1")
    access = FaultLocation.ISP_ACCESS
    return [
        *(Fault(probe, ("vnpt",), storm, 255, access) for probe in struck),
        Fault("tram-02008-1", ("vnpt",), cable, 95, access),
        Fault("tram-02083-1", ("viettel",), _at(begins, 9, time(2, 5)), 40, FaultLocation.BEYOND),
        Fault("tram-02038-1", _BOTH, _at(begins, 23, time(7, 30)), 190, None),
        Fault("tram-01849-1", _BOTH, moved, 5 * 24 * 60, None),
        Fault("tram-02083-1", _BOTH, away, 7 * 24 * 60, None),
        # Beyond the last whole minute: it lasts.
        Fault("tram-02026-1", ("viettel",), down, 1 + int((now - down) / _MINUTE), access),
    ]


def registry_toml(installed_on: date, today: date) -> bytes:
    """The registry of the district and of the probe that measures live."""
    of_shapes = (
        DistrictLine(name, down // 1_000_000, up // 1_000_000, 1, 1, 1)
        for name, (down, up) in SHAPES.items()
    )
    live = _probe(PROBE, _LIVE, "Trụ sở UBND xã Phủ Thông", list(of_shapes), today)
    table: dict[str, Any] = {
        "isp": [{"id": isp, "name": name} for isp, name in ISPS.items()],
        "probe": [
            *(
                _probe(one.probe, one.commune, one.office, one.lines, installed_on)
                for one in OFFICES
            ),
            live,
        ],
        "group": [
            {"id": group, "name": name, "communes": _communes(group)}
            for group, name in GROUPS.items()
        ],
    }
    return msgspec.toml.encode(table)


def _probe(
    probe: str, commune: str, office: str, lines: Sequence[DistrictLine], installed_on: date
) -> dict[str, Any]:
    return {
        "tenant": TENANT,
        "probe": probe,
        "commune": commune,
        "office": office,
        "installed_on": installed_on,
        "line": [
            {
                "id": line.id,
                "isp": line.id,
                "plan_down_mbit_s": line.plan_down,
                "plan_up_mbit_s": line.plan_up,
                "contract_date": installed_on,
                "technology": "fibre",
            }
            for line in lines
        ],
    }


def _communes(group: str) -> list[str]:
    found = [one.commune for one in OFFICES if one.group == group]
    return [_LIVE, *found] if group == "bach-thong-cu" else found


def _at(day: datetime, days: int, at: time) -> datetime:
    """A local time of day, so many days after the local day of a time; in UTC."""
    return _on(local_day(day) + timedelta(days=days), at)


def _on(day: date, at: time) -> datetime:
    """A local time of a local day, in UTC."""
    return datetime.combine(day, at, VIETNAM).astimezone(UTC)
