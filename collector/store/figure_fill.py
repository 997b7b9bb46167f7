"""Floor 2. Fills columns of figures that roll-ups of a version before have not.

A column that is added to `OVERVIEW_METRICS` is empty in rows from before; the whole Summary beside
them has the figure. A part is filled in each transaction: of months and days the lines of one, of
hours those of one line. When all is filled, that is noted in the database.
"""

from __future__ import annotations

from collections.abc import Sequence

from collector.rollup.metrics import OVERVIEW_LOADED
from collector.rollup.periods import Step
from collector.store import batch_writer, rollup_tables
from collector.store.database import Row, Transaction
from collector.store.rollup_tables import BODIES, FIGURES

# Of `totals`: how many sets of columns are filled.
_MARK, _SETS = "figure_columns_filled", 1
_ROWS_AT_ONCE = 2_000
_STEPS = (Step.MONTH, Step.DAY, Step.HOUR)
_PARTS = ("count", "sum", "squares")


class FigureFill:
    """One per store. After a restart it begins again, over what is still empty."""

    def __init__(self) -> None:
        self._done = False
        self._step = 0
        # The first column of the key, and the second one within it.
        self._after: tuple[int, int] | None = None

    def fill(self, transaction: Transaction) -> int:
        """Fill a part; how many rows were read, 0 when nothing is left."""
        if self._done or batch_writer.count(transaction, _MARK, 0) >= _SETS:
            self._done = True
            return 0
        while self._step < len(_STEPS):
            rows = self._next(transaction, _STEPS[self._step])
            if rows:
                self._write(transaction, _STEPS[self._step], rows)
                return len(rows)
            self._step, self._after = self._step + 1, None
        batch_writer.count(transaction, _MARK, _SETS)
        return 0

    def _next(self, transaction: Transaction, step: Step) -> Sequence[Row]:
        rows = transaction.execute(
            statement(step, begun=self._after is not None), self._after or ()
        )
        if rows:
            self._after = (int(rows[-1][0]), int(rows[-1][1]))
        return rows

    def _write(self, transaction: Transaction, step: Step, rows: Sequence[Row]) -> None:
        columns = ", ".join(f"{name}_{part} = ?" for name in OVERVIEW_LOADED for part in _PARTS)
        transaction.execute_many(
            f"UPDATE {FIGURES[step].name} SET {columns} WHERE line_id = ? AND start_s = ?",
            [
                (*cells, line_id, start_s)
                for _, _, line_id, start_s, body in rows
                if (cells := _cells(bytes(body)))
            ],
        )


def statement(step: Step, *, begun: bool) -> str:
    """The rows whose columns are empty, in order of the key; `begun`: those behind a key (?, ?)."""
    figures, bodies = FIGURES[step], BODIES[step].name
    key = ", ".join(f"f.{column}" for column in figures.key)
    # As a pair, with which both databases begin at that place of the key's index.
    beyond = f"AND ({key}) > (?, ?)" if begun else ""
    return (
        f"SELECT {key}, f.line_id, f.start_s, b.body "
        f"FROM {figures.name} f JOIN {bodies} b "
        f"ON b.line_id = f.line_id AND b.start_s = f.start_s "
        f"WHERE f.throughput_valid > 0 AND f.{OVERVIEW_LOADED[0]}_count IS NULL {beyond} "
        f"ORDER BY {key} LIMIT {_ROWS_AT_ONCE}"
    )


def _cells(body: bytes) -> list[object]:
    """Count, sum and squares of each metric; empty where there is none of them."""
    metrics = rollup_tables.decode(body).metrics
    found = [metrics.get(name) for name in OVERVIEW_LOADED]
    if not any(found):
        return []
    return [
        cell
        for one in found
        for cell in ((None,) * 3 if one is None else (one.count, one.total, one.squares))
    ]
