"""Floor 1. The columns of tables that migrations create and that take bulk inserts.

The tables are created in `migrations/`; here are the types of their columns, in the order in which
rows are written and read.
"""

from __future__ import annotations

from collector.store.database import Column, ColumnType, Table

_DAILY = {"old_results", "result_blocks", "packed_blocks", "result_packs", "signature_blocks"}


def _made_by_migrations(name: str, key: tuple[str, ...], columns: str) -> Table:
    """A table with the columns given: `NAME` is text, `NAME:TYPE` another type."""
    pairs = (column.partition(":") for column in columns.split())
    return Table(
        name,
        tuple(Column(column, ColumnType(of or ColumnType.TEXT)) for column, _, of in pairs),
        key,
        "started_at" if name in _DAILY else None,
    )


# Results from before there were blocks.
OLD_RESULTS = _made_by_migrations(
    "old_results",
    ("tenant", "probe", "epoch", "seq"),
    "number:integer tenant probe epoch seq:integer kind line target outcome reason "
    "started_at:time received_at:time stored_at:time body",
)
EPOCHS = _made_by_migrations("epochs", ("epoch_id",), "epoch_id:id tenant probe epoch")
BLOCKS = _made_by_migrations(
    "result_blocks",
    ("number",),
    "number:integer started_at:instant received_at:instant stored_at:instant first_seq:integer "
    "epoch_id:id results:small dictionary_id:small kind body:bytes",
)
CERTIFICATES = _made_by_migrations(
    "probe_certificates",
    ("tenant", "probe", "key"),
    "tenant probe key begins_at:time ends_at:time certificate:bytes",
)
# It has no key: two rows of a block do no harm.
SIGNATURES = _made_by_migrations(
    "signature_blocks",
    (),
    "started_at:instant stored_at:instant first_seq:integer epoch_id:id results:small "
    "outcome:small key:bytes previous:bytes signature:bytes digests:bytes sent:bytes",
)
PACKED_BLOCKS = _made_by_migrations(
    "packed_blocks",
    ("number",),
    "number:integer started_at:instant received_at:instant stored_at:instant first_seq:integer "
    "epoch_id:id results:small kind",
)
PACKS = _made_by_migrations(
    "result_packs",
    ("number",),
    "number:integer started_at:instant results:small dictionary_id:small body:bytes",
)
DELTAS = _made_by_migrations("rollup_batches", ("number",), "results:integer body:bytes")
LEDGERS = _made_by_migrations(
    "ledgers", ("tenant", "probe", "epoch"), "tenant probe epoch ranges touched:integer stored"
)
SERIES = _made_by_migrations(
    "series", ("series_id",), "series_id:id tenant probe line kind target family:small"
)
SERIES_LAST = _made_by_migrations(
    "series_last",
    ("series_id",),
    "series_id:id stored_at:instant epoch_id:id seq:integer started_at:instant number:integer "
    "place:small ok_epoch_id:id ok_seq:integer ok_started_at:instant ok_number:integer "
    "ok_place:small",
)
PLANS = _made_by_migrations("probe_plans", ("tenant", "probe", "month"), "tenant probe month plan")
PROBES = _made_by_migrations(
    "probes",
    ("tenant", "probe"),
    "tenant probe revision:integer site presence presence_since:time info health health_at:time "
    "last_contact_at:time",
)
DIFFERENCES = _made_by_migrations(
    "rollup_differences",
    ("tenant", "probe", "line", "period"),
    "tenant probe line period found_at:time figures:integer figure rolled_up:real raw:real",
)
