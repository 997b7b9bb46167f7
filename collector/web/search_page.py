"""Floor 3. The search for a commune, a province or a probe, from every page's head."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from collector.domain.place_search import QUERY_MOST, PlaceIndex
from collector.domain.read_model import ReadModel
from collector.web import search_view as view
from collector.web.page_context import PageContext


def place_index(model: ReadModel) -> PlaceIndex:
    """The search index of the registry; made anew when the registry has changed."""
    return model.cached(
        ("places", model.registry_revision()),
        lambda: PlaceIndex(model.registry(), model.today()),
        cache_s=3600.0,
    )


class SearchPage:
    """`/search`."""

    def __init__(self, context: PageContext, model: ReadModel) -> None:
        self._context = context
        self._model = model
        self.routes = [Route("/search", self.page)]

    def page(self, request: Request) -> Response:
        """What `q` finds; straight to the page of the only hit."""
        query = request.query_params.get("q", "").strip()[:QUERY_MOST]
        found = view.find(place_index(self._model), query)
        if len(found) == 1 and not found[0].former:
            return RedirectResponse(view.address(found[0]), 303)
        locale = self._context.locale(request)
        return self._context.render(
            request,
            "search.html",
            query=query,
            hits=[view.hit(place, locale) for place in found[: view.HITS_MOST]],
            found=len(found),
        )
