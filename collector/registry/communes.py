"""Floor 2. The official list of communes that is packaged beside this file.

34 provinces, 3,321 communes with their codes as of 25 July 2026, corrected and brought up to date
on 30 November 2026, and a centre point each. Every code is that of PyPI's vietnam-provinces
2026.9.0 (its data is of 20 September 2026); what differs otherwise, and why ours stands, is in
tests/system/test_vietnam_provinces.py.

Three provinces became cities and 22 of their communes wards in 2026: Đồng Nai (resolutions
30/2026/QH16 and 237/NQ-UBTVQH16, in force since 30 April), Quảng Ninh (36/2026/QH16, 1 September),
Bắc Ninh (39/2026/QH16 and 388/NQ-UBTVQH16, 20 September).

It has no dates: communes merged before or after are in the registry's file or in a newer table that
was adopted (`collector.registry.commune_table`), a code that was corrected is in
`collector.registry.registry.FORMER_CODES`.
"""

from __future__ import annotations

import csv
import io
from datetime import date
from functools import cache
from importlib import resources
from types import MappingProxyType

from collector.registry.registry import Commune

# The day of the list, to which a newer table that was adopted refers.
LIST_DAY = date(2026, 11, 30)


@cache
def official() -> MappingProxyType[str, Commune]:
    """Every commune by its code."""
    file = resources.files(__package__).joinpath("data/vn_communes.csv")
    rows = csv.DictReader(io.StringIO(file.read_text(encoding="utf-8"), newline=""))
    return MappingProxyType(
        {
            row["commune_code"]: Commune(
                code=row["commune_code"],
                name=row["commune_name"],
                kind=row["kind"],
                province_code=row["province_code"],
                province_name=row["province_name"],
                latitude=float(row["latitude"]),
                longitude=float(row["longitude"]),
            )
            for row in rows
        }
    )
