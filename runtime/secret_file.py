"""Floor 2. Secrets in files: a password, a private key, a passphrase, and who may read them.

What others on the machine can read is no secret: it is refused with a sentence that says what to
do, never used in silence. The group may read, because a service's key is often `root:tramdo 0640`.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from runtime.language import Phrase

_REFUSED = stat.S_IRWXO | stat.S_IWGRP


def problem(path: str | Path) -> Phrase | None:
    """Why a secret file may not be used, in a sentence; None when it may."""
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
    """Refuse a secret file that is open to others.

    Raises:
        PermissionError: it is, or it is not there, with the sentence.
    """
    if (sentence := problem(path)) is not None:
        raise PermissionError(sentence.en)


def read_text(path: str | Path) -> str:
    """The secret in a file, without the line break that editors put after it.

    Raises:
        PermissionError: as `require_private`.
        OSError: it cannot be read.
        ValueError: it is not UTF-8 text.
    """
    require_private(path)
    return Path(path).read_text(encoding="utf-8").rstrip("\r\n")
