"""Floor 2. Passwords as argon2id hashes (RFC 9106), by argon2-cffi.

The library's defaults are RFC 9106's second recommended option (64 MiB, 3 passes). A hash made
with weaker parameters is replaced at the next sign-in.
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
    """The argon2id hash of a password, with its parameters and salt."""
    return _HASHER.hash(password)


def matches(password_hash: str | None, password: str) -> bool:
    """Whether the password matches. False without a hash, after the same time as with one."""
    try:
        _HASHER.verify(password_hash or DUMMY_HASH, password)
    except (VerificationError, InvalidHashError):
        return False
    return password_hash is not None


def is_outdated(password_hash: str) -> bool:
    """Whether the hash was made with other parameters than today's."""
    return _HASHER.check_needs_rehash(password_hash)
