"""Who may do what, how passwords and sessions hold, and how guessing is slowed."""

from __future__ import annotations

import sqlite3
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from collector.users import passwords
from collector.users.sessions import Claim, SessionSigner
from collector.users.sign_in_limiter import ADDRESS_MAX, KEYS_MAX, PAIR_MAX, WINDOW_S, SignInLimiter
from collector.users.user import (
    PERMISSIONS,
    AuditEvent,
    Permission,
    Role,
    User,
    name_problem,
    password_problem,
)
from collector.users.user_store import UserStore, UserStoreError

GOOD = "một câu dài dễ nhớ"
NOW = datetime(2026, 7, 25, 5, tzinfo=UTC)


@pytest.fixture
def user_store(tmp_path: Path) -> UserStore:
    return UserStore(tmp_path / "people.sqlite")


def test_every_role_has_its_rights_and_the_centre_has_all() -> None:
    assert set(PERMISSIONS) == set(Role)
    assert PERMISSIONS[Role.CENTRE] == frozenset(Permission)


def test_an_office_acts_in_its_own_commune_alone() -> None:
    office = User(name="phuthong", role=Role.OFFICE, communes=("01969",))
    assert office.may(Permission.MEASURE, "01969")
    assert not office.may(Permission.MEASURE, "02014")
    assert not office.may(Permission.MEASURE, None)
    assert not office.may(Permission.EDIT_REGISTRY, "01969")


def test_who_is_disabled_may_nothing() -> None:
    assert User(name="a1", role=Role.CENTRE).may(Permission.READ_AUDIT)
    assert not User(name="a1", role=Role.CENTRE, enabled=False).may(Permission.READ_AUDIT)


@pytest.mark.parametrize("name", ["", "a", "Anh", "an.nguyễn", "a b", "../x", "a" * 41])
def test_names_that_are_refused(name: str) -> None:
    assert name_problem(name) is not None


@pytest.mark.parametrize("password", ["short", "a" * 20, "phuthong-2026-x", "x" * 300])
def test_passwords_that_are_refused(password: str) -> None:
    assert password_problem(password, "phuthong") is not None
    assert password_problem(GOOD, "phuthong") is None


def test_a_password_is_kept_as_an_argon2id_hash() -> None:
    kept = passwords.make_hash(GOOD)
    assert kept.startswith("$argon2id$")
    assert passwords.matches(kept, GOOD)
    assert not passwords.matches(kept, GOOD + " ")
    assert not passwords.matches(None, GOOD)
    assert not passwords.is_outdated(passwords.DUMMY_HASH), "as long as today's hashes take"
    assert not passwords.matches("no hash at all", GOOD)
    assert not passwords.is_outdated(kept)


def test_wrong_passwords_from_elsewhere_lock_nobody_out() -> None:
    limiter = SignInLimiter()
    for number in range(PAIR_MAX):
        assert limiter.wait_s("an", "192.0.2.1", 100.0) == 0
        limiter.record_failure("an", "192.0.2.1", 100.0)
        limiter.record_failure("an", f"198.51.100.{number}", 100.0)
    assert limiter.wait_s("an", "192.0.2.1", 160.0) == WINDOW_S - 60
    assert limiter.wait_s("an", "203.0.113.9", 160.0) == 0, "the rightful person's address"
    assert limiter.wait_s("binh", "192.0.2.1", 160.0) == 0
    assert limiter.wait_s("an", "192.0.2.1", 100.0 + WINDOW_S) == 0
    limiter.record_success("an", "192.0.2.1")
    assert limiter.wait_s("an", "192.0.2.1", 160.0) == 0


def test_addresses_of_one_ipv6_subscriber_count_as_one() -> None:
    limiter = SignInLimiter()
    for number in range(PAIR_MAX):
        limiter.record_failure("an", f"2001:db8::{number}", 100.0)
    assert limiter.wait_s("an", "2001:db8::ffff:1", 100.0) > 0
    assert limiter.wait_s("an", "2001:db8:0:1::1", 100.0) == 0


def test_one_address_may_not_guess_at_many_names() -> None:
    limiter = SignInLimiter()
    for number in range(ADDRESS_MAX):
        limiter.record_failure(f"name{number}", "192.0.2.1", float(number))
    assert limiter.wait_s("another", "192.0.2.1", 50.0) == WINDOW_S - 50
    # A success does not clear the address: whoever owns one name could guess on at the others.
    limiter.record_success("name0", "192.0.2.1")
    assert limiter.wait_s("another", "192.0.2.1", 50.0) > 0


def test_a_flood_of_names_does_not_fill_the_memory() -> None:
    limiter = SignInLimiter()
    for number in range(KEYS_MAX + 50):
        limiter.record_failure(f"name{number}", f"address{number}", 0.0)
    assert len(limiter._failures) <= KEYS_MAX


def test_a_cookie_that_was_changed_or_signed_elsewhere_names_nobody() -> None:
    sessions, other = SessionSigner(b"k" * 32), SessionSigner(b"o" * 32)
    cookie = sessions.cookie(Claim("an", 3))
    assert sessions.claim(cookie) == Claim("an", 3)
    assert sessions.claim("A" + cookie) is None
    assert sessions.claim("") is None
    assert other.claim(cookie) is None


def test_a_form_token_serves_the_session_it_was_made_for() -> None:
    sessions = SessionSigner(b"k" * 32)
    mine, other = sessions.cookie(Claim("an", 0)), sessions.cookie(Claim("binh", 0))
    token = sessions.token(mine)
    assert token != sessions.token(mine)
    assert sessions.is_valid_token(token, mine)
    assert not sessions.is_valid_token(token, other)
    assert not sessions.is_valid_token("", mine)
    # Neither passes for the other.
    assert sessions.claim(token) is None
    assert not sessions.is_valid_token(mine, mine)


def test_the_register_keeps_people_and_ends_their_sessions(user_store: UserStore) -> None:
    office = User(name="phuthong", role=Role.OFFICE, communes=("01969", "01981"))
    user_store.put(office, "hash 1")
    kept = user_store.user("phuthong")
    assert kept is not None
    assert (kept.role, kept.communes, kept.generation) == (Role.OFFICE, ("01969", "01981"), 0)
    assert user_store.password_hash("phuthong") == "hash 1"
    user_store.put(office, "hash 2")
    user_store.end_sessions("phuthong")
    user_store.record_sign_in("phuthong", NOW)
    assert user_store.disable("phuthong")
    kept = user_store.user("phuthong")
    assert kept is not None
    assert (kept.enabled, kept.generation, kept.last_sign_in_at) == (False, 3, NOW)
    assert user_store.password_hash("phuthong") is None
    assert not user_store.disable("nobody")
    assert user_store.user("nobody") is None


def test_the_trail_is_newest_first(user_store: UserStore) -> None:
    for number in range(3):
        user_store.record(
            AuditEvent(
                at=NOW, user="an", address="192.0.2.1", action=f"act{number}", detail="x" * 900
            )
        )
    audit_events = user_store.audit_events(2)
    assert [event.action for event in audit_events] == ["act2", "act1"]
    assert len(audit_events[0].detail) == 500


def test_the_register_is_private_and_its_key_stays(tmp_path: Path) -> None:
    path = tmp_path / "people.sqlite"
    key = UserStore(path).session_key()
    assert len(key) == 32
    assert UserStore(path).session_key() == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_register_that_is_no_register_is_told(tmp_path: Path) -> None:
    path = tmp_path / "people.sqlite"
    path.write_bytes(b"not a database, " * 100)
    with pytest.raises(UserStoreError, match=r"people\.sqlite"):
        UserStore(path)
    with pytest.raises(UserStoreError):
        UserStore(tmp_path / "absent" / "people.sqlite")


def test_passwords_are_nowhere_in_the_file(user_store: UserStore, tmp_path: Path) -> None:
    user_store.put(User(name="an1", role=Role.CENTRE), passwords.make_hash(GOOD))
    with sqlite3.connect(tmp_path / "people.sqlite") as connection:
        dump = "\n".join(connection.iterdump())
    connection.close()
    assert "$argon2id$" in dump
    assert GOOD not in dump
