"""Floor 1. A map of provinces by their outlines and of communes by their centre points.

No tiles: it is drawn by the server as SVG, and what can be visited is a link. The points of one
look are one path, so that 3,321 communes take some 40 kB, a seventh of that compressed.
Equirectangular, with longitude shortened by the cosine of the middle latitude: over Vietnam's 15
degrees a circle stays a circle within 5 %, and nobody measures on it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from msgspec import Struct

# Longitude and latitude, degrees (WGS 84).
Ring = Sequence[tuple[float, float]]
_MARGIN = 12.0
# The height is this many widths at most.
_TALLEST = 1.5
# A single commune must not fill the whole picture (degrees).
_SPAN_LEAST = 0.15
# The approximate size of a letter at font size 11, and of a line.
_LETTER_WIDTH, _LINE_HEIGHT = 6.0, 12.0
# Distance of a name from the middle of its point.
_NAME_GAP = 7.0
# The same where the ring of the place that the page is about is drawn.
_NAME_GAP_HERE = 11.0
# A far island's frame, and the strip that has them.
_FRAME_WIDTH, _STRIP = 140.0, 44
# The shape of a point, in units of the picture: it shows a state as the colour does. The discs are
# of the four classes of a figure: the worse, the larger.
SHAPES = {
    "dot": "h0",
    "ring": "m-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0",
    "cross": "m-3-3l6 6m0-6l-6 6",
    "square": "m-3-3h6v6h-6z",
    "triangle": "m0-3l3 6h-6z",
    "here": "m-8 0a8 8 0 1 0 16 0a8 8 0 1 0-16 0",
    "disc-1": "m-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0",
    "disc-2": "m-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0-7 0",
    "disc-3": "m-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0",
    "disc-4": "m-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0-9 0",
}
_DOT_WIDTH, _BEHIND_WIDTH, _STROKE = 5.0, 1.6, 1.6
_ISLANDS = "m-2.5 0a2.5 2.5 0 1 0 5 0a2.5 2.5 0 1 0-5 0"


class Area(Struct, frozen=True, kw_only=True):
    """A province: its rings, the look it is filled with, and where it leads.

    `islands` are the centre points of what has no ring: each is drawn as a small disc.
    """

    rings: Sequence[Ring]
    look: str
    title: str
    href: str
    islands: Sequence[tuple[float, float]] = ()


class Point(Struct, frozen=True):
    """A commune's centre (degrees, WGS 84), its look (`place-NAME`) and shape, and its name."""

    latitude: float
    longitude: float
    look: str
    shape: str
    title: str = ""
    href: str = ""
    label: str = ""


class Name(Struct, frozen=True):
    """A name to be written at a place, if there is room: all its lines, else the first.

    `beside` keeps it clear of a symbol; a `soft` one is placed after all others.
    """

    latitude: float
    longitude: float
    lines: tuple[str, ...]
    beside: bool = False
    soft: bool = False


class Shape(Struct, frozen=True):
    """An area as drawn."""

    look: str
    path: str
    title: str
    href: str


class Layer(Struct, frozen=True):
    """All points of one look and shape as one path."""

    look: str
    shape: str
    path: str
    width: float


class Spot(Struct, frozen=True):
    """A point with a link, drawn over the layers."""

    x: float
    y: float
    title: str
    href: str


class Text(Struct, frozen=True):
    """A name as drawn; `lines` one below the other, `y` is of the first one's base."""

    x: float
    y: float
    anchor: str
    lines: tuple[str, ...]
    soft: bool


class Inset(Struct, frozen=True):
    """The frame below the picture of a far island, which is drawn out of its place."""

    x: float
    y: float
    width: float
    height: float


class Map(Struct, frozen=True):
    """A map: its size, areas, layers, links and names; below `bottom` are the insets alone."""

    width: int
    height: int
    bottom: int
    shapes: list[Shape]
    layers: list[Layer]
    spots: list[Spot]
    texts: list[Text]
    insets: list[Inset]


class _Box(NamedTuple):
    left: float
    top: float
    right: float
    bottom: float

    def touches(self, other: _Box) -> bool:
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )


def draw(
    points: Sequence[Point],
    *,
    areas: Iterable[Area] = (),
    names: Sequence[Name] = (),
    backdrop: Iterable[Point] = (),
    far: Sequence[Point] = (),
    extent: Iterable[tuple[float, float]] = (),
    width: int = 400,
) -> Map:
    """A map of the given width that shows every point.

    Args:
        points: the points; those with a title become links, those with a label have a name.
        areas: what is drawn below them, as far as it is in the picture.
        names: what is written before the points' names, in this order.
        backdrop: points drawn small in the background.
        far: islands too far away for the scale, each in a frame of its own.
        extent: more places (longitude, latitude) that the picture shows.
        width: in units of the picture; the height follows.
    """
    behind = list(backdrop)
    corners = [(p.longitude, p.latitude) for p in (*points, *behind)]
    corners += extent
    if not corners:
        return Map(width, width, width, [], [], [], [], [])
    place = _Projection(corners, width)
    framed = [_Framed(point, place.height, number) for number, point in enumerate(far)]
    at = [(point, *place(point.longitude, point.latitude)) for point in points]
    at += [(one.point, one.x, one.y) for one in framed]
    back = [(point, *place(point.longitude, point.latitude)) for point in behind]
    return Map(
        width,
        place.height + (_STRIP if framed else 0),
        place.height,
        [shape for area in areas if (shape := _shape(area, place)) is not None],
        _layers(back, _BEHIND_WIDTH) + _layers(at, _DOT_WIDTH),
        [Spot(x, y, point.title, point.href) for point, x, y in at if point.title],
        _texts(names, at[: len(points)], place) + [one.text for one in framed],
        [one.frame for one in framed],
    )


class _Projection:
    """Degrees to units of the picture, to a tenth."""

    def __init__(self, corners: Iterable[tuple[float, float]], width: int) -> None:
        longitudes, latitudes = zip(*corners, strict=True)
        west, east = min(longitudes), max(longitudes)
        south, north = min(latitudes), max(latitudes)
        shrink = math.cos(math.radians((south + north) / 2))
        span_x = max((east - west) * shrink, _SPAN_LEAST)
        span_y = max(north - south, _SPAN_LEAST)
        room = width - 2 * _MARGIN
        scale = min(room / span_x, (_TALLEST * width - 2 * _MARGIN) / span_y)
        self.height = math.ceil(span_y * scale + 2 * _MARGIN)
        self._scale_x, self._scale_y = scale * shrink, scale
        # In the middle where there is more room than that.
        self._x0 = width / 2 - (west + east) / 2 * self._scale_x
        self._y0 = self.height / 2 + (south + north) / 2 * self._scale_y
        self.frame = _Box(0, 0, width, self.height)

    def __call__(self, longitude: float, latitude: float) -> tuple[float, float]:
        """The position in the picture."""
        x, y = longitude * self._scale_x + self._x0, self._y0 - latitude * self._scale_y
        return round(x, 1), round(y, 1)


class _Framed:
    """A far island in its frame, in the strip below the picture, from the left."""

    def __init__(self, point: Point, top: float, number: int) -> None:
        self.point = point
        self.frame = Inset(4 + number * (_FRAME_WIDTH + 4), top + 2, _FRAME_WIDTH, _STRIP - 4)
        self.x, self.y = self.frame.x + _FRAME_WIDTH / 2, self.frame.y + 14
        self.text = Text(self.x, self.y + 18, "middle", (point.label,), soft=False)


def _shape(area: Area, place: _Projection) -> Shape | None:
    """The area as drawn; None where nothing of it is in the picture."""
    seen = [
        _ring_path([place(*point) for point in ring])
        for ring in area.rings
        if _bounds(ring, place).touches(place.frame)
    ]
    for longitude, latitude in area.islands:
        x, y = place(longitude, latitude)
        if _Box(x, y, x, y).touches(place.frame):
            seen.append(f"M{x:g} {y:g}{_ISLANDS}")
    return Shape(area.look, "".join(seen), area.title, area.href) if seen else None


def _bounds(ring: Sequence[tuple[float, float]], place: _Projection) -> _Box:
    """What a ring takes in the picture; most of a nation's are outside of a commune's."""
    longitudes, latitudes = zip(*ring, strict=True)
    return _Box(*place(min(longitudes), max(latitudes)), *place(max(longitudes), min(latitudes)))


def _ring_path(ring: Sequence[tuple[float, float]]) -> str:
    """A closed path of steps from point to point: shorter than places."""
    (x, y), *rest = ring
    parts = [f"M{x:g} {y:g}l"]
    for to_x, to_y in rest[:-1]:
        parts.append(f"{round(to_x - x, 1):g} {round(to_y - y, 1):g} ")
        x, y = to_x, to_y
    return "".join(parts).rstrip().replace(" -", "-") + "z"


def _layers(at: Sequence[tuple[Point, float, float]], dot_width: float) -> list[Layer]:
    looks: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for point, x, y in at:
        looks.setdefault((point.look, point.shape), []).append((x, y))
    return [
        Layer(
            look,
            shape,
            "".join(f"M{x:g} {y:g}{SHAPES[shape]}" for x, y in sorted(set(places))),
            dot_width if shape == "dot" else _STROKE,
        )
        for (look, shape), places in looks.items()
    ]


def _texts(
    names: Sequence[Name],
    at: Sequence[tuple[Point, float, float]],
    place: _Projection,
) -> list[Text]:
    """The names that have room, each clear of those before it; the table has all of them."""
    texts: list[Text] = []
    taken: list[_Box] = []
    ringed = {(x, y) for point, x, y in at if point.shape == "here"}
    asked = [(n, *place(n.longitude, n.latitude)) for n in names if not n.soft]
    asked += [
        (Name(p.latitude, p.longitude, (p.label,), beside=True), x, y) for p, x, y in at if p.label
    ]
    asked += [(n, *place(n.longitude, n.latitude)) for n in names if n.soft]
    for name, x, y in asked:
        gap = _NAME_GAP_HERE if (x, y) in ringed else _NAME_GAP
        for text, box in _candidates(name, x, y, gap):
            inside = box.left >= 0 and box.right <= place.frame.right and box.top >= 0
            if inside and not any(map(box.touches, taken)):
                taken.append(box)
                texts.append(text)
                break
    return texts


def _candidates(name: Name, x: float, y: float, gap: float) -> Iterator[tuple[Text, _Box]]:
    """Where a name may stand, the best place first; `gap` from the middle of its place."""
    for lines in dict.fromkeys((name.lines, name.lines[:1])):
        for anchor, at_x, top in _positions(name, x, y, _LINE_HEIGHT * len(lines), gap):
            yield _written(lines, anchor, at_x, top, name.soft)


def _positions(
    name: Name, x: float, y: float, high: float, gap: float
) -> Iterator[tuple[str, float, float]]:
    """Anchor, place and top of a name of that height: over its place, or on each side of it."""
    middle = y - high / 2
    shifts = (0.0,) if name.beside else (0.0, -high / 2, high / 2)
    if not name.beside:
        for shift in shifts:
            yield "middle", x, middle + shift
    for shift in shifts:
        yield "start", x + gap, middle + shift
        yield "end", x - gap, middle + shift
    yield "middle", x, y + gap - 2
    yield "middle", x, y - gap - high + 2


def _written(
    lines: tuple[str, ...], anchor: str, x: float, top: float, soft: bool
) -> tuple[Text, _Box]:
    long = _LETTER_WIDTH * max(map(len, lines))
    left = {"start": x, "middle": x - long / 2, "end": x - long}[anchor]
    box = _Box(left, top, left + long, top + _LINE_HEIGHT * len(lines))
    return Text(round(x, 1), round(top + _LINE_HEIGHT - 2.5, 1), anchor, lines, soft), box
