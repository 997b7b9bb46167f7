"""Floor 1. The table `[alerts]` of the collector's settings: rules, and who is told how."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from collector.alerts.rules import Rules
from runtime.broker import Path, Port
from runtime.value_errors import require_pair

Address = Annotated[str, Meta(pattern=r"^[^@\s<>,;]+@[^@\s<>,;]+\Z", max_length=254)]


class MailConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The SMTP server that takes our mail. A password comes from a file; ASCII (smtplib)."""

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
        """Half a credential is a mistake; a password never travels in the clear."""
        require_pair(self, "username", "password_file")
        if self.security == "none" and self.username is not None:
            raise ValueError("`username` needs `security` to be starttls or tls")


class WebhookConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An address that takes a POST. With a secret, the body is signed (HMAC-SHA256)."""

    url: Annotated[str, Meta(pattern=r"^https?://\S+\Z", max_length=2000)]
    ca_file: Path | None = None
    secret_file: Path | None = None
    timeout_s: Annotated[float, Meta(ge=1, le=120)] = 20.0


class AlertsConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Alerts. Without `mail` and `webhook` they are shown on the page alone."""

    path: Path = "/var/lib/tramdo-collector/alerts.sqlite"
    look_every_s: Annotated[float, Meta(ge=1, le=3600)] = 60.0
    rules: Rules = Rules()
    mail: MailConfig | None = None
    webhook: WebhookConfig | None = None
    # Beside those that the program uses itself: files whose last day is watched, PEM.
    certificate_files: list[Path] = []
