"""Floor 3. Gathers the figures of the centre's own health, for its page, `/metrics` and alerts."""

from __future__ import annotations

import shutil
import threading
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from msgspec import Struct

from collector.alerts.alert_database import AlertStoreError
from collector.alerts.health_records import HealthRecords
from collector.domain.centre_health import (
    CentreFigures,
    Check,
    CheckName,
    CheckState,
    DiskSample,
    checks,
)
from collector.domain.read_model import ReadModel
from collector.store.records import Night, StoreStatus
from collector.store.store import StoreError
from runtime import certificate_file, kernel_time

# Pages and scrapes within so long see the same figures.
_CACHED = timedelta(seconds=10)
_SAMPLE_EVERY = timedelta(hours=1)
# Of `pending_since`: looks of the last hours.
_LOOKS_KEPT = 600


class RunningParts(Struct, frozen=True, kw_only=True):
    """What other parts of the process say of themselves at the time."""

    broker_trouble: str | None = None
    broker_version: str | None = None
    store_trouble: str | None = None
    waiting_messages: int = 0
    night: Night | None = None
    leases: tuple[tuple[str, str], ...] = ()
    holder: str = ""


class CentreMonitor:
    """One per process, thread-safe.

    Args:
        model: the read model.
        records: where samples of the disk and the nights are noted.
        folder: the store's, None where the store is on a server of its own.
        certificates: the centre's own certificate files.
        parts: what other parts of the process say of themselves.
        now: the clock.
    """

    def __init__(
        self,
        model: ReadModel,
        records: HealthRecords,
        folder: Path | None,
        certificates: Sequence[Path],
        parts: Callable[[], RunningParts],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._model = model
        self._records = records
        self._folder = folder
        self._certificates = list(dict.fromkeys(certificates))
        self._parts = parts
        self._now = now
        self._lock = threading.Lock()
        self._running_since = now()
        self._looks: deque[tuple[datetime, int]] = deque(maxlen=_LOOKS_KEPT)
        self._samples: list[DiskSample] | None = None
        self._noted_night: Night | None = None
        self._known: CentreFigures | None = None
        self._bad_since: dict[CheckName, datetime] = {}

    def figures(self) -> CentreFigures:
        """The figures, some seconds old at most."""
        with self._lock:
            now, known = self._now(), self._known
            if known is None or not timedelta(0) <= now - known.at < _CACHED:
                known = self._known = self._gathered(now)
            return known

    def checks(self) -> list[Check]:
        """Every check that applies."""
        return checks(self.figures())

    def bad_since(self) -> list[tuple[Check, datetime | None]]:
        """Every check, and since when it has been bad; None while it is not.

        For one reader that asks at each look.
        """
        figures = self.figures()
        found = checks(figures)
        for check in found:
            if check.state is CheckState.BAD:
                self._bad_since.setdefault(check.name, figures.at)
            else:
                self._bad_since.pop(check.name, None)
        return [(check, self._bad_since.get(check.name)) for check in found]

    def _gathered(self, now: datetime) -> CentreFigures:
        parts, store, trouble = self._parts(), None, None
        try:
            store = self._model.store.status()
            probes = list(self._model.probes().values())
        except StoreError as error:
            trouble, probes = str(error), []
        contacts = [one.last_contact_at for one in probes if one.last_contact_at is not None]
        return CentreFigures(
            at=now,
            disk=self._disk(now, store),
            store=store,
            store_trouble=parts.store_trouble or trouble,
            broker_trouble=parts.broker_trouble,
            broker_version=parts.broker_version,
            waiting_messages=parts.waiting_messages,
            last_contact_at=max(contacts, default=None),
            has_probes=bool(probes),
            pending_since=None if store is None else self._pending_since(now, store),
            night=self._night(parts.night),
            running_since=self._running_since,
            certificates=[
                (path.name, certificate_file.ends_at(path)) for path in self._certificates
            ],
            leases=parts.leases,
            holder=parts.holder,
            clock_synchronised=kernel_time.synchronised(),
        )

    def _pending_since(self, now: datetime, store: StoreStatus) -> datetime | None:
        """When a batch that waits now was first seen: its oldest results wait for so long."""
        if not store.pending_results:
            self._looks.clear()
            return None
        while self._looks and self._looks[0][1] < store.first_pending:
            self._looks.popleft()
        self._looks.append((now, store.last_pending))
        return self._looks[0][0]

    def _disk(self, now: datetime, store: StoreStatus | None) -> list[DiskSample]:
        """The samples of the past days, and one of now; the last of each day is noted."""
        if self._folder is None:
            return []
        try:
            usage = shutil.disk_usage(self._folder)
        except OSError:
            return []
        takes = 0 if store is None else store.database.size_bytes
        sample = DiskSample(now, usage.total, usage.free, takes)
        try:
            samples = self._samples
            if samples is None or not samples or now - samples[-1].at >= _SAMPLE_EVERY:
                self._records.add_disk_sample(sample)
                samples = self._samples = self._records.disk_samples()
        except AlertStoreError:
            samples = []
        return [*samples, sample]

    def _night(self, run: Night | None) -> Night | None:
        """The last night: this collector's, or another's that is noted."""
        try:
            if run is not None and run != self._noted_night:
                self._records.put_night(run)
                self._noted_night = run
            return self._records.last_night()
        except AlertStoreError:
            return run
