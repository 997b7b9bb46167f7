"""Floor 3. Page 2: one commune, one probe, one line; and asking a probe for something."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID, uuid4

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from collector.commands import builder
from collector.commands.builder import CommandSender, CommandStatus, NotSentError
from collector.domain.lines import KnownLine, LineState
from collector.domain.read_model import ReadModel
from collector.registry.registry import LineKey
from collector.rollup.periods import Period, month_of
from collector.rollup.summary import EMPTY
from collector.users.user import Permission
from collector.web import chart_view, line_view, outages_view, probe_view
from collector.web.line_table import STATE_LOOKS, LineRow, line_address, line_rows, state_badge
from collector.web.overview_view import around, overview_map
from collector.web.pages import Reader
from collector.web.query import found, period_days
from collector.web.site import Site
from wire.commands import AnyCommand

# What may be asked for by button; the probe decides whether it knows the kind.
MEASURABLE = ("throughput", "http", "latency", "dns", "web")


class LinePages:
    """`/commune/…`, `/probe/…`, `/line/…`."""

    def __init__(self, site: Site, centre: ReadModel, sender: CommandSender | None) -> None:
        self._site = site
        self._centre = centre
        self._sender = sender
        self.routes = [
            Route("/commune/{code}", self.commune),
            Route("/probe/{tenant}/{probe}", self.probe),
            Route("/probe/{tenant}/{probe}/ask", self.ask, methods=["POST"]),
            Route("/line/{tenant}/{probe}/{line}", self.line),
            Route("/line/{tenant}/{probe}/{line}/chart", self.chart),
        ]

    def commune(self, request: Request) -> Response:
        """A commune: its lines, its month, where it is."""
        centre, reader = self._centre, self._site.reader(request)
        code = request.path_params["code"]
        days = period_days(request.query_params.get("days"))
        period = centre.last_days(days)
        registry = centre.registry()
        lines = [line for line in centre.lines() if line.commune_code == code]
        commune = registry.communes.get(code)
        if commune is None and not lines:
            raise HTTPException(404, f"there is no commune {code}")
        month = month_of(centre.today())
        counted = centre.overview(month)
        samples = sum(counted.get(line.key, EMPTY).speed_tests for line in lines)
        states = centre.states()
        near = around([commune] if commune else [], registry.communes.values())
        return self._site.render(
            request,
            "commune.html",
            code=code,
            commune=commune,
            name=commune.name if commune else code,
            days=days,
            rows=self._rows(lines, period, reader),
            samples=samples,
            samples_needed=int(centre.thresholds.commune_month_samples.limit),
            map=overview_map(lines, near, states, reader),
            looks=STATE_LOOKS,
            probes=sorted({line.key[:2] for line in lines}),
        )

    def probe(self, request: Request) -> Response:
        """A probe: the box itself."""
        centre, reader = self._centre, self._site.reader(request)
        key = (request.path_params["tenant"], request.path_params["probe"])
        stored = centre.probes().get(key)
        lines = [line for line in centre.lines() if line.key[:2] == key]
        if stored is None and not lines:
            raise HTTPException(404, "there is no such probe")
        days = period_days(request.query_params.get("days"))
        ledgers = {k[:2]: ledger for k, ledger in centre.store.ledgers().items()}
        asked = self._standing(request.query_params.get("asked"))
        return self._site.render(
            request,
            "probe.html",
            key=key,
            days=days,
            office=lines[0].office if lines else key[1],
            commune_code=lines[0].commune_code if lines else "",
            place=lines[0].place if lines else "",
            box=probe_view.box(stored, centre.now(), reader) if stored else None,
            evidence=probe_view.host_evidence(centre.store.last_results(*key), reader),
            ledger=ledgers.get(key),
            rows=self._rows(lines, centre.last_days(days), reader),
            asked=asked,
            waiting=asked is not None and asked.waiting_at(centre.now()),
            measurable=MEASURABLE,
            lines=lines,
            can_send=self._sender is not None,
        )

    def line(self, request: Request) -> Response:
        """A line: charts and figures."""
        centre, reader = self._centre, self._site.reader(request)
        line = self._line(request)
        days = period_days(request.query_params.get("days"))
        period = centre.last_days(days)
        summary = centre.summaries.of_lines([line.key], period).get(line.key, EMPTY)
        cells = centre.summaries.hours_of_week(line.key, period)
        step, state = line_view.step_of(period), centre.states().get(line.key, LineState.NEVER)
        buckets = centre.summaries.series(line.key, period, step)
        told = centre.store.outages(line.key, period.starts_at, period.ends_at)
        seen = outages_view.last_look(centre.store.last_results(*line.key[:2]), line.key.line)
        look = outages_view.going_on(buckets, told, seen, step, down=state is LineState.DOWN)
        hours = len({hour for (_, hour), one in cells.items() if one.counts("throughput").valid})
        return self._site.render(
            request,
            "line.html",
            line=line,
            address=line_address(line.key),
            days=days,
            state=state_badge(state, reader),
            charts=line_view.charts(buckets, line, period, centre.now(), reader),
            measures=line_view.measures(
                summary,
                line,
                hours,
                centre.thresholds,
                reader,
                one_plan=line.plan_is_of(period.first),
            ),
            heat=line_view.heat(cells, reader),
            spreads=line_view.distributions(summary, reader),
            percentiles=line_view.percentiles(summary, reader),
            kinds=line_view.kind_rows(summary, reader),
            fault_now=outages_view.fault_now(look, reader),
            outages=outages_view.outages(buckets, told, look, step, reader),
            box=probe_view.box_of(centre.probes().get(line.key[:2]), centre.now(), reader),
            thresholds=centre.thresholds,
            measurable=MEASURABLE,
            can_send=self._sender is not None,
        )

    def chart(self, request: Request) -> Response:
        """The same charts over any range; `static/zoom.js` follows its links by drag and wheel."""
        centre, reader = self._centre, self._site.reader(request)
        line, asked = self._line(request), request.query_params
        days, now = period_days(asked.get("days")), centre.now()
        shown = chart_view.range_of_days(centre.last_days(days), now)
        if "from" in asked or "to" in asked:
            try:
                shown = chart_view.range_between(asked.get("from", ""), asked.get("to", ""))
            except ValueError as error:
                raise HTTPException(400, str(error)) from error
        stored = centre.summaries.series(line.key, shown.period, shown.step)
        buckets = chart_view.within(stored, shown)
        address = f"{line_address(line.key)}/chart"
        return self._site.render(
            request,
            "chart.html",
            line=line,
            address=address,
            line_address=line_address(line.key),
            days=days,
            shown=shown,
            range_words=chart_view.range_words(shown, reader),
            local_text=chart_view.local_text,
            latest=max(chart_view.newest_end(now), shown.end),
            limits=chart_view,
            links=chart_view.zoom_links(address, shown, days, now, reader),
            charts=line_view.charts_between(
                buckets, line, shown.start, shown.end, shown.step, reader
            ),
            rows=chart_view.rows(buckets, address, shown, days, reader),
        )

    async def ask(self, request: Request) -> Response:
        """Send a command for somebody who may."""
        form = await request.form(max_files=0, max_fields=10)
        self._site.require_form(request, str(form.get("token", "")))
        fields = {name: str(value) for name, value in form.items()}
        return await run_in_threadpool(self._ask, request, fields)

    def _ask(self, request: Request, fields: dict[str, str]) -> Response:
        tenant, probe = request.path_params["tenant"], request.path_params["probe"]
        lines = [line for line in self._centre.lines() if line.key[:2] == (tenant, probe)]
        if not lines:
            raise HTTPException(404, "there is no such probe")
        what = fields.get("what", "")
        permission = {"measure": Permission.MEASURE, "identify": Permission.IDENTIFY}.get(what)
        if permission is None:
            raise HTTPException(400, "`what` is measure or identify")
        user = self._site.require(request, permission, lines[0].commune_code)
        if self._sender is None:
            raise HTTPException(503, "this collector sends no commands")
        command_id, at = uuid4(), datetime.now(UTC)
        command: AnyCommand
        if permission is Permission.IDENTIFY:
            command = builder.identify(command_id, at, asked_by=user.name)
        else:
            kind, line = fields.get("kind", ""), fields.get("line", "")
            if kind not in MEASURABLE or line not in {known.key.line for known in lines}:
                raise HTTPException(400, "there is no such kind or line")
            command = builder.measure(command_id, at, kind=kind, line=line, asked_by=user.name)
        try:
            self._sender.send(tenant, probe, command)
        except NotSentError as error:
            raise HTTPException(503, str(error)) from error
        detail = " ".join(filter(None, (fields.get("kind"), fields.get("line"))))
        self._site.audit(request, user.name, what, f"{tenant}/{probe}", detail)
        return RedirectResponse(f"/probe/{tenant}/{probe}?asked={command_id}", 303)

    def _standing(self, text: str | None) -> CommandStatus | None:
        if text is None or self._sender is None:
            return None
        try:
            return self._sender.status(UUID(text))
        except ValueError:
            return None

    def _line(self, request: Request) -> KnownLine:
        path = request.path_params
        key = LineKey(path["tenant"], path["probe"], path["line"])
        return found(next((x for x in self._centre.lines() if x.key == key), None), "such line")

    def _rows(self, lines: list[KnownLine], period: Period, reader: Reader) -> list[LineRow]:
        centre = self._centre
        return list(
            line_rows(
                lines,
                centre.overview(period),
                centre.states(),
                centre.probes(),
                centre.thresholds,
                period,
                centre.now(),
                reader,
            )
        )
