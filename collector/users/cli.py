"""Floor 3. `tramdo-collector users add|list|disable`: who may sign in to the pages.

The password is prompted for twice on a terminal; from a pipe it is the first line. It is not an
argument, because process lists show arguments.
"""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from collector.users import passwords
from collector.users.user import AuditEvent, Role, User, name_problem, password_problem
from collector.users.user_store import UserStore, UserStoreError


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the options of `users`."""
    actions = command.add_subparsers(dest="action", required=True, metavar="ACTION")

    def action(name: str, text: str) -> argparse.ArgumentParser:
        return actions.add_parser(name, help=text, description=text)

    add = action("add", "Add a user, or set their password and role.")
    add.add_argument("name")
    add.add_argument("--role", type=Role, choices=list(Role), required=True)
    add.add_argument(
        "--commune",
        action="append",
        default=[],
        metavar="CODE",
        help="commune code that an office may act for (repeatable)",
    )
    action("list", "List the users with role and last sign-in.")
    disable = action("disable", "Disable a user and end their sessions.")
    disable.add_argument("name")
    for each in actions.choices.values():
        # Also accepted after the action, where it is usually typed; one before it remains valid.
        each.add_argument("-c", "--config", type=Path, default=argparse.SUPPRESS)


def run(options: argparse.Namespace, path: Path) -> int:
    """Run the action; the exit code: 0 done, 1 the user file failed, 2 the input is wrong."""
    try:
        user_store = UserStore(path)
        if options.action == "list":
            _list(user_store)
            return 0
        if options.action == "disable":
            return _disable(user_store, options.name)
        return _add(user_store, options.name, options.role, tuple(options.commune))
    except UserStoreError as error:
        print(error, file=sys.stderr)
        return 1


def _add(user_store: UserStore, name: str, role: Role, communes: tuple[str, ...]) -> int:
    problem = name_problem(name)
    if problem is None and (role is Role.OFFICE) != bool(communes):
        problem = "an office needs --commune, the other roles take none"
    if problem is None:
        password = _password()
        problem = (
            "the two passwords differ" if password is None else password_problem(password, name)
        )
    if problem is not None:
        print(problem, file=sys.stderr)
        return 2
    assert password is not None
    user_store.put(User(name=name, role=role, communes=communes), passwords.make_hash(password))
    record(user_store, "people_add", name, f"{role} {' '.join(communes)}".strip())
    print(f"{name}: {role}, may sign in")
    return 0


def _disable(user_store: UserStore, name: str) -> int:
    if not user_store.disable(name):
        print(f"there is no user {name}", file=sys.stderr)
        return 2
    record(user_store, "people_disable", name)
    print(f"{name}: signed out everywhere, may not sign in")
    return 0


def _list(user_store: UserStore) -> None:
    for user in user_store.users():
        state = "enabled" if user.enabled else "disabled"
        last = user.last_sign_in_at.isoformat() if user.last_sign_in_at else "never signed in"
        print(user.name, user.role, state, last, *user.communes, sep="\t")


def _password() -> str | None:
    """The password; None if the two typed ones differ."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    first = getpass.getpass("password: ")
    return first if first == getpass.getpass("again: ") else None


def record(user_store: UserStore, action: str, subject: str, detail: str = "") -> None:
    """Append to the audit trail what somebody does on the command line. Raises UserStoreError."""
    user_store.record(
        AuditEvent(
            at=datetime.now(UTC),
            user=f"uid {os.getuid()}",
            address="command line",
            action=action,
            subject=subject,
            detail=detail,
        )
    )
