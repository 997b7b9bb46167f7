"""Floor 2. Stores alerts and undelivered notifications, in SQL for a file and for shared tables.

An alert and its notifications are written in one transaction; a notification is deleted after its
channel has accepted it, so that none is lost and a repeat is possible only after a crash between
delivery and deletion.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from collector.alerts.alert import Alert, AlertHead, AlertKind, Begin, End, Key, Subject
from collector.alerts.alert_database import (
    NOTE_COLUMNS,
    SILENCE_COLUMNS,
    AlertDatabase,
    AlertFile,
    AlertTransaction,
)
from collector.alerts.notification import AlertEvent, Transition
from collector.alerts.silence import Note, Silence, silenced_by
from collector.domain.operators import History, OperatorStay
from collector.registry.registry import LineKey
from collector.store.database import Row
from wire.decoding import decode_json
from wire.record import Family

_COLUMNS = (
    "number, kind, tenant, probe, line, name, began_at, seen_at, ended_at, commune_code, office,"
    " evidence"
)
# SQLite takes 32,766 values in a statement at most.
_NUMBERS_AT_ONCE = 1_000
# In place of a channel: a beginning that a silence keeps back.
_HELD_BACK = ""


def _nothing_held(_key: Key) -> bool:
    return False


class AlertLocation(NamedTuple):
    """Commune and office of a probe when its alert began."""

    commune_code: str | None
    office: str | None


class AlertStore:
    """The alerts. Open it once per process; methods are thread-safe.

    Args:
        where: their tables, or the file that has them.

    Raises:
        AlertStoreError: the file cannot be opened; every method raises it on a database error.
    """

    def __init__(self, where: AlertDatabase | Path) -> None:
        self._database = AlertFile(where) if isinstance(where, Path) else where

    def open_alerts(self, kinds: Collection[AlertKind] = ()) -> Mapping[Key, Alert]:
        """The open alerts by key: of every tenant, and of this centre itself.

        Args:
            kinds: only these; all where none is given.
        """
        chosen = f" AND kind IN ({', '.join('?' * len(kinds))})" if kinds else ""
        found = self._read(f"ended_at IS NULL{chosen} ORDER BY number", *kinds)
        return {alert.key: alert for alert in found}

    def newest(self, limit: int, *, ended: bool | None = None, kind: str = "") -> list[Alert]:
        """The newest alerts, newest first.

        Args:
            limit: at most so many.
            ended: only ended ones (True) or open ones (False).
            kind: only of this kind; "" for every one.
        """
        return self._read(_newest(ended), kind, kind, limit)

    def newest_heads(
        self, limit: int, *, ended: bool | None = None, kind: str = ""
    ) -> list[AlertHead]:
        """The heads of the same alerts, at a quarter of the cost of the whole ones."""
        rows = self._rows("number, tenant, probe, line, name, commune_code", _newest(ended), kind,
                          kind, limit)  # fmt: skip
        return [AlertHead(number, Subject(*names), commune) for number, *names, commune in rows]

    def numbered(self, numbers: Sequence[int]) -> list[Alert]:
        """The alerts of these numbers, in their order; one that is not there is left out."""
        found: dict[int, Alert] = {}
        for at in range(0, len(numbers), _NUMBERS_AT_ONCE):
            some = numbers[at : at + _NUMBERS_AT_ONCE]
            marks = ", ".join("?" * len(some))
            found |= {alert.number: alert for alert in self._read(f"number IN ({marks})", *some)}
        return [found[number] for number in numbers if number in found]

    def write(
        self,
        changes: Collection[Begin | End],
        channels: Sequence[str],
        where: Callable[[Subject], AlertLocation],
        held: Callable[[Key], bool] = _nothing_held,
    ) -> None:
        """Open and close alerts, and queue a notification for each channel.

        A beginning that a silence covers, or that is `held` (planned maintenance), is queued
        without a channel. When an alert ends before its beginning was delivered, the queued
        beginning is replaced by the end, which states both times.

        Raises:
            collector.store.leases.LeaseLostError: the tenant of one is not held here.
        """
        tenants = {tenant for tenant in map(_tenant_of, changes) if tenant}
        with self._database.transaction(tenants) as transaction:
            silences = self._silences(transaction)
            for change in changes:
                if isinstance(change, Begin):
                    key = change.result.key
                    silenced = held(key) or silenced_by(silences, key, change.at) is not None
                    notified = (_HELD_BACK,) if silenced else channels
                    self._begin(transaction, change, notified, where(key.subject))
                else:
                    self._end(transaction, change, channels)

    def release(
        self,
        alerts: Collection[Alert],
        channels: Sequence[str],
        now: datetime,
        held: Callable[[Key], bool] = _nothing_held,
    ) -> None:
        """Queue the beginnings of those open alerts whose silence or maintenance has ended.

        Raises:
            collector.store.leases.LeaseLostError: the tenant of one is not held here.
        """
        unsent = {
            row[0]
            for row in self._database.read(
                f"SELECT number FROM {self._database.due} WHERE channel = ?",  # noqa: S608 - our own names
                (_HELD_BACK,),
            )
        }
        waiting = [alert for alert in alerts if alert.number in unsent]
        if not waiting:
            return
        tenants = {alert.key.subject.tenant for alert in waiting} - {""}
        with self._database.transaction(tenants) as transaction:
            silences = self._silences(transaction)
            for alert in waiting:
                if not held(alert.key) and silenced_by(silences, alert.key, now) is None:
                    self._forget_beginning(transaction, alert.number)
                    self._enqueue(transaction, alert.number, channels, Transition.BEGIN)

    def find(self, number: int) -> Alert | None:
        """The alert of a number; None where there is none."""
        return next(iter(self._read("number = ?", number)), None)

    def write_note(self, note: Note) -> None:
        """Store what somebody wrote about an alert."""
        with self._database.transaction() as transaction:
            transaction.execute(
                f"INSERT INTO alert_notes (alert, {NOTE_COLUMNS}) VALUES (?, ?, ?, ?, ?)",  # noqa: S608 - our own names
                (note.alert, _text(note.at), note.author, int(note.acknowledged), note.text),
            )

    def notes(self, alerts: Collection[int]) -> Mapping[int, list[Note]]:
        """What was written about these alerts, oldest first; an alert without notes is absent."""
        found: dict[int, list[Note]] = {}
        if not (numbers := sorted(alerts)):
            return found
        marks = ", ".join("?" * len(numbers))
        rows = self._database.read(
            f"SELECT alert, {NOTE_COLUMNS} FROM alert_notes"  # noqa: S608 - our own names and marks
            f" WHERE alert IN ({marks}) ORDER BY number",
            numbers,
        )
        for alert, at, author, acknowledged, text in rows:
            note = Note(
                alert=alert,
                at=datetime.fromisoformat(at),
                author=author,
                acknowledged=bool(acknowledged),
                text=text,
            )
            found.setdefault(alert, []).append(note)
        return found

    def write_silence(self, silence: Silence) -> None:
        """Store a silence."""
        with self._database.transaction() as transaction:
            transaction.execute(
                f"INSERT INTO silences ({SILENCE_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - our own names
                (
                    silence.kind,
                    silence.tenant,
                    silence.probe,
                    silence.line,
                    silence.name,
                    _text(silence.starts_at),
                    _text(silence.ends_at),
                    silence.author,
                    silence.reason,
                ),
            )

    def end_silence(self, number: int, at: datetime) -> None:
        """End a silence now, if it has not ended."""
        with self._database.transaction() as transaction:
            transaction.execute(
                "UPDATE silences SET ends_at = ? WHERE number = ? AND ends_at > ?",
                (_text(at), number, _text(at)),
            )

    def silences(self, at: datetime) -> list[Silence]:
        """The silences that have not ended by then, the one that ends first first."""
        rows = self._database.read(
            f"SELECT number, {SILENCE_COLUMNS} FROM silences"  # noqa: S608 - our own names
            " WHERE ends_at > ? ORDER BY ends_at, number",
            (_text(at),),
        )
        return [_silence(row) for row in rows]

    def pending(self, channel: str) -> list[AlertEvent]:
        """The notifications that a channel has not delivered yet, oldest first."""
        rows = self._database.read(
            f"SELECT edge, {_COLUMNS} FROM {self._database.due} JOIN alerts USING (number)"  # noqa: S608 - our own names
            " WHERE channel = ? AND collector IN ('', ?) ORDER BY number, edge",
            (channel, self._database.collector),
        )
        return [AlertEvent(Transition(transition), _alert(row)) for transition, *row in rows]

    def require_held(self, tenants: Collection[str]) -> None:
        """Check that these tenants are held here: what is due of another's is not ours to deliver.

        Raises:
            collector.store.leases.LeaseLostError: one is not.
        """
        with self._database.transaction(tenants):
            pass

    def mark_delivered(self, channel: str, delivered: Iterable[AlertEvent]) -> None:
        """Delete the notifications that a channel has delivered."""
        rows = [(one.alert.number, channel, one.transition.value) for one in delivered]
        with self._database.transaction() as transaction:
            transaction.execute_many(
                f"DELETE FROM {self._database.due}"  # noqa: S608 - our own names
                " WHERE number = ? AND channel = ? AND edge = ?",
                rows,
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
        with self._database.transaction() as transaction:
            transaction.execute_many(
                "INSERT INTO line_operators VALUES (?, ?, ?, ?)"
                " ON CONFLICT (tenant, probe, line) DO UPDATE SET history = excluded.history",
                rows,
            )

    def delete_operator_histories(self, keys: Iterable[LineKey]) -> None:
        """Delete the histories of these lines."""
        with self._database.transaction() as transaction:
            transaction.execute_many(
                "DELETE FROM line_operators WHERE tenant = ? AND probe = ? AND line = ?",
                list(keys),
            )

    def _operator_rows(self, rest: str, *values: str) -> list[Row]:
        return self._database.read(
            f"SELECT tenant, probe, line, history FROM line_operators {rest}",  # noqa: S608 - our own constants
            values,
        )

    def close(self) -> None:
        """Close them. May be called more than once."""
        self._database.close()

    def _read(self, rest: str, *values: str | int) -> list[Alert]:
        return [_alert(row) for row in self._rows(_COLUMNS, rest, *values)]

    def _rows(self, columns: str, rest: str, *values: str | int) -> list[Row]:
        return self._database.read(
            f"SELECT {columns} FROM alerts WHERE collector IN ('', ?) AND {rest}",  # noqa: S608 - our own constants
            (self._database.collector, *values),
        )

    def _begin(
        self,
        transaction: AlertTransaction,
        begin: Begin,
        channels: Sequence[str],
        where: AlertLocation,
    ) -> None:
        result = begin.result
        subject = result.key.subject
        ((number,),) = transaction.execute(
            "INSERT INTO alerts (kind, tenant, probe, line, name, began_at, seen_at, ended_at,"
            " commune_code, office, evidence, collector)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, NULL, ?, ?, ?, ?) RETURNING number",
            (
                result.key.kind.value,
                subject.tenant,
                subject.probe,
                subject.line,
                subject.name,
                _text(result.since or begin.at),
                _text(begin.at),
                where.commune_code,
                where.office,
                msgspec.json.encode(result.evidence).decode(),
                self._collector_of(subject),
            ),
        )
        self._enqueue(transaction, number, channels, Transition.BEGIN)

    def _end(self, transaction: AlertTransaction, end: End, channels: Sequence[str]) -> None:
        subject = end.key.subject
        rows = transaction.execute(
            "UPDATE alerts SET ended_at = ? WHERE kind = ? AND tenant = ? AND probe = ?"
            " AND line = ? AND name = ? AND collector = ? AND ended_at IS NULL RETURNING number",
            (
                _text(end.at),
                end.key.kind.value,
                subject.tenant,
                subject.probe,
                subject.line,
                subject.name,
                self._collector_of(subject),
            ),
        )
        for (number,) in rows:
            if _HELD_BACK not in self._forget_beginning(transaction, number):
                self._enqueue(transaction, number, channels, Transition.END)

    def _forget_beginning(self, transaction: AlertTransaction, number: int) -> set[str]:
        """Take the beginning of an alert off the queue; the channels that it was due to."""
        rows = transaction.execute(
            f"DELETE FROM {self._database.due} WHERE number = ? AND edge = ? RETURNING channel",  # noqa: S608 - our own names
            (number, Transition.BEGIN.value),
        )
        return {row[0] for row in rows}

    def _silences(self, transaction: AlertTransaction) -> list[Silence]:
        return [
            _silence(row)
            for row in transaction.execute(f"SELECT number, {SILENCE_COLUMNS} FROM silences")  # noqa: S608 - our own names
        ]

    def _enqueue(
        self,
        transaction: AlertTransaction,
        number: int,
        channels: Sequence[str],
        transition: Transition,
    ) -> None:
        transaction.execute_many(
            f"INSERT INTO {self._database.due} VALUES (?, ?, ?) ON CONFLICT DO NOTHING",  # noqa: S608 - our own names
            [(number, channel, transition.value) for channel in channels],
        )

    def _collector_of(self, subject: Subject) -> str:
        """Whose alert it is: that of a tenant is whoever's holds it."""
        return "" if subject.tenant else self._database.collector


def _tenant_of(change: Begin | End) -> str:
    key = change.result.key if isinstance(change, Begin) else change.key
    return key.subject.tenant


def _newest(ended: bool | None) -> str:
    """The newest alerts of a kind ("" for every one), that are ended or open or either."""
    state = {None: "true", True: "ended_at IS NOT NULL", False: "ended_at IS NULL"}[ended]
    return f"{state} AND (kind = ? OR ? = '') ORDER BY number DESC LIMIT ?"


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


def _silence(row: Row) -> Silence:
    number, kind, tenant, probe, line, name, starts_at, ends_at, author, reason = row
    return Silence(
        number=number,
        kind=kind,
        tenant=tenant,
        probe=probe,
        line=line,
        name=name,
        starts_at=datetime.fromisoformat(starts_at),
        ends_at=datetime.fromisoformat(ends_at),
        author=author,
        reason=reason,
    )


def _history(text: str) -> History:
    history: History = decode_json(text, dict[Family, list[OperatorStay]])
    return history


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
