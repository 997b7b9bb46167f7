"""Floor 2. Users and the audit trail, in an SQLite file of its own with mode 0600.

It is separate from the result store: small, secret, and independent of the database that holds the
results (docs/decisions/0027-people.md). Audit events are only ever appended. The tables `people`
and `deeds` have the names of version 0.1.0, whose files stay readable.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from collector.users.user import AuditEvent, Role, User
from wire.decoding import decode_json

_SCHEMA = """
CREATE TABLE IF NOT EXISTS people (
  name TEXT PRIMARY KEY, role TEXT NOT NULL, communes TEXT NOT NULL, enabled INTEGER NOT NULL,
  generation INTEGER NOT NULL, created_at TEXT NOT NULL, last_sign_in_at TEXT,
  password_hash TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS deeds (
  number INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, person TEXT NOT NULL,
  address TEXT NOT NULL, action TEXT NOT NULL, subject TEXT NOT NULL, detail TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS calendar_links (
  person TEXT PRIMARY KEY, digest BLOB NOT NULL UNIQUE, made_at TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS secrets (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;
"""
_COLUMNS = "name, role, communes, enabled, generation, created_at, last_sign_in_at"
_TEXT_MOST = 500


class UserStoreError(Exception):
    """The user file cannot be used; the text is a sentence for a user."""


class UserStore:
    """Users and audit events. Thread-safe.

    Raises:
        UserStoreError: here and in every method: the file cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        with self._transaction() as connection:
            connection.executescript(_SCHEMA)
            connection.execute(
                "INSERT OR IGNORE INTO secrets VALUES ('session', ?)", (secrets.token_bytes(32),)
            )

    def session_key(self) -> bytes:
        """The secret that signs sessions, 32 bytes; generated with the file."""
        with self._transaction() as connection:
            row = connection.execute("SELECT value FROM secrets WHERE name = 'session'").fetchone()
        return bytes(row[0])

    def users(self) -> list[User]:
        """All users, by name."""
        with self._transaction() as connection:
            rows = connection.execute(
                f"SELECT {_COLUMNS} FROM people ORDER BY name"  # noqa: S608 - our own constant
            ).fetchall()
        return [_user(row) for row in rows]

    def user(self, name: str) -> User | None:
        """The user of that name; None if there is none."""
        with self._transaction() as connection:
            row = connection.execute(
                f"SELECT {_COLUMNS} FROM people WHERE name = ?",  # noqa: S608 - our own constant
                (name,),
            ).fetchone()
        return _user(row) if row else None

    def password_hash(self, name: str) -> str | None:
        """The password hash of a user; None if there is none of that name, or it is disabled."""
        with self._transaction() as connection:
            row = connection.execute(
                "SELECT password_hash FROM people WHERE name = ? AND enabled", (name,)
            ).fetchone()
        return str(row[0]) if row else None

    def put(self, user: User, password_hash: str) -> None:
        """Add a user, or replace one and end their sessions."""
        with self._transaction() as connection:
            connection.execute(
                "INSERT INTO people VALUES (?, ?, ?, ?, ?, ?, NULL, ?) ON CONFLICT DO UPDATE SET "
                "role = excluded.role, communes = excluded.communes, enabled = excluded.enabled, "
                "generation = people.generation + 1, password_hash = excluded.password_hash",
                (
                    user.name,
                    user.role.value,
                    msgspec.json.encode(user.communes).decode(),
                    int(user.enabled),
                    user.generation,
                    _utc(datetime.now(UTC)),
                    password_hash,
                ),
            )
            # Who changes a password because somebody knew it, ends that somebody's links too.
            connection.execute("DELETE FROM calendar_links WHERE person = ?", (user.name,))

    def set_password_hash(self, name: str, password_hash: str) -> None:
        """Store a new hash of the same password; sessions remain valid."""
        with self._transaction() as connection:
            connection.execute(
                "UPDATE people SET password_hash = ? WHERE name = ?", (password_hash, name)
            )

    def disable(self, name: str) -> bool:
        """Disable a user and end their sessions. False if there is no user of that name."""
        with self._transaction() as connection:
            cursor = connection.execute(
                "UPDATE people SET enabled = 0, generation = generation + 1 WHERE name = ?", (name,)
            )
        return cursor.rowcount > 0

    def make_calendar_link(self, name: str, at: datetime) -> str:
        """The secret of a new calendar link of a user, in place of the one before.

        Only its digest is stored: it has 256 random bits, so no slow hash is needed.
        """
        secret = secrets.token_urlsafe(32)
        with self._transaction() as connection:
            connection.execute(
                "INSERT INTO calendar_links VALUES (?, ?, ?) ON CONFLICT (person) DO UPDATE SET "
                "digest = excluded.digest, made_at = excluded.made_at",
                (name, _digest(secret), _utc(at)),
            )
        return secret

    def calendar_link_made_at(self, name: str) -> datetime | None:
        """When a user's calendar link was made; None if there is none."""
        with self._transaction() as connection:
            row = connection.execute(
                "SELECT made_at FROM calendar_links WHERE person = ?", (name,)
            ).fetchone()
        return datetime.fromisoformat(row[0]) if row else None

    def revoke_calendar_link(self, name: str) -> None:
        """End a user's calendar link."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM calendar_links WHERE person = ?", (name,))

    def calendar_user(self, secret: str) -> User | None:
        """The user of a calendar link; None for an unknown secret and for a disabled user."""
        with self._transaction() as connection:
            row = connection.execute(
                "SELECT person FROM calendar_links WHERE digest = ?", (_digest(secret),)
            ).fetchone()
        user = self.user(row[0]) if row else None
        return user if user is not None and user.enabled else None

    def end_sessions(self, name: str) -> None:
        """End every session of a user."""
        with self._transaction() as connection:
            connection.execute(
                "UPDATE people SET generation = generation + 1 WHERE name = ?", (name,)
            )

    def record_sign_in(self, name: str, at: datetime) -> None:
        """Store the time of the last sign-in."""
        with self._transaction() as connection:
            connection.execute(
                "UPDATE people SET last_sign_in_at = ? WHERE name = ?", (_utc(at), name)
            )

    def record(self, event: AuditEvent) -> None:
        """Append an event to the audit trail. Texts are cut after 500 characters."""
        fields = (event.user, event.address, event.action, event.subject, event.detail)
        with self._transaction() as connection:
            connection.execute(
                "INSERT INTO deeds (at, person, address, action, subject, detail) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                (_utc(event.at), *(text[:_TEXT_MOST] for text in fields)),
            )

    def audit_events(self, limit: int) -> list[AuditEvent]:
        """The newest audit events, newest first."""
        with self._transaction() as connection:
            rows = connection.execute(
                "SELECT at, person, address, action, subject, detail FROM deeds "
                "ORDER BY number DESC LIMIT ?",
                (limit,),
            ).fetchall()
        return [_audit_event(row) for row in rows]

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """A connection for one transaction. Calls are rare, so none is left open."""
        with self._lock:
            try:
                # Created with mode 0600 before SQLite writes to it.
                os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
                connection = sqlite3.connect(self._path, timeout=5.0)
                try:
                    with connection:
                        yield connection
                finally:
                    connection.close()
            except (OSError, sqlite3.Error) as error:
                raise UserStoreError(f"{self._path}: {error}") from error


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def _user(row: Sequence[object]) -> User:
    name, role, communes, enabled, generation, created_at, last = row
    return User(
        name=str(name),
        role=Role(str(role)),
        communes=decode_json(str(communes), tuple[str, ...]),
        enabled=bool(enabled),
        generation=int(str(generation)),
        created_at=datetime.fromisoformat(str(created_at)),
        last_sign_in_at=datetime.fromisoformat(str(last)) if last else None,
    )


def _audit_event(row: Sequence[str]) -> AuditEvent:
    at, user, address, action, subject, detail = row
    return AuditEvent(
        at=datetime.fromisoformat(at),
        user=user,
        address=address,
        action=action,
        subject=subject,
        detail=detail,
    )


def _utc(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds")
