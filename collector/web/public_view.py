"""Floor 1. The public page of a commune, and open data with its licence.

Neither contains the name of a probe, an address or a person.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from collector.domain.assessment import confidence_interval
from collector.domain.lines import KnownLine, LineState
from collector.domain.thresholds import Thresholds
from collector.registry.registry import LineKey
from collector.rollup.periods import Period
from collector.rollup.queries import LineDays
from collector.rollup.summary import EMPTY, Summary
from collector.web import families_view
from collector.web.families_view import Families, of_family
from collector.web.formatting import axis_number, whole_number
from collector.web.line_table import (
    DOWN,
    LATENCY,
    UP,
    days_of,
    interval_text,
    maybe_figure,
    megabits,
    percent,
    sample_of,
    state_badge,
    state_note,
)
from collector.web.presentation import Badge, Locale
from runtime.language import within_sentence
from wire.figures import MEGABIT
from wire.result import Family

LICENCE = "CC BY 4.0"
LICENCE_URL = "https://creativecommons.org/licenses/by/4.0/"
METHOD_SUMMARY = (
    "TCP throughput (iperf3, whole transfer, receiver side, QCVN 34:2022/BTTTT), RTT by STAMP "
    "(RFC 8762); arithmetic means of valid samples; indicative, not a regulatory measurement"
)


class PublicLine(Struct, frozen=True):
    """A line on the public page."""

    isp: str
    state: Badge
    state_note: str
    down: str
    interval: str
    share: str
    up: str
    latency: str
    available: str
    samples: str


class PublicCommune(Struct, frozen=True):
    """The public page of a commune; `name_within` is its name within a sentence."""

    name: str
    name_within: str
    lines: list[PublicLine]
    first: str
    last: str


class OpenLine(Struct, frozen=True, kw_only=True):
    """A row of open data. Rates in bit/s, times in ms, ratios of 1; None where unknown.

    `family` is the address family that was asked for: the figures are then of it alone, and the
    minutes, which are of the line, None. It is "" for the figures of all together, beside which
    those of IPv4 and IPv6 are.
    """

    first_day: str
    last_day: str
    province_code: str
    province: str
    commune_code: str
    commune: str
    latitude: float | None
    longitude: float | None
    isp: str
    plan_down_bps: float | None
    plan_up_bps: float | None
    samples_valid: int
    samples_attempted: int
    download_mean_bps: float | None
    upload_mean_bps: float | None
    rtt_mean_ms: float | None
    loss_ratio: float | None
    availability_ratio: float | None
    unknown_minutes: int | None
    family: str
    ipv4_samples_valid: int
    ipv4_download_mean_bps: float | None
    ipv4_upload_mean_bps: float | None
    ipv4_rtt_mean_ms: float | None
    ipv4_loss_ratio: float | None
    ipv6_samples_valid: int
    ipv6_download_mean_bps: float | None
    ipv6_upload_mean_bps: float | None
    ipv6_rtt_mean_ms: float | None
    ipv6_loss_ratio: float | None


def public_commune(
    name: str,
    lines: Iterable[KnownLine],
    summaries: Mapping[LineKey, Summary],
    states: Mapping[LineKey, LineState],
    thresholds: Thresholds,
    period: Period,
    locale: Locale,
    days: LineDays,
) -> PublicCommune:
    """The lines of a commune over a period; `days` has their downloads by day."""
    return PublicCommune(
        name,
        within_sentence(name),
        [
            PublicLine(
                line.isp_name,
                state_badge(state, locale),
                state_note(state, summary, line, thresholds, locale),
                megabits(summary.metric(DOWN).mean, locale),
                _interval(summary, line, days, locale),
                _share(summary, line, period, locale),
                megabits(summary.metric(UP).mean, locale),
                maybe_figure(summary.metric(LATENCY).mean, locale),
                percent(summary.availability_ratio, locale),
                whole_number(summary.counts("throughput").valid, locale.language),
            )
            for line in in_order(lines)
            for summary in [summaries.get(line.key, EMPTY)]
            for state in [states.get(line.key, LineState.NEVER)]
        ],
        f"{period.first:%d/%m/%Y}",
        f"{period.last:%d/%m/%Y}",
    )


def in_order(lines: Iterable[KnownLine]) -> list[KnownLine]:
    """The lines in the order of the page."""
    return sorted(lines, key=lambda line: (line.isp_name, line.key))


def _interval(summary: Summary, line: KnownLine, days: LineDays, locale: Locale) -> str:
    """The 95 % interval of the mean download; "" where it has none."""
    sample = sample_of(summary.metric(DOWN), days=days_of(days, [line.key]))
    interval = confidence_interval(sample)
    return interval_text(interval, locale) if interval else ""


def _share(summary: Summary, line: KnownLine, period: Period, locale: Locale) -> str:
    """The mean download against the plan; "" where there is no plan of the whole period."""
    mean = summary.metric(DOWN).mean
    if mean is None or not line.plan_down_bps or not line.plan_is_of(period.first):
        return ""
    plan = axis_number(line.plan_down_bps / MEGABIT, locale.language)
    share = percent(mean / line.plan_down_bps, locale, places=0)
    return f"{share} {locale.label('public_of_plan')} {plan} Mbit/s"


def open_lines(
    lines: Iterable[KnownLine],
    summaries: Mapping[LineKey, Summary],
    families: Mapping[LineKey, Families],
    period: Period,
    family: str = "",
) -> list[OpenLine]:
    """A row per line, sorted by commune code and ISP; `family` as in its query parameter."""
    chosen = of_family(families, families_view.chosen(family)) if family else summaries
    rows = [
        _open_line(line, chosen.get(line.key, EMPTY), families.get(line.key, {}), period, family)
        for line in lines
    ]
    return sorted(rows, key=lambda row: (row.commune_code, row.isp))


def cells(row: OpenLine) -> list[Any]:
    """The values of a row for CSV and XLSX, in the order of its fields."""
    return list(msgspec.structs.astuple(row))


def document(rows: Sequence[OpenLine], thresholds_version: str) -> dict[str, Any]:
    """The JSON document of the open data."""
    return {
        "licence": LICENCE,
        "licence_url": LICENCE_URL,
        "method": METHOD_SUMMARY,
        "thresholds_version": thresholds_version,
        "lines": rows,
    }


def geojson(rows: Iterable[OpenLine]) -> bytes:
    """A FeatureCollection (RFC 7946): a point per commune, with its lines as a property."""
    by_commune: dict[str, list[OpenLine]] = {}
    for row in rows:
        if row.latitude is not None:
            by_commune.setdefault(row.commune_code, []).append(row)
    features = [
        {
            "type": "Feature",
            "id": code,
            "geometry": {"type": "Point", "coordinates": [inside[0].longitude, inside[0].latitude]},
            "properties": {
                "commune_code": code,
                "commune": inside[0].commune,
                "province_code": inside[0].province_code,
                "lines": inside,
            },
        }
        for code, inside in by_commune.items()
    ]
    return msgspec.json.encode(
        {
            "type": "FeatureCollection",
            "licence": LICENCE,
            "licence_url": LICENCE_URL,
            "method": METHOD_SUMMARY,
            "features": features,
        }
    )


def _open_line(
    line: KnownLine, summary: Summary, families: Families, period: Period, family: str
) -> OpenLine:
    counts, commune = summary.counts("throughput"), line.commune
    four, six = families.get(Family.IPV4, EMPTY), families.get(Family.IPV6, EMPTY)
    return OpenLine(
        first_day=period.first.isoformat(),
        last_day=period.last.isoformat(),
        province_code=line.province_code,
        province=commune.province_name if commune else "",
        commune_code=line.commune_code,
        commune=line.commune_name,
        latitude=commune.latitude if commune else None,
        longitude=commune.longitude if commune else None,
        isp=line.isp_name,
        plan_down_bps=line.plan_down_bps,
        plan_up_bps=line.plan_up_bps,
        samples_valid=counts.valid,
        samples_attempted=counts.attempted,
        download_mean_bps=summary.metric(DOWN).mean,
        upload_mean_bps=summary.metric(UP).mean,
        rtt_mean_ms=summary.metric(LATENCY).mean,
        loss_ratio=summary.loss_ratio,
        availability_ratio=None if family else summary.availability_ratio,
        unknown_minutes=None if family else summary.unknown_minutes,
        family=family,
        ipv4_samples_valid=four.counts("throughput").valid,
        ipv4_download_mean_bps=four.metric(DOWN).mean,
        ipv4_upload_mean_bps=four.metric(UP).mean,
        ipv4_rtt_mean_ms=four.metric(LATENCY).mean,
        ipv4_loss_ratio=four.loss_ratio,
        ipv6_samples_valid=six.counts("throughput").valid,
        ipv6_download_mean_bps=six.metric(DOWN).mean,
        ipv6_upload_mean_bps=six.metric(UP).mean,
        ipv6_rtt_mean_ms=six.metric(LATENCY).mean,
        ipv6_loss_ratio=six.loss_ratio,
    )
