"""Planned maintenance in the store: entries are added, and none is changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from msgspec import structs

from collector.registry.planned_maintenance import (
    MaintenanceAction,
    MaintenanceConflictError,
    MaintenanceEntry,
    MaintenanceScope,
)
from collector.store.store import Store

NOW = datetime(2026, 7, 25, 5, 2, tzinfo=UTC)
ENTRY = MaintenanceEntry(
    recorded_at=NOW,
    author="lan",
    action=MaintenanceAction.ANNOUNCED,
    scope=MaintenanceScope(isp="vnpt", place="01969"),
    starts_at=NOW + timedelta(hours=1),
    ends_at=NOW + timedelta(hours=3),
    reason="VNPT nâng cấp cáp",
)


def test_entries_of_an_announcement_are_read_as_they_were_written(store: Store) -> None:
    assert store.maintenance.read() == []
    first, second = store.maintenance.announce(ENTRY), store.maintenance.announce(ENTRY)
    assert (first, second) == (1, 2)
    corrected = structs.replace(
        ENTRY,
        number=first,
        recorded_at=NOW + timedelta(minutes=1),
        action=MaintenanceAction.CORRECTED,
        scope=MaintenanceScope(line="bach-thong/tram-01969-1/vnpt"),
        note="một đường thôi",
    )
    store.maintenance.add(corrected, after=1)
    with pytest.raises(MaintenanceConflictError):
        store.maintenance.add(structs.replace(corrected, note="ai đó chưa thấy"), after=1)
    read = {one.number: one.entries for one in store.maintenance.read()}
    assert read == {
        first: (structs.replace(ENTRY, number=first), corrected),
        second: (structs.replace(ENTRY, number=second),),
    }
