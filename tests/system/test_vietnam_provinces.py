"""Our list of communes against PyPI's vietnam-provinces: every difference, and why ours stands.

The package is of another source (the General Statistics Office's list, 20 September 2026). It asks
for Python 3.12, and on an older one pip takes its list of 2025 in silence: so its wheel is pinned,
and read without being installed.
"""

from __future__ import annotations

import json
import unicodedata
import zipfile
from collections import Counter
from typing import NamedTuple

import pytest

from collector.registry.communes import official
from collector.registry.registry import FORMER_CODES, Commune
from tests.contract_clients.clients import wheel_downloaded

RELEASE = "vietnam-provinces==2026.9.0"
DIGEST = "b5f3540a98937d38b9bebcbdb792fa4f5b9712737d41b05c7254beb2308ebcd1"
# Why ours stands where the two differ.
REASONS = {
    "tone": "the same name: where the tone of oa, oe, uy stands (Hoà, Hòa) is a way of writing;"
    " ours is the source's, and a search finds both",
    "apostrophe": "the same name: the package has a typographic apostrophe, ours is that of a"
    " keyboard, which is what somebody types",
    "capital": "a slip of the package: each of its other communes begins with a capital",
    "city": "three provinces became cities under central government in 2026, with new wards of 22"
    " communes: Đồng Nai on 30 April (resolutions 30/2026/QH16, 237/NQ-UBTVQH16), Quảng Ninh on 1"
    " September (36/2026/QH16), Bắc Ninh on 20 September (39/2026/QH16, 388/NQ-UBTVQH16). The"
    " package still has the provinces, and communes (xã) for these wards: its list is older there,"
    " although its release is younger",
}
CITIES = {"Đồng Nai", "Quảng Ninh", "Bắc Ninh"}
# Of resolution 237/NQ-UBTVQH16, then of 388/NQ-UBTVQH16.
WARDS_OF_THE_CITIES = {
    "25270", "25357", "25363", "26116", "26170", "26248", "26326", "26368", "26425", "26485",
    "07294", "07375", "07399", "07444", "07840", "09193", "09292", "09313", "09319", "09454",
    "09475", "09496",
}  # fmt: skip


class Listed(NamedTuple):
    """A commune as the package has it."""

    name: str
    province: str


@pytest.fixture(scope="module")
def theirs() -> dict[str, Listed]:
    with zipfile.ZipFile(wheel_downloaded(RELEASE, DIGEST)) as wheel:
        rows = json.loads(wheel.read("vietnam_provinces/data/flat-divisions.json"))
    return {f"{row['code']:05d}": Listed(row["name"], row["province_name"]) for row in rows}


def letters(name: str) -> list[list[str]]:
    """The letters and marks of each word, wherever in the word a mark stands."""
    return [sorted(unicodedata.normalize("NFD", word)) for word in name.split(" ")]


def reason(ours: str, other: str, commune: Commune) -> str:
    """Which of the reasons a difference of two names has."""
    if letters(ours) == letters(other):
        return "tone"
    if ours.replace("'", "’") == other:
        return "apostrophe"
    if ours[0].lower() + ours[1:] == other:
        return "capital"
    is_ward = commune.code in WARDS_OF_THE_CITIES and commune.kind == "phuong"
    if is_ward and other == ours.replace("Phường ", "Xã "):
        return "city"
    name = ours.removeprefix("Thành phố ")
    if name in CITIES and other == f"Tỉnh {name}":
        return "city"
    return f"{commune.code}: {ours} here, {other} there"


def test_every_code_is_in_both(theirs: dict[str, Listed]) -> None:
    assert set(theirs) == set(official())
    # Neither has a code that was corrected, and both have the one it became.
    assert not FORMER_CODES.keys() & theirs.keys()
    assert {former.present for former in FORMER_CODES.values()} <= theirs.keys()
    assert theirs["06970"].name == official()["06970"].name == "Xã Ba Chẽ"


def test_each_name_that_differs_has_its_reason(theirs: dict[str, Listed]) -> None:
    found = Counter(
        reason(commune.name, theirs[code].name, commune)
        for code, commune in official().items()
        if commune.name != theirs[code].name
    )
    assert found == {"tone": 182, "apostrophe": 7, "capital": 1, "city": 22}
    assert found.keys() == REASONS.keys()


def test_each_province_that_differs_has_its_reason(theirs: dict[str, Listed]) -> None:
    found = {
        (commune.province_name, reason(commune.province_name, theirs[code].province, commune))
        for code, commune in official().items()
        if commune.province_name != theirs[code].province
    }
    assert found == {
        ("Tỉnh Thanh Hoá", "tone"), ("Tỉnh Khánh Hoà", "tone"), ("Thành phố Đồng Nai", "city"),
        ("Thành phố Quảng Ninh", "city"), ("Thành phố Bắc Ninh", "city"),
    }  # fmt: skip
