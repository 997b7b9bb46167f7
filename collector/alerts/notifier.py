"""Floor 3. Delivers pending notifications by each channel, and retries with back-off."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Mapping, Sequence
from datetime import tzinfo

from collector.alerts import mail, notification, webhook
from collector.alerts.alert_store import AlertStore
from collector.alerts.notification import AlertEvent, DeliveryError
from collector.alerts.settings import AlertsConfig
from runtime.backoff import backoff_s

# A channel delivers all pending events as one message, or raises DeliveryError.
Channel = Callable[[Sequence[AlertEvent]], None]
_LONGEST_WAIT_S = 3600.0

log = logging.getLogger("alerts")


def channels(
    config: AlertsConfig, timezone: tzinfo, commune_name: Callable[[str], str] = lambda _: ""
) -> dict[str, Channel]:
    """The configured channels by name; see `notification.compose_mail`."""
    found: dict[str, Channel] = {}
    if (to_mail := config.mail) is not None:
        found["mail"] = lambda pending: mail.send(
            notification.compose_mail(pending, timezone, commune_name), to_mail
        )
    if (to_webhook := config.webhook) is not None:
        found["webhook"] = lambda pending: webhook.post(
            notification.webhook_body(pending), notification.notification_id(pending), to_webhook
        )
    return found


class Notifier:
    """One per process, used by one thread. After a failure a channel waits, ever longer.

    Args:
        alert_store: which notifications are pending, by channel.
        channels: what delivers them, by name.
        wait_s: the wait after the first failure.
        draw: a random number in [0, 1) for the jitter of each wait.
        holds: whether a tenant's notifications are this process's to deliver.
    """

    def __init__(
        self,
        alert_store: AlertStore,
        channels: Mapping[str, Channel],
        wait_s: float = 60.0,
        draw: Callable[[], float] = random.random,
        holds: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self._alert_store = alert_store
        self._channels = channels
        self._first_wait_s = wait_s
        self._draw = draw
        self._holds = holds
        self._failures = dict.fromkeys(channels, 0)
        self._not_before_s = dict.fromkeys(channels, 0.0)

    @property
    def names(self) -> list[str]:
        """The channels' names, as the alert store records them."""
        return list(self._channels)

    def notify(self, now_s: float) -> None:
        """Deliver what is pending. `now_s` is monotonic time, in seconds.

        Raises:
            collector.alerts.alert_database.AlertStoreError: they cannot be read or written.
            collector.store.leases.LeaseLostError: another collector delivers them now.
        """
        for name, channel in self._channels.items():
            if now_s >= self._not_before_s[name] and (pending := self._own_pending(name)):
                self._try(name, channel, pending, now_s)

    def _own_pending(self, channel: str) -> list[AlertEvent]:
        pending = [
            one
            for one in self._alert_store.pending(channel)
            if self._holds(one.alert.key.subject.tenant)
        ]
        if tenants := {one.alert.key.subject.tenant for one in pending} - {""}:
            # A process that stood still takes itself for the holder until it asks.
            self._alert_store.require_held(tenants)
        return pending

    def _try(
        self, name: str, channel: Channel, pending: Sequence[AlertEvent], now_s: float
    ) -> None:
        try:
            channel(pending)
        except DeliveryError as error:
            self._failures[name] += 1
            wait_s = backoff_s(
                self._failures[name], self._first_wait_s, _LONGEST_WAIT_S, self._draw()
            )
            self._not_before_s[name] = now_s + wait_s
            log.warning(
                "%d alerts not delivered, next try in %.0f s: %s", len(pending), wait_s, error
            )
            return
        self._failures[name] = 0
        self._alert_store.mark_delivered(name, pending)
