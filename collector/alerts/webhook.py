"""Floor 2. Posts a notification to a webhook, by `requests`.

A receiver that has the secret verifies `X-Tramdo-Signature: sha256=<hex>`, the HMAC of the raw
body. `Idempotency-Key` is the notification's id. Redirects are not followed: the body goes only to
the configured URL.
"""

from __future__ import annotations

import hashlib
import hmac

from collector.alerts.notification import DeliveryError
from collector.alerts.settings import WebhookConfig
from runtime import secret_file


def signature(body: bytes, secret: str) -> str:
    """The value of the header `X-Tramdo-Signature`."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def post(body: bytes, notification_id: str, config: WebhookConfig) -> None:
    """POST the body.

    Raises:
        DeliveryError: no response, or its status is not 2xx.
    """
    # Here: with all that it brings it is a fifth of a start, and few centres have a webhook.
    import requests  # noqa: PLC0415

    headers = {"Content-Type": "application/json", "Idempotency-Key": notification_id}
    try:
        if config.secret_file is not None:
            headers["X-Tramdo-Signature"] = signature(
                body, secret_file.read_text(config.secret_file)
            )
        answer = requests.post(
            config.url,
            data=body,
            headers=headers,
            timeout=config.timeout_s,
            verify=config.ca_file or True,
            allow_redirects=False,
        )
    except (requests.RequestException, OSError, ValueError) as error:
        raise DeliveryError(f"webhook {config.url}: {error}") from error
    if not 200 <= answer.status_code < 300:
        raise DeliveryError(f"webhook {config.url} answered {answer.status_code}")
