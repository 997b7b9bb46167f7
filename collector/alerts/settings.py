"""Floor 1. The configuration table `[alerts]`: rules, and the channels that notifications go to."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from collector.alerts.rules import Rules
from runtime.broker import Path, Port
from runtime.value_errors import require_pair

Address = Annotated[str, Meta(pattern=r"^[^@\s<>,;]+@[^@\s<>,;]+\Z", max_length=254)]
Server = Annotated[str, Meta(pattern=r"^[0-9A-Za-z._-]{1,253}:[0-9]{1,5}\Z")]


class MailConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The SMTP server for notifications. The password is read from a file; ASCII only (smtplib)."""

    host: Annotated[str, Meta(min_length=1, max_length=253)]
    port: Port = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    ca_file: Path | None = None
    username: str | None = None
    password_file: Path | None = None
    sender: Address
    recipients: Annotated[list[Address], Meta(min_length=1)]
    timeout_s: Annotated[float, Meta(ge=1, le=120)] = 20.0

    def __post_init__(self) -> None:
        """Refuse half a credential, and a password without TLS."""
        require_pair(self, "username", "password_file")
        if self.security == "none" and self.username is not None:
            raise ValueError("`username` needs `security` to be starttls or tls")


class WebhookConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A URL that receives a POST. With a secret, the body is signed (HMAC-SHA256)."""

    url: Annotated[str, Meta(pattern=r"^https?://\S+\Z", max_length=2000)]
    ca_file: Path | None = None
    secret_file: Path | None = None
    timeout_s: Annotated[float, Meta(ge=1, le=120)] = 20.0


class AlertsConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Alerts. Without `mail` and `webhook` they are shown on the page only."""

    path: Path = "/var/lib/tramdo-collector/alerts.sqlite"
    look_every_s: Annotated[float, Meta(ge=1, le=3600)] = 60.0
    rules: Rules = Rules()
    mail: MailConfig | None = None
    webhook: WebhookConfig | None = None
    # More PEM files (certificates and revocation lists) whose expiry is monitored, besides those
    # that the collector uses itself.
    certificate_files: list[Path] = []
    # TLS servers whose certificate is monitored as they present it: the broker, the fleet centre.
    certificate_servers: list[Server] = []
