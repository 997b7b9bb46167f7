"""Floor 2. End dates of files of certificates and revocation lists.

A file is read each time, because it is renewed in place.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from runtime import certificate
from runtime.language import Phrase


def ends_at(path: Path) -> datetime | None:
    """Its end date; None where the file cannot be read or has neither certificate nor list."""
    try:
        return certificate.ends_at(path.read_bytes())
    except OSError:
        return None


def problem(path: Path, now: datetime) -> Phrase | None:
    """Why a certificate or revocation list is of no use now: unreadable, or ended. None: it is."""
    try:
        ends = certificate.ends_at(path.read_bytes())
    except OSError as error:
        why = error.strerror or str(error)
        return Phrase(f"không đọc được {path}: {why}", f"{path} cannot be read: {why}")
    if ends is None:
        return Phrase(
            f"{path} không phải chứng thư hay danh sách thu hồi (PEM)",
            f"{path} holds neither a certificate nor a revocation list (PEM)",
        )
    if ends <= now:
        return Phrase(f"{path} đã hết hạn ngày {ends:%d/%m/%Y}", f"{path} ended on {ends:%Y-%m-%d}")
    return None
