"""Floor 1. Which collector may write what: leases of tenants, and of maintenance.

With PostgreSQL several collectors share one store. Each tenant is held by one of them at a time, by
a lease that expires (`collector.store.lease_manager`); its generation, which grows each time it is
taken, is checked in every transaction that writes (fencing), so that a holder that was paused
writes nothing once another has taken over. A store on SQLite has one collector, which holds all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from collector.store.messages import RejectedMessage, ValidatedMessage
from collector.store.store import StoreError
from wire import topics

# Of roll-ups, retention, and what else is done once for the whole store.
MAINTENANCE = "maintenance"
_TENANT = "tenant/"
_HOME = "home/"
_EVERY = "+"


class StoredLease(NamedTuple):
    """A lease as the store has it. `left_s` is not above 0 once it has expired."""

    name: str
    holder: str
    generation: int
    left_s: float

    @property
    def is_held(self) -> bool:
        """Whether it has a holder now."""
        return bool(self.holder) and self.left_s > 0

    def is_held_by(self, holder: str) -> bool:
        """Whether this one holds it now."""
        return self.is_held and self.holder == holder


class LeaseLostError(StoreError):
    """A transaction was not made, because another collector holds what it would have written.

    `generations` has the generation that this one had of each, None where it had none.
    """

    def __init__(self, generations: Mapping[str, int | None]) -> None:
        names = ", ".join(sorted(map(label, generations)))
        super().__init__(f"another collector holds {names}: nothing was written")
        self.generations = dict(generations)


class TenantLeases(Protocol):
    """The tenants that this collector holds. Thread-safe."""

    @property
    def is_shared(self) -> bool:
        """Whether other collectors may hold some of the store's tenants."""

    def filters(self) -> list[str]:
        """The topic filters of the tenants that are held now."""

    def holds(self, tenant: str) -> bool:
        """Whether a tenant is held; that of no tenant ("") is always."""

    def holds_maintenance(self) -> bool:
        """Whether this collector does what is done once for the whole store."""

    def lost(self, error: LeaseLostError) -> None:
        """Take in what a transaction has found out."""


class SoleCollector:
    """`TenantLeases` of a store that has one collector."""

    is_shared = False

    def __init__(self, tenants: Sequence[str]) -> None:
        self._tenants = tenants

    def filters(self) -> list[str]:
        """Those of its tenants."""
        return topics.collector_filters(*self._tenants)

    def holds(self, tenant: str) -> bool:  # noqa: ARG002
        """Nobody else does."""
        return True

    def holds_maintenance(self) -> bool:
        """Nobody else does."""
        return True

    def lost(self, error: LeaseLostError) -> None:
        """Raise it: nothing can be lost."""
        raise error


def of_tenant(tenant: str) -> str:
    """The name of a tenant's lease."""
    return f"{_TENANT}{tenant}"


EVERY_TENANT = of_tenant(_EVERY)


def home_of(tenant_lease: str) -> str:
    """The lease by which a collector says that a tenant is its own, and that it is there.

    Who holds the tenant as its spare gives it back then. It excludes nobody from writing.
    """
    return _HOME + tenant_lease.removeprefix(_TENANT)


def of_tenants(tenants: Iterable[str]) -> list[str]:
    """The names of the leases of these tenants, or of every tenant's where there is none."""
    return [of_tenant(tenant) for tenant in tenants] or [EVERY_TENANT]


def tenants_of(names: Iterable[str]) -> list[str]:
    """The tenants among leases, sorted; "+" for every tenant."""
    return sorted(name.removeprefix(_TENANT) for name in names if name.startswith(_TENANT))


def without_homes(stored: Iterable[StoredLease]) -> list[StoredLease]:
    """The leases by which somebody writes."""
    return [one for one in stored if not one.name.startswith(_HOME)]


def filters_of(names: Iterable[str]) -> list[str]:
    """The topic filters of the tenants among leases."""
    tenants = tenants_of(names)
    if not tenants:
        return []
    return topics.collector_filters(*(() if _EVERY in tenants else tenants))


def lease_for(tenant: str, held: Collection[str]) -> str:
    """The lease by which a collector that holds these writes for a tenant."""
    return EVERY_TENANT if EVERY_TENANT in held else of_tenant(tenant)


def excluded_by(name: str, other: str) -> bool:
    """Whether two leases may not be held at once by two collectors."""
    both = name.startswith(_TENANT) and other.startswith(_TENANT)
    return name == other or (both and EVERY_TENANT in {name, other})


def label(name: str) -> str:
    """A lease's name for users."""
    if name == EVERY_TENANT:
        return "every tenant"
    if name.startswith(_HOME):
        return f"the home of {name.removeprefix(_HOME)}"
    return name.replace(_TENANT, "tenant ") if name.startswith(_TENANT) else name


def tenant_of(message: ValidatedMessage) -> str | None:
    """The tenant of a message; None for a rejected one of no tenant's topic."""
    if not isinstance(message, RejectedMessage):
        return message.tenant
    levels = message.topic.removeprefix(f"{topics.ROOT}/").split("/")
    return levels[0] if len(levels) > 1 and topics.is_name(levels[0]) else None
