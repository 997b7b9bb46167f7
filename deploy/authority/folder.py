"""Floor 2. The authority's files: replaced atomically, with the file modes that they need.

    ca.pem          its certificate, for everybody     register.json   every certificate it issued
    ca.key          its key, mode 0600                 crl.pem         what it has revoked
    probes/NAME.pem     servers/HOST.pem and .key

Files that root writes get the owner of their folder, because a service that is not root
(tramdo-fleet-serve) reads and replaces them next. It must not know what is in them.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.authority.rules import AuthorityError
from runtime import secret_file

PUBLIC, SECRET, GROUP_SECRET, FOLDER = 0o644, 0o600, 0o640, 0o700


def write(path: Path, content: bytes, mode: int, *, group: str | None = None) -> None:
    """Replace a file in one step: after a power cut it is the old one or the new one.

    Raises:
        AuthorityError: it cannot be written.
    """
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        # The mode is there from the first byte on, whatever the umask.
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode & SECRET)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            if (owner := _owner_of(path.parent)) is not None:
                os.fchown(file.fileno(), *owner)
            if group is not None:
                shutil.chown(beside, group=group)
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        beside.replace(path)
        _sync_folder(path.parent)
    except (OSError, LookupError) as error:
        beside.unlink(missing_ok=True)
        raise AuthorityError(f"{path} cannot be written: {error}") from error


def read(path: Path) -> bytes:
    """A file's bytes.

    Raises:
        AuthorityError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise AuthorityError(f"{path} cannot be read: {error.strerror}") from error


def read_secret(path: Path) -> bytes:
    """A secret file's bytes.

    Raises:
        AuthorityError: others can read it too, or it cannot be read.
    """
    if (sentence := secret_file.problem(path)) is not None:
        raise AuthorityError(sentence.en)
    return read(path)


def make(path: Path) -> None:
    """Make a folder for the owner alone, and its parents.

    Raises:
        AuthorityError: it cannot be made.
    """
    try:
        if not path.is_dir():
            path.mkdir(FOLDER, parents=True, exist_ok=True)
            if (owner := _owner_of(path.parent)) is not None:
                # The link's own, if somebody has put one in its place meanwhile.
                os.lchown(path, *owner)
    except OSError as error:
        raise AuthorityError(f"{path} cannot be made: {error.strerror}") from error


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on the folder: concurrent operations run one after the other.

    Raises:
        AuthorityError: there is no such folder, or others could put their own key into it.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise AuthorityError(f"{path} is no authority's folder: {error.strerror}") from error
    try:
        if os.fstat(descriptor).st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise AuthorityError(f"{path} can be changed by others: chmod 700 it")
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _owner_of(parent: Path) -> tuple[int, int] | None:
    """The user and group that new files in a folder get; None: the current process's."""
    if os.geteuid() != 0:
        return None
    owner = os.stat(parent)
    return owner.st_uid, owner.st_gid


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
