"""Floor 1. Lines: the list from registry and probes, their current state, and filters.

Place, ISP and plan come from the registry. A probe that is not registered is listed with what it
reports of itself, without a plan and so without a verdict: an office sees its box at once.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from enum import StrEnum

from msgspec import Struct

from collector.domain.place_search import shared_names, with_province
from collector.registry.registry import Commune, LineKey, Registry, present_code
from collector.store.records import StoredProbe
from wire import messages
from wire.messages import Presence

# A probe publishes its health every five minutes; after three missed ones it is silent.
SILENT_AFTER = timedelta(minutes=15)
# No probe had a certificate before this year.
_FIRST_YEAR = 2000


class LineState(StrEnum):
    """The current state of a line, in the order of severity."""

    NEVER = "never"
    UNKNOWN = "unknown"
    GOOD = "good"
    DEGRADED = "degraded"
    SILENT = "silent"
    DOWN = "down"


_AWAY = frozenset({Presence.LOST, Presence.OFFLINE})
_SEVERITY = {state: place for place, state in enumerate(LineState)}


class KnownLine(Struct, frozen=True, kw_only=True):
    """A line with its place, ISP and plan."""

    key: LineKey
    office: str
    commune_code: str
    commune: Commune | None
    isp: str
    isp_name: str
    groups: tuple[str, ...]
    plan_down_bps: float | None = None
    plan_up_bps: float | None = None
    contract_date: date | None = None
    installed_on: date | None = None
    registered: bool = True
    shares_name: bool = False

    @property
    def commune_name(self) -> str:
        """The commune's name; its code where the list of communes lacks it."""
        return self.commune.name if self.commune else self.commune_code

    @property
    def place(self) -> str:
        """The same with the province's name, where another commune has this name too."""
        if self.commune is None or not self.shares_name:
            return self.commune_name
        return with_province(self.commune)

    def plan_is_of(self, first: date) -> bool:
        """Whether the declared plan was in force on that day (`Line.plan_is_of`)."""
        return self.contract_date is None or self.contract_date <= first

    @property
    def province_code(self) -> str:
        """The province's code, "" where the place is not known."""
        return self.commune.province_code if self.commune else ""


def known_lines(registry: Registry, probes: Iterable[StoredProbe]) -> list[KnownLine]:
    """Every line of the registry, then those that only their probes report."""
    groups = _groups_of(registry)
    shared = shared_names(registry.communes.values())
    found: dict[LineKey, KnownLine] = {}
    for probe in registry.probes.values():
        commune = registry.communes.get(probe.commune)
        for line in probe.lines:
            isp = registry.isps.get(line.isp)
            key = LineKey(probe.tenant, probe.probe, line.id)
            found[key] = KnownLine(
                key=key,
                office=probe.office,
                commune_code=probe.commune,
                commune=commune,
                isp=line.isp,
                isp_name=isp.name if isp else line.isp,
                groups=groups.get(probe.commune, ()),
                plan_down_bps=line.plan_down_bps,
                plan_up_bps=line.plan_up_bps,
                contract_date=line.contract_date,
                installed_on=probe.installed_on,
                shares_name=commune is not None and commune.name in shared,
            )
    for stored in probes:
        found |= _self_reported(stored, registry, groups, found, shared)
    return list(found.values())


def line_state(probe: StoredProbe | None, line: str, now: datetime) -> LineState:
    """The current state of a line as its probe reports it; SILENT without a recent contact."""
    if probe is None or probe.last_contact_at is None:
        return LineState.NEVER
    if is_silent(probe, now):
        return LineState.SILENT
    if probe.health is None:
        return LineState.UNKNOWN
    if probe.health.lines is not None:
        return LineState(probe.health.lines.get(line, messages.LineState.UNKNOWN).value)
    # A probe before 0.2.0 reports it by its LEDs alone.
    leds = probe.health.leds
    green, red = leds.get(f"{line}.green"), leds.get(f"{line}.red")
    # Both blinking slowly: degraded, or the box identifies itself. A breathing green: measuring.
    match green, red:
        case "off", "fast_blink":
            return LineState.DOWN
        case "slow_blink", "slow_blink":
            return LineState.DEGRADED
        case ("steady", _) | ("breathing", "off"):
            return LineState.GOOD
    return LineState.UNKNOWN


def presence_of(probe: StoredProbe) -> Presence | None:
    """The presence of a probe: its last `state`, unless a contact came after LOST or OFFLINE.

    The broker may publish a last will long after the probe is connected again.
    """
    since, contact = probe.presence_since, probe.last_contact_at
    if probe.presence in _AWAY and since is not None and contact is not None and contact > since:
        return Presence.ONLINE
    return probe.presence


def is_silent(probe: StoredProbe, now: datetime) -> bool:
    """Whether a probe is offline, or its last contact is older than SILENT_AFTER."""
    if presence_of(probe) in _AWAY:
        return True
    return probe.last_contact_at is not None and now - probe.last_contact_at > SILENT_AFTER


def certificate_ends_at(probe: StoredProbe) -> datetime | None:
    """When a probe's certificate ends, as it reports; None where it reports none or an absurd year.

    A time at an end of the calendar cannot be converted to the local zone (OverflowError).
    """
    ends = probe.health.certificate_ends_at if probe.health else None
    return ends if ends is not None and _FIRST_YEAR <= ends.year < 9_999 else None


def severity(state: LineState) -> int:
    """The place of a state in the order of severity, 0 for NEVER."""
    return _SEVERITY[state]


def worst_state(states: Iterable[LineState]) -> LineState:
    """The worst of several lines' states; NEVER of none."""
    return max(states, key=_SEVERITY.__getitem__, default=LineState.NEVER)


def _self_reported(
    stored: StoredProbe,
    registry: Registry,
    groups: Mapping[str, tuple[str, ...]],
    known: Mapping[LineKey, KnownLine],
    shared: Container[str],
) -> dict[LineKey, KnownLine]:
    if stored.info is None:
        return {}
    registered = registry.probe(stored.tenant, stored.probe)
    site = stored.site or stored.info.site
    stated = registered.commune if registered else site.commune_code
    code = present_code(stated, registry.communes, registry.former_codes)
    commune = registry.communes.get(code)
    found = {}
    for line in stored.info.lines:
        key = LineKey(stored.tenant, stored.probe, line.id)
        if key in known:
            continue
        found[key] = KnownLine(
            key=key,
            office=registered.office if registered else site.office,
            commune_code=code,
            commune=commune,
            isp=line.isp or line.id,
            isp_name=line.isp or line.id,
            groups=groups.get(code, ()),
            registered=False,
            shares_name=commune is not None and commune.name in shared,
        )
    return found


def _groups_of(registry: Registry) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for group in registry.groups.values():
        for code in group.communes:
            found[code] = (*found.get(code, ()), group.id)
    return found


def provinces_of(lines: Iterable[KnownLine]) -> list[tuple[str, str]]:
    """The provinces in which the lines are, each as (name, code), by name."""
    return sorted(
        {(line.commune.province_name, line.province_code) for line in lines if line.commune}
    )


def isps_of(lines: Iterable[KnownLine]) -> list[tuple[str, str]]:
    """The ISPs of the lines, each as (name, id), by name."""
    return sorted({(line.isp_name, line.isp) for line in lines})


def filter_lines(
    lines: Sequence[KnownLine], *, province: str = "", group: str = "", isp: str = ""
) -> list[KnownLine]:
    """The lines that match all filters; "" matches every line."""
    return [
        line
        for line in lines
        if (not province or line.province_code == province)
        and (not group or group in line.groups)
        and (not isp or line.isp == isp)
    ]
