"""Floor 1. A box in words: how it is, what its LEDs show now, and the host's last evidence."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec
from msgspec import Struct

from collector.domain.lines import is_silent
from collector.store.records import LastResult, StoredProbe
from collector.web.formatting import MISSING, Moment, figure, moment, whole_number
from collector.web.line_table import percent
from collector.web.pages import Badge, Reader
from wire.result import AnyResult, decode_result

_PATTERN_SIGNS = {
    "off": "○",
    "steady": "●",
    "breathing": "◉",
    "slow_blink": "◐",
    "fast_blink": "◍",
}


class Led(Struct, frozen=True):
    """What a LED does."""

    name: str
    sign: str
    does: str


class Box(Struct, frozen=True, kw_only=True):
    """How a box is. Where nothing was heard there is a dash."""

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
    leds: list[Led]
    ceilings: list[tuple[str, str, str]]


class Evidence(Struct, frozen=True, kw_only=True):
    """What the host was like at its last bulk test on a line."""

    line: str
    at: Moment
    link: str
    cpu: str
    temperature: str
    throttled: str
    kernel: str
    tool: str


def box_of(probe: StoredProbe | None, now: datetime, reader: Reader) -> Box | None:
    """How a box is; None where nothing was ever heard."""
    return None if probe is None else box(probe, now, reader)


def box(probe: StoredProbe, now: datetime, reader: Reader) -> Box:
    """How a box is."""
    health, language = probe.health, reader.language
    silent = is_silent(probe, now)
    return Box(
        presence=Badge("bad", "✕", reader.word("state_silent"))
        if silent
        else Badge("good", "●", reader.word("heard")),
        last_contact=_maybe_moment(probe.last_contact_at, reader),
        health_at=_maybe_moment(probe.health_at, reader),
        version=probe.info.probe_version if probe.info else MISSING,
        pending=whole_number(health.pending, language) if health else MISSING,
        clock=_yes_no(health.clock_synchronised if health else None, "clock", reader),
        temperature=_unit(health.temperature_c if health else None, "°C", reader),
        throttled=_yes_no(
            None if health is None or health.throttled is None else not health.throttled,
            "power",
            reader,
        ),
        disk_free=_unit(_giga(health.disk_free_bytes) if health else None, "GB", reader),
        memory=_unit(_giga(health.memory_available_bytes) if health else None, "GB", reader),
        uptime=_unit(health.uptime_s / 3600 if health else None, reader.word("hours"), reader),
        leds=[
            Led(name, _PATTERN_SIGNS.get(does, "?"), _pattern(does, reader))
            for name, does in (health.leds if health else {}).items()
        ],
        ceilings=[
            (
                one.line,
                _unit(_mega(one.download_bps), "Mbit/s", reader),
                _unit(_mega(one.upload_bps), "Mbit/s", reader),
            )
            for one in (probe.info.ceilings if probe.info else [])
        ],
    )


def host_evidence(results: Sequence[LastResult], reader: Reader) -> list[Evidence]:
    """Of each line's last result that bears any."""
    found: dict[str, AnyResult] = {}
    for entry in results:
        try:
            result = decode_result(entry.last.body)
        except msgspec.DecodeError:
            continue
        known = found.get(entry.last.line)
        if result.host is not None and (known is None or known.started_at < result.started_at):
            found[entry.last.line] = result
    return [_evidence(line, result, reader) for line, result in sorted(found.items())]


def _evidence(line: str, result: AnyResult, reader: Reader) -> Evidence:
    host = result.host
    assert host is not None
    cpu = host.cpu_per_core_ratio or []
    link = _unit(_mega(host.link_speed_bps), "Mbit/s", reader)
    return Evidence(
        line=line,
        at=moment(result.started_at, reader.language, reader.timezone),
        link=f"{link} {host.link_duplex or ''}".strip(),
        cpu=", ".join(percent(core, reader, places=0) for core in cpu) or MISSING,
        temperature=_unit(host.temperature_c, "°C", reader),
        throttled=reader.word("unknown_short")
        if host.throttled is None
        else reader.word("yes" if host.throttled else "no"),
        kernel=" · ".join(filter(None, (host.kernel, host.machine))) or MISSING,
        tool=f"{result.method.tool} {result.method.version}" if result.method else MISSING,
    )


def _yes_no(good: bool | None, name: str, reader: Reader) -> Badge:
    if good is None:
        return Badge("quiet", "?", reader.word("unknown_short"))
    if good:
        return Badge("good", "✓", reader.word(f"{name}_good"))
    return Badge("bad", "✕", reader.word(f"{name}_bad"))


def _pattern(does: str, reader: Reader) -> str:
    return reader.word(f"led_{does}") if does in _PATTERN_SIGNS else does


def _maybe_moment(at: datetime | None, reader: Reader) -> Moment | None:
    return None if at is None else moment(at, reader.language, reader.timezone)


def _unit(value: float | None, unit: str, reader: Reader) -> str:
    return MISSING if value is None else f"{figure(value, reader.language)} {unit}"


def _giga(count: int | None) -> float | None:
    return None if count is None else count / 1e9


def _mega(rate: float | None) -> float | None:
    return None if rate is None else rate / 1e6
