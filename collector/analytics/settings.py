"""Floor 1. The table `[analytics]` of the collector's settings."""

from __future__ import annotations

import re
from typing import Annotated

from msgspec import Meta, Struct

from runtime.broker import Path
from runtime.value_errors import require_pair

_THIS_MACHINE = re.compile(r"http://(localhost|127\.[0-9.]+|\[::1\])(:[0-9]+)?/?\Z")


class AnalyticsConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The ClickHouse server that results are exported to, over its HTTP interface.

    `cluster`: the tables are those of deploy/clickhouse/cluster.sql, and a row counts as inserted
    when it is on its shard. `addresses`: the lines' whole public addresses are exported too; else
    a /24 or /48 stands for each.
    """

    url: Annotated[str, Meta(pattern=r"^https?://[^\s/?#@]+/?\Z", max_length=500)]
    database: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,59}\Z")] = "tramdo"
    username: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    password_file: Path | None = None
    ca_file: Path | None = None
    cluster: bool = False
    addresses: bool = False
    # Of one request.
    timeout_s: Annotated[float, Meta(ge=1, le=3_600)] = 60.0
    # How often new results are looked for, and the most in one range: an insert for each kind.
    every_s: Annotated[float, Meta(ge=1, le=86_400)] = 60.0
    range_results: Annotated[int, Meta(ge=1, le=1_000_000)] = 20_000
    # Metrics for Prometheus' node_exporter (its textfile collector): a file that ends in .prom.
    metrics_file: Path | None = None

    def __post_init__(self) -> None:
        """Refuse half a credential, and a password that would cross a network unencrypted."""
        require_pair(self, "username", "password_file")
        encrypted = self.url.startswith("https:") or _THIS_MACHINE.match(self.url)
        if self.password_file is not None and not encrypted:
            raise ValueError("`password_file` needs an `url` with https, or one on this machine")
