"""Floor 1. Whether ingest works, for `/healthz`, the system page and the alerts."""

from __future__ import annotations

from msgspec import Struct

from collector.domain.name_conflicts import NameConflict


class IngestStatus(Struct, frozen=True):
    """Each trouble is a sentence, None when there is none.

    `client_id_taken`: another program takes the connection with our client identifier.
    """

    broker_trouble: str | None = "not connected yet"
    store_trouble: str | None = None
    client_id_taken: bool = False
    name_conflicts: tuple[NameConflict, ...] = ()
