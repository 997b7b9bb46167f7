"""Floor 2. Stores alerts and undelivered notifications in an SQLite file of its own.

The file is separate from the result store, which may be a remote PostgreSQL or a failed disk: an
alert about that must still be stored. An alert and its notifications are written in one
transaction; a notification is deleted after its channel has accepted it, so that none is lost and
a repeat is possible only after a crash between delivery and deletion.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from collector.alerts.alert import Alert, AlertKind, Begin, End, Key, Subject
from collector.alerts.notification import AlertEvent, Transition
from collector.domain.operators import History, OperatorStay
from collector.registry.registry import LineKey
from wire.decoding import decode_json
from wire.record import Family

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
    evidence     TEXT NOT NULL
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
"""
_COLUMNS = (
    "number, kind, tenant, probe, line, name, began_at, seen_at, ended_at, commune_code, office,"
    " evidence"
)


class AlertStoreError(Exception):
    """The alert file cannot be read or written; the text is a sentence for a user."""


class AlertLocation(NamedTuple):
    """Commune and office of a probe when its alert began."""

    commune_code: str | None
    office: str | None


class AlertStore:
    """The alert file. Open it once per process; methods are thread-safe.

    Raises:
        AlertStoreError: the file cannot be opened; every method raises it on a database error.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        try:
            self._connection = sqlite3.connect(path, check_same_thread=False, timeout=10)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.executescript(_SCHEMA)
        except sqlite3.Error as error:
            raise AlertStoreError(f"the alert store {path} cannot be opened: {error}") from error

    def open_alerts(self) -> Mapping[Key, Alert]:
        """The open alerts by key."""
        found = self._read("WHERE ended_at IS NULL ORDER BY number")
        return {alert.key: alert for alert in found}

    def newest(self, limit: int, *, ended: bool | None = None, kind: str = "") -> list[Alert]:
        """The newest alerts, newest first.

        Args:
            limit: at most so many.
            ended: only ended ones (True) or open ones (False).
            kind: only of this kind; "" for every one.
        """
        state = {None: "true", True: "ended_at IS NOT NULL", False: "ended_at IS NULL"}[ended]
        where = f"WHERE {state} AND (kind = ? OR ? = '')"
        return self._read(f"{where} ORDER BY number DESC LIMIT ?", kind, kind, limit)

    def write(
        self,
        changes: Iterable[Begin | End],
        channels: Sequence[str],
        where: Callable[[Subject], AlertLocation],
    ) -> None:
        """Open and close alerts, and queue a notification for each channel.

        When an alert ends before its beginning was delivered, the queued beginning is replaced by
        the end, which states both times.
        """
        with self._writing():
            for change in changes:
                if isinstance(change, Begin):
                    self._begin(change, channels, where(change.result.key.subject))
                else:
                    self._end(change, channels)

    def withdraw(self, keys: Iterable[Key], at: datetime) -> None:
        """End open alerts without a notification: another collector goes on with them."""
        with self._writing():
            for key in keys:
                row = self._close(key, at)
                if row is not None:
                    self._connection.execute("DELETE FROM due WHERE number = ?", row)

    def pending(self, channel: str) -> list[AlertEvent]:
        """The notifications that a channel has not delivered yet, oldest first."""
        rows = self._rows(
            f"SELECT edge, {_COLUMNS} FROM due JOIN alerts USING (number)"  # noqa: S608 - a constant
            " WHERE channel = ? ORDER BY number, edge",
            channel,
        )
        return [AlertEvent(Transition(transition), _alert(row)) for transition, *row in rows]

    def mark_delivered(self, channel: str, delivered: Iterable[AlertEvent]) -> None:
        """Delete the notifications that a channel has delivered."""
        rows = [(one.alert.number, channel, one.transition) for one in delivered]
        with self._writing():
            self._connection.executemany(
                "DELETE FROM due WHERE number = ? AND channel = ? AND edge = ?", rows
            )

    def operator_histories(self) -> dict[LineKey, History]:
        """The history of every line's operators."""
        rows = self._operator_rows("")
        return {LineKey(*key): _history(text) for *key, text in rows}

    def operator_history(self, key: LineKey) -> History:
        """The history of a line's operators; empty where there is none."""
        rows = self._operator_rows("WHERE tenant = ? AND probe = ? AND line = ?", *key)
        return _history(rows[0][3]) if rows else {}

    def write_operator_histories(self, histories: Mapping[LineKey, History]) -> None:
        """Store these histories in place of what is stored of their lines."""
        rows = [(*key, msgspec.json.encode(one).decode()) for key, one in histories.items()]
        with self._writing():
            self._connection.executemany(
                "INSERT OR REPLACE INTO line_operators VALUES (?, ?, ?, ?)", rows
            )

    def delete_operator_histories(self, keys: Iterable[LineKey]) -> None:
        """Delete the histories of these lines."""
        with self._writing():
            self._connection.executemany(
                "DELETE FROM line_operators WHERE tenant = ? AND probe = ? AND line = ?",
                list(keys),
            )

    def _operator_rows(self, rest: str, *arguments: str) -> list[tuple[str, str, str, str]]:
        return self._rows(
            f"SELECT tenant, probe, line, history FROM line_operators {rest}",  # noqa: S608 - our own constants
            *arguments,
        )

    def close(self) -> None:
        """Close the file. May be called more than once."""
        with self._lock:
            self._connection.close()

    def _read(self, rest: str, *arguments: str | int) -> list[Alert]:
        rows = self._rows(f"SELECT {_COLUMNS} FROM alerts {rest}", *arguments)  # noqa: S608 - our own constants
        return [_alert(row) for row in rows]

    def _rows(self, sql: str, *arguments: str | int) -> list[Any]:
        with self._lock:
            try:
                return self._connection.execute(sql, arguments).fetchall()
            except sqlite3.Error as error:
                raise AlertStoreError(f"the alert store cannot be read: {error}") from error

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Commit what is done within, or nothing of it."""
        with self._lock:
            try:
                with self._connection:
                    yield
            except sqlite3.Error as error:
                raise AlertStoreError(f"the alert store cannot be written: {error}") from error

    def _begin(self, begin: Begin, channels: Sequence[str], where: AlertLocation) -> None:
        result = begin.result
        subject = result.key.subject
        cursor = self._connection.execute(
            "INSERT INTO alerts (kind, tenant, probe, line, name, began_at, seen_at, ended_at,"
            " commune_code, office, evidence) VALUES (?, ?, ?, ?, ?, ?, ?, NULL, ?, ?, ?)",
            (
                result.key.kind,
                subject.tenant,
                subject.probe,
                subject.line,
                subject.name,
                _text(result.since or begin.at),
                _text(begin.at),
                where.commune_code,
                where.office,
                msgspec.json.encode(result.evidence).decode(),
            ),
        )
        self._enqueue(cursor.lastrowid, channels, Transition.BEGIN)

    def _close(self, key: Key, at: datetime) -> tuple[int] | None:
        """End an open alert; a row with its number, None where there is none."""
        subject = key.subject
        row: tuple[int] | None = self._connection.execute(
            "UPDATE alerts SET ended_at = ? WHERE kind = ? AND tenant = ? AND probe = ?"
            " AND line = ? AND name = ? AND ended_at IS NULL RETURNING number",
            (_text(at), key.kind, subject.tenant, subject.probe, subject.line, subject.name),
        ).fetchone()
        return row

    def _end(self, end: End, channels: Sequence[str]) -> None:
        row = self._close(end.key, end.at)
        if row is not None:
            self._connection.execute(
                "DELETE FROM due WHERE number = ? AND edge = ?", (row[0], Transition.BEGIN)
            )
            self._enqueue(row[0], channels, Transition.END)

    def _enqueue(self, number: int | None, channels: Sequence[str], transition: Transition) -> None:
        self._connection.executemany(
            "INSERT OR IGNORE INTO due VALUES (?, ?, ?)",
            [(number, channel, transition) for channel in channels],
        )


def _alert(row: Sequence[str | int | None]) -> Alert:
    number, kind, tenant, probe, line, name, began, seen, ended, commune, office, evidence = row
    return Alert(
        number=int(number or 0),
        key=Key(AlertKind(str(kind)), Subject(str(tenant), str(probe), str(line), str(name))),
        began_at=datetime.fromisoformat(str(began)),
        seen_at=datetime.fromisoformat(str(seen)),
        ended_at=None if ended is None else datetime.fromisoformat(str(ended)),
        commune_code=None if commune is None else str(commune),
        office=None if office is None else str(office),
        evidence=msgspec.json.decode(str(evidence)),
    )


def _history(text: str) -> History:
    history: History = decode_json(text, dict[Family, list[OperatorStay]])
    return history


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
