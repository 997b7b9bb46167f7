"""Floor 2. Where alerts are: a file of SQLite, or tables of the PostgreSQL that collectors share.

The file belongs to a centre whose results are in SQLite too. It is separate from them, because that
disk may be the one that fails. With PostgreSQL several collectors go on with each other's alerts:
what was announced is in the same transaction as the alert, and a transaction is made only while the
leases of its tenants are held.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Protocol

from collector.store.database import Database, Row
from collector.store.lease_table import LeaseFence
from collector.store.leases import LeaseLostError
from collector.store.store import StoreError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS alerts (
    number       INTEGER PRIMARY KEY AUTOINCREMENT,
    kind         TEXT NOT NULL,
    tenant       TEXT NOT NULL,
    probe        TEXT NOT NULL,
    line         TEXT NOT NULL,
    name         TEXT NOT NULL,
    began_at     TEXT NOT NULL,
    seen_at      TEXT NOT NULL,
    ended_at     TEXT,
    commune_code TEXT,
    office       TEXT,
    evidence     TEXT NOT NULL,
    collector    TEXT NOT NULL DEFAULT ''
) STRICT;
-- At most one alert of a kind and subject is open at a time.
CREATE UNIQUE INDEX IF NOT EXISTS open_alerts
    ON alerts (kind, tenant, probe, line, name) WHERE ended_at IS NULL;
CREATE TABLE IF NOT EXISTS due (
    number  INTEGER NOT NULL REFERENCES alerts,
    channel TEXT NOT NULL,
    edge    TEXT NOT NULL,
    PRIMARY KEY (number, channel, edge)
) STRICT, WITHOUT ROWID;
-- Who carried a line: its public addresses, as JSON. Personal data.
CREATE TABLE IF NOT EXISTS line_operators (
    tenant  TEXT NOT NULL,
    probe   TEXT NOT NULL,
    line    TEXT NOT NULL,
    history TEXT NOT NULL,
    PRIMARY KEY (tenant, probe, line)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS alert_notes (
    number       INTEGER PRIMARY KEY AUTOINCREMENT,
    alert        INTEGER NOT NULL REFERENCES alerts,
    written_at   TEXT NOT NULL,
    author       TEXT NOT NULL,
    acknowledged INTEGER NOT NULL,
    note         TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS notes_of_alert ON alert_notes (alert);
-- `kind` and `line` "" are every one.
CREATE TABLE IF NOT EXISTS silences (
    number    INTEGER PRIMARY KEY AUTOINCREMENT,
    kind      TEXT NOT NULL,
    tenant    TEXT NOT NULL,
    probe     TEXT NOT NULL,
    line      TEXT NOT NULL,
    name      TEXT NOT NULL,
    starts_at TEXT NOT NULL,
    ends_at   TEXT NOT NULL,
    author    TEXT NOT NULL,
    reason    TEXT NOT NULL
) STRICT;
-- Reports by e-mail (collector/mailing). A delivery is to one recipient.
CREATE TABLE IF NOT EXISTS report_mailings (
    number     INTEGER PRIMARY KEY AUTOINCREMENT,
    kind       TEXT    NOT NULL,
    area       TEXT    NOT NULL,
    recipients TEXT    NOT NULL,
    day        INTEGER NOT NULL,
    minute     INTEGER NOT NULL,
    draft      INTEGER NOT NULL,
    author     TEXT    NOT NULL,
    since      TEXT    NOT NULL,
    active     INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS report_deliveries (
    number     INTEGER PRIMARY KEY AUTOINCREMENT,
    mailing    INTEGER NOT NULL REFERENCES report_mailings,
    occasion   TEXT    NOT NULL,
    first_day  TEXT    NOT NULL,
    last_day   TEXT    NOT NULL,
    recipient  TEXT    NOT NULL,
    state      TEXT    NOT NULL,
    attempts   INTEGER NOT NULL,
    made_at    TEXT    NOT NULL,
    try_at     TEXT    NOT NULL,
    changed_at TEXT    NOT NULL,
    detail     TEXT    NOT NULL,
    UNIQUE (mailing, occasion, recipient)
) STRICT;
-- What the centre notes of its own health, a row a day and kind, as JSON.
CREATE TABLE IF NOT EXISTS health_records (
    collector TEXT NOT NULL,
    kind      TEXT NOT NULL,
    day       TEXT NOT NULL,
    record    TEXT NOT NULL,
    PRIMARY KEY (collector, kind, day)
) STRICT, WITHOUT ROWID;
"""
_COLUMNS = (
    "kind, tenant, probe, line, name, began_at, seen_at, ended_at, commune_code, office, evidence"
)
NOTE_COLUMNS = "written_at, author, acknowledged, note"
SILENCE_COLUMNS = "kind, tenant, probe, line, name, starts_at, ends_at, author, reason"
MAILING_COLUMNS = "kind, area, recipients, day, minute, draft, author, since, active"
DELIVERY_COLUMNS = (
    "mailing, occasion, first_day, last_day, recipient, state, attempts, made_at, try_at, "
    "changed_at, detail"
)

log = logging.getLogger("alerts")


class AlertStoreError(Exception):
    """Alerts cannot be read or written; the text is a sentence for a user."""


class AlertTransaction(Protocol):
    """An open transaction; values are `?` in its statements."""

    def execute(self, sql: str, values: Sequence[object] = ()) -> list[Row]:
        """Run a statement; returns its rows, if any."""

    def execute_many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """Run a statement for each row of values."""


class AlertDatabase(Protocol):
    """The tables of alerts. Thread-safe; every method may raise AlertStoreError.

    `due` is the table of notifications that are not delivered yet. `collector` is whose the alerts
    of the centre itself are, "" where there is one collector.
    """

    due: str
    collector: str

    def read(self, sql: str, values: Sequence[object] = ()) -> list[Row]:
        """The rows of a query."""

    def transaction(
        self, tenants: Collection[str] = ()
    ) -> AbstractContextManager[AlertTransaction]:
        """Commit what is done within, or nothing of it.

        Raises:
            collector.store.leases.LeaseLostError: one of the tenants is not held here.
        """

    def close(self) -> None:
        """Close it. May be called more than once."""


class AlertFile:
    """The tables in a file of their own.

    Raises:
        AlertStoreError: it cannot be opened.
    """

    due = "due"
    collector = ""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        try:
            self._connection = sqlite3.connect(path, check_same_thread=False, timeout=10)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.executescript(_SCHEMA)
            _add_collector(self._connection)
        except sqlite3.Error as error:
            raise AlertStoreError(f"the alert store {path} cannot be opened: {error}") from error

    def read(self, sql: str, values: Sequence[object] = ()) -> list[Row]:
        """The rows of a query."""
        with self._lock:
            try:
                return self._connection.execute(sql, values).fetchall()
            except sqlite3.Error as error:
                raise AlertStoreError(f"the alert store cannot be read: {error}") from error

    @contextmanager
    def transaction(self, tenants: Collection[str] = ()) -> Iterator[AlertTransaction]:  # noqa: ARG002
        """Commit what is done within; there is no other collector."""
        with self._lock:
            try:
                with self._connection:
                    yield _FileTransaction(self._connection)
            except sqlite3.Error as error:
                raise AlertStoreError(f"the alert store cannot be written: {error}") from error

    def close(self) -> None:
        """Close it. May be called more than once."""
        with self._lock:
            self._connection.close()


class _FileTransaction:
    """An `AlertTransaction` of SQLite."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def execute(self, sql: str, values: Sequence[object] = ()) -> list[Row]:
        return self._connection.execute(sql, values).fetchall()

    def execute_many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        self._connection.executemany(sql, rows)


class AlertTables:
    """The tables in the database that collectors share.

    Args:
        database: connections of its own, so that no alert waits for a batch.
        collector: this one's name in leases.
        fence: lets a transaction go on only while its tenants are held.
    """

    due = "due_notifications"

    def __init__(self, database: Database, collector: str, fence: LeaseFence) -> None:
        self._database = database
        self.collector = collector
        self._fence = fence

    def read(self, sql: str, values: Sequence[object] = ()) -> list[Row]:
        """The rows of a query."""
        with _as_alert_error("read"):
            return self._database.read(sql, values)

    @contextmanager
    def transaction(self, tenants: Collection[str] = ()) -> Iterator[AlertTransaction]:
        """Commit what is done within, if these tenants are held."""
        with _as_alert_error("written"), self._database.transaction() as transaction:
            if tenants:
                self._fence.require(transaction, tenants)
            yield transaction

    def close(self) -> None:
        """Close it. May be called more than once."""
        self._database.close()


@contextmanager
def _as_alert_error(doing: str) -> Iterator[None]:
    try:
        yield
    except LeaseLostError:
        raise
    except StoreError as error:
        raise AlertStoreError(f"the alerts cannot be {doing}: {error}") from error


def _add_collector(connection: sqlite3.Connection) -> None:
    """Add the column that files of before it have not."""
    columns = [row[1] for row in connection.execute("PRAGMA table_info(alerts)")]
    if "collector" not in columns:
        connection.execute("ALTER TABLE alerts ADD COLUMN collector TEXT NOT NULL DEFAULT ''")


def move_file(path: Path, tables: AlertTables) -> None:
    """Move the alerts of a collector's own file into shared tables, once, and rename the file.

    An alert that another collector has moved is left out. Raises AlertStoreError: nothing was
    moved.
    """
    if not path.exists():
        return
    with closing(AlertFile(path)) as file, tables.transaction() as transaction:
        moved = _copy(file.read, transaction, tables.collector)
    path.rename(path.with_name(f"{path.name}.moved"))
    log.info("moved %d alerts from %s into the PostgreSQL database", moved, path)


def _copy(read: Callable[[str], list[Row]], transaction: AlertTransaction, collector: str) -> int:
    due = read("SELECT number, channel, edge FROM due")
    notes = read(f"SELECT alert, {NOTE_COLUMNS} FROM alert_notes ORDER BY number")  # noqa: S608 - our own names
    moved = 0
    for number, *values in read(f"SELECT number, {_COLUMNS} FROM alerts ORDER BY number"):  # noqa: S608 - our own names
        own = "" if values[1] else collector
        inserted = transaction.execute(
            f"INSERT INTO alerts ({_COLUMNS}, collector) VALUES "  # noqa: S608 - our own names
            "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING number",
            (*values, own),
        )
        moved += len(inserted)
        transaction.execute_many(
            "INSERT INTO due_notifications VALUES (?, ?, ?)",
            [(new, *rest) for (new,) in inserted for old, *rest in due if old == number],
        )
        transaction.execute_many(
            f"INSERT INTO alert_notes (alert, {NOTE_COLUMNS}) VALUES (?, ?, ?, ?, ?)",  # noqa: S608 - our own names
            [(new, *rest) for (new,) in inserted for old, *rest in notes if old == number],
        )
    transaction.execute_many(
        "INSERT INTO line_operators VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        read("SELECT tenant, probe, line, history FROM line_operators"),
    )
    transaction.execute_many(
        f"INSERT INTO silences ({SILENCE_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - our own names
        read(f"SELECT {SILENCE_COLUMNS} FROM silences ORDER BY number"),  # noqa: S608 - our own names
    )
    _copy_mailings(read, transaction)
    return moved


def _copy_mailings(read: Callable[[str], list[Row]], transaction: AlertTransaction) -> None:
    deliveries = read(f"SELECT {DELIVERY_COLUMNS} FROM report_deliveries ORDER BY number")  # noqa: S608 - our own names
    for number, *values in read(f"SELECT number, {MAILING_COLUMNS} FROM report_mailings"):  # noqa: S608 - our own names
        ((new,),) = transaction.execute(
            f"INSERT INTO report_mailings ({MAILING_COLUMNS}) "  # noqa: S608 - our own names
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING number",
            values,
        )
        transaction.execute_many(
            f"INSERT INTO report_deliveries ({DELIVERY_COLUMNS}) "  # noqa: S608 - our own names
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [(new, *rest) for mailing, *rest in deliveries if mailing == number],
        )
