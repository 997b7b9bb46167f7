"""Floor 2. The provinces' outlines that are packaged beside this file: approximate, to look at.

Made by `deploy.outlines` of Natural Earth's map (public domain) and the communes' centre points;
the file names both. Islands that the source lacks have their centre points alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Literal

from msgspec import Struct

from wire.decoding import decode_json

# A ring of (longitude, latitude), degrees; its last point is its first.
Ring = tuple[tuple[float, float], ...]
Detail = Literal["nation", "province"]


class _File(Struct):
    provinces: dict[str, dict[Detail, list[list[int]]]]


@cache
def outlines(detail: Detail) -> Mapping[str, tuple[Ring, ...]]:
    """The rings of each province by its code: coarse for the nation, finer for one province."""
    file = resources.files(__package__).joinpath("data/provinces.json")
    read = decode_json(file.read_bytes(), _File)
    return MappingProxyType(
        {
            code: tuple(_ring(flat) for flat in details[detail])
            for code, details in read.provinces.items()
        }
    )


def _ring(flat: list[int]) -> Ring:
    """The points of a ring that is stored as thousandths of a degree in turns."""
    return tuple(zip((x / 1000 for x in flat[::2]), (y / 1000 for y in flat[1::2]), strict=True))
