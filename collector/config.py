"""Floor 1. The collector's configuration: TOML bytes to a frozen Config with all defaults.

Every rule is a type, a bound, or a `__post_init__` that compares keys; a Config needs no further
check. The command line reads the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from msgspec import Meta, Struct, structs

from collector.alerts.settings import AlertsConfig
from collector.analytics.settings import AnalyticsConfig
from collector.open_data.settings import OpenDataConfig
from collector.reports.report import OfficeConfig
from collector.store.settings import StoreConfig
from runtime import settings
from runtime.broker import BrokerConfig, Path, Port
from runtime.problem import Problem
from runtime.value_errors import RuleError, require_pair
from wire.envelope import MAX_ENVELOPE_BYTES
from wire.record import Name

DEFAULT_CLIENT_ID = "tramdo-collector"
# Each is five subscriptions.
_MAX_TENANTS = 100


class Strict(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of every table: frozen, unknown keys refused."""


class WebConfig(Strict, frozen=True):
    """The pages. Behind a reverse proxy with TLS, unless on loopback."""

    host: Annotated[str, Meta(min_length=1, max_length=253)] = "127.0.0.1"
    port: Port = 8080
    timezone: str = "Asia/Ho_Chi_Minh"
    # Users and the audit trail; created where it does not exist.
    people_file: Path = "/var/lib/tramdo-collector/people.sqlite"

    def __post_init__(self) -> None:
        """Check that the time zone exists."""
        try:
            ZoneInfo(self.timezone)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(f"`timezone`: {self.timezone!r} is not a known time zone") from error


class IngestConfig(Strict, frozen=True):
    """Ingest: the size of a message, the messages of a batch, the rate limit of a probe.

    With `compression` the centre announces that probes may compress results. Then every subscriber
    of the broker gets them so: it is off until all of them can read it (decision 98).
    """

    max_message_bytes: Annotated[int, Meta(ge=1_024, le=268_435_455)] = MAX_ENVELOPE_BYTES
    # A commit takes so many messages; the receive maximum is twice that.
    batch_messages: Annotated[int, Meta(ge=1, le=65_535)] = 200
    # The least time between two commits, so that a fleet's small messages share one: what a receipt
    # may be later. After a pause, and for a backlog, a commit waits for nothing.
    linger_s: Annotated[float, Meta(ge=0, le=0.5)] = 0.2
    # The rate limit of each probe. A day has some 2,000 results in as many messages; a month's
    # backlog comes in about 1,000 larger ones.
    probe_messages_per_s: Annotated[float, Meta(gt=0, le=1e6)] = 500.0
    probe_bytes_per_s: Annotated[float, Meta(ge=1_024, le=1e10)] = 20e6
    probe_burst_s: Annotated[float, Meta(ge=1, le=3600)] = 30.0
    compression: bool = False
    # The certificates of the authorities of probes that sign; None: `broker.ca_file`.
    authority_file: Path | None = None


class ReceiptConfig(Strict, frozen=True):
    """How often a receipt is published to a probe that sends without pause.

    A probe lets its backlog out as receipts come: the longer the gap, the slower it drains.
    """

    min_gap_s: Annotated[float, Meta(ge=0, le=60)] = 0.1


class ReportsConfig(Strict, frozen=True):
    """Reports: folder of issues, issuing office, thresholds (None: the packaged ones)."""

    path: Path = "/var/lib/tramdo-collector/papers"
    thresholds_file: Path | None = None
    office: OfficeConfig = OfficeConfig()


class CommandConfig(Strict, frozen=True):
    """The MQTT user of `tramdo-collector command`; by default that of the collector.

    Where the broker takes the user's name for the client's, as deploy/broker has it so that nobody
    throws another out, this must be a user of its own.
    """

    username: str | None = None
    password_file: Path | None = None

    def __post_init__(self) -> None:
        """Require both or neither."""
        require_pair(self, "username", "password_file")


class Config(Strict, frozen=True):
    """The whole configuration. `tenant`: one or several; None: the probes of every tenant.

    `spare_for`: tenants that are taken over where no other collector holds them.
    """

    broker: BrokerConfig
    client_id: Annotated[str, Meta(pattern="^[a-zA-Z0-9_-]{1,64}$")] = DEFAULT_CLIENT_ID
    # Not `Name | list`: for a text with a pattern beside a list msgspec 0.22 reads a wrong place of
    # its memory, and ends. So `parse` checks the text.
    tenant: str | Annotated[list[Name], Meta(max_length=_MAX_TENANTS)] | None = None
    spare_for: Annotated[list[Name], Meta(max_length=_MAX_TENANTS)] = []
    store: StoreConfig = StoreConfig()
    web: WebConfig = WebConfig()
    intake: IngestConfig = IngestConfig()
    receipts: ReceiptConfig = ReceiptConfig()
    papers: ReportsConfig = ReportsConfig()
    alerts: AlertsConfig = AlertsConfig()
    command: CommandConfig = CommandConfig()
    analytics: AnalyticsConfig | None = None
    open_data: OpenDataConfig = OpenDataConfig()

    def __post_init__(self) -> None:
        """Require MQTT 5 for what is announced by a property of MQTT 5."""
        if self.intake.compression and self.broker.protocol != 5:
            raise RuleError(
                "`intake.compression` cần `broker.protocol = 5`: bản trước của MQTT không báo "
                "được cho trạm đo",
                "`intake.compression` needs `broker.protocol = 5`: an older MQTT cannot announce "
                "it to probes",
            )
        self._check_tenants()

    def at_host(self, host: str) -> Config:
        """The configuration with a client identifier that no collector of another host has.

        With SQLite it is the only one, and its session at the broker keeps its name.
        """
        if self.store.postgresql is None or self.client_id != DEFAULT_CLIENT_ID:
            return self
        name = re.sub("[^a-zA-Z0-9_-]", "-", host)
        return structs.replace(self, client_id=f"{DEFAULT_CLIENT_ID}-{name}"[:64])

    def _check_tenants(self) -> None:
        every = [*self.tenants, *self.spare_for]
        if len(set(every)) < len(every):
            raise RuleError(
                "`tenant` và `spare_for` có tên lặp lại", "`tenant` and `spare_for` name one twice"
            )
        if self.tenant == [] and not self.spare_for:
            raise RuleError(
                "`tenant` cần ít nhất một tên, trừ khi `spare_for` có tên",
                "`tenant` needs one name at least, unless `spare_for` has one",
            )
        if self.spare_for and self.tenant is None:
            raise RuleError(
                "`spare_for` cần `tenant`: không có `tenant` là nhận mọi tenant",
                "`spare_for` needs `tenant`: without it every tenant is taken in",
            )
        if self.spare_for and self.store.postgresql is None:
            raise RuleError(
                "`spare_for` cần `store.postgresql`: SQLite chỉ có một bộ thu",
                "`spare_for` needs `store.postgresql`: SQLite has one collector",
            )

    @property
    def tenants(self) -> tuple[str, ...]:
        """The tenants whose probes are taken in; empty for every tenant's, or a spare alone."""
        if self.tenant is None:
            return ()
        return (self.tenant,) if isinstance(self.tenant, str) else tuple(self.tenant)


def parse(content: bytes, source: str) -> Config:
    """The configuration in a TOML file's bytes.

    Raises:
        runtime.settings.SettingsError: every problem, each with file and key.
    """
    return settings.parse(content, Config, source, _tenant_problems)


def _tenant_problems(table: Mapping[str, Any]) -> Iterable[Problem]:
    tenant = table.get("tenant")
    if isinstance(tenant, str):
        yield from settings.problems_by_msgspec(tenant, Name, "tenant", shown=tenant)
