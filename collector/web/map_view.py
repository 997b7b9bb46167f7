"""Floor 1. What a map shows: the nation's provinces, or the communes of one.

A figure of an area is of its lines that pass the filters, by one of the measures of `Colour`. A
province has the share of its lines that are well, or the median of its lines; a commune has the
figure of its worst line. Four classes in one hue, the worse the darker: they differ for
those who see no colours too, and the legend has their numbers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from statistics import median
from typing import NamedTuple

from msgspec import Struct

from collector.domain.lines import KnownLine, LineState, severity, worst_state
from collector.domain.place_search import short_province
from collector.registry.registry import Commune, LineKey
from collector.rollup.periods import Period
from collector.rollup.summary import EMPTY, Summary
from collector.web import table
from collector.web.drawing.place_map import Area, Map, Name, Point, Ring, draw
from collector.web.formatting import by_name, whole_number
from collector.web.line_table import DOWN, STATE_LOOKS, loaded_latency, percent, state_badge
from collector.web.presentation import Locale

# Of a picture, in units of about a pixel: where there is room, and beside the table of lines.
WIDTH, NARROW = 400, 300
# Up to this number of communes with a line, each is a link on the map.
SPOTS_MOST = 250
# The most names of communes that are tried.
_NAMES_MOST = 60
# And of those without a line.
_SOFT_NAMES_MOST = 60
# A special zone further than this from the other communes is in a frame of its own (degrees).
_FAR_DEGREES = 1.0
# Some 13 km.
_AROUND_DEGREES = 0.12
_SPECIAL_ZONE = "dac_khu"
_KIND_WORDS = {"xa": "Xã ", "phuong": "Phường ", _SPECIAL_ZONE: "Đặc khu "}
# Archipelagos, by the code of their special zone: named on the nation's map.
_ARCHIPELAGOS = {"20333": "hoang_sa", "22736": "truong_sa"}
# Where there is no room for all names: first the cities under the central government.
_CITIES = ("01", "79", "48", "31", "46", "92", "75")

Link = Callable[[str], str]
Outlines = Mapping[str, Sequence[Ring]]


class Colour(StrEnum):
    """What the colour of an area shows."""

    STATE = "state"
    PLAN = "plan"
    LOADED = "loaded"

    @property
    def parameter(self) -> str:
        """The value of the parameter `colour`; "" for the one that is shown without it."""
        return "" if self is Colour.STATE else self.value


class _Box(NamedTuple):
    """The degrees that some communes lie in."""

    west: float
    south: float
    east: float
    north: float

    @classmethod
    def around(cls, communes: Sequence[Commune]) -> _Box:
        """The box of some communes; there is at least one."""
        longitudes = [c.longitude for c in communes]
        latitudes = [c.latitude for c in communes]
        return cls(min(longitudes), min(latitudes), max(longitudes), max(latitudes))

    def distance(self, longitude: float, latitude: float) -> float:
        """How far a place is outside, in degrees; below 0 inside."""
        return max(
            self.west - longitude,
            longitude - self.east,
            self.south - latitude,
            latitude - self.north,
        )


class LegendEntry(Struct, frozen=True):
    """A look, what it means, and how many areas have it."""

    look: str
    shape: str
    text: str
    count: str


class MapView(Struct, frozen=True, kw_only=True):
    """A map with its words."""

    map: Map
    title: str
    caption: str
    legend: list[LegendEntry]


class _Classes(NamedTuple):
    """The borders between the four classes, from the best class on."""

    borders: tuple[float, float, float]
    higher_is_better: bool
    text: Callable[[float, Locale], str]

    def of(self, value: float) -> int:
        """The class of a value, 1 is the best."""
        if self.higher_is_better:
            return 1 + sum(value < border for border in self.borders)
        return 1 + sum(value >= border for border in self.borders)

    def texts(self, locale: Locale) -> list[str]:
        """The classes in words, the best first."""
        first, second, third = (self.text(border, locale) for border in self.borders)
        outer = ("map_from", "map_below") if self.higher_is_better else ("map_below", "map_from")
        return [
            f"{locale.label(outer[0])} {first}",
            f"{second} – {first}" if self.higher_is_better else f"{first} – {second}",
            f"{third} – {second}" if self.higher_is_better else f"{second} – {third}",
            f"{locale.label(outer[1])} {third}",
        ]


class MapFigures(Struct, frozen=True, kw_only=True):
    """The lines that a map is of, and what is known of them."""

    lines: Sequence[KnownLine]
    summaries: Mapping[LineKey, Summary]
    states: Mapping[LineKey, LineState]
    period: Period
    plan_share: float
    colour: Colour
    locale: Locale

    @property
    def classes(self) -> _Classes:
        """The classes of the figures."""
        if self.colour is Colour.STATE:
            return _Classes((0.95, 0.8, 0.5), True, _percent)
        if self.colour is Colour.LOADED:
            return _Classes((50.0, 100.0, 200.0), False, _milliseconds)
        return _Classes((1.0, self.plan_share, 0.5), True, _percent)

    def state(self, line: KnownLine) -> LineState:
        """The current state of a line."""
        return self.states.get(line.key, LineState.NEVER)

    def figure(self, line: KnownLine) -> float | None:
        """By the colour: 1 where it is well, else 0; speed against plan; latency under load, ms."""
        if self.colour is Colour.STATE:
            return float(self.state(line) is LineState.GOOD)
        summary = self.summaries.get(line.key, EMPTY)
        if self.colour is Colour.LOADED:
            return loaded_latency(summary)
        mean = summary.metric(DOWN).mean
        if mean is None or not line.plan_down_bps or not line.plan_is_of(self.period.first):
            return None
        return mean / line.plan_down_bps

    def figures(self, lines: Iterable[KnownLine]) -> list[float]:
        """The figures of those lines that have one."""
        return [value for line in lines if (value := self.figure(line)) is not None]

    def of_province(self, lines: Iterable[KnownLine]) -> float | None:
        """The share of the lines that are well, or the median of the lines' figures."""
        values = self.figures(lines)
        if not values:
            return None
        return sum(values) / len(values) if self.colour is Colour.STATE else median(values)

    def of_commune(self, lines: Iterable[KnownLine]) -> float | None:
        """The figure of the worst line."""
        worst = min if self.classes.higher_is_better else max
        return worst(self.figures(lines), default=None)

    def text(self, value: float | None) -> str:
        """A figure in words."""
        if value is None:
            return self.locale.label("map_no_figure")
        return f"{self.classes.text(value, self.locale)} {self.locale.label(self._unit)}"

    @property
    def _unit(self) -> str:
        return f"map_unit_{self.colour}"


def nation_map(
    figures: MapFigures,
    communes: Iterable[Commune],
    outlines: Outlines,
    link: Link,
    width: int = WIDTH,
) -> MapView:
    """Every province in the colour of its lines.

    Args:
        figures: of the lines that pass the filters.
        communes: of the whole nation.
        outlines: by province code.
        link: from a province's code to its address.
        width: of the picture, in units of about a pixel.
    """
    provinces = _provinces(figures, communes)
    archipelagos = [c for one in provinces for c in one.communes if c.code in _ARCHIPELAGOS]
    locale = figures.locale
    return MapView(
        map=draw(
            [],
            areas=[_area(one, figures, outlines.get(one.code, ()), link) for one in provinces],
            names=[*(_archipelago(c, locale) for c in archipelagos), *map(_name, provinces)],
            extent=[
                *(point for rings in outlines.values() for ring in rings for point in ring),
                *_corners(archipelagos),
            ],
            width=width,
        ),
        title=locale.label("map_title_nation"),
        caption=locale.label(f"map_nation_{figures.colour}"),
        legend=_nation_legend(provinces, figures),
    )


def province_map(
    figures: MapFigures,
    communes: Sequence[Commune],
    outlines: Outlines,
    provinces: Mapping[str, str],
    link: Link,
    *,
    whole: str = "",
    here: str = "",
    commune_path: str = "/commune/",
    width: int = WIDTH,
) -> MapView:
    """Communes by their centre points, over the outlines of the provinces around them.

    Args:
        figures: of the lines that pass the filters.
        communes: which the picture shows; those without a line are small dots.
        outlines: by province code.
        provinces: their names by code.
        link: from a province's code to its address.
        whole: the code of the province whose outline the whole of is in the picture.
        here: the code of the commune that the page is about, which is marked.
        commune_path: what the address of a commune's page begins with.
        width: of the picture, in units of about a pixel.
    """
    marks = _marks(figures, communes)
    far = _far(communes)
    codes = {commune.province_code for commune in communes}
    near = [mark for mark in marks if mark.commune.code not in far]
    behind = _behind(communes, marks, far)
    return MapView(
        map=draw(
            [
                *_here(communes, here),
                *(_point(mark, commune_path, place) for place, mark in enumerate(near)),
            ],
            areas=[
                Area(
                    rings=outlines.get(code, ()),
                    look="ground" if code in codes else "around",
                    title=name,
                    href="" if code in codes else link(code),
                )
                for code, name in provinces.items()
            ],
            backdrop=[Point(c.latitude, c.longitude, "none", "dot") for c in behind],
            names=[
                Name(c.latitude, c.longitude, (short_name(c),), beside=True, soft=True)
                for c in behind[:_SOFT_NAMES_MOST]
            ],
            far=_framed(communes, marks, far, commune_path),
            extent=_near_corners(outlines.get(whole, ()), communes, far),
            width=width,
        ),
        title=figures.locale.label("map_title"),
        caption=figures.locale.label(f"map_communes_{figures.colour}"),
        legend=_commune_legend(marks, figures),
    )


def around(communes: Sequence[Commune], every: Iterable[Commune]) -> list[Commune]:
    """The communes of `every` in or near the bounding box of `communes`."""
    if not communes:
        return []
    box = _Box.around(communes)
    south, north = box.south - _AROUND_DEGREES, box.north + _AROUND_DEGREES
    # Most of the nation is further south or north: two comparisons leave it out.
    band = (c for c in every if south < c.latitude < north)
    return [c for c in band if box.distance(c.longitude, c.latitude) < _AROUND_DEGREES]


def colour_links(link: table.Link, locale: Locale) -> list[tuple[str, str, Colour]]:
    """What the colours may show, each as (name, address, itself)."""
    return [
        (locale.label(f"colour_{colour}"), link({"colour": colour.parameter}), colour)
        for colour in Colour
    ]


def commune_path(commune: Commune, locale: Locale) -> list[tuple[str, str]]:
    """From the nation to the commune, each as (name, address); the last has none."""
    return [
        (locale.label("all_provinces"), "/?zoom=nation"),
        (commune.province_name, f"/?province={commune.province_code}"),
        (commune.name, ""),
    ]


def short_name(commune: Commune) -> str:
    """The name without the kind in front of it, for a map."""
    return commune.name.removeprefix(_KIND_WORDS.get(commune.kind, ""))


def province_names(communes: Iterable[Commune]) -> dict[str, str]:
    """The name of each province by its code."""
    return {commune.province_code: commune.province_name for commune in communes}


# The nation


class _Province(NamedTuple):
    code: str
    name: str
    communes: list[Commune]
    lines: list[KnownLine]
    value: float | None
    text: str
    look: str


def _provinces(figures: MapFigures, communes: Iterable[Commune]) -> list[_Province]:
    """The provinces in the order in which their names are placed: cities, then those with lines."""
    inside: dict[str, list[Commune]] = {}
    for commune in communes:
        inside.setdefault(commune.province_code, []).append(commune)
    lines: dict[str, list[KnownLine]] = {}
    for line in figures.lines:
        lines.setdefault(line.province_code, []).append(line)
    found = [_province(code, some, lines.get(code, []), figures) for code, some in inside.items()]
    return sorted(found, key=lambda one: (one.code not in _CITIES, one.value is None, one.code))


def _province(
    code: str, communes: list[Commune], lines: list[KnownLine], figures: MapFigures
) -> _Province:
    value, classes = figures.of_province(lines), figures.classes
    return _Province(
        code,
        communes[0].province_name,
        communes,
        lines,
        value,
        "" if value is None else classes.text(value, figures.locale),
        f"area-{0 if value is None else classes.of(value)}",
    )


def _area(province: _Province, figures: MapFigures, rings: Sequence[Ring], link: Link) -> Area:
    zones = [commune for commune in province.communes if commune.kind == _SPECIAL_ZONE]
    return Area(
        rings=rings,
        look=province.look,
        title=_province_title(province, figures),
        href=link(province.code),
        islands=_corners(zones),
    )


def _province_title(province: _Province, figures: MapFigures) -> str:
    """ "Tỉnh Thái Nguyên: 184 đường truyền, 83% đang tốt"."""
    locale = figures.locale
    if not province.lines:
        return f"{province.name}: {locale.label('map_no_lines')}"
    lines = f"{locale.number(len(province.lines))} {locale.label('map_lines')}"
    return f"{province.name}: {lines}, {figures.text(province.value)}"


def _name(province: _Province) -> Name:
    """A name in the middle of the mainland's communes."""
    mainland = [c for c in province.communes if c.kind != _SPECIAL_ZONE] or province.communes
    short = short_province(province.name)
    return Name(
        median(c.latitude for c in mainland),
        median(c.longitude for c in mainland),
        (short, province.text) if province.text else (short,),
    )


def _archipelago(commune: Commune, locale: Locale) -> Name:
    name = locale.label(f"map_{_ARCHIPELAGOS[commune.code]}")
    province = short_province(commune.province_name)
    return Name(commune.latitude, commune.longitude, (name, f"({province})"), beside=True)


def _nation_legend(provinces: Sequence[_Province], figures: MapFigures) -> list[LegendEntry]:
    counts, locale = Counter(one.look for one in provinces), figures.locale
    texts = [*figures.classes.texts(locale), locale.label("map_no_lines")]
    looks = [*(f"area-{number}" for number in range(1, len(texts))), "area-0"]
    return [
        LegendEntry(look, "area", text, locale.number(counts[look]))
        for look, text in zip(looks, texts, strict=True)
    ]


# Communes


class _Mark(NamedTuple):
    """A commune with a line: how it is drawn, and how bad it is."""

    commune: Commune
    look: str
    shape: str
    word: str
    rank: float


def _marks(figures: MapFigures, communes: Iterable[Commune]) -> list[_Mark]:
    """The communes with lines that are in the picture, the worst first."""
    shown = {commune.code for commune in communes}
    lines: dict[str, list[KnownLine]] = {}
    for line in figures.lines:
        if line.commune_code in shown:
            lines.setdefault(line.commune_code, []).append(line)
    marks = [_mark(some, figures) for some in lines.values()]
    found = [mark for mark in marks if mark is not None]
    return sorted(found, key=lambda mark: (-mark.rank, by_name(mark.commune.name)))


def _mark(lines: Sequence[KnownLine], figures: MapFigures) -> _Mark | None:
    if (commune := lines[0].commune) is None:
        return None
    if figures.colour is Colour.STATE:
        state = worst_state(map(figures.state, lines))
        tone, _, shape = STATE_LOOKS[state]
        return _Mark(commune, tone, shape, state_badge(state, figures.locale).word, severity(state))
    value = figures.of_commune(lines)
    number = 0 if value is None else figures.classes.of(value)
    shape = f"disc-{number}" if number else "ring"
    look = f"class-{number}" if number else "none"
    return _Mark(commune, look, shape, figures.text(value), number)


def _point(mark: _Mark, path: str, place: int = 0) -> Point:
    """The point of the `place`-th mark: the first ones are links, and fewer have names."""
    commune = mark.commune
    if place >= SPOTS_MOST:
        return Point(commune.latitude, commune.longitude, mark.look, mark.shape)
    return Point(
        commune.latitude,
        commune.longitude,
        mark.look,
        mark.shape,
        f"{commune.name} ({commune.code}): {mark.word}",
        f"{path}{commune.code}",
        short_name(commune) if place < _NAMES_MOST else "",
    )


def _behind(
    communes: Iterable[Commune], marks: Iterable[_Mark], far: frozenset[str]
) -> list[Commune]:
    """The communes without a line, but for far islands."""
    drawn = {mark.commune.code for mark in marks} | far
    return [commune for commune in communes if commune.code not in drawn]


def _framed(
    communes: Iterable[Commune], marks: Iterable[_Mark], far: frozenset[str], path: str
) -> list[Point]:
    """The far islands, each a link to its page, with a line or without."""
    points = {mark.commune.code: _point(mark, path) for mark in marks if mark.commune.code in far}
    for commune in communes:
        if commune.code in far and commune.code not in points:
            mark = _Mark(commune, "none", "ring", "", 0)
            points[commune.code] = _point(mark, path)
    return list(points.values())


def _far(communes: Sequence[Commune]) -> frozenset[str]:
    """The codes of the special zones that are far from all other communes."""
    others = [c for c in communes if c.kind != _SPECIAL_ZONE]
    if not others:
        return frozenset()
    box = _Box.around(others)
    zones = (c for c in communes if c.kind == _SPECIAL_ZONE)
    return frozenset(c.code for c in zones if box.distance(c.longitude, c.latitude) > _FAR_DEGREES)


def _near_corners(
    rings: Iterable[Ring], communes: Iterable[Commune], far: frozenset[str]
) -> list[tuple[float, float]]:
    """The corners of an outline, but for far islands."""
    box = _Box.around([c for c in communes if c.code not in far])
    return [at for ring in rings for at in ring if box.distance(*at) <= _FAR_DEGREES]


def _here(communes: Iterable[Commune], code: str) -> list[Point]:
    return [Point(c.latitude, c.longitude, "here", "here") for c in communes if c.code == code]


def _commune_legend(marks: Sequence[_Mark], figures: MapFigures) -> list[LegendEntry]:
    locale, counts = figures.locale, Counter((mark.look, mark.shape) for mark in marks)
    if figures.colour is Colour.STATE:
        looks = {(tone, shape): f"state_{state}" for state, (tone, _, shape) in STATE_LOOKS.items()}
        entries = [(look, locale.label(name)) for look, name in looks.items()]
    else:
        texts = enumerate(figures.classes.texts(locale), start=1)
        entries = [((f"class-{number}", f"disc-{number}"), text) for number, text in texts]
        entries.append((("none", "ring"), locale.label("map_no_figure")))
    return [LegendEntry(*look, text, locale.number(counts[look])) for look, text in entries]


def _corners(communes: Iterable[Commune]) -> list[tuple[float, float]]:
    return [(commune.longitude, commune.latitude) for commune in communes]


def _milliseconds(value: float, locale: Locale) -> str:
    return f"{whole_number(round(value), locale.language)} ms"


def _percent(value: float, locale: Locale) -> str:
    return percent(value, locale, places=0)
