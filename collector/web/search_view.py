"""Floor 1. What a search finds, as a short list."""

from __future__ import annotations

from typing import NamedTuple

from collector.domain.place_search import Place, PlaceIndex, short_province
from collector.web.presentation import Locale

HITS_MOST = 50


class Hit(NamedTuple):
    """A place that was found; `detail` says what it is, and whether it is measured."""

    href: str
    name: str
    province: str
    detail: str


def find(index: PlaceIndex, query: str) -> list[Place]:
    """Communes and provinces; where there are none, probes by name or office."""
    return index.find(query, ("commune", "province")) or index.find(query, ("probe",))


def hit(place: Place, locale: Locale) -> Hit:
    """A place as a row of the list."""
    return Hit(
        href=address(place),
        name=place.name,
        province=short_province(place.province),
        detail=_detail(place, locale),
    )


def address(place: Place) -> str:
    """The page of a place."""
    if place.kind == "province":
        return f"/?province={place.key}"
    return f"/{place.kind}/{place.key}"


def _detail(place: Place, locale: Locale) -> str:
    if place.former:
        return f"{locale.label('search_former')} {place.former}"
    if place.kind != "commune":
        return locale.label(place.kind) if place.kind == "province" else place.key
    measured = "search_measured" if place.probes else "search_unmeasured"
    return f"{place.key} · {locale.label(measured)}"
