"""Floor 3. From the broker into the store, and the receipt back; one thread, in this order:

    what waits -> judged -> one commit -> acknowledged to the broker -> receipts -> pages move

A message is acknowledged only after the commit that holds it, so whatever ends this process in
between leaves it with the broker or on the probe. Repeats are harmless (the store's key). While
the store cannot write, nothing is acknowledged and the broker sends no more than it may.

While a batch is on its way to the disk, what came meanwhile is judged; it is stored when the one
before it is, so one batch at most is under way.
"""

from __future__ import annotations

import gc
import logging
import queue
import random
import sys
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple

from collector.commands.builder import ValidatedReply, validate_reply
from collector.commands.sender import MqttCommandSender
from collector.config import Config
from collector.ingest.rate_limit import ProbeRateLimit, RateLimiter
from collector.ingest.receipts import ReceiptPacer
from collector.ingest.status import IngestStatus
from collector.ingest.validation import validate
from collector.store.individual import store_individually
from collector.store.messages import RejectedMessage, ResultsMessage, ValidatedMessage
from collector.store.records import BatchResult
from collector.store.store import Store, StoreError
from runtime import kernel_time, systemd_notify
from runtime.backoff import reconnect_delay_s
from runtime.mqtt import Connected, Disconnected, Event, Message, MqttSession, Published, Received
from wire import messages, topics
from wire.messages import Rejection

_STORE_RETRY_MAX_S = 30.0
# How long an idle turn lasts at most; half of a shorter watchdog interval when there is one.
_IDLE_WAIT_S = 5.0
# After (re)connecting, so long messages may have waited for us at the broker.
_BACKLOG_AFTER_CONNECT_S = 60.0
# Of one batch: a flood of garbage must not fill the journal.
_MAX_REJECTIONS_LOGGED = 5

# The most that MQTT 5 has a number for (§3.1.2.11.3).
_RECEIVE_MAXIMUM = 65_535

# Two batches under way are a hundred thousand values without a cycle: looking for cycles after
# every 700 of them costs a fifth of the whole, after every 100,000 still a fourteenth.
_GC_THRESHOLD = (500_000, 50, 100)
# How long a thread may keep the interpreter from another that wants it. What hands rows to the
# database asks for it at every statement, and at Python's 5 ms waits for most of its time
# (PostgreSQL: 13,500 rows a second; with this 17,400).
_SWITCH_INTERVAL_S = 0.000_2

log = logging.getLogger(__name__)


def tune_interpreter() -> None:
    """Set this process's interpreter for an Ingest: its garbage collector, its threads' turns."""
    gc.set_threshold(*_GC_THRESHOLD)
    sys.setswitchinterval(_SWITCH_INTERVAL_S)


class _PendingBatch(NamedTuple):
    """A batch that is being stored; `finish` waits for it."""

    received: Sequence[Received]
    validated: Sequence[ValidatedMessage]
    finish: Callable[[], BatchResult]


class IngestPipeline:
    """Runs until `stop`.

    Args:
        config: the collector's settings.
        store: where results go.
        on_stored: called after each commit, from the ingest thread; must not block.
    """

    def __init__(self, config: Config, store: Store, on_stored: Callable[[], None]) -> None:
        self._config = config
        self._store = store
        self._on_stored = on_stored
        self._stopping = threading.Event()
        self._inbox: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._receipt_pacer = ReceiptPacer(config.receipts.min_gap_s)
        self._pending: _PendingBatch | None = None
        self._all_receipts_due = False
        self._connected_at_s = time.monotonic()
        self._idle_wait_s = min(_IDLE_WAIT_S, systemd_notify.watchdog_interval_s() or _IDLE_WAIT_S)
        self._session = MqttSession(
            config.broker,
            config.client_id,
            self._inbox.put,
            subscriptions=topics.collector_filters(config.tenant),
            manual_ack=True,
            # One batch under way to the disk, one that is being judged.
            receive_maximum=min(2 * config.intake.batch_messages, _RECEIVE_MAXIMUM),
        )
        limits = config.intake
        self._rate_limiter = RateLimiter(
            ProbeRateLimit(
                limits.probe_messages_per_s, limits.probe_bytes_per_s, limits.probe_burst_s
            )
        )
        self.state = IngestStatus()
        # What the pages send commands by: `collector.commands.builder.CommandSender`.
        self.commands = MqttCommandSender(self._session.publish)

    def run(self) -> None:
        """Ingest until `stop`, from one thread. Ends with what was stored receipted."""
        self._session.start()
        systemd_notify.ready()
        try:
            while not self._stopping.is_set():
                self._run_once()
                # A turn that ended, whether it stored or could not, is progress; a hung one is not.
                systemd_notify.watchdog()
            self._finish()
        finally:
            self._publish_receipts(all_of_them=True)
            self._session.stop()

    def stop(self) -> None:
        """End after the batch in hand. From any thread."""
        self._stopping.set()
        self._inbox.put(None)

    def _run_once(self) -> None:
        most = self._config.intake.batch_messages
        received = self._received(most, waiting=self._pending is None)
        validated = self._validate(received)
        if self._finish():
            # What came while the disk was at work goes along.
            more = self._received(most - len(received), waiting=False)
            self._begin([*received, *more], [*validated, *self._validate(more)])
        if self._all_receipts_due:
            self._queue_all_receipts()
        self._publish_receipts()

    def _received(self, most: int, *, waiting: bool) -> list[Received]:
        """The messages of what is in the inbox; all else that happened is noted."""
        received = []
        for event in self._waiting_events(most, waiting=waiting):
            match event:
                case Received():
                    received.append(event)
                case Connected():
                    self._all_receipts_due = True
                    self._connected_at_s = time.monotonic()
                    self._set_status(IngestStatus(None, self.state.store_trouble))
                    log.info("connected to the broker")
                case Disconnected(_, cause):
                    self._set_status(IngestStatus(cause, self.state.store_trouble))
                case Published(_, _, str(refusal)):
                    log.warning("the broker refused a receipt: %s", refusal)
                case _:
                    pass
        return received

    def _waiting_events(self, most: int, *, waiting: bool) -> list[Event]:
        """What is in the inbox, so many at most; `waiting` for the first until something is due."""
        due_s = self._receipt_pacer.next_due_s()
        wait_s = self._idle_wait_s if due_s is None else due_s - time.monotonic()
        events: list[Event] = []
        try:
            while len(events) < most:
                wait_now = waiting and not events
                event = self._inbox.get(wait_now, min(max(wait_s, 0.0), self._idle_wait_s))
                if event is None:
                    break
                events.append(event)
        except queue.Empty:
            pass
        return events

    def _begin(self, received: Sequence[Received], validated: Sequence[ValidatedMessage]) -> None:
        """Begin to store; what holds nothing to store is acknowledged."""
        if validated:
            self._pending = _PendingBatch(received, validated, self._start_storing(validated))
        else:
            self._acknowledge(received)

    def _start_storing(self, validated: Sequence[ValidatedMessage]) -> Callable[[], BatchResult]:
        now = datetime.now(UTC)
        try:
            return self._store.begin_batch(validated, now)
        except Exception:  # noqa: BLE001 - tried anew where it is waited for, and told there
            return partial(self._store.store_batch, validated, now)

    def _finish(self) -> bool:
        """Wait for the batch that is under way, acknowledge it, and see to the receipts.

        Without a commit nothing is acknowledged: False when we were told to stop before one was.
        """
        if self._pending is None:
            return True
        received, validated, finish = self._pending
        self._pending = None
        done = self._store_with_retries(validated, finish)
        if done is None:
            return False
        for key, ledger in done.ledgers.items():
            self._receipt_pacer.note(key, ledger)
        self._acknowledge(received)
        _log_rejections([refused for one in validated for refused in _rejections_of(one)])
        self._on_stored()
        return True

    def _acknowledge(self, received: Sequence[Received]) -> None:
        for message in received:
            self._session.acknowledge(message)

    def _within_rate_limit(self, received: Sequence[Received]) -> list[Received]:
        """Without what is beyond its probe's allowance: that is acknowledged unread."""
        now_s = time.monotonic()
        return [
            message
            for message in received
            if self._rate_limiter.allows(_sender(message.topic), len(message.payload), now_s)
        ]

    def _rate_limit_rejections(self, now: datetime) -> list[ValidatedMessage]:
        return [
            RejectedMessage(
                topic=excess.sender,
                payload=b"",
                received_at=now,
                reason=Rejection.TOO_MANY,
                detail=f"{excess.messages} messages ({excess.size_bytes} bytes) were let go unread",
            )
            for excess in self._rate_limiter.take_dropped(time.monotonic())
        ]

    def _validate(self, received: Sequence[Received]) -> list[ValidatedMessage]:
        """What is to be stored; replies to commands go to who sent them."""
        now = datetime.now(UTC)
        within = self._within_rate_limit(received)
        validated: list[ValidatedMessage] = self._rate_limit_rejections(now)
        # What the broker kept while we were away comes first, and its times are not now.
        live = time.monotonic() - self._connected_at_s > _BACKLOG_AFTER_CONNECT_S
        clock_known = kernel_time.synchronised() is not False
        for message in within:
            reply = validate_reply(message.topic, message.payload, now, retained=message.retained)
            if isinstance(reply, ValidatedReply):
                self.commands.note(reply)
                continue
            validated.append(
                reply
                or validate(
                    message.topic,
                    message.payload,
                    now,
                    retained=message.retained,
                    live=live,
                    clock_known=clock_known,
                    max_bytes=self._config.intake.max_message_bytes,
                )
            )
        return validated

    def _store_with_retries(
        self, validated: Sequence[ValidatedMessage], finish: Callable[[], BatchResult]
    ) -> BatchResult | None:
        """What the store did; None when we were told to stop before it could."""
        failures, apart = 0, False
        while True:
            try:
                done = finish()
            except StoreError as error:
                failures += 1
                self._set_status(IngestStatus(self.state.broker_trouble, str(error)))
            except Exception:
                # Without an acknowledgement the broker would send it again after every restart: one
                # message of one probe would keep out all others'.
                if apart:
                    raise
                log.exception(
                    "a batch cannot be stored, its messages are tried one by one: a fault of ours"
                )
                apart, finish = True, partial(store_individually, self._store, validated)
                continue
            else:
                self._set_status(IngestStatus(self.state.broker_trouble, None))
                return done
            delay_s = reconnect_delay_s(
                failures,
                min(_STORE_RETRY_MAX_S, self._idle_wait_s),
                random.random(),  # noqa: S311 - spreads tries, hides nothing
            )
            if self._stopping.wait(delay_s):
                return None
            systemd_notify.watchdog()
            finish = partial(self._store.store_batch, validated, datetime.now(UTC))

    def _queue_all_receipts(self) -> None:
        """After (re)connecting, every probe is told where it stands.

        The broker may have lost the retained receipts, and the store may have come back from a
        backup and have less than a probe was told.
        """
        try:
            ledgers = self._store.ledgers()
        except StoreError as error:
            self._set_status(IngestStatus(self.state.broker_trouble, str(error)))
            return
        self._all_receipts_due = False
        self._set_status(IngestStatus(self.state.broker_trouble, None))
        for key, ledger in ledgers.items():
            self._receipt_pacer.note(key, ledger)

    def _publish_receipts(self, *, all_of_them: bool = False) -> None:
        now = datetime.now(UTC)
        for key, ledger in self._receipt_pacer.take_due(time.monotonic(), all_of_them=all_of_them):
            receipt = messages.encode(ledger.receipt(key.epoch, now))
            topic = topics.of_probe(key.tenant, key.probe, "receipt")
            # Without a connection it is dropped: all are published anew after the next Connected.
            self._session.publish(Message(topic, receipt, qos=1, retain=True))

    def _set_status(self, state: IngestStatus) -> None:
        """Say each trouble once, when it comes and when it goes."""
        before, self.state = self.state, state
        if state == before:
            return
        if state.broker_trouble and state.broker_trouble != before.broker_trouble:
            log.warning("no connection to the broker: %s", state.broker_trouble)
        if state.store_trouble and state.store_trouble != before.store_trouble:
            log.error("cannot store, trying again: %s", state.store_trouble)
        if before.store_trouble and not state.store_trouble:
            log.info("the store works again")
        trouble = state.store_trouble or state.broker_trouble
        systemd_notify.status(trouble or "storing what the probes send")


def _log_rejections(refusals: Sequence[RejectedMessage]) -> None:
    """Log the first few of a batch, and whoever floods, who is told once a minute, in any case."""
    floods = [one for one in refusals if one.reason is Rejection.TOO_MANY]
    others = [one for one in refusals if one.reason is not Rejection.TOO_MANY]
    for one in (*floods, *others[:_MAX_REJECTIONS_LOGGED]):
        log.warning("rejected (%s) %s: %s", one.reason, one.topic, one.detail)
    if len(others) > _MAX_REJECTIONS_LOGGED:
        log.warning("and %d more were rejected", len(others) - _MAX_REJECTIONS_LOGGED)


def _rejections_of(validated: ValidatedMessage) -> Sequence[RejectedMessage]:
    """What of a message goes to the rejected ones: all of it, or single records."""
    if isinstance(validated, RejectedMessage):
        return (validated,)
    return validated.rejected_records if isinstance(validated, ResultsMessage) else ()


def _sender(topic: str) -> str:
    """Whose allowance a message counts against; all that is no topic of ours shares one."""
    address = topics.parse(topic)
    return "" if address is None else f"{address.tenant}/{address.probe}"
