"""Floor 3. The JSON of results as another database gets it: without the lines' whole addresses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import monotonic

from collector.store.records import StoredResult
from collector.store.store import Store
from collector.web.personal_data import own_addresses, redacted_result

# What the probes state of their addresses is read again so often.
_READ_EVERY_S = 600.0


def exported_body(stored: StoredResult) -> bytes:
    """The JSON as the probe sent it."""
    return stored.body


def without_addresses(store: Store) -> Callable[[StoredResult], bytes]:
    """A function to a result's JSON in which a /24 or /48 stands for each address of its lines.

    The function may raise StoreError.
    """
    known: Mapping[tuple[str, str], set[str]] = {}
    read_at = -_READ_EVERY_S

    def body_of(stored: StoredResult) -> bytes:
        nonlocal known, read_at
        if monotonic() - read_at >= _READ_EVERY_S:
            known = {(one.tenant, one.probe): own_addresses(one) for one in store.probes()}
            read_at = monotonic()
        return redacted_result(stored.body, known.get((stored.tenant, stored.probe), ()))

    return body_of
