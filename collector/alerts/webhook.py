"""Floor 2. Posts a notice to a webhook, by `requests`.

A receiver that has our secret verifies `X-Tramdo-Signature: sha256=<hex>`, the HMAC of the body as
it came. `Idempotency-Key` is the notice's identity. No redirect is followed: the body goes where
the settings say and nowhere else.
"""

from __future__ import annotations

import hashlib
import hmac

from collector.alerts.notification import DeliveryError
from collector.alerts.settings import WebhookConfig
from runtime import secret_file


def signature(body: bytes, secret: str) -> str:
    """The value of the header that proves where the body comes from."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def post(body: bytes, notification_id: str, config: WebhookConfig) -> None:
    """Hand the body to the receiver.

    Raises:
        NotTakenError: no answer, or one that is not 2xx.
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
