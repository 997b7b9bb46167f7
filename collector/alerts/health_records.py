"""Floor 2. What the centre notes of its own health: a record a day, collector and kind.

In the tables of the alerts, so that on SQLite it is apart from the store: its disk may be the one
that fails.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from collector.alerts.alert_database import AlertDatabase
from collector.domain.centre_health import DiskSample
from collector.rollup.periods import local_day
from collector.store.records import Night
from wire.decoding import decode_json

_DISK, _NIGHT = "disk", "night"
_KEPT_DAYS = 30


class HealthRecords:
    """Methods may raise collector.alerts.alert_database.AlertStoreError."""

    def __init__(self, database: AlertDatabase) -> None:
        self._database = database

    def disk_samples(self) -> list[DiskSample]:
        """This collector's last sample of each day, ascending."""
        rows = self._database.read(
            "SELECT record FROM health_records WHERE collector = ? AND kind = ? ORDER BY day",
            (self._database.collector, _DISK),
        )
        return [decode_json(text, DiskSample) for (text,) in rows]

    def add_disk_sample(self, sample: DiskSample) -> None:
        """Keep it as its day's; those of a month ago go."""
        self._put(_DISK, sample.at, sample)
        oldest = local_day(sample.at) - timedelta(days=_KEPT_DAYS)
        with self._database.transaction() as transaction:
            transaction.execute(
                "DELETE FROM health_records WHERE collector = ? AND day < ?",
                (self._database.collector, oldest.isoformat()),
            )

    def last_night(self) -> Night | None:
        """The last night's maintenance of whichever collector did it."""
        rows = self._database.read(
            "SELECT record FROM health_records WHERE kind = ? ORDER BY day DESC LIMIT 10", (_NIGHT,)
        )
        nights = [decode_json(text, Night) for (text,) in rows]
        return max(nights, key=lambda night: night.began_at, default=None)

    def put_night(self, night: Night) -> None:
        """Keep what this collector did in a night."""
        self._put(_NIGHT, night.began_at, night)

    def _put(self, kind: str, at: datetime, record: DiskSample | Night) -> None:
        text = msgspec.json.encode(record).decode()
        with self._database.transaction() as transaction:
            transaction.execute(
                "INSERT INTO health_records VALUES (?, ?, ?, ?) "
                "ON CONFLICT (collector, kind, day) DO UPDATE SET record = excluded.record",
                (self._database.collector, kind, local_day(at).isoformat(), text),
            )
