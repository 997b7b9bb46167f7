"""Floor 1. Whether ingest works, for `/healthz` and the alerts."""

from __future__ import annotations

from msgspec import Struct


class IngestStatus(Struct, frozen=True):
    """Each trouble is a sentence, None when there is none."""

    broker_trouble: str | None = "not connected yet"
    store_trouble: str | None = None
