"""Floor 2. A JSON file that is read with its types checked and replaced atomically.

A reader sees the old content or the new, never a part. Without `sync` a power cut may bring the old
content back, which spares the SD card an fsync; with it the new content is on the disk on return.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from wire.decoding import decode_json

T = TypeVar("T")
log = logging.getLogger(__name__)


class JsonFile(Generic[T]):
    """One value in a file.

    Args:
        path: the file; its directory must exist before `write`.
        expected: the type of the value.
    """

    def __init__(self, path: Path, expected: type[T]) -> None:
        self.path = path
        self._expected = expected

    def read(self) -> T | None:
        """The stored value; None where there is no file.

        Raises:
            OSError: it cannot be read.
            ValueError: its content is not of the expected type.
        """
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return None
        return decode_json(content, self._expected)

    def write(self, value: T) -> None:
        """Replace the file.

        Raises:
            OSError: it cannot be written; the old content stays.
        """
        replace_file(self.path, msgspec.json.encode(value))

    def load(self, default: T) -> T:
        """The stored value, or the default where there is none; an unreadable file is logged."""
        try:
            stored = self.read()
        except (OSError, ValueError) as error:
            log.warning("%s cannot be read and is started anew: %s", self.path, error)
            return default
        return default if stored is None else stored

    def save(self, value: T) -> None:
        """Replace the file; a failure is logged, so that measuring goes on."""
        try:
            self.write(value)
        except OSError as error:
            log.warning("%s cannot be written: %s", self.path, error)


def replace_file(path: Path, content: bytes, *, sync: bool = False) -> None:
    """Replace a file's content atomically, by a rename.

    Args:
        path: the file.
        content: its new content.
        sync: whether file and directory are on the disk before this returns (fsync(2)).

    Raises:
        OSError: it cannot be written; the old content stays.
    """
    new = path.with_suffix(".new")
    with new.open("wb") as file:
        file.write(content)
        if sync:
            file.flush()
            os.fsync(file.fileno())
    new.replace(path)
    if sync:
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
