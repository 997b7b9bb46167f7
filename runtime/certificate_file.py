"""Floor 2. The end date of a certificate file; read each time, because it is renewed in place."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from runtime import certificate


def ends_at(path: Path) -> datetime | None:
    """Its end date; None where the file cannot be read or has no certificate."""
    try:
        return certificate.ends_at(path.read_bytes())
    except OSError:
        return None
