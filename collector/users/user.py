"""Floor 1. Users, roles and permissions.

Reading needs no sign-in, whole public addresses excepted: pages and figures are open to whoever
reaches the address. Each action needs one of these permissions, and a role has only those listed
for it.
"""

from __future__ import annotations

import re
from datetime import datetime
from enum import StrEnum

from msgspec import Struct

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{1,39}")
# NIST SP 800-63B, 5.1.1.2: at least 8 characters. There is no second factor here, so more.
PASSWORD_LEAST, PASSWORD_MOST = 12, 256


class Role(StrEnum):
    """For whom a user works."""

    OFFICE = "office"
    TECHNICIAN = "technician"
    CENTRE = "centre"


class Permission(StrEnum):
    """An action that needs a signed-in user. The values are stored in the audit trail."""

    MEASURE = "measure"
    IDENTIFY = "identify"
    EDIT_REGISTRY = "edit_registry"
    MAKE_REPORTS = "make_papers"
    # Acknowledge, note and silence alerts.
    HANDLE_ALERTS = "handle_alerts"
    # Write notes on a line's charts; correct and withdraw one's own, or everybody's.
    NOTE_LINES = "note_lines"
    CORRECT_NOTES = "correct_notes"
    # Enter, correct and withdraw planned maintenance; offices of a line or their own commune.
    ANNOUNCE_MAINTENANCE = "announce_maintenance"
    READ_AUDIT = "read_audit"
    # Bundles of evidence; of an issued report only where the role is bound to no commune.
    TAKE_EVIDENCE = "take_evidence"
    # Whole public addresses of lines (docs/security.md).
    READ_ADDRESSES = "read_addresses"


PERMISSIONS = {
    # On the probes of their own communes.
    Role.OFFICE: frozenset(
        {
            Permission.MEASURE,
            Permission.IDENTIFY,
            Permission.HANDLE_ALERTS,
            Permission.NOTE_LINES,
            Permission.ANNOUNCE_MAINTENANCE,
            Permission.READ_ADDRESSES,
            Permission.TAKE_EVIDENCE,
        }
    ),
    Role.TECHNICIAN: frozenset(
        {
            Permission.MEASURE,
            Permission.IDENTIFY,
            Permission.EDIT_REGISTRY,
            Permission.HANDLE_ALERTS,
            Permission.NOTE_LINES,
            Permission.ANNOUNCE_MAINTENANCE,
            Permission.READ_ADDRESSES,
            Permission.TAKE_EVIDENCE,
        }
    ),
    Role.CENTRE: frozenset(Permission),
}


class User(Struct, frozen=True, kw_only=True):
    """A user who can sign in. Incrementing `generation` ends every open session.

    `communes` are the commune codes in which an office may act; for the other roles it is empty
    and not used.
    """

    name: str
    role: Role
    communes: tuple[str, ...] = ()
    enabled: bool = True
    generation: int = 0
    created_at: datetime | None = None
    last_sign_in_at: datetime | None = None

    def has(self, permission: Permission) -> bool:
        """Whether the user has the permission somewhere."""
        return self.enabled and permission in PERMISSIONS[self.role]

    def may(self, permission: Permission, commune_code: str | None = None) -> bool:
        """Whether the user has the permission in that commune (None: not specific to a commune)."""
        return self.has(permission) and self.is_concerned_by(commune_code)

    def is_concerned_by(self, commune_code: str | None) -> bool:
        """Whether what is in that commune is the user's affair: an office has its communes only."""
        return self.role is not Role.OFFICE or commune_code in self.communes


class AuditEvent(Struct, frozen=True, kw_only=True):
    """An entry of the audit trail: an action done or refused. `at` is UTC, the centre's clock."""

    at: datetime
    user: str
    address: str
    action: str
    subject: str = ""
    detail: str = ""


def name_problem(name: str) -> str | None:
    """Why a user name is not valid; None if it is."""
    if NAME.fullmatch(name):
        return None
    return (
        f"{name!r} is not a valid name: 2 to 40 of a-z 0-9 . _ - beginning with a letter or digit"
    )


def password_problem(password: str, name: str) -> str | None:
    """Why a password is refused as too weak; None if it is accepted."""
    if not PASSWORD_LEAST <= len(password) <= PASSWORD_MOST:
        return f"a password has {PASSWORD_LEAST} to {PASSWORD_MOST} characters"
    if len(set(password)) < 5 or name in password.lower():
        return "this password is too easy to guess"
    return None
