"""Floor 1. The reports page: the areas to choose from, and issues as rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple

from collector.domain.place_search import Place, PlaceIndex, bare, shared_names, with_province
from collector.registry.registry import Registry
from collector.reports.builder import NATION
from collector.reports.report import ReportKind
from collector.rollup.periods import Period, month_of, week_of
from collector.web.change_view import period_text
from collector.web.formatting import Moment, by_name, moment
from collector.web.period_choice import OptionGroup, month_option, week_option
from collector.web.presentation import Locale

ROWS_A_PAGE = 60
_WEEKS, _MONTHS = 13, 13
# A longer list is typed in by name, and found on the server.
_AREAS_LISTED, _AREAS_NAMED = 100, 8
# The length of a commune's code.
_CODE = 5


class IssueRow(NamedTuple):
    """An issue. `changed` are days (dd/mm) whose figures changed since; `files` (format, name)."""

    kind: str
    area: str
    period: str
    version: int
    at: Moment
    changed: list[str]
    files: list[tuple[str, str]]

    @property
    def name(self) -> str:
        """The name of its files without their suffix."""
        return self.files[0][1].rpartition(".")[0] if self.files else ""


def first_area(registry: Registry, names: Mapping[str, str]) -> str:
    """The name of the area that forms begin with."""
    return next((group.name for group in registry.groups.values()), names[NATION])


class AreaUnclearError(ValueError):
    """Several areas have the name that was typed; `names` are theirs, each with its code."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__("several areas have this name")
        self.names = names


def area_names(registry: Registry, locale: Locale) -> dict[str, str]:
    """The name of each area by its id: groups, provinces and communes with a probe, all of them."""
    communes = {probe.commune for probe in registry.probes.values()} & registry.communes.keys()
    places = [registry.communes[code] for code in sorted(communes)]
    shared = shared_names(registry.communes.values())
    return {
        NATION: locale.label("all_probes"),
        **{group.id: group.name for group in registry.groups.values()},
        **dict(
            sorted(
                {(one.province_code, one.province_name) for one in places},
                key=lambda province: by_name(province[1]),
            )
        ),
        **{one.code: with_province(one) if one.name in shared else one.name for one in places},
    }


def suggested_areas(names: Mapping[str, str]) -> list[str]:
    """The names that the form's list offers: of a large registry, no communes."""
    if len(names) <= _AREAS_LISTED:
        return list(names.values())
    return [name for area, name in names.items() if not (len(area) == _CODE and area.isdigit())]


def area_id(typed: str, names: Mapping[str, str], places: PlaceIndex) -> str:
    """The id of the area that is meant: an id, the name of one, or a commune or province by name.

    Raises:
        AreaUnclearError: several have the name.
        ValueError: none has.
    """
    text = typed.strip()
    if not text:
        return NATION
    if text in names:
        return text
    same = [area for area, name in names.items() if bare(name) == bare(text)]
    if len(same) == 1:
        return same[0]
    found = places.exact(text, ("commune", "province"))
    if found is not None:
        return found.key
    several = places.find(text, ("commune", "province"))[:_AREAS_NAMED]
    if several:
        raise AreaUnclearError([_with_code(one) for one in several])
    raise ValueError(f"there is no area {text[:80]!r}")


def _with_code(place: Place) -> str:
    return ", ".join(filter(None, (f"{place.key} {place.name}", place.province)))


def period_groups(today: date, locale: Locale) -> list[OptionGroup]:
    """What can be made, as KIND:PERIOD, newest first; what is not over can only be drafted."""
    weeks = [week_of(today).first - timedelta(weeks=back) for back in range(_WEEKS)]
    months = [month_of(today).first]
    while len(months) < _MONTHS:
        months.append((months[-1] - timedelta(days=1)).replace(day=1))

    def options(kind: ReportKind) -> list[tuple[str, str]]:
        weekly = kind is ReportKind.WEEKLY
        made = (
            [week_option(day, locale) for day in weeks]
            if weekly
            else [month_option(day, locale) for day in months]
        )
        running = (f"{made[0][0]}, {locale.label('draft_only')}", made[0][1])
        # With the kind: a closed list shows the chosen option alone, without its group.
        name = locale.label(f"report_{kind}")
        return [(f"{name}: {text}", f"{kind}:{value}") for text, value in (*made[1:], running)]

    return [OptionGroup(locale.label(f"report_{kind}"), options(kind)) for kind in ReportKind]


def issue_row(
    kind: ReportKind,
    area: str,
    period: Period,
    version: int,
    at: datetime,
    changed: Sequence[date],
    files: Mapping[str, str],
    locale: Locale,
) -> IssueRow:
    """The row of an issue. `files` are file names by format."""
    return IssueRow(
        kind=locale.label(f"report_{kind}"),
        area=area,
        period=period_text(period),
        version=version,
        at=moment(at, locale.language, locale.timezone),
        changed=[f"{day:%d/%m}" for day in changed],
        files=[(file_format.upper(), name) for file_format, name in files.items()],
    )
