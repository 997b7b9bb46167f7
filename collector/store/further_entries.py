"""Floor 2. Further entries of what is only ever added to: notes and announced maintenance.

Two people may correct one thing at once. Only the one who saw its last entry is let in: the other
one is shown what was written meanwhile.
"""

from __future__ import annotations

from collector.store.database import Transaction


def require_seen(
    transaction: Transaction,
    table: str,
    first: str,
    number: int,
    newest: str,
    seen: int,
    conflict: type[Exception],
) -> None:
    """Lock an entry's first one, and require that its newest one was seen.

    Args:
        transaction: in which the further entry is stored.
        table: of the entries, with a column `author`.
        first: the condition that finds the first entry by `number`.
        number: of the note or announcement.
        newest: a query for what whoever writes saw, with as many `?` for `number` as it has.
        seen: what they saw.
        conflict: is raised where the newest entry is another one, or there is none.
    """
    # It changes nothing, and lets no other one in until this one is stored.
    transaction.execute(f"UPDATE {table} SET author = author WHERE {first}", (number,))
    ((found,),) = transaction.execute(newest, (number,) * newest.count("?"))
    if found != seen:
        raise conflict(f"the newest entry is {found}")
