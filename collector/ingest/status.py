"""Floor 1. Whether ingest works, for `/healthz`, the system page and the alerts."""

from __future__ import annotations

from msgspec import Struct

from collector.domain.name_conflicts import NameConflict
from collector.store.leases import StoredLease, without_homes


class IngestStatus(Struct, frozen=True):
    """Each trouble is a sentence, None when there is none.

    `client_id_taken`: another program takes the connection with our client identifier. `holder` is
    this collector's name in `leases`, where several share a store; else both are empty.
    """

    broker_trouble: str | None = "not connected yet"
    store_trouble: str | None = None
    client_id_taken: bool = False
    name_conflicts: tuple[NameConflict, ...] = ()
    holder: str = ""
    leases: tuple[StoredLease, ...] = ()

    @property
    def held(self) -> list[StoredLease]:
        """The leases that this collector holds."""
        return [one for one in without_homes(self.leases) if one.is_held_by(self.holder)]
