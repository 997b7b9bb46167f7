"""Floor 3. Query parameters, validated strictly: an invalid value is an error 400."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import TypeVar
from urllib.parse import urlencode

from starlette.convertors import IntegerConvertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import Request

from collector.domain.lines import KnownLine
from collector.registry.registry import LineKey, Registry
from collector.rollup.periods import Period
from collector.web import chart_view, period_choice, table
from collector.web.chart_view import Range
from collector.web.families_view import CHOICES
from collector.web.map_view import Colour
from collector.web.period_choice import PeriodChoice
from collector.web.table import Column, Link, Sorting

T = TypeVar("T")


class RefusedError(HTTPException):
    """An error of which the page says `label` in the reader's language, and which `value` it is of.

    Programs are given the sentence.
    """

    def __init__(self, label: str, sentence: str, value: str = "") -> None:
        super().__init__(400, sentence)
        self.label, self.value = label, value


class _NumberConvertor(IntegerConvertor):
    """A number of an entry; longer ones, which Python may refuse to read, match no route."""

    regex = "[0-9]{1,15}"


# `{number:entry_number}` in the path of a route.
register_url_convertor("entry_number", _NumberConvertor())


def whole_number(name: str, text: str | None, default: int, least: int, most: int) -> int:
    """A whole number within bounds; `default` where the parameter is missing.

    Raises:
        HTTPException: 400, with the accepted range.
    """
    if text is None:
        return default
    if not text.isdecimal() or len(text) > 19 or not least <= int(text) <= most:
        sentence = f"`{name}` is a whole number, {least} to {most}"
        raise RefusedError("refused_choice", sentence, text[:80])
    return int(text)


PAGES_MOST = 100_000


def period_days(text: str | None) -> int:
    """The number of days that a page shows; 7 where the parameter is missing.

    Raises:
        HTTPException: 400.
    """
    return int(one_of("days", text, [str(days) for days in period_choice.LAST_DAYS]) or 7)


def chosen_period(request: Request, today: date, default: int = 7) -> PeriodChoice:
    """The days that a page shows (`period`, `days`, `from`, `to`).

    Raises:
        HTTPException: 400.
    """
    names = ("period", "days", "from", "to")
    period, days, first, last = (request.query_params.get(name, "").strip() for name in names)
    try:
        return period_choice.choose(period, days, first, last, today, default)
    except ValueError as error:
        raise RefusedError("refused_period", str(error)) from error


def chosen_range(request: Request, default: Period, now: datetime) -> Range:
    """The range of zoomed charts (`from`, `to`); that of `default` where the address has neither.

    Raises:
        HTTPException: 400.
    """
    query = request.query_params
    if "from" not in query and "to" not in query:
        return chart_view.range_of_days(default, now)
    try:
        return chart_view.range_between(query.get("from", ""), query.get("to", ""))
    except ValueError as error:
        raise RefusedError("refused_range", str(error)) from error


def chosen_sorting(request: Request, columns: Sequence[Column], prefix: str = "") -> Sorting:
    """The sorting that a page shows (`sort`, `order`; of another of its tables with a prefix).

    Raises:
        HTTPException: 400.
    """
    query = request.query_params
    column, order = (query.get(f"{prefix}{name}", "") for name in ("sort", "order"))
    try:
        return table.sorting(columns, column, order)
    except ValueError as error:
        raise RefusedError("refused_choice", str(error), (column or order)[:80]) from error


def chosen_colour(request: Request) -> Colour:
    """What the map's colours show (`colour`); states where the address has none.

    Raises:
        HTTPException: 400.
    """
    return Colour(one_of("colour", request.query_params.get("colour"), list(Colour)) or "state")


def page_number(request: Request, name: str = "page") -> int:
    """The number of a table's page, from 1.

    Raises:
        HTTPException: 400.
    """
    return whole_number(name, request.query_params.get(name), 1, 1, PAGES_MOST)


def links(path: str, parameters: Mapping[str, str]) -> Link:
    """Addresses of a page with these parameters; those that are given change, "" leaves one out."""

    def link(changed: Mapping[str, str]) -> str:
        query = {name: value for name, value in {**parameters, **changed}.items() if value}
        return f"{path}?{urlencode(query)}" if query else path

    return link


def one_of(name: str, text: str | None, known: Collection[str]) -> str:
    """One of the known values; "" where the parameter is missing or empty.

    Raises:
        HTTPException: 400.
    """
    if not text:
        return ""
    if text not in known:
        sentence = f"`{name}` is not known: {text[:80]}"
        raise RefusedError("refused_choice", sentence, text[:80])
    return text


def family_choice(text: str | None) -> str:
    """The filter `family`, one of `families_view.CHOICES`; "" where the address has none.

    Raises:
        HTTPException: 400.
    """
    return one_of("family", text, CHOICES)


def province_code(text: str | None, registry: Registry) -> str:
    """The province code of the filter `province`; "" where the address has none.

    Raises:
        HTTPException: 400 for a code that no commune of the registry has.
    """
    communes = registry.communes.values() if text else ()
    return one_of("province", text, {commune.province_code for commune in communes})


def line_of_path(request: Request, lines: Iterable[KnownLine]) -> KnownLine:
    """The line that an address with `{tenant}/{probe}/{line}` names.

    Raises:
        HTTPException: 404 where it is none of these.
    """
    path = request.path_params
    key = LineKey(path["tenant"], path["probe"], path["line"])
    return found_or_404(next((line for line in lines if line.key == key), None), "such line")


def found_or_404(thing: T | None, what: str) -> T:
    """The thing, unless it is None.

    Raises:
        HTTPException: 404 if it is None.
    """
    if thing is None:
        raise HTTPException(404, f"there is no {what}")
    return thing
