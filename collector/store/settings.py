"""Floor 1. The table `[store]` of the collector's settings."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from runtime.broker import Path


class StoreConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The store. One SQLite file is enough for a commune, a district, a province.

    With `postgresql` (a libpq connection string: `host=… dbname=…` or a URL) that is used, and
    `path` is not. A password belongs into libpq's own password file.
    """

    path: Path = "/var/lib/tramdo-collector/results.sqlite"
    postgresql: Annotated[str, Meta(min_length=1, max_length=2_000)] | None = None
    # How many rejected messages are stored for inspection; the oldest are deleted first.
    rejected_kept: Annotated[int, Meta(ge=0, le=1_000_000)] = 1_000
    # Retention of raw results in days; 0: for ever. Roll-ups are not affected.
    raw_days: Annotated[int, Meta(ge=0, le=36_500)] = 90
    # Retention of hourly and daily roll-ups in days; 0: for ever. Months are never deleted.
    rollup_days: Annotated[int, Meta(ge=0, le=36_500)] = 0
    # Whether results older than half a day are packed at night, from 01:00 to 05:00 in Vietnam, at
    # half a core: a third fewer bytes. `tramdo-collector repack` does it at any time.
    repack: bool = True


def describe(config: StoreConfig) -> str:
    """The store's name for users, without secrets."""
    return config.path if config.postgresql is None else "the PostgreSQL database"
