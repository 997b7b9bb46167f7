"""Floor 1. Two boxes of one name, inferred from the `info` messages of each probe.

A probe draws an epoch whenever it opens its outbox and sends it in `info` on each connect, so the
pair (epoch, started_at) names one run of one box. After a restart another pair comes, and the
one before never does again, whatever the clock says. A pair that comes back after a different one
is therefore a second box that takes the connection in turns, for instance one with a cloned card.

Retained and redelivered messages repeat old pairs and must not be observed.
"""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta
from uuid import UUID

from msgspec import Struct

# A pair that comes back later than that does not count, nor a conflict that is over for so long.
WINDOW = timedelta(hours=1)
# Per probe: more boxes of one name than that are not distinguished.
_MAX_RUNS = 4
_MAX_RETURNS = 100


class ProbeRun(Struct, frozen=True):
    """One run of one box, as its `info` describes it."""

    epoch: UUID
    started_at: datetime


class NameConflict(Struct, frozen=True):
    """Two boxes that used one name within `WINDOW`; `returns` counts how often one came back."""

    tenant: str
    probe: str
    since: datetime
    returns: int


class _History:
    """The last runs of a name, the newest last, and when one of them came back."""

    def __init__(self) -> None:
        self._seen: dict[ProbeRun, datetime] = {}
        self._returned: deque[datetime] = deque(maxlen=_MAX_RETURNS)

    def observe(self, run: ProbeRun, at: datetime) -> None:
        before = self._seen.get(run)
        newest = next(reversed(self._seen), None)
        if before is not None and run != newest and at - before <= WINDOW:
            self._returned.append(at)
        self._seen.pop(run, None)
        self._seen[run] = at
        if len(self._seen) > _MAX_RUNS:
            del self._seen[next(iter(self._seen))]

    def returns_within(self, now: datetime) -> list[datetime]:
        return [at for at in tuple(self._returned) if now - at < WINDOW]


class NameConflicts:
    """The runs of every probe, in bounded memory.

    One thread observes; any thread may ask for what is `current`, which copies in single steps.

    Args:
        max_probes: beyond that the probe that was not observed for longest is forgotten.
    """

    def __init__(self, max_probes: int = 20_000) -> None:
        self._max_probes = max_probes
        self._histories: dict[tuple[str, str], _History] = {}

    def observe(self, tenant: str, probe: str, run: ProbeRun, at: datetime) -> None:
        """Take in an `info` that the probe has just sent; `at` is the centre's clock."""
        history = self._histories.pop((tenant, probe), None) or _History()
        self._histories[tenant, probe] = history
        history.observe(run, at)
        if len(self._histories) > self._max_probes:
            del self._histories[next(iter(self._histories))]

    def current(self, now: datetime) -> list[NameConflict]:
        """The names that two boxes used within the last hour."""
        found = {name: one.returns_within(now) for name, one in list(self._histories.items())}
        return [
            NameConflict(tenant, probe, returned[0], len(returned))
            for (tenant, probe), returned in sorted(found.items())
            if returned
        ]
