"""Floor 1. The collector's configuration: TOML bytes to a frozen Config, all defaults here.

Every rule is here: a type, a bound, or a `__post_init__` that compares keys. What comes out can be
used without another look. Reading the file is the command line's part.
"""

from __future__ import annotations

from typing import Annotated
from zoneinfo import ZoneInfo

from msgspec import Meta, Struct

from collector.alerts.settings import AlertsConfig
from collector.reports.report import OfficeConfig
from collector.store.settings import StoreConfig
from runtime import settings
from runtime.broker import BrokerConfig, Path, Port
from runtime.value_errors import require_pair
from wire.envelope import MAX_ENVELOPE_BYTES
from wire.result import Name


class Strict(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of every table: frozen, unknown keys refused."""


class WebConfig(Strict, frozen=True):
    """The pages. Anywhere but on loopback, put a reverse proxy with TLS before them."""

    host: Annotated[str, Meta(min_length=1, max_length=253)] = "127.0.0.1"
    port: Port = 8080
    timezone: str = "Asia/Ho_Chi_Minh"
    # Who may sign in, and the audit trail; made where there is none.
    people_file: Path = "/var/lib/tramdo-collector/people.sqlite"

    def __post_init__(self) -> None:
        """A time zone must exist."""
        try:
            ZoneInfo(self.timezone)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(f"`timezone`: {self.timezone!r} is not a known time zone") from error


class IngestConfig(Strict, frozen=True):
    """What is taken in: the size of one message, and how many messages share one commit."""

    max_message_bytes: Annotated[int, Meta(ge=1_024, le=268_435_455)] = MAX_ENVELOPE_BYTES
    # The broker keeps as many unacknowledged messages under way to us; a commit takes them all.
    batch_messages: Annotated[int, Meta(ge=1, le=65_535)] = 200
    # What one probe may send in the long run, and how much of that at once. A day is some 2,000
    # results in as many messages; a month's backlog comes in about 1,000 larger ones.
    probe_messages_per_s: Annotated[float, Meta(gt=0, le=1e6)] = 500.0
    probe_bytes_per_s: Annotated[float, Meta(ge=1_024, le=1e10)] = 20e6
    probe_burst_s: Annotated[float, Meta(ge=1, le=3600)] = 30.0


class ReceiptConfig(Strict, frozen=True):
    """How often a probe that sends without pause is told what is stored.

    A probe lets its backlog out as receipts come: the longer the gap, the slower it drains.
    """

    min_gap_s: Annotated[float, Meta(ge=0, le=60)] = 0.1


class ReportsConfig(Strict, frozen=True):
    """Reports: where issues are kept, who issues them, which thresholds (None: those shipped)."""

    path: Path = "/var/lib/tramdo-collector/papers"
    thresholds_file: Path | None = None
    office: OfficeConfig = OfficeConfig()


class CommandConfig(Strict, frozen=True):
    """Who `tramdo-collector command` is at the broker; left out, it signs in as the collector.

    Where the broker takes the user's name for the client's, as deploy/broker has it so that nobody
    throws another out, this must be a user of its own.
    """

    username: str | None = None
    password_file: Path | None = None

    def __post_init__(self) -> None:
        """Half a credential is a mistake."""
        require_pair(self, "username", "password_file")


class Config(Strict, frozen=True):
    """Everything the collector is told. `tenant` None takes every tenant's probes."""

    broker: BrokerConfig
    client_id: Annotated[str, Meta(pattern="^[a-zA-Z0-9_-]{1,64}$")] = "tramdo-collector"
    tenant: Name | None = None
    store: StoreConfig = StoreConfig()
    web: WebConfig = WebConfig()
    intake: IngestConfig = IngestConfig()
    receipts: ReceiptConfig = ReceiptConfig()
    papers: ReportsConfig = ReportsConfig()
    alerts: AlertsConfig = AlertsConfig()
    command: CommandConfig = CommandConfig()


def parse(content: bytes, source: str) -> Config:
    """The configuration in a TOML file's bytes.

    Raises:
        runtime.settings.SettingsError: every problem, each with file and key.
    """
    return settings.parse(content, Config, source)
