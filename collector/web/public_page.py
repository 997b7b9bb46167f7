"""Floor 3. The public pages, the block for a commune's portal, and open data."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from collector.domain.lines import filter_lines, provinces_of
from collector.domain.read_model import ReadModel
from collector.web import public_view as view
from collector.web.headers import EMBED_POLICY
from collector.web.page_context import PageContext
from collector.web.presentation import Locale
from collector.web.query import family_choice, one_of, period_days, province_code
from collector.web.responses import csv_response, json_response, xlsx_response

_OPEN = {"Access-Control-Allow-Origin": "*", "Cross-Origin-Resource-Policy": "cross-origin"}


class PublicPages:
    """`/public`, `/public/…`, `/embed/…`, `/open/…`."""

    def __init__(self, context: PageContext, model: ReadModel) -> None:
        self._context = context
        self._model = model
        self.routes = [
            Route("/public", self.page),
            Route("/public/{code}", self.commune),
            Route("/embed/{code}", self.embed),
            Route("/open/lines.csv", self.open_csv),
            Route("/open/lines.xlsx", self.open_xlsx),
            Route("/open/lines.json", self.open_json),
            Route("/open/communes.geojson", self.open_geojson),
        ]

    def page(self, request: Request) -> Response:
        """The communes of a province, and links to the open data."""
        every = self._model.lines()
        provinces = provinces_of(every)
        province = province_code(request.query_params.get("province"), self._model.registry())
        if not province and len(provinces) == 1:
            province = provinces[0][1]
        inside = filter_lines(every, province=province) if province else []
        return self._context.render(
            request,
            "public.html",
            provinces=provinces,
            province=province,
            communes=sorted({(line.commune_name, line.commune_code) for line in inside}),
            licence=view.LICENCE,
            licence_url=view.LICENCE_URL,
        )

    def commune(self, request: Request) -> Response:
        """One commune in plain words, and how to embed it."""
        shown, locale = self._commune(request)
        return self._context.render(
            request,
            "public_commune.html",
            shown=shown,
            code=request.path_params["code"],
            address=f"{request.url.scheme}://{request.headers.get('host', '')}/embed/"
            f"{request.path_params['code']}?lang={locale.language}",
            licence=view.LICENCE,
        )

    def embed(self, request: Request) -> Response:
        """The block for portals: no menu, script or cookie; any page may frame it."""
        shown, _ = self._commune(request)
        answer = self._context.render(
            request,
            "embed.html",
            shown=shown,
            code=request.path_params["code"],
            licence=view.LICENCE,
        )
        answer.headers["Content-Security-Policy"] = EMBED_POLICY
        answer.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        del answer.headers["set-cookie"]
        return answer

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

    def _commune(self, request: Request) -> tuple[view.PublicCommune, Locale]:
        model, locale = self._model, self._context.locale(request)
        code = request.path_params["code"]
        lines = [line for line in model.lines() if line.commune_code == code]
        commune = model.registry().communes.get(code)
        if commune is None and not lines:
            raise HTTPException(404, f"there is no commune {code}")
        period = model.last_days(30)
        return view.public_commune(
            commune.name if commune else code,
            lines,
            model.overview(period),
            model.states(),
            model.thresholds,
            period,
            locale,
        ), locale
