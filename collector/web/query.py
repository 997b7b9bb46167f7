"""Floor 3. Query parameters, validated strictly: an invalid value is an error 400."""

from __future__ import annotations

from collections.abc import Collection
from typing import TypeVar

from starlette.exceptions import HTTPException

from collector.registry.registry import Registry
from collector.web.families_view import CHOICES

T = TypeVar("T")
# The largest integer of SQLite and PostgreSQL.
NUMBER_MOST = 2**63 - 1


def whole_number(name: str, text: str | None, default: int, least: int, most: int) -> int:
    """A whole number within bounds; `default` where the parameter is missing.

    Raises:
        HTTPException: 400, with the accepted range.
    """
    if text is None:
        return default
    if not text.isdecimal() or len(text) > 19 or not least <= int(text) <= most:
        raise HTTPException(400, f"`{name}` is a whole number, {least} to {most}")
    return int(text)


# The periods that a page offers, in days.
PERIODS = (1, 7, 30, 90)


def period_days(text: str | None) -> int:
    """The number of days that a page shows; 7 where the parameter is missing.

    Raises:
        HTTPException: 400.
    """
    return int(one_of("days", text, [str(days) for days in PERIODS]) or 7)


def one_of(name: str, text: str | None, known: Collection[str]) -> str:
    """One of the known values; "" where the parameter is missing or empty.

    Raises:
        HTTPException: 400.
    """
    if not text:
        return ""
    if text not in known:
        raise HTTPException(400, f"`{name}` is not known: {text[:80]}")
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
    return one_of("province", text, {c.province_code for c in registry.communes.values()})


def found_or_404(thing: T | None, what: str) -> T:
    """The thing, unless it is None.

    Raises:
        HTTPException: 404 if it is None.
    """
    if thing is None:
        raise HTTPException(404, f"there is no {what}")
    return thing
