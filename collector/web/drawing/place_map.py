"""Floor 1. A map of communes by their centre points: no tiles, no borders, a shape for each state.

The points of one state are one path: 3,321 communes take some 40 kB, a seventh of that compressed.
Equirectangular, with longitude shortened by the cosine of the middle latitude: over Vietnam's 15
degrees a circle stays a circle within 5 %, and nobody measures on it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct, structs

# The most names that are legible on one map.
LABELS_MOST = 12
# The approximate size of a letter at font size 11.
_LETTER_WIDTH, _LETTER_HEIGHT = 6.2, 11.0
# The shape of a point, in units of the picture: it shows the state as the colour does.
_SHAPES = {
    "dot": "h0",
    "ring": "m-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0",
    "cross": "m-3-3l6 6m0-6l-6 6",
    "square": "m-3-3h6v6h-6z",
    "triangle": "m0-3l3 6h-6z",
}
# Smaller ones for a map of the nation.
_SMALL_SHAPES = {
    "dot": "h0",
    "ring": "m-1 0a1 1 0 1 0 2 0a1 1 0 1 0-2 0",
    "cross": "m-1-1l2 2m0-2l-2 2",
    "square": "m-1-1h2v2h-2z",
    "triangle": "m0-1l1 2h-2z",
}
_CROWD = 400


class Point(Struct, frozen=True):
    """A place (degrees, WGS 84), the tone and shape it is drawn in, and its name."""

    latitude: float
    longitude: float
    tone: str
    shape: str
    title: str = ""
    href: str = ""
    label: str = ""


class Layer(Struct, frozen=True):
    """All points of one tone and shape as one path."""

    tone: str
    shape: str
    path: str
    width: float


class Spot(Struct, frozen=True):
    """A point with a link and a name, drawn over the layers."""

    x: float
    y: float
    title: str
    href: str
    label: str
    anchor: str


class Map(Struct, frozen=True):
    """A map: its size, layers and links."""

    width: int
    height: int
    layers: list[Layer]
    spots: list[Spot]


def draw(points: Sequence[Point], *, backdrop: Iterable[Point] = (), width: int = 300) -> Map:
    """A map of the given width that shows every point.

    Args:
        points: the points; those with a title become links.
        backdrop: points drawn small in the background.
        width: in units of the picture; the height follows.
    """
    behind = list(backdrop)
    every = [*points, *behind]
    if not every:
        return Map(width, width, [], [])
    place, height = _projection(every, width)
    layers = _layers(behind, place, _SHAPES, 1.6, 1.6)
    if len(points) < _CROWD:
        layers += _layers(points, place, _SHAPES, 4.5, 1.6)
    else:
        layers += _layers(points, place, _SMALL_SHAPES, 2.4, 0.7)
    named = [(point, *place(point)) for point in points if point.title]
    spots = [
        Spot(x, y, point.title, point.href, point.label, "start" if x < width / 2 else "end")
        for point, x, y in named
    ]
    return Map(width, height, layers, _without_overlaps(spots))


def _without_overlaps(spots: Sequence[Spot]) -> list[Spot]:
    """The spots, without names that would overlap another; the table lists all of them."""
    kept: list[Spot] = []
    boxes: list[tuple[float, float, float]] = []
    for spot in spots:
        long = _LETTER_WIDTH * len(spot.label)
        left = spot.x if spot.anchor == "start" else spot.x - long
        clear = all(
            abs(spot.y - y) >= _LETTER_HEIGHT or left >= end or begin >= left + long
            for begin, end, y in boxes
        )
        if clear and len(spots) <= LABELS_MOST:
            boxes.append((left, left + long, spot.y))
            kept.append(spot)
        else:
            kept.append(structs.replace(spot, label=""))
    return kept


class _Projection:
    def __init__(self, west: float, north: float, scale_x: float, scale_y: float) -> None:
        self._west, self._north = west, north
        self._scale_x, self._scale_y = scale_x, scale_y

    def __call__(self, point: Point) -> tuple[float, float]:
        """The position in the picture, to a tenth of a unit."""
        x = 12 + (point.longitude - self._west) * self._scale_x
        y = 12 + (self._north - point.latitude) * self._scale_y
        return round(x, 1), round(y, 1)


def _projection(points: Sequence[Point], width: int) -> tuple[_Projection, int]:
    west, east = min(p.longitude for p in points), max(p.longitude for p in points)
    south, north = min(p.latitude for p in points), max(p.latitude for p in points)
    shrink = math.cos(math.radians((south + north) / 2))
    # A single commune must not fill the whole picture.
    span_x = max((east - west) * shrink, 0.15)
    span_y = max(north - south, 0.15)
    scale = (width - 24) / span_x
    if span_y * scale > 2.2 * width:
        scale = 2.2 * width / span_y
    return _Projection(west, north, scale * shrink, scale), math.ceil(span_y * scale) + 24


def _layers(
    points: Sequence[Point],
    place: _Projection,
    shapes: Mapping[str, str],
    dot_width: float,
    stroke_width: float,
) -> list[Layer]:
    looks: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for point in points:
        looks.setdefault((point.tone, point.shape), []).append(place(point))
    return [
        Layer(
            tone,
            shape,
            _path(sorted(set(at)), shapes[shape]),
            dot_width if shape == "dot" else stroke_width,
        )
        for (tone, shape), at in looks.items()
    ]


def _path(places: Sequence[tuple[float, float]], shape: str) -> str:
    return "".join(f"M{x:g} {y:g}{shape}" for x, y in places)
