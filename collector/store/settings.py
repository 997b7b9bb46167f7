"""Floor 1. The table `[store]` of the collector's settings."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from runtime.broker import Path


class StoreConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where results are kept. One SQLite file serves a commune, a district, a province.

    With `postgresql` (how to reach the database, as libpq has it: `host=… dbname=…` or a URL) they
    are kept there, and `path` is not used. A password belongs into libpq's own password file.
    """

    path: Path = "/var/lib/tramdo-collector/results.sqlite"
    postgresql: Annotated[str, Meta(min_length=1, max_length=2_000)] | None = None
    # Rejected messages are kept to be looked at, the oldest go first; the count goes on.
    rejected_kept: Annotated[int, Meta(ge=0, le=1_000_000)] = 1_000
    # For how many days raw results are kept; 0 for ever. Roll-ups stay whatever this says.
    raw_days: Annotated[int, Meta(ge=0, le=36_500)] = 90
    # For how many days the hourly and daily roll-ups are kept; 0 for ever. Months always stay.
    rollup_days: Annotated[int, Meta(ge=0, le=36_500)] = 0
