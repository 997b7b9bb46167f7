"""Floor 3. The public pages, the block for a commune's portal, and open data."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from typing import Any, NamedTuple

from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from collector.domain import uses_file
from collector.domain.lines import KnownLine, filter_lines
from collector.domain.read_model import ReadModel
from collector.registry.outlines import outlines
from collector.registry.registry import Commune
from collector.rollup.periods import Period, Step, local_day
from collector.web import public_view as view
from collector.web import uses_view
from collector.web.headers import EMBED_POLICY
from collector.web.line_table import DOWN
from collector.web.map_view import (
    Colour,
    MapFigures,
    MapView,
    around,
    colour_links,
    nation_map,
    province_map,
    province_names,
)
from collector.web.page_context import PageContext
from collector.web.period_choice import PeriodChoice, period_context
from collector.web.presentation import Locale
from collector.web.public_figures import (
    area_figures,
    area_path,
    area_rows,
    commune_sentences,
    means_of,
    months_before,
    place_within,
    public_commune_path,
    trend_of,
)
from collector.web.query import (
    chosen_colour,
    chosen_period,
    family_choice,
    links,
    one_of,
    period_days,
    province_code,
)
from collector.web.responses import csv_response, json_response, xlsx_response
from collector.web.table import Link

_OPEN = {"Access-Control-Allow-Origin": "*", "Cross-Origin-Resource-Policy": "cross-origin"}
# Days that a public page shows unless others are asked for; months change seldom.
_DAYS = 30
_TREND_S = 3_600.0
# What a line is good for changes little, and is read from each of its hours.
_USES_S = 600.0
# The page of all or of a province, for all who ask; its figures are cached for longer.
_SHARED_S = 5.0
# The height of the block for portals at a width of 360: without lines, and of each line.
_EMBED_HEIGHT, _EMBED_LINE = 160, 205
_EMBED_STYLE = (
    resources.files("collector.web").joinpath("static/embed.css").read_text(encoding="utf-8")
)
_EMBED_DIGEST = base64.b64encode(hashlib.sha256(_EMBED_STYLE.encode()).digest()).decode()


class PublicPages:
    """`/public`, `/public/…`, `/embed/…`, `/open/…`."""

    def __init__(self, context: PageContext, model: ReadModel) -> None:
        self._context = context
        self._model = model
        self.routes = [
            Route("/public", self.page),
            Route("/public/{code}", self.commune),
            Route("/public/{code}/card", self.card),
            Route("/embed/{code}", self.embed),
            Route("/open/lines.csv", self.open_csv),
            Route("/open/lines.xlsx", self.open_xlsx),
            Route("/open/lines.json", self.open_json),
            Route("/open/communes.geojson", self.open_geojson),
        ]

    def page(self, request: Request) -> Response:
        """The figures of the nation or a province: sentence, map, trend, list; the open data."""
        model, locale = self._model, self._context.locale(request)
        province = province_code(request.query_params.get("province"), model.registry())
        chosen = chosen_period(request, model.today(), _DAYS)
        colour, asked = chosen_colour(request), request.query_params.get("period", "")

        def content() -> Mapping[str, object]:
            return self._content(province, chosen, asked, colour, locale)

        return self._context.render_shared(
            request,
            "public.html",
            (province, chosen, asked, colour),
            lambda: model.invalidations,
            content,
            _SHARED_S,
        )

    def _content(
        self, province: str, chosen: PeriodChoice, asked: str, colour: Colour, locale: Locale
    ) -> Mapping[str, object]:
        """What the page shows; `asked` is the period of its address."""
        model = self._model
        registry, today = model.registry(), model.today()
        lines = filter_lines(model.lines(), province=province)
        names = province_names(registry.communes.values())
        summaries = model.overview(chosen.period)
        parameters = {"province": province, "period": asked}
        link = links("/public", parameters | {"colour": colour.parameter})
        inside = [c for c in registry.communes.values() if province in ("", c.province_code)]
        valid = [commune for commune in inside if commune.is_valid_on(chosen.period.last)]
        figures = self._figures(lines, chosen.period, colour, locale)
        return {
            "provinces": [(name, code) for code, name in names.items()],
            "province": province,
            "name": names.get(province, ""),
            "figures": area_figures(
                place_within(names.get(province, ""), locale),
                lines,
                len(valid),
                summaries,
                chosen,
                locale,
            ),
            "period": period_context(chosen, today, locale),
            "rows": area_rows(_areas(lines, province), summaries, locale),
            "row_link": _row_link(province, link),
            "trend": trend_of(self._trend(province), locale),
            "map": province_map(
                figures,
                valid,
                outlines("province"),
                names,
                lambda code: link({"province": code}),
                whole=province,
                commune_path="/public/",
            )
            if province
            else nation_map(
                figures, valid, outlines("nation"), lambda code: link({"province": code})
            ),
            "map_path": area_path(names.get(province, ""), link, locale),
            "colours": colour_links(link, locale),
            "colour": colour,
            "licence": view.LICENCE,
            "licence_url": view.LICENCE_URL,
        }

    def _figures(
        self, lines: Sequence[KnownLine], period: Period, colour: Colour, locale: Locale
    ) -> MapFigures:
        model = self._model
        return MapFigures(
            lines=lines,
            summaries=model.overview(period),
            states=model.states(),
            period=period,
            plan_share=model.thresholds.speed_share.limit,
            colour=colour,
            locale=locale,
        )

    def _trend(self, province: str) -> list[tuple[Period, Sequence[float]]]:
        """The lines' mean downloads of the last months, of the nation or a province."""
        model, months = self._model, months_before(self._model.today())

        def read() -> list[dict[str, list[float]]]:
            return [self._means_by_province(month) for month in months]

        read_months = model.cached(("public trend", months[-1]), read, _TREND_S)
        return [
            (month, means.get(province, []) if province else [x for y in means.values() for x in y])
            for month, means in zip(months, read_months, strict=True)
        ]

    def _means_by_province(self, month: Period) -> dict[str, list[float]]:
        summaries = self._model.summaries.overview(month)
        by_province: dict[str, list[float]] = {}
        for line in self._model.lines():
            by_province.setdefault(line.province_code, []).extend(means_of([line], summaries))
        return by_province

    def commune(self, request: Request) -> Response:
        """One commune in plain words, with its map and trend, and how to embed it."""
        asked = self._commune(request)
        commune, locale = asked.commune, asked.locale
        colour = chosen_colour(request)
        parameters = {"period": request.query_params.get("period", "")}
        link = links(f"/public/{asked.code}", parameters | {"colour": colour.parameter})
        return self._context.render(
            request,
            "public_commune.html",
            **asked.context,
            uses=self._uses(asked),
            period=period_context(asked.chosen, self._model.today(), locale),
            map=self._map_around(commune, asked.chosen.period, colour, locale) if commune else None,
            map_path=public_commune_path(commune, locale) if commune else [],
            colours=colour_links(link, locale),
            colour=colour,
            trend=trend_of(self._commune_trend(asked.lines), locale),
            card=links(f"/public/{asked.code}/card", parameters)({}),
            address=f"{request.url.scheme}://{request.headers.get('host', '')}/embed/"
            f"{asked.code}?lang={locale.language}",
            height=_EMBED_HEIGHT + _EMBED_LINE * max(len(asked.lines), 1),
        )

    def card(self, request: Request) -> Response:
        """The commune's figures on one sheet, to be printed and pinned to a notice board."""
        asked = self._commune(request)
        host = f"{request.url.scheme}://{request.headers.get('host', '')}"
        return self._context.render(
            request,
            "public_card.html",
            **asked.context,
            uses=self._uses(asked),
            address=f"{host}/public/{asked.code}",
        )

    def embed(self, request: Request) -> Response:
        """The block for portals: no menu, script or cookie; any page may frame it.

        Its style is in the page, allowed by its digest: a sandboxed frame has an origin of its
        own, for which a style sheet of ours would be somebody else's.
        """
        asked = self._commune(request)
        answer = self._context.render(
            request,
            "embed.html",
            **asked.context,
            style=Markup(_EMBED_STYLE),  # noqa: S704 - ours
        )
        answer.headers["Content-Security-Policy"] = EMBED_POLICY.format(style=_EMBED_DIGEST)
        answer.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        del answer.headers["set-cookie"]
        return answer

    def _map_around(
        self, commune: Commune, period: Period, colour: Colour, locale: Locale
    ) -> MapView:
        every = self._model.registry().communes.values()
        near = around([commune], every)
        codes = {one.code for one in near}
        lines = [line for line in self._model.lines() if line.commune_code in codes]
        return province_map(
            self._figures(lines, period, colour, locale),
            near,
            outlines("province"),
            province_names(every),
            lambda province: f"/public?province={province}",
            here=commune.code,
            commune_path="/public/",
        )

    def _uses(self, asked: _AskedCommune) -> list[uses_view.LineUses]:
        """What each line is good for, in the order of the page."""
        hours, known, period = self._model.hours_of_week, uses_file.read(), asked.chosen.period

        def read() -> list[uses_view.LineUses]:
            return [
                uses_view.line_uses(hours(line.key, period), known, asked.locale)
                for line in view.in_order(asked.lines)
            ]

        return self._model.cached(
            ("public uses", asked.code, period, asked.locale.language), read, _USES_S
        )

    def _commune_trend(self, lines: Sequence[KnownLine]) -> list[tuple[Period, Sequence[float]]]:
        """The mean downloads of a commune's lines of the last months."""
        months = months_before(self._model.today())
        whole = Period(months[0].first, months[-1].last)
        series = [self._model.summaries.series(line.key, whole, Step.MONTH) for line in lines]
        means = {
            (local_day(bucket.start), number): bucket.summary.metric(DOWN).mean
            for number, buckets in enumerate(series)
            for bucket in buckets
        }
        return [
            (
                month,
                [m for n in range(len(series)) if (m := means.get((month.first, n))) is not None],
            )
            for month in months
        ]

    def open_csv(self, request: Request) -> Response:
        """A row per line, as CSV. Filters: `province`, `group`, `days`, `family`."""
        headers = _OPEN | {"Link": f'<{view.LICENCE_URL}>; rel="license"'}
        rows = (view.cells(row) for row in self._open_lines(request))
        return csv_response(view.OpenLine.__struct_fields__, rows, headers)

    def open_xlsx(self, request: Request) -> Response:
        """The same for spreadsheet programs, which lose the zero of a code in a CSV file."""
        rows = (view.cells(row) for row in self._open_lines(request))
        columns = view.OpenLine.__struct_fields__
        return xlsx_response("lines.xlsx", "lines", columns, rows, _OPEN)

    def open_json(self, request: Request) -> Response:
        """The same as JSON, with licence and method."""
        return json_response(
            view.document(self._open_lines(request), self._model.thresholds.version),
            headers=_OPEN,
        )

    def open_geojson(self, request: Request) -> Response:
        """The same as GeoJSON (RFC 7946), a point per commune."""
        return Response(
            view.geojson(self._open_lines(request)),
            headers=_OPEN,
            media_type="application/geo+json",
        )

    def _open_lines(self, request: Request) -> list[view.OpenLine]:
        model, query = self._model, request.query_params
        registry = model.registry()
        lines = filter_lines(
            model.lines(),
            province=province_code(query.get("province"), registry),
            group=one_of("group", query.get("group"), registry.groups),
        )
        period = model.last_days(period_days(query.get("days") or "30"))
        return view.open_lines(
            lines,
            model.overview(period),
            model.overview_by_family(period),
            period,
            family_choice(query.get("family")),
        )

    def _commune(self, request: Request) -> _AskedCommune:
        model, locale = self._model, self._context.locale(request)
        code = request.path_params["code"]
        lines = [line for line in model.lines() if line.commune_code == code]
        commune = model.registry().communes.get(code)
        if commune is None and not lines:
            raise HTTPException(404, f"there is no commune {code}")
        chosen = chosen_period(request, model.today(), _DAYS)
        summaries, name = model.overview(chosen.period), commune.name if commune else code
        keys = [line.key for line in lines]
        shown = view.public_commune(
            name,
            lines,
            summaries,
            model.states(),
            model.thresholds,
            chosen.period,
            locale,
            model.daily(keys, chosen.period, DOWN),
        )
        sentences = commune_sentences(shown.name_within, lines, summaries, chosen, locale)
        return _AskedCommune(code, commune, lines, chosen, locale, shown, sentences)


class _AskedCommune(NamedTuple):
    """A commune that is asked for, and what every page of it shows."""

    code: str
    commune: Commune | None
    lines: list[KnownLine]
    chosen: PeriodChoice
    locale: Locale
    shown: view.PublicCommune
    sentences: str

    @property
    def context(self) -> dict[str, Any]:
        """What the templates share."""
        return {
            "code": self.code,
            "province": self.commune.province_name if self.commune else "",
            "shown": self.shown,
            "sentences": self.sentences,
            "licence": view.LICENCE,
        }


def _areas(lines: Sequence[KnownLine], province: str) -> list[tuple[str, str, list[KnownLine]]]:
    """The provinces with a line, or the communes of one, each as (name, code, lines)."""
    found: dict[tuple[str, str], list[KnownLine]] = {}
    for line in lines:
        if province:
            found.setdefault((line.place, line.commune_code), []).append(line)
        elif line.commune:
            found.setdefault((line.commune.province_name, line.province_code), []).append(line)
    return [(name, code, some) for (name, code), some in found.items()]


def _row_link(province: str, link: Link) -> Callable[[str], str]:
    if province:
        return lambda code: f"/public/{code}"
    return lambda code: link({"province": code})
