"""Floor 2. The table of leases in PostgreSQL. Time is the database's, never a collector's own.

A transaction that writes for a lease locks its row FOR KEY SHARE (`LeaseFence`), and who takes a
lease over locks it FOR UPDATE: so a taking waits for what its holder is writing, and whatever the
holder begins afterwards finds another generation. Renewing changes no key, and waits for neither.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from collector.store.database import Database, Transaction
from collector.store.leases import (
    EVERY_TENANT,
    MAINTENANCE,
    LeaseLostError,
    StoredLease,
    excluded_by,
    lease_for,
    tenant_of,
)
from collector.store.messages import ValidatedMessage

# A holder that hangs in a transaction for so long, with an expired lease, has its connection ended:
# until then its locks keep everybody else from writing.
_HUNG_S = 5.0


def application_name(holder: str) -> str:
    """The name of a holder's connections in `pg_stat_activity`, 63 bytes at most."""
    return f"tramdo-collector {holder}"[:63]


class LeaseTable:
    """The leases in a database.

    Args:
        database: connections of their own, so that no lease waits for a batch.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self) -> list[StoredLease]:
        """Every lease, by name. Raises StoreError."""
        rows = self._database.read(
            "SELECT name, holder, generation, "
            "extract(epoch FROM expires_at - clock_timestamp())::float8 FROM leases ORDER BY name"
        )
        return [StoredLease(*row) for row in rows]

    def renew(self, holder: str, held: Mapping[str, int], lease_s: float) -> set[str]:
        """Extend what is still held by these generations; returns their names.

        Also what has expired, where nobody has taken it. Raises StoreError.
        """
        with self._database.transaction() as transaction:
            rows = transaction.execute(
                "UPDATE leases SET expires_at = clock_timestamp() + make_interval(secs => ?) "
                "FROM unnest(?::text[], ?::bigint[]) AS held (held_name, held_generation) "
                "WHERE name = held_name AND generation = held_generation AND holder = ? "
                "RETURNING name",
                (lease_s, list(held), list(held.values()), holder),
            )
        return {name for (name,) in rows}

    def take(
        self, name: str, holder: str, lease_s: float, *, restarted: bool = False
    ) -> int | None:
        """Take a lease that nobody holds; returns its generation, None where somebody does.

        Args:
            name: the lease.
            holder: who takes it.
            lease_s: for how long.
            restarted: whether what `holder` holds was held by an earlier process of the same name.

        Raises:
            StoreError: the store cannot do it; nothing was taken.
        """
        with self._database.transaction() as transaction:
            transaction.execute(
                "INSERT INTO leases VALUES (?, '', 0, to_timestamp(0)) ON CONFLICT DO NOTHING",
                (name,),
            )
            names = [row[0] for row in transaction.execute("SELECT name FROM leases")]
            excluded = [other for other in names if excluded_by(name, other)]
            # All of them, which waits for what their holders are writing: a lease that has expired
            # may be written for until its generation changes.
            rows = transaction.execute(
                "SELECT holder, expires_at > clock_timestamp() FROM leases "
                "WHERE name = ANY(?) ORDER BY name FOR UPDATE",
                (excluded,),
            )
            if any(live and not (restarted and by == holder) for by, live in rows):
                return None
            transaction.execute(
                "UPDATE leases SET holder = '', generation = generation + 1, "
                "expires_at = to_timestamp(0) WHERE name = ANY(?)",
                (excluded,),
            )
            ((generation,),) = transaction.execute(
                "UPDATE leases SET holder = ?, "
                "expires_at = clock_timestamp() + make_interval(secs => ?) "
                "WHERE name = ? RETURNING generation",
                (holder, lease_s, name),
            )
        return int(generation)

    def release(self, holder: str, held: Mapping[str, int]) -> None:
        """Give leases up at once. Raises StoreError."""
        with self._database.transaction() as transaction:
            transaction.execute_many(
                "UPDATE leases SET holder = '', expires_at = to_timestamp(0) "
                "WHERE name = ? AND generation = ? AND holder = ?",
                [(name, generation, holder) for name, generation in held.items()],
            )

    def end_hung_holders(self) -> int:
        """End the connections of holders that hang in a transaction with an expired lease.

        A process that is stopped (SIGSTOP, a frozen container) in a transaction keeps its locks,
        and no timeout of PostgreSQL 15 ends a COPY that waits for its client. Needs no rights
        where all collectors use one role. Raises StoreError.
        """
        with self._database.transaction() as transaction:
            rows = transaction.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE "
                "datname = current_database() AND pid <> pg_backend_pid() "
                "AND xact_start IS NOT NULL AND wait_event = 'ClientRead' "
                "AND state_change < clock_timestamp() - make_interval(secs => ?) "
                "AND application_name IN (SELECT left('tramdo-collector ' || holder, 63) "
                "FROM leases WHERE holder <> '' AND expires_at < clock_timestamp())",
                (_HUNG_S,),
            )
        return len(rows)

    def close(self) -> None:
        """Close the connections. Idempotent."""
        self._database.close()


class LeaseFence:
    """Lets a transaction of a store go on only while its leases are held.

    Args:
        held: the generation of each lease that is held, by name.
    """

    def __init__(self, held: Callable[[], Mapping[str, int]]) -> None:
        self.held = held

    def require_tenants(
        self, transaction: Transaction, messages: Sequence[ValidatedMessage]
    ) -> None:
        """Keep the tenants of these messages until the transaction has ended.

        Raises:
            LeaseLostError: one of them is not held by this collector.
        """
        tenants = {tenant for tenant in map(tenant_of, messages) if tenant is not None}
        self.require(transaction, tenants)

    def require(self, transaction: Transaction, tenants: Collection[str]) -> None:
        """Keep these tenants until the transaction has ended; where there is none, any.

        Raises:
            LeaseLostError: one of them is not held by this collector.
        """
        held = self.held()
        # Rejected messages may be of no tenant: they are written by who holds any.
        names = {lease_for(tenant, held) for tenant in tenants} or {*held} or {EVERY_TENANT}
        self._require(transaction, {name: held.get(name) for name in names})

    def require_maintenance(self, transaction: Transaction) -> None:
        """Keep the maintenance of the store until the transaction has ended.

        Raises:
            LeaseLostError: this collector does not hold it.
        """
        self._require(transaction, {MAINTENANCE: self.held().get(MAINTENANCE)})

    def _require(self, transaction: Transaction, wanted: Mapping[str, int | None]) -> None:
        rows = transaction.execute(
            "SELECT name, generation FROM leases WHERE name = ANY(?) ORDER BY name FOR KEY SHARE",
            (sorted(wanted),),
        )
        stored: dict[str, int] = dict(rows)
        lost = {
            name: generation
            for name, generation in wanted.items()
            if generation is None or stored.get(name) != generation
        }
        if lost:
            raise LeaseLostError(lost)
