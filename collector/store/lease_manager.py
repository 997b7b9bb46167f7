"""Floor 3. Takes leases, renews them, and notices when one is lost. A thread of the collector.

A lease is renewed every two seconds and lasts eight. A collector that dies holds it until it has
expired; one that stops gives it up. What protects the store is the fence in each transaction
(`collector.store.lease_table.LeaseFence`): this thread may be late, or wrong, without harm.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from time import monotonic

from collector.store import leases
from collector.store.lease_table import LeaseTable
from collector.store.leases import LeaseLostError, StoredLease
from collector.store.store import StoreError

LEASE_S = 8.0
RENEW_EVERY_S = 2.0
_LOOK_EVERY_S = 1.0
# A lease that has expired, and what a collector is only the spare for, is taken after it was seen
# free for so long: after an outage of the database its holder comes first.
FREE_FOR_S = 2.0
# A spare gives a tenant back to its own collector after that was there for so long: one that dies
# again and again gets nothing.
GIVE_BACK_AFTER_S = 15.0

log = logging.getLogger(__name__)


class LeaseManager:
    """`collector.store.leases.TenantLeases`, kept until `stop`.

    Args:
        table: the leases.
        holder: this collector's name, which its next process has too.
        tenants: those that it takes whenever nobody holds them; empty for every tenant.
        spare_for: those that it takes when nobody else does.
        on_look: called each second: what others have stored is seen in the store alone.

    `on_change` is called after leases were taken or lost, from any thread; it must not block.
    """

    is_shared = True

    def __init__(
        self,
        table: LeaseTable,
        holder: str,
        tenants: Sequence[str],
        spare_for: Sequence[str],
        on_look: Callable[[], None],
    ) -> None:
        self._table = table
        self.holder = holder
        self._patient = {leases.of_tenant(tenant) for tenant in spare_for}
        own = [leases.of_tenant(tenant) for tenant in tenants]
        every = [] if own or spare_for else [leases.EVERY_TENANT]
        homes = [leases.home_of(name) for name in own]
        self._wanted = [*every, *own, *homes, *sorted(self._patient), leases.MAINTENANCE]
        self.on_change: Callable[[], None] = lambda: None
        self._on_look = on_look
        self._stopping = threading.Event()
        # Replaced, never changed: other threads read it.
        self._held: Mapping[str, int] = {}
        self._changing = threading.Lock()
        self._renewed_at_s = 0.0
        self._free_since_s: dict[str, float] = {}
        self._home_since_s: dict[str, float] = {}
        self._restarted = True
        self._reported: dict[str, str] = {}
        self.trouble: str | None = None
        self.stored: tuple[StoredLease, ...] = ()

    def held(self) -> Mapping[str, int]:
        """The generation of each lease that is held, by name."""
        return self._held

    def filters(self) -> list[str]:
        """The topic filters of the tenants that are held now."""
        return leases.filters_of(self._held)

    def holds(self, tenant: str) -> bool:
        """Whether a tenant is held; that of no tenant ("") is always."""
        held = self._held
        return not tenant or leases.lease_for(tenant, held) in held

    def holds_maintenance(self) -> bool:
        """Whether this collector does what is done once for the whole store."""
        return leases.MAINTENANCE in self._held

    def lost(self, error: LeaseLostError) -> None:
        """Take in what a transaction has found out. Thread-safe."""
        held = self._held
        self._drop(name for name in held if held[name] == error.generations.get(name))

    def run(self) -> None:
        """Look until `stop`, in the calling thread. A store that is away is waited for."""
        while not self._stopping.is_set():
            self.look()
            self._on_look()
            self._stopping.wait(_LOOK_EVERY_S)

    def look(self) -> None:
        """Renew and take once. An error is logged once, and the next look tries again."""
        try:
            self._look(monotonic())
        except StoreError as error:
            # Who held what meanwhile is not known: nothing counts as free.
            self._free_since_s.clear()
            self._home_since_s.clear()
            if self.trouble is None:
                log.error("leases cannot be renewed, trying again: %s", error)  # noqa: TRY400
            self.trouble = str(error)
        except Exception as error:
            if self.trouble != repr(error):
                log.exception("leases cannot be renewed, trying again: a fault of ours")
            self.trouble = repr(error)
        else:
            self.trouble = None

    def stop(self) -> None:
        """End after the current look. Thread-safe."""
        self._stopping.set()

    def release(self) -> None:
        """Give everything up, once nothing is written any more, so that nobody waits for it."""
        held, self._held = self._held, {}
        try:
            if held:
                self._table.release(self.holder, held)
        except StoreError as error:
            log.warning("leases were not given up, and will expire: %s", error)
        self._table.close()

    def _look(self, now_s: float) -> None:
        if self._held and now_s - self._renewed_at_s >= RENEW_EVERY_S:
            held = self._held
            kept = self._table.renew(self.holder, held, LEASE_S)
            self._renewed_at_s = now_s
            self._drop(held.keys() - kept)
        self.stored = tuple(self._table.read())
        self._give_back(now_s)
        missing = [name for name in self._wanted if name not in self._held]
        if missing:
            self._table.end_hung_holders()
        for name in missing:
            if self._may_take(name, now_s):
                self._take(name)
        self._restarted = False

    def _give_back(self, now_s: float) -> None:
        """Give tenants that are held as a spare back to their own collectors."""
        there = {one.name for one in self.stored if one.is_held}
        for name in self._patient & self._held.keys():
            if leases.home_of(name) not in there:
                self._home_since_s.pop(name, None)
            elif now_s - self._home_since_s.setdefault(name, now_s) >= GIVE_BACK_AFTER_S:
                del self._home_since_s[name]
                generation = self._held[name]
                # First, so that no batch of it begins any more.
                with self._changing:
                    self._held = {one: at for one, at in self._held.items() if one != name}
                self._table.release(self.holder, {name: generation})
                log.info("gives %s back to its own collector", leases.label(name))
                self.on_change()

    def _take(self, name: str) -> None:
        generation = self._table.take(name, self.holder, LEASE_S, restarted=self._restarted)
        if generation is not None:
            with self._changing:
                self._held = {**self._held, name: generation}
            log.info("holds %s (generation %d)", leases.label(name), generation)
            self.on_change()

    def _may_take(self, name: str, now_s: float) -> bool:
        """Whether a lease seems free, and has been for as long as it must have been."""
        excluded = [one for one in self.stored if leases.excluded_by(name, one.name)]
        live = [one for one in excluded if one.is_held and not self._is_own_from_before(one)]
        self._report(name, live)
        if live:
            self._free_since_s.pop(name, None)
            return False
        # One that was given up, or that nobody else ever had, needs no waiting.
        own = name not in self._patient
        if own and all(one.holder in ("", self.holder) for one in excluded):
            return True
        return now_s - self._free_since_s.setdefault(name, now_s) >= FREE_FOR_S

    def _is_own_from_before(self, stored: StoredLease) -> bool:
        return self._restarted and stored.holder == self.holder

    def _report(self, name: str, live: Sequence[StoredLease]) -> None:
        """Log who holds a lease that is wanted, once for each holder."""
        by = ", ".join(sorted({one.holder for one in live}))
        if by not in ("", self.holder, self._reported.get(name)):
            log.info("spare for %s, which %s holds", leases.label(name), by)
        self._reported[name] = by

    def _drop(self, names: Iterable[str]) -> None:
        with self._changing:
            lost = sorted(self._held.keys() & set(names))
            self._held = {name: at for name, at in self._held.items() if name not in lost}
        for name in lost:
            log.warning(
                "another collector has taken %s over: it is written here no more",
                leases.label(name),
            )
        if lost:
            self.on_change()
