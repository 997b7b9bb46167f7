"""Floor 2. When the certificate in a file ends; read anew each time, for it is renewed in place."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from runtime import certificate


def ends_at(path: Path) -> datetime | None:
    """Its last moment; None where the file cannot be read or holds no certificate."""
    try:
        return certificate.ends_at(path.read_bytes())
    except OSError:
        return None
