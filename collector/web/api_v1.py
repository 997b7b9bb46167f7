"""Floor 3. The JSON API over roll-ups, `/api/v1`, and the OpenAPI document of all of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from collector.domain.lines import KnownLine, LineState, filter_lines
from collector.domain.read_model import ReadModel
from collector.rollup.periods import Period, Step
from collector.rollup.queries import Bucket, merged_buckets
from collector.rollup.summary import EMPTY, Summary
from collector.store.line_notes import LineNote
from collector.web import families_view, notes_view, openapi
from collector.web.line_table import DOWN, LATENCY, UP
from collector.web.line_view import LOADED_DOWN, LOADED_UP, step_of
from collector.web.outages_view import last_path_observation, ongoing_fault
from collector.web.query import (
    family_choice,
    line_of_path,
    one_of,
    period_days,
    province_code,
)
from collector.web.responses import json_response
from wire.result import Family, FaultLocation


class ApiFigures(Struct, frozen=True, kw_only=True):
    """The figures of a period. bit/s, ms, ratios of 1; null where unknown.

    The minutes are of the line and of no address family: null where the query has `family`.
    `ipv4_down_minutes` and `ipv6_down_minutes` are those in which that family did not answer.
    """

    samples_valid: int
    samples_attempted: int
    download_mean_bps: float | None
    upload_mean_bps: float | None
    rtt_mean_ms: float | None
    rtt_loaded_download_p50_mean_ms: float | None
    rtt_loaded_upload_p50_mean_ms: float | None
    loss_ratio: float | None
    up_minutes: int | None
    down_minutes: int | None
    unknown_minutes: int | None
    availability_ratio: float | None
    ipv4_down_minutes: int | None
    ipv6_down_minutes: int | None


class ApiLine(Struct, frozen=True, kw_only=True):
    """A line: place, ISP, plan, current state, and figures of the period."""

    tenant: str
    probe: str
    line: str
    office: str
    commune_code: str
    commune: str
    province_code: str
    isp: str
    groups: tuple[str, ...]
    registered: bool
    plan_down_bps: float | None
    plan_up_bps: float | None
    state: LineState
    figures: ApiFigures


class ApiLines(Struct, frozen=True, kw_only=True):
    """Lines over a period of whole local days, both ends included.

    `family` is the query's: the figures are of that address family alone; null: of all together.
    """

    family: str | None
    first_day: str
    last_day: str
    lines: list[ApiLine]


class ApiBucket(ApiFigures, frozen=True, kw_only=True):
    """The figures of one hour or day, from `start` (UTC) on."""

    start: datetime


class ApiOutage(Struct, frozen=True, kw_only=True):
    """An outage that has ended, as the probe reported it (UTC), with its fault location."""

    started_at: datetime
    ended_at: datetime
    fault: FaultLocation


class ApiFault(Struct, frozen=True, kw_only=True):
    """The last observed fault location of a line (UTC)."""

    seen_at: datetime
    fault: FaultLocation


class ApiNote(Struct, frozen=True, kw_only=True):
    """What somebody wrote about the line at a time, or from it to `ends_at` (UTC).

    `changed_at` is when the note was corrected last; null where it was not. Withdrawn notes are
    left out.
    """

    number: int
    starts_at: datetime
    ends_at: datetime | None
    text: str
    author: str
    written_at: datetime
    changed_at: datetime | None


class ApiSeries(Struct, frozen=True, kw_only=True):
    """A line's buckets, ascending; one without results is absent.

    `fault_now` is the fault of an outage that has no reported end; null where none is ongoing.
    `notes` are those of the time, by `starts_at`.
    """

    tenant: str
    probe: str
    line: str
    step: Step
    family: str | None
    buckets: list[ApiBucket]
    outages: list[ApiOutage]
    fault_now: ApiFault | None
    notes: list[ApiNote]


class Api:
    """`/api/v1/…`, `/api/openapi.json`."""

    def __init__(self, model: ReadModel) -> None:
        self._model = model
        self.routes = [
            Route("/api/v1/lines", self.lines),
            Route("/api/v1/lines/{tenant}/{probe}/{line}/series", self.series),
            Route("/api/openapi.json", self.document),
        ]

    def lines(self, request: Request) -> Response:
        """Lines with figures. Filters: `province`, `group`, `isp`, `days`, `family`."""
        model, query = self._model, request.query_params
        registry, every = model.registry(), model.lines()
        period = model.last_days(period_days(query.get("days")))
        lines = filter_lines(
            every,
            province=province_code(query.get("province"), registry),
            group=one_of("group", query.get("group"), registry.groups),
            isp=one_of("isp", query.get("isp"), {x.isp for x in every}),
        )
        family, states = family_choice(query.get("family")), model.states()
        summaries = (
            families_view.of_family(model.overview_by_family(period), families_view.chosen(family))
            if family
            else model.overview(period)
        )
        return json_response(
            ApiLines(
                family=family or None,
                first_day=period.first.isoformat(),
                last_day=period.last.isoformat(),
                lines=[
                    _line(
                        line,
                        states.get(line.key, LineState.NEVER),
                        summaries.get(line.key, EMPTY),
                        whole=not family,
                    )
                    for line in lines
                ],
            )
        )

    def series(self, request: Request) -> Response:
        """One line over time. Filters: `days`, `family`."""
        model = self._model
        key = line_of_path(request, model.lines()).key
        period = model.last_days(period_days(request.query_params.get("days")))
        step = step_of(period)
        family = family_choice(request.query_params.get("family"))
        series = model.summaries.series_by_family(key, period, step)
        buckets = merged_buckets(series.values())
        shown = series.get(families_view.chosen(family), []) if family else buckets
        reported = model.store.outages(key, period.starts_at, period.ends_at)
        seen = last_path_observation(model.store.last_results(*key[:2]), key.line)
        down = model.states().get(key) is LineState.DOWN
        observation = ongoing_fault(buckets, reported, seen, step, down=down)
        return json_response(
            ApiSeries(
                tenant=key.tenant,
                probe=key.probe,
                line=key.line,
                step=step,
                family=family or None,
                buckets=[_bucket(one, whole=not family) for one in shown],
                outages=[
                    ApiOutage(started_at=one.started_at, ended_at=one.ended_at, fault=one.fault)
                    for one in reported
                ],
                fault_now=ApiFault(seen_at=observation.at, fault=observation.fault)
                if observation
                else None,
                notes=_notes(model.store.notes.of_line(key), period),
            )
        )

    def document(self, _request: Request) -> Response:
        """The OpenAPI document."""
        return json_response(openapi.document([ApiLines, ApiSeries]))


def _line(line: KnownLine, state: LineState, summary: Summary, *, whole: bool) -> ApiLine:
    return ApiLine(
        tenant=line.key.tenant,
        probe=line.key.probe,
        line=line.key.line,
        office=line.office,
        commune_code=line.commune_code,
        commune=line.commune_name,
        province_code=line.province_code,
        isp=line.isp,
        groups=line.groups,
        registered=line.registered,
        plan_down_bps=line.plan_down_bps,
        plan_up_bps=line.plan_up_bps,
        state=state,
        figures=ApiFigures(**_figures(summary, whole=whole)),
    )


def _notes(notes: Sequence[LineNote], period: Period) -> list[ApiNote]:
    return [
        ApiNote(
            number=note.number,
            starts_at=note.last.starts_at,
            ends_at=note.last.ends_at,
            text=note.last.text,
            author=note.first.author,
            written_at=note.first.written_at,
            changed_at=note.last.written_at if note.last is not note.first else None,
        )
        for note in notes_view.standing(notes, period.starts_at, period.ends_at)
    ]


def _bucket(bucket: Bucket, *, whole: bool) -> ApiBucket:
    return ApiBucket(start=bucket.start, **_figures(bucket.summary, whole=whole))


def _figures(summary: Summary, *, whole: bool) -> dict[str, Any]:
    """The figures; those of the line, and of no family, only if `whole`."""
    counts = summary.counts("throughput")
    return {
        "samples_valid": counts.valid,
        "samples_attempted": counts.attempted,
        "download_mean_bps": summary.metric(DOWN).mean,
        "upload_mean_bps": summary.metric(UP).mean,
        "rtt_mean_ms": summary.metric(LATENCY).mean,
        "rtt_loaded_download_p50_mean_ms": summary.metric(LOADED_DOWN).mean,
        "rtt_loaded_upload_p50_mean_ms": summary.metric(LOADED_UP).mean,
        "loss_ratio": summary.loss_ratio,
        "up_minutes": summary.up_minutes if whole else None,
        "down_minutes": summary.down_minutes if whole else None,
        "unknown_minutes": summary.unknown_minutes if whole else None,
        "availability_ratio": summary.availability_ratio if whole else None,
        "ipv4_down_minutes": summary.family_down_minutes(Family.IPV4) if whole else None,
        "ipv6_down_minutes": summary.family_down_minutes(Family.IPV6) if whole else None,
    }
