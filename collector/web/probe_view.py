"""Floor 1. The probe page: status, LEDs and host evidence."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec
from msgspec import Struct

from collector.domain.lines import is_silent
from collector.store.records import LastResult, StoredProbe
from collector.web.formatting import (
    MISSING,
    Moment,
    axis_number,
    figure,
    moment,
    whole_number,
)
from collector.web.line_table import percent
from collector.web.presentation import Badge, Locale
from wire.figures import MEGABIT
from wire.record import Host
from wire.result import AnyResult, decode_result

_PATTERN_SIGNS = {
    "off": "○",
    "steady": "●",
    "breathing": "◉",
    "slow_blink": "◐",
    "fast_blink": "◍",
}


class LedRow(Struct, frozen=True):
    """An LED and its pattern."""

    name: str
    sign: str
    does: str


class ProbeStatus(Struct, frozen=True, kw_only=True):
    """The status of a probe; a dash for each value that it has not reported."""

    presence: Badge
    last_contact: Moment | None
    health_at: Moment | None
    version: str
    pending: str
    clock: Badge
    temperature: str
    throttled: Badge
    disk_free: str
    memory: str
    uptime: str
    leds: list[LedRow]
    ceilings: list[tuple[str, str, str]]


class HostRow(Struct, frozen=True, kw_only=True):
    """The host evidence of the last result on a line."""

    line: str
    at: Moment
    link: str
    cpu: str
    temperature: str
    throttled: str
    kernel: str
    tool: str


def probe_status_or_none(
    probe: StoredProbe | None, now: datetime, locale: Locale
) -> ProbeStatus | None:
    """The status of a probe; None if it was never in contact."""
    return None if probe is None else probe_status(probe, now, locale)


def probe_status(probe: StoredProbe, now: datetime, locale: Locale) -> ProbeStatus:
    """The status of a probe."""
    health, language = probe.health, locale.language
    silent = is_silent(probe, now)
    return ProbeStatus(
        presence=Badge("bad", "✕", locale.label("state_silent"))
        if silent
        else Badge("good", "●", locale.label("heard")),
        last_contact=_maybe_moment(probe.last_contact_at, locale),
        health_at=_maybe_moment(probe.health_at, locale),
        version=probe.info.probe_version if probe.info else MISSING,
        pending=whole_number(health.pending, language) if health else MISSING,
        clock=_yes_no(health.clock_synchronised if health else None, "clock", locale),
        temperature=_unit(health.temperature_c if health else None, "°C", locale),
        throttled=_yes_no(
            None if health is None or health.throttled is None else not health.throttled,
            "power",
            locale,
        ),
        disk_free=_unit(_giga(health.disk_free_bytes) if health else None, "GB", locale),
        memory=_unit(_giga(health.memory_available_bytes) if health else None, "GB", locale),
        uptime=_unit(health.uptime_s / 3600 if health else None, locale.label("hours"), locale),
        leds=[
            LedRow(_led_name(name, probe, locale), *_pattern(does, locale))
            for name, does in (health.leds if health else {}).items()
        ],
        ceilings=[
            (
                one.line,
                _unit(_mega(one.download_bps), "Mbit/s", locale),
                _unit(_mega(one.upload_bps), "Mbit/s", locale),
            )
            for one in (probe.info.ceilings if probe.info else [])
        ],
    )


def host_evidence(results: Sequence[LastResult], locale: Locale) -> list[HostRow]:
    """The host evidence of each line's last result that has any."""
    found: dict[str, AnyResult] = {}
    for entry in results:
        try:
            result = decode_result(entry.last.body)
        except msgspec.DecodeError:
            continue
        known = found.get(entry.last.line)
        if result.host is not None and (known is None or known.started_at < result.started_at):
            found[entry.last.line] = result
    return [_evidence(line, result, locale) for line, result in sorted(found.items())]


def _evidence(line: str, result: AnyResult, locale: Locale) -> HostRow:
    host = result.host
    assert host is not None
    cpu = host.cpu_per_core_ratio or []
    return HostRow(
        line=line,
        at=moment(result.started_at, locale.language, locale.timezone),
        link=_link(host, locale),
        cpu=", ".join(percent(core, locale, places=0) for core in cpu) or MISSING,
        temperature=_unit(host.temperature_c, "°C", locale),
        throttled=locale.label("unknown_short")
        if host.throttled is None
        else locale.label("yes" if host.throttled else "no"),
        kernel=" · ".join(filter(None, (host.kernel, host.machine))) or MISSING,
        tool=f"{result.method.tool} {result.method.version}" if result.method else MISSING,
    )


def _link(host: Host, locale: Locale) -> str:
    """The speed that the port negotiated, and whether both directions have it at once."""
    if host.link_speed_bps is None:
        return MISSING
    speed = f"{axis_number(host.link_speed_bps / MEGABIT, locale.language)} Mbit/s"
    duplex = host.link_duplex or ""
    if locale.has_label(f"duplex_{duplex}"):
        duplex = locale.label(f"duplex_{duplex}")
    return ", ".join(filter(None, (speed, duplex)))


def _yes_no(good: bool | None, name: str, locale: Locale) -> Badge:
    if good is None:
        return Badge("quiet", "?", locale.label("unknown_short"))
    if good:
        return Badge("good", "✓", locale.label(f"{name}_good"))
    return Badge("bad", "✕", locale.label(f"{name}_bad"))


def _pattern(does: str, locale: Locale) -> tuple[str, str]:
    if does in _PATTERN_SIGNS:
        return _PATTERN_SIGNS[does], locale.label(f"led_{does}")
    return "?", does


def _led_name(name: str, probe: StoredProbe, locale: Locale) -> str:
    """The name of an LED as on the box: its part, or a line's ISP and the colour."""
    if locale.has_label(f"led_of_{name}"):
        return locale.label(f"led_of_{name}")
    line, _, colour = name.rpartition(".")
    if not locale.has_label(f"led_colour_{colour}"):
        return name
    isps = {one.id: one.isp for one in (probe.info.lines if probe.info else [])}
    return f"{isps.get(line) or line}, {locale.label(f'led_colour_{colour}')}"


def _maybe_moment(at: datetime | None, locale: Locale) -> Moment | None:
    return None if at is None else moment(at, locale.language, locale.timezone)


def _unit(value: float | None, unit: str, locale: Locale) -> str:
    return MISSING if value is None else f"{figure(value, locale.language)} {unit}"


def _giga(count: int | None) -> float | None:
    return None if count is None else count / 1e9


def _mega(rate: float | None) -> float | None:
    return None if rate is None else rate / 1e6
