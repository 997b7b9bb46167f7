"""Floor 1. The table `[open_data]` of the collector's settings."""

from __future__ import annotations

from msgspec import Struct

from runtime.broker import Path


class OpenDataConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where published months are, and the key that signs them; it is made at the first month."""

    path: Path = "/var/lib/tramdo-collector/open"
    key_file: Path = "/var/lib/tramdo-collector/open-data.key"
