"""Floor 2. Passwords as argon2id hashes (RFC 9106), by argon2-cffi.

The library's defaults are RFC 9106's second recommendation (64 MiB, 3 passes). A hash made with
weaker parameters than today's is made anew at the next sign-in.
"""

from __future__ import annotations

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_HASHER = PasswordHasher()
# What a name that nobody bears is checked against, so that it takes as long as one that is there:
# of today's parameters, salt and hash all zeros, which no password is known to give.
DUMMY_HASH = (
    f"$argon2id$v=19$m={_HASHER.memory_cost},t={_HASHER.time_cost},p={_HASHER.parallelism}"
    f"${'A' * 22}${'A' * 43}"
)


def make_hash(password: str) -> str:
    """The hash to keep."""
    return _HASHER.hash(password)


def matches(password_hash: str | None, password: str) -> bool:
    """Whether the password is the one; with no hash it never is, after the same time."""
    try:
        _HASHER.verify(password_hash or DUMMY_HASH, password)
    except (VerificationError, InvalidHashError):
        return False
    return password_hash is not None


def is_outdated(password_hash: str) -> bool:
    """Whether the hash should be made anew."""
    return _HASHER.check_needs_rehash(password_hash)
