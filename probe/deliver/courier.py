"""Floor 3. The courier: the one thread that owns the outbox and publishes from it.

Everything reaches it through one inbox: results from whoever measures, events from the MQTT
session. It stores first, in one transaction for all that waits, and then sends what is pending.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable

import msgspec

from probe import clock, events
from probe.config import Config
from probe.deliver.batch import Batch, batches
from probe.deliver.outbox import Outbox, OutboxError
from probe.deliver.session import Delivery, coverage_of
from runtime import mqtt
from wire import messages, topics
from wire.envelope import encode_envelope
from wire.messages import Health, Info, Presence, Receipt, State
from wire.result import Result, encode_result

log = logging.getLogger(__name__)

_IDLE_S = 0.5
_PRUNE_EVERY_S = 3600.0


class Courier:
    """Takes results at any time; delivers them whenever there is a way.

    Args:
        config: the probe's configuration.
        outbox: an open outbox; the courier closes it.
        emit: where `Delivery` and `Fault` events go.
        info: who the probe is, published on each connection.
        health: how the box is, asked every `delivery.health_every_s` with (pending, outbox bytes).
    """

    def __init__(
        self,
        config: Config,
        outbox: Outbox,
        emit: Callable[[events.Event], None],
        info: Info,
        health: Callable[[int, int], Health],
    ) -> None:
        self._config = config
        self._outbox = outbox
        self._emit = emit
        self._info = info
        self._health = health
        self._inbox: queue.SimpleQueue[mqtt.Event | Result] = queue.SimpleQueue()
        self._unsaved: list[Result] = []
        self._counting = threading.Lock()
        self._submitted = self._stored = 0
        self._pending = outbox.pending_count()
        self._delivery = Delivery(config.delivery.resend_after_s, outbox.coverage)
        self._stopping = threading.Event()
        self._health_due_s = self._prune_due_s = 0.0
        self._shown: events.Delivery | None = None
        self._fault: str | None = None
        self._cause: str | None = "not connected yet"
        self.alive_at_s = clock.monotonic_s()
        self._session = mqtt.Session(
            config.broker,
            config.probe,
            self._inbox.put,
            subscriptions=[self._topic("receipt")],
            will=self._message("state", State(Presence.LOST), retain=True),
        )
        self._thread = threading.Thread(target=self._run, name="courier", daemon=True)

    def start(self) -> None:
        """Begin to connect and to deliver."""
        self._session.start()
        self._thread.start()

    def submit(self, result: Result) -> None:
        """Take a result, from any thread. It is stored within half a second."""
        with self._counting:
            self._submitted += 1
        self._inbox.put(result)

    def wait_delivered(self, timeout_s: float, stop: threading.Event) -> bool:
        """Wait until a receipt covers all that was submitted; False when that did not happen."""
        deadline_s = clock.monotonic_s() + timeout_s
        while not (self._stored == self._submitted and self._pending == 0):
            if clock.monotonic_s() >= deadline_s or stop.wait(_IDLE_S / 5):
                return False
        return True

    def stop(self, timeout_s: float = 10.0) -> None:
        """Store what has been submitted, say good-bye to the broker, close the outbox."""
        self._stopping.set()
        self._thread.join(timeout_s)
        self._session.stop(
            self._message("state", State(Presence.OFFLINE, clock.utc_now()), retain=True)
        )
        self._outbox.close()

    def _run(self) -> None:
        while True:
            ending = self._stopping.is_set()
            self._unsaved += self._take()
            try:
                self._work()
                self._tell_fault(None)
            except OutboxError as error:
                # Results stay in memory and are tried again: a full disk may be emptied.
                self._tell_fault(f"{error}; {len(self._unsaved)} results wait in memory")
                self._stopping.wait(_IDLE_S)
            self.alive_at_s = clock.monotonic_s()
            if ending:
                return

    def _take(self) -> list[Result]:
        """All that waits in the inbox; sleeps where nothing does."""
        results: list[Result] = []
        timeout_s = _IDLE_S
        while True:
            try:
                item = self._inbox.get(timeout=timeout_s)
            except queue.Empty:
                return results
            if isinstance(item, Result):
                results.append(item)
            else:
                self._on_mqtt(item)
            timeout_s = 0.0

    def _work(self) -> None:
        if self._unsaved:
            bodies = [(result.kind, encode_result(result)) for result in self._unsaved]
            self._outbox.put(bodies, clock.utc_now().timestamp())
            self._pending += len(bodies)
            self._stored += len(bodies)
            self._unsaved.clear()
        self._send_pending()
        now_s = clock.monotonic_s()
        if now_s >= self._prune_due_s:
            self._prune_due_s = now_s + _PRUNE_EVERY_S
            kept_s = self._config.delivery.keep_days * 86_400
            self._outbox.prune(clock.utc_now().timestamp() - kept_s)
        if self._delivery.connected and now_s >= self._health_due_s:
            self._health_due_s = now_s + self._config.delivery.health_every_s
            pending, size = self._outbox.pending_count(), self._outbox.size_bytes()
            self._session.publish(self._message("health", self._health(pending, size)))
        self._tell_delivery()

    def _on_mqtt(self, event: mqtt.Event) -> None:
        now_s = clock.monotonic_s()
        match event:
            case mqtt.Connected():
                self._cause = None
                self._delivery.on_connected(self._outbox.last_seq, now_s)
                self._session.publish(
                    self._message("state", State(Presence.ONLINE, clock.utc_now()), retain=True)
                )
                self._session.publish(self._message("info", self._info, retain=True))
                log.info("connected to the broker")
            case mqtt.Disconnected(cause=cause):
                self._cause = cause
                self._delivery.on_disconnected()
                log.warning("no connection to the broker: %s", cause)
            case mqtt.Published(mid=mid, refusal=refusal):
                self._delivery.on_published(mid, refusal)
                if refusal is not None:
                    log.error("the broker refused a message: %s; nothing was deleted", refusal)
            case mqtt.Received(topic=topic, payload=payload):
                self._on_receipt(topic, payload, now_s)

    def _on_receipt(self, topic: str, payload: bytes, now_s: float) -> None:
        try:
            receipt = messages.decode(payload, Receipt)
        except msgspec.MsgspecError as error:
            log.warning("ignored a message on %s: %s", topic, error)
            return
        # A receipt of an older epoch (another SD card) is retained at the broker until ours comes.
        if receipt.epoch == self._outbox.epoch:
            coverage = coverage_of(receipt)
            self._delivery.on_coverage(coverage, self._outbox.last_seq, now_s)
            self._outbox.cover(coverage)

    def _send_pending(self) -> None:
        limit = self._config.delivery.batch
        while (
            due := self._delivery.next_due(self._outbox.last_seq, clock.monotonic_s())
        ) is not None:
            pending = self._outbox.pending(due.after, due.through, limit)
            for batch in batches(pending):
                mid = self._session.publish(self._envelope(batch))
                if mid is None:
                    return  # the connection went away; all of it goes out on the next one
                self._delivery.on_sent(mid, due.lane, clock.monotonic_s())
            self._delivery.on_lane(
                due.lane, pending[-1].seq if len(pending) == limit else due.through
            )

    def _envelope(self, batch: Batch) -> mqtt.Message:
        payload = encode_envelope(
            self._config.tenant,
            self._config.probe,
            self._outbox.epoch,
            self._config.site,
            clock.utc_now(),
            batch.numbered_bodies,
        )
        topic = topics.measurement(self._config.tenant, self._config.probe, batch.kind)
        return mqtt.Message(topic, payload)

    def _message(
        self, channel: str, message: messages.Payload, *, retain: bool = False
    ) -> mqtt.Message:
        return mqtt.Message(self._topic(channel), messages.encode(message), retain=retain)

    def _topic(self, channel: str) -> str:
        return topics.of_probe(self._config.tenant, self._config.probe, channel)

    def _tell_delivery(self) -> None:
        cause = self._delivery.refusal or self._cause
        self._pending = self._outbox.pending_count()
        shown = events.Delivery(self._delivery.connected, self._pending, cause)
        if shown != self._shown:
            self._shown = shown
            self._emit(shown)

    def _tell_fault(self, text: str | None) -> None:
        if text != self._fault:
            self._fault = text
            self._emit(events.Fault("outbox", text))
            if text is not None:
                log.error("%s", text)
