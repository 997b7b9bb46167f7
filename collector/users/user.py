"""Floor 1. People who may change something, and what each role may do.

Reading needs nobody: every page and figure is open to whoever reaches the address. These rights are
about acts: each is asked for by name, and what is not named here nobody may do.
"""

from __future__ import annotations

import re
from datetime import datetime
from enum import StrEnum

from msgspec import Struct

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{1,39}")
# NIST SP 800-63B, 5.1.1.2: at least 8 characters where a second factor is there; without one, more.
PASSWORD_LEAST, PASSWORD_MOST = 12, 256


class Role(StrEnum):
    """Whom a person works for."""

    OFFICE = "office"
    TECHNICIAN = "technician"
    CENTRE = "centre"


class Permission(StrEnum):
    """What can be done from the pages."""

    MEASURE = "measure"
    IDENTIFY = "identify"
    EDIT_REGISTRY = "edit_registry"
    MAKE_REPORTS = "make_papers"
    READ_AUDIT = "read_audit"


PERMISSIONS = {
    # Their own box: find it, ask it for a measurement.
    Role.OFFICE: frozenset({Permission.MEASURE, Permission.IDENTIFY}),
    Role.TECHNICIAN: frozenset({Permission.MEASURE, Permission.IDENTIFY, Permission.EDIT_REGISTRY}),
    Role.CENTRE: frozenset(Permission),
}


class User(Struct, frozen=True, kw_only=True):
    """One who can sign in. `generation` grows to end every session that is open.

    `communes` bounds where an office may act, by commune code; for the other roles it is empty and
    bounds nothing.
    """

    name: str
    role: Role
    communes: tuple[str, ...] = ()
    enabled: bool = True
    generation: int = 0
    created_at: datetime | None = None
    last_sign_in_at: datetime | None = None

    def may(self, permission: Permission, commune_code: str | None = None) -> bool:
        """Whether they may, in that commune (None: an act that is not of one commune)."""
        if not self.enabled or permission not in PERMISSIONS[self.role]:
            return False
        return self.role is not Role.OFFICE or commune_code in self.communes


class AuditEvent(Struct, frozen=True, kw_only=True):
    """A line of the audit trail: what was done or refused. `at` is UTC, by the centre's clock."""

    at: datetime
    user: str
    address: str
    action: str
    subject: str = ""
    detail: str = ""


def name_problem(name: str) -> str | None:
    """Why it is no name for a person, None when it is one."""
    if NAME.fullmatch(name):
        return None
    return f"{name!r} is no name: 2 to 40 of a-z 0-9 . _ - and begin with a letter or digit"


def password_problem(password: str, name: str) -> str | None:
    """Why a password is too weak to take, None when it may be taken."""
    if not PASSWORD_LEAST <= len(password) <= PASSWORD_MOST:
        return f"a password has {PASSWORD_LEAST} to {PASSWORD_MOST} characters"
    if len(set(password)) < 5 or name in password.lower():
        return "this password is too easy to guess"
    return None
