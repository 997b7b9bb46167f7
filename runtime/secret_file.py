"""Floor 2. Files with secrets (password, private key, passphrase): permissions and content.

A file that others on the machine can read is refused with a sentence that says what to do. The
group may read, because a service's key is often `root:tramdo 0640`.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from runtime.language import Phrase

_REFUSED = stat.S_IRWXO | stat.S_IWGRP


class SecretFileError(PermissionError):
    """A secret file may not be used; `sentence` says why in both languages."""

    def __init__(self, sentence: Phrase) -> None:
        self.sentence = sentence
        super().__init__(sentence.en)


def problem(path: str | Path) -> Phrase | None:
    """Why a secret file may not be used; None when it may."""
    try:
        mode = stat.S_IMODE(os.stat(path).st_mode)
    except OSError as error:
        return Phrase(
            f"không đọc được {path} ({error.strerror})", f"{path} cannot be read: {error.strerror}"
        )
    if not mode & _REFUSED:
        return None
    what = Phrase("sửa", "changed")
    if mode & stat.S_IROTH:
        what = Phrase("đọc", "read")
    return Phrase(
        f"tài khoản khác {what.vi} được {path} (quyền {mode:04o}): chạy chmod 600 hoặc 640",
        f"{path} can be {what.en} by others (mode {mode:04o}): chmod 600 it, or 640",
    )


def require_private(path: str | Path) -> None:
    """Raise unless a secret file is closed to others.

    Raises:
        SecretFileError: it is readable or writable by others, or missing.
    """
    if (sentence := problem(path)) is not None:
        raise SecretFileError(sentence)


def read_text(path: str | Path) -> str:
    """Read a secret from a file, without a byte order mark and a trailing line break.

    Raises:
        SecretFileError: as `require_private`.
        OSError: it cannot be read.
        ValueError: it is not UTF-8 text.
    """
    require_private(path)
    return Path(path).read_text(encoding="utf-8-sig").rstrip("\r\n")
