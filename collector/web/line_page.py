"""Floor 3. The pages of a commune, a probe and a line; commands to a probe."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import chain
from uuid import UUID, uuid4

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from collector.alerts.alert_store import AlertStore
from collector.commands import builder
from collector.commands.state import CommandSender, CommandStatus, NotSentError
from collector.domain import uses_file
from collector.domain.lines import KnownLine, LineState
from collector.domain.read_model import ReadModel
from collector.registry.outlines import outlines
from collector.registry.registry import Commune, LineKey
from collector.rollup.periods import Period, Step, month_of, period_before
from collector.rollup.queries import Bucket, LineDays, hours_of_week, means_of_week, merged_buckets
from collector.rollup.summary import EMPTY, merge_summaries
from collector.store.line_notes import LineNote
from collector.users.user import Permission
from collector.web import (
    change_view,
    chart_view,
    compare_view,
    families_view,
    line_view,
    maintenance_view,
    notes_view,
    operator_view,
    outages_view,
    probe_view,
    series_file,
    uses_view,
)
from collector.web.chart_view import Range
from collector.web.line_table import (
    DOWN,
    LATENCY,
    UP,
    LineRow,
    days_of,
    in_order,
    line_address,
    line_rows,
    plain_heads,
    state_badge,
)
from collector.web.map_view import (
    NARROW,
    Colour,
    MapFigures,
    MapView,
    around,
    colour_links,
    commune_path,
    province_map,
    province_names,
)
from collector.web.notes_view import NoteWriter
from collector.web.operator_view import OperatorSection
from collector.web.page_context import PageContext
from collector.web.period_choice import period_context
from collector.web.presentation import Locale
from collector.web.query import (
    chosen_colour,
    chosen_period,
    chosen_range,
    line_of_path,
    links,
    page_number,
    period_days,
)
from collector.web.responses import file_response
from collector.web.table import page_links, page_of
from wire.commands import AnyCommand
from wire.result import Family

# Kinds with a button; the probe decides whether it supports the kind.
ON_DEMAND_KINDS = ("throughput", "http", "latency", "dns", "web")


class LinePages:
    """`/commune/…`, `/probe/…`, `/line/…`."""

    def __init__(
        self,
        context: PageContext,
        model: ReadModel,
        sender: CommandSender | None,
        alerts: AlertStore | None = None,
        *,
        has_evidence: bool = False,
    ) -> None:
        self._context = context
        self._has_evidence = has_evidence
        self._alerts = alerts
        self._model = model
        self._sender = sender
        self.routes = [
            Route("/commune/{code}", self.commune),
            Route("/probe/{tenant}/{probe}", self.probe),
            Route("/probe/{tenant}/{probe}/ask", self.ask, methods=["POST"]),
            Route("/line/{tenant}/{probe}/{line}", self.line),
            Route("/line/{tenant}/{probe}/{line}/chart", self.chart),
            Route("/line/{tenant}/{probe}/{line}/chart.csv", self.file),
            Route("/line/{tenant}/{probe}/{line}/chart.xlsx", self.file),
        ]

    def commune(self, request: Request) -> Response:
        """A commune: its lines, its samples of the month, a map."""
        model, locale = self._model, self._context.locale(request)
        code = request.path_params["code"]
        chosen = chosen_period(request, model.today())
        period = chosen.period
        registry = model.registry()
        lines = [line for line in model.lines() if line.commune_code == code]
        commune = registry.communes.get(code)
        if commune is None and not lines:
            raise HTTPException(404, f"there is no commune {code}")
        month = month_of(model.today())
        counted = model.overview(month)
        samples = sum(counted.get(line.key, EMPTY).speed_tests for line in lines)
        parameters = {"period": chosen.value, "colour": request.query_params.get("colour", "")}
        link = links(f"/commune/{code}", parameters)
        colour = chosen_colour(request)
        return self._context.render(
            request,
            "commune.html",
            code=code,
            commune=commune,
            name=commune.name if commune else code,
            period=period_context(chosen, model.today(), locale),
            heads=plain_heads(locale),
            rows=self._rows(lines, period, locale),
            samples=samples,
            samples_needed=int(model.thresholds.commune_month_samples.limit),
            map=self._map(commune, period, colour, locale) if commune else None,
            map_path=commune_path(commune, locale) if commune else [],
            colours=colour_links(link, locale),
            colour=colour,
            kept={"colour": parameters["colour"]},
            uses_names=[uses_view.use_name(use, locale) for use in uses_file.read().shown],
            uses=self._uses(lines, period, locale),
            probes=sorted({line.key[:2] for line in lines}),
        )

    def probe(self, request: Request) -> Response:
        """A probe: its status, host evidence and lines."""
        model, locale = self._model, self._context.locale(request)
        key = (request.path_params["tenant"], request.path_params["probe"])
        stored = model.probes().get(key)
        lines = [line for line in model.lines() if line.key[:2] == key]
        if stored is None and not lines:
            raise HTTPException(404, "there is no such probe")
        period = chosen_period(request, model.today()).period
        command_status = self._command_status(request.query_params.get("asked"))
        return self._context.render(
            request,
            "probe.html",
            key=key,
            office=lines[0].office if lines else key[1],
            commune_code=lines[0].commune_code if lines else "",
            place=lines[0].place if lines else "",
            probe_status=probe_view.probe_status(stored, model.now(), locale) if stored else None,
            evidence=probe_view.host_evidence(model.store.last_results(*key), locale),
            ledger=next(iter(model.store.ledgers(key).values()), None),
            heads=plain_heads(locale),
            rows=self._rows(lines, period, locale),
            command_status=command_status,
            waiting=command_status is not None and command_status.waiting_at(model.now()),
            measurable=ON_DEMAND_KINDS,
            lines=lines,
            can_send=self._sender is not None,
        )

    def line(self, request: Request) -> Response:
        """A line: charts, assessments, distributions, outages."""
        model, locale = self._model, self._context.locale(request)
        line = line_of_path(request, model.lines())
        chosen = chosen_period(request, model.today())
        period = chosen.period
        families = model.summaries.by_family([line.key], period).get(line.key, {})
        summary = merge_summaries(families.values())
        daily = self._daily(line.key, period)
        days = {metric: days_of(mine, [line.key]) for metric, mine in daily.items()}
        before = period_before(period)
        step, state = line_view.step_of(period), model.states().get(line.key, LineState.NEVER)
        series = model.summaries.series_by_family(line.key, period, step)
        buckets = merged_buckets(series.values())
        week = (
            hours_of_week(chain.from_iterable(series.values()))
            if step is Step.HOUR
            else model.hours_of_week(line.key, period)
        )
        reported = model.store.outages(line.key, period.starts_at, period.ends_at)
        seen = outages_view.last_path_observation(
            model.store.last_results(*line.key[:2]), line.key.line
        )
        observation = outages_view.ongoing_fault(
            buckets, reported, seen, step, down=state is LineState.DOWN
        )
        notes = self._model.store.notes.of_line(line.key)
        end = line_view.end_of_charts(period, model.now())
        marks = notes_view.marks(notes_view.standing(notes, period.starts_at, end), locale)
        maintenance = maintenance_view.of_line(
            model.maintenance(), line.key, model.registry(), period, reported, summary, locale
        )
        hours = line_view.hours_with_samples(week)
        return self._context.render(
            request,
            "line.html",
            line=line,
            address=line_address(line.key),
            compare_key=compare_view.line_key(line),
            period=period_context(chosen, model.today(), locale),
            chart_query=(query := chart_view.query_of(chosen.value, period)),
            file_link=lambda kind: f"{line_address(line.key)}/chart.{kind}?{query}",
            state=state_badge(state, locale),
            charts=line_view.charts(buckets, line, period, model.now(), locale, marks),
            notes=self._notes(request, line, notes, (period.starts_at, end)),
            family_rows=families_view.family_rows(families, daily[DOWN].get(line.key, {}), locale),
            family_notes=families_view.silent_notes(summary, locale),
            family_charts=line_view.family_charts(
                series, period.starts_at, end, step, locale, marks
            ),
            indicator_rows=line_view.indicator_rows(
                summary,
                line,
                hours,
                model.thresholds,
                locale,
                days=days,
                one_plan=line.plan_is_of(period.first),
            ),
            change_period=change_view.period_text(before),
            change_rows=change_view.change_rows(
                model.summaries.of_lines([line.key], before).get(line.key, EMPTY),
                {
                    metric: days_of(mine, [line.key])
                    for metric, mine in self._daily(line.key, before).items()
                },
                summary,
                days,
                locale,
            ),
            uses=uses_view.section_of(week, uses_file.read(), locale),
            heatmap=line_view.heatmap(means_of_week(week, DOWN), locale),
            spreads=line_view.distributions(summary, locale),
            percentiles=line_view.percentiles(summary, locale),
            kinds=line_view.kind_rows(summary, locale),
            fault_now=outages_view.fault_now(observation, locale),
            outages=outages_view.outages(
                buckets,
                reported,
                observation,
                step,
                locale,
                maintenance.planned,
                maintenance.counted,
            ),
            maintenance=maintenance,
            operators=self._operators(request, line, locale),
            probe_status=probe_view.probe_status_or_none(
                model.probes().get(line.key[:2]), model.now(), locale
            ),
            thresholds=model.thresholds,
            measurable=ON_DEMAND_KINDS,
            can_send=self._sender is not None,
            has_evidence=self._has_evidence and model.registry().line(line.key) is not None,
            evidence_days=period,
        )

    def _notes(
        self,
        request: Request,
        line: KnownLine,
        notes: Sequence[LineNote],
        shown: tuple[datetime, datetime],
    ) -> notes_view.NotesSection:
        """The lists and the form of notes, for who reads the page."""
        writer = NoteWriter(self._context.visitor(request).user, line.commune_code)
        locale = self._context.locale(request)
        return notes_view.section(notes, shown, writer, self._model.now(), locale)

    def _daily(self, line: LineKey, period: Period) -> dict[str, LineDays]:
        return {metric: self._model.daily([line], period, metric) for metric in (DOWN, UP, LATENCY)}

    def _operators(self, request: Request, line: KnownLine, locale: Locale) -> OperatorSection:
        """Who carries the line; whole addresses for who may read them in its commune."""
        visitor = self._context.visitor(request)
        may_read = visitor.may(Permission.READ_ADDRESSES, line.commune_code)
        history = self._alerts.operator_history(line.key) if self._alerts else {}
        alerts = self._alerts.open_alerts(operator_view.KINDS).values() if self._alerts else ()
        isps = self._model.registry().isps.values()
        return OperatorSection(
            operator_view.operator_rows(history, isps, locale, may_read=may_read),
            operator_view.operator_sentences(alerts, line.key, locale),
            may_read,
        )

    def chart(self, request: Request) -> Response:
        """The same charts over any range; `static/zoom.js` follows its links by drag and wheel."""
        model, locale = self._model, self._context.locale(request)
        line, now = line_of_path(request, model.lines()), model.now()
        days = period_days(request.query_params.get("days"))
        shown = chosen_range(request, model.last_days(days), now)
        series = self._series(line.key, shown)
        buckets = merged_buckets(series.values())
        address = f"{line_address(line.key)}/chart?days={days}"
        notes = model.store.notes.of_line(line.key)
        marks = notes_view.marks(notes_view.standing(notes, shown.start, shown.end), locale)
        rows = chart_view.rows(buckets, address, shown, locale)
        table = page_of(rows, page_number(request), chart_view.ROWS_A_PAGE)
        return self._context.render(
            request,
            "chart.html",
            line=line,
            line_address=line_address(line.key),
            days=days,
            **chart_view.range_context(address, shown, now, locale),
            charts=line_view.charts_between(
                buckets, line, shown.start, shown.end, shown.step, locale, marks
            ),
            family_charts=line_view.family_charts(
                series, shown.start, shown.end, shown.step, locale, marks
            ),
            rows=table.rows,
            page=table,
            pages=page_links(table, chart_view.page_link(chart_view.range_address(address, shown))),
            file_link=lambda kind: chart_view.range_address(
                f"{line_address(line.key)}/chart.{kind}?days={days}", shown
            ),
            notes=self._notes(request, line, notes, (shown.start, shown.end)),
        )

    def file(self, request: Request) -> Response:
        """The table of the charts with the notes of its time, as CSV or XLSX."""
        model, locale = self._model, self._context.locale(request)
        line = line_of_path(request, model.lines())
        days = period_days(request.query_params.get("days"))
        shown = chosen_range(request, model.last_days(days), model.now())
        buckets = merged_buckets(self._series(line.key, shown).values())
        notes = notes_view.standing(model.store.notes.of_line(line.key), shown.start, shown.end)
        table = series_file.series_table(line, buckets, notes, shown, locale)
        return file_response(table, request.url.path)

    def _series(self, line: LineKey, shown: Range) -> dict[Family | None, list[Bucket]]:
        """The buckets of a range by address family."""
        stored = self._model.summaries.series_by_family(line, shown.period, shown.step)
        return {family: chart_view.within(part, shown) for family, part in stored.items()}

    async def ask(self, request: Request) -> Response:
        """Send a command to the probe, if the user has the permission."""
        fields = await self._context.form(request)
        return await run_in_threadpool(self._ask, request, fields)

    def _ask(self, request: Request, fields: dict[str, str]) -> Response:
        tenant, probe = request.path_params["tenant"], request.path_params["probe"]
        lines = [line for line in self._model.lines() if line.key[:2] == (tenant, probe)]
        if not lines:
            raise HTTPException(404, "there is no such probe")
        what = fields.get("what", "")
        permission = {"measure": Permission.MEASURE, "identify": Permission.IDENTIFY}.get(what)
        if permission is None:
            raise HTTPException(400, "`what` is measure or identify")
        user = self._context.require(request, permission, lines[0].commune_code)
        if self._sender is None:
            raise HTTPException(503, "this collector sends no commands")
        command_id, at = uuid4(), datetime.now(UTC)
        command: AnyCommand
        if permission is Permission.IDENTIFY:
            command = builder.identify(command_id, at, asked_by=user.name)
        else:
            kind, line = fields.get("kind", ""), fields.get("line", "")
            if kind not in ON_DEMAND_KINDS or line not in {known.key.line for known in lines}:
                raise HTTPException(400, "there is no such kind or line")
            command = builder.measure(command_id, at, kind=kind, line=line, asked_by=user.name)
        try:
            self._sender.send(tenant, probe, command)
        except NotSentError as error:
            raise HTTPException(503, str(error)) from error
        detail = " ".join(filter(None, (fields.get("kind"), fields.get("line"))))
        self._context.audit(request, user.name, what, f"{tenant}/{probe}", detail)
        return RedirectResponse(f"/probe/{tenant}/{probe}?asked={command_id}", 303)

    def _command_status(self, text: str | None) -> CommandStatus | None:
        if text is None or self._sender is None:
            return None
        try:
            return self._sender.status(UUID(text))
        except ValueError:
            return None

    def _uses(
        self, lines: list[KnownLine], period: Period, locale: Locale
    ) -> list[tuple[KnownLine, uses_view.LineUses]]:
        """What each line of a commune is good for: all hours of each, read once for a while."""
        hours, known = self._model.hours_of_week, uses_file.read()
        keys = tuple(line.key for line in lines)

        def read() -> list[uses_view.LineUses]:
            return [uses_view.line_uses(hours(key, period), known, locale) for key in keys]

        shown = self._model.cached(("uses", keys, period, locale.language), read)
        return list(zip(lines, shown, strict=True))

    def _map(self, commune: Commune, period: Period, colour: Colour, locale: Locale) -> MapView:
        """The commune among those around it."""
        model = self._model
        every = model.registry().communes.values()
        near = around([commune], every)
        codes = {one.code for one in near}
        return province_map(
            MapFigures(
                lines=[line for line in model.lines() if line.commune_code in codes],
                summaries=model.overview(period),
                states=model.states(),
                period=period,
                plan_share=model.thresholds.speed_share.limit,
                colour=colour,
                locale=locale,
            ),
            near,
            outlines("province"),
            province_names(every),
            lambda province: f"/?province={province}",
            here=commune.code,
            width=NARROW,
        )

    def _rows(self, lines: list[KnownLine], period: Period, locale: Locale) -> list[LineRow]:
        model = self._model
        return line_rows(
            in_order(lines),
            model.overview(period),
            model.states(),
            model.probes(),
            model.thresholds,
            period,
            model.now(),
            locale,
            {
                metric: model.daily_of_verdicts([line.key for line in lines], period, metric)
                for metric in (DOWN, UP)
            },
            model.plans(period),
        )
