"""Floor 3. The ingest pipeline: from the broker into the store, and receipts back. One thread:

    receive -> validate -> commit -> acknowledge to the broker -> publish receipts -> notify pages

A message is acknowledged after the commit that holds it, so that a crash in between loses nothing:
it is still at the broker or on the probe. Repeats are harmless (the store's key). While the store
cannot write, nothing is acknowledged, and the broker sends no more than the receive maximum.

While a batch is being committed, the next one is validated; at most one batch is being committed.
"""

from __future__ import annotations

import ctypes
import gc
import logging
import queue
import random
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

from collector.commands.sender import MqttCommandSender
from collector.commands.validation import ValidatedReply, validate_reply
from collector.config import Config
from collector.domain.lines import presence_of
from collector.domain.name_conflicts import NameConflicts, ProbeRun
from collector.ingest.batch_pacer import BatchPacer
from collector.ingest.rate_limit import ProbeRateLimit, RateLimiter
from collector.ingest.receipts import EpochRequests, ReceiptNumbers, ReceiptPacer
from collector.ingest.signature_check import SignatureCheck
from collector.ingest.status import IngestStatus
from collector.ingest.validation import decompressed_bytes, is_deletion, validate
from collector.store.individual import store_individually
from collector.store.leases import LeaseLostError, SoleCollector, TenantLeases, tenant_of
from collector.store.messages import (
    EpochKey,
    RejectedMessage,
    ResultsMessage,
    StatusMessage,
    ValidatedMessage,
)
from collector.store.records import BatchResult, NamedEpochs
from collector.store.store import Store, StoreError
from runtime import kernel_time, systemd_notify
from runtime.backoff import reconnect_delay_s
from runtime.connection_failure import ConnectionFailure, FailureCause
from runtime.mqtt import (
    Connected,
    Disconnected,
    Event,
    Message,
    MqttSession,
    Published,
    Received,
    Subscribed,
)
from wire import messages, topics
from wire.compression import ACCEPT_ENCODING, CODING, is_compressed
from wire.ledger import Ledger
from wire.messages import Info, Presence, Receipt, Rejection, State

_STORE_RETRY_MAX_S = 30.0
# How long to wait for messages at most; half of the watchdog interval where that is shorter.
_IDLE_WAIT_S = 5.0
_LINGER_STEP_S = 0.025
# So long after (re)connecting, messages may be a backlog of the broker.
_BACKLOG_AFTER_CONNECT_S = 60.0
# Another program of our client identifier: so often within so long. Once is `check`, or a collector
# that was replaced.
_TAKEN_OVER_MIN, _TAKEN_OVER_WITHIN_S = 2, 600.0
# Of one batch: invalid messages in masses must not fill the journal.
_MAX_REJECTIONS_LOGGED = 5

# MQTT 5, section 3.1.2.11.3.
_RECEIVE_MAXIMUM = 65_535

# Two batches hold a hundred thousand objects without a cycle: a collection after every 700
# allocations costs a fifth of the CPU time, after every 100,000 still a fourteenth.
_GC_THRESHOLD = (500_000, 50, 100)
# mallopt(3): a thread allocates from an arena of its own, up to eight for each core, and what one
# of them frees the others do not use. With fifty readers that was a quarter of the memory.
_M_ARENA_MAX, _ARENAS = -8, 2
# How long a thread may hold the interpreter while another waits for it. The database thread needs
# it at every statement; at Python's default of 5 ms it waits most of the time (PostgreSQL: 13,500
# rows a second; with this value 17,400).
_SWITCH_INTERVAL_S = 0.000_2

log = logging.getLogger(__name__)


def tune_interpreter() -> None:
    """Tune this process's garbage collector, memory arenas and thread switching."""
    gc.set_threshold(*_GC_THRESHOLD)
    # glibc's alone; another C library has no arenas to limit.
    with suppress(AttributeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS)
    sys.setswitchinterval(_SWITCH_INTERVAL_S)


class _LeasesChanged(NamedTuple):
    """Tenants were taken or lost."""


class _PendingBatch(NamedTuple):
    """A batch that is being committed; `finish` waits for the commit."""

    received: Sequence[Received]
    validated: Sequence[ValidatedMessage]
    finish: Callable[[], BatchResult]


class IngestPipeline:
    """Runs until `stop`.

    Args:
        config: the collector's settings.
        store: where results go.
        on_stored: called after each commit, from the ingest thread; must not block.
        leases: the tenants that this collector holds; by default all that are configured.
    """

    def __init__(
        self,
        config: Config,
        store: Store,
        on_stored: Callable[[], None],
        leases: TenantLeases | None = None,
    ) -> None:
        self._config = config
        self._leases = leases or SoleCollector(config.tenants)
        self._store = store
        self._on_stored = on_stored
        self._stopping = threading.Event()
        self._inbox: queue.SimpleQueue[Event | _LeasesChanged | None] = queue.SimpleQueue()
        self._receipt_pacer = ReceiptPacer(config.receipts.min_gap_s)
        self._receipt_numbers = ReceiptNumbers()
        self._epoch_requests = EpochRequests()
        # By tenant and probe: what the newest `info` that came here says; the store may not have it
        # yet.
        self._named: dict[tuple[str, str], NamedEpochs] = {}
        self._is_spare = not self._leases.filters()
        # After the store failed: receipts that wait must not keep the thread busy.
        self._receipts_at_s = 0.0
        self._pending: _PendingBatch | None = None
        self._batch_pacer = BatchPacer(config.intake.linger_s, config.intake.batch_messages)
        self._all_receipts_due = False
        self._connected_at_s = time.monotonic()
        self._idle_wait_s = min(_IDLE_WAIT_S, systemd_notify.watchdog_interval_s() or _IDLE_WAIT_S)
        self._session = MqttSession(
            config.broker,
            config.client_id,
            self._inbox.put,
            subscriptions=self._leases.filters(),
            manual_ack=True,
            # What a collector had not stored when it lost its tenants is sent again by the probes:
            # it must not come to it later, and nobody empties the session of one that has died.
            kept=not self._leases.is_shared,
            asks_version=True,
            # One batch being committed, one being validated.
            receive_maximum=min(2 * config.intake.batch_messages, _RECEIVE_MAXIMUM),
        )
        # Retained with the receipt, so a probe that connects later reads it too.
        self._announced = ((ACCEPT_ENCODING, CODING),) if config.intake.compression else ()
        limits = config.intake
        self._rate_limiter = RateLimiter(
            ProbeRateLimit(
                limits.probe_messages_per_s, limits.probe_bytes_per_s, limits.probe_burst_s
            )
        )
        self._signature_check = SignatureCheck(authority_pem(config), store.certificates)
        self.state = IngestStatus()
        self.name_conflicts = NameConflicts()
        self._taken_over_at_s: deque[float] = deque(maxlen=_TAKEN_OVER_MIN)
        # The pages send commands through it: `collector.commands.state.CommandSender`.
        self.commands = MqttCommandSender(
            self._session.publish, self._is_away, holds=self._leases.holds
        )

    @property
    def waiting_messages(self) -> int:
        """How many messages have come and are not taken into a batch yet."""
        return self._inbox.qsize()

    @property
    def broker_version(self) -> str | None:
        """What the broker calls itself, None where it does not say."""
        return self._session.broker_version

    def client_id_trouble(self) -> str | None:
        """That another program takes the connection in turns with us, None when none does.

        It lasts longer than each lost connection: between two of them all seems well.
        """
        since_s = time.monotonic() - _TAKEN_OVER_WITHIN_S
        if sum(at_s > since_s for at_s in tuple(self._taken_over_at_s)) < _TAKEN_OVER_MIN:
            return None
        return (
            f"another program connects as {self._config.client_id} and takes the connection from "
            "this collector: stop it, or give each collector a user and a client_id of its own"
        )

    def run(self) -> None:
        """Ingest until `stop`, in the calling thread; then publish the last receipts."""
        self._session.start()
        systemd_notify.ready()
        try:
            while not self._stopping.is_set():
                self._run_once()
                # Progress, whether the store could write or not; a hang is none.
                systemd_notify.watchdog()
            self._finish()
        finally:
            self._publish_receipts(all_of_them=True)
            self._session.stop()

    def stop(self) -> None:
        """End after the current batch. Thread-safe."""
        self._stopping.set()
        self._inbox.put(None)

    def on_leases_changed(self) -> None:
        """Take in that tenants were taken or lost. Thread-safe."""
        self._inbox.put(_LeasesChanged())

    def _run_once(self) -> None:
        most = self._config.intake.batch_messages
        received = self._received(most, waiting=self._pending is None)
        validated = self._validate(received)
        if self._finish():
            self._publish_due_receipts()
            more = self._more(received)
            self._begin([*received, *more], [*validated, *self._validate(more)])
        self._publish_due_receipts()

    def _more(self, received: Sequence[Received]) -> list[Received]:
        """What goes into the same batch: what arrived during the commit, and while it lingers."""
        more: list[Received] = []
        while True:
            room = self._config.intake.batch_messages - len(received) - len(more)
            more += self._received(room, waiting=False)
            sizes = (len(message.payload) for message in (*received, *more))
            wait_s = self._batch_pacer.wait_s(sizes, time.monotonic())
            # In steps: a message is not worth a change of threads.
            if not wait_s or self._stopping.wait(min(wait_s, _LINGER_STEP_S)):
                return more
            self._publish_due_receipts()

    def _received(self, most: int, *, waiting: bool) -> list[Received]:
        """The messages in the inbox; other events are handled here."""
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
                case Disconnected(_, failure):
                    if failure.cause is FailureCause.NAME_TAKEN:
                        self._taken_over_at_s.append(time.monotonic())
                    self._set_status(IngestStatus(failure.report().en, self.state.store_trouble))
                case Subscribed(_, refused):
                    self._on_subscribed(refused)
                case _LeasesChanged():
                    self._follow_leases()
                case Published(failure=ConnectionFailure() as refused):
                    log.warning("the broker refused a receipt: %s", refused.report().en)
                case _:
                    pass
        return received

    def _on_subscribed(self, refused: ConnectionFailure | None) -> None:
        """What a refused subscription misses is sent again by the probes."""
        trouble = None if refused is None else refused.report().en
        self._set_status(IngestStatus(trouble, self.state.store_trouble))
        if refused is None:
            log.info("the broker has granted the subscriptions")

    def _follow_leases(self) -> None:
        """Subscribe to what is held now; its receipts are of a new generation."""
        filters = self._leases.filters()
        self._session.subscribe_to(filters)
        self._is_spare = not filters
        self._connected_at_s = time.monotonic()
        self._receipt_pacer = ReceiptPacer(self._config.receipts.min_gap_s)
        self._epoch_requests = EpochRequests()
        self._named.clear()
        # Another collector may have stored and receipted meanwhile.
        self._expect_another_store()

    def _waiting_events(self, most: int, *, waiting: bool) -> list[Event | _LeasesChanged]:
        """At most `most` events of the inbox; `waiting`: wait for one until a receipt is due."""
        due_s = self._next_receipt_s()
        wait_s = self._idle_wait_s if due_s is None else due_s - time.monotonic()
        events: list[Event | _LeasesChanged] = []
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

    def _next_receipt_s(self) -> float | None:
        """When a receipt is due (monotonic s), None when none is waiting."""
        if self._is_spare:
            return None
        dues = self._receipt_pacer.next_due_s(), self._epoch_requests.next_due_s()
        due_s = min((each for each in dues if each is not None), default=None)
        return None if due_s is None else max(due_s, self._receipts_at_s)

    def _begin(self, received: Sequence[Received], validated: Sequence[ValidatedMessage]) -> None:
        """Begin to store; acknowledge at once where there is nothing to store."""
        if validated:
            self._batch_pacer.began(time.monotonic())
            self._pending = _PendingBatch(received, validated, self._start_storing(validated))
        else:
            self._acknowledge(received)

    def _start_storing(self, validated: Sequence[ValidatedMessage]) -> Callable[[], BatchResult]:
        now = datetime.now(UTC)
        try:
            return self._store.begin_batch(validated, now)
        except Exception:  # noqa: BLE001 - retried in `_store_with_retries`, which logs it
            return partial(self._store.store_batch, validated, now)

    def _finish(self) -> bool:
        """Wait for the pending batch, acknowledge it, and queue its receipts.

        Returns False when `stop` was called before it could be committed; nothing is acknowledged.
        """
        if self._pending is None:
            return True
        received, validated, finish = self._pending
        self._pending = None
        done = self._store_with_retries(validated, finish)
        if done is None:
            return False
        for key, ledger in done.ledgers.items():
            self._receipt_pacer.queue(key, ledger)
        self._acknowledge(received)
        self._send_waiting_commands(validated)
        _log_rejections([refused for one in validated for refused in _rejections_of(one)])
        self._on_stored()
        return True

    def _is_away(self, tenant: str, probe: str) -> bool:
        """Whether a probe is disconnected as far as the store knows; from any thread."""
        try:
            stored = self._store.probe(tenant, probe)
        except StoreError:
            return False
        return stored is not None and presence_of(stored) in (Presence.LOST, Presence.OFFLINE)

    def _send_waiting_commands(self, stored: Sequence[ValidatedMessage]) -> None:
        """Send what waits for the probes that messages came from, now that they are stored.

        Not before: until then `_is_away` answers from what was known before them.
        """
        for (tenant, probe), is_new in contacts(stored).items():
            if self.commands.is_waiting_for(tenant, probe):
                self.commands.on_contact(tenant, probe, is_new=is_new)

    def _acknowledge(self, received: Sequence[Received]) -> None:
        for message in received:
            self._session.acknowledge(message)

    def _within_rate_limit(self, received: Sequence[Received]) -> list[Received]:
        """The messages within their probe's rate limit; the others are dropped and acknowledged."""
        now_s = time.monotonic()
        return [
            message
            for message in received
            if self._rate_limiter.allows(_sender(message.topic), len(message.payload), now_s)
        ]

    def _rate_limit_rejections(self, now: datetime) -> list[ValidatedMessage]:
        return [
            RejectedMessage(
                topic=dropped.sender,
                payload=b"",
                received_at=now,
                reason=Rejection.TOO_MANY,
                detail=f"{dropped.messages} messages ({dropped.size_bytes} bytes) dropped unread",
            )
            for dropped in self._rate_limiter.take_dropped(time.monotonic())
        ]

    def _validate(self, received: Sequence[Received]) -> list[ValidatedMessage]:
        """The validated messages to store; replies to commands go to the command sender."""
        now = datetime.now(UTC)
        within = self._within_rate_limit(received)
        validated: list[ValidatedMessage] = self._rate_limit_rejections(now)
        # A backlog of the broker comes first; it was not sent now.
        live = time.monotonic() - self._connected_at_s > _BACKLOG_AFTER_CONNECT_S
        clock_known = kernel_time.synchronised() is not False
        for message in within:
            if is_deletion(message.topic, message.payload):
                log.info("the retained message of %s was deleted", message.topic)
                continue
            reply = validate_reply(message.topic, message.payload, now, retained=message.retained)
            if isinstance(reply, ValidatedReply):
                self.commands.record_reply(reply)
                continue
            checked = reply or validate(
                message.topic,
                message.payload,
                now,
                retained=message.retained,
                live=live,
                clock_known=clock_known,
                max_bytes=self._config.intake.max_message_bytes,
            )
            if is_compressed(message.payload):
                self._charge_decompressed(message, checked)
            self._observe_info(checked, redelivered=message.redelivered)
            validated.append(checked)
        return self._signature_check.checked(validated)

    def _charge_decompressed(self, message: Received, checked: ValidatedMessage) -> None:
        """Count what a compressed message held: few bytes on the wire can be much to decode."""
        held = decompressed_bytes(checked) - len(message.payload)
        self._rate_limiter.charge(_sender(message.topic), max(held, 0), time.monotonic())

    def _observe_info(self, checked: ValidatedMessage, *, redelivered: bool) -> None:
        """Take in which run of a probe sent an `info`, and which epochs it names."""
        match checked:
            case StatusMessage(tenant, probe, at, retained, Info() as info):
                if not (retained or redelivered):
                    run = ProbeRun(info.epoch, info.started_at)
                    self.name_conflicts.observe(tenant, probe, run, at)
                named = self._named[tenant, probe] = NamedEpochs.of(tenant, probe, info)
                self._receipt_numbers.learn(named)
                self._epoch_requests.add(named)

    def _is_held(self, message: ValidatedMessage) -> bool:
        """Whether a message may be stored here: one of no tenant's topic where any is held."""
        tenant = tenant_of(message)
        return bool(self._leases.filters()) if tenant is None else self._leases.holds(tenant)

    def _store_with_retries(
        self, validated: Sequence[ValidatedMessage], finish: Callable[[], BatchResult]
    ) -> BatchResult | None:
        """The result of the commit, retried while the store fails; None when `stop` was called."""
        failures, individually = 0, False
        while True:
            try:
                done = finish()
            except LeaseLostError as error:
                # The probes send it again to who holds their tenant now.
                self._leases.lost(error)
                validated = [one for one in validated if self._is_held(one)]
                if not validated:
                    return BatchResult(0, 0, 0, {})
                finish = partial(self._store.store_batch, validated, datetime.now(UTC))
                individually = False
                continue
            except StoreError as error:
                failures += 1
                self._expect_another_store()
                self._set_status(IngestStatus(self.state.broker_trouble, str(error)))
            except Exception:
                # A poison message: unacknowledged, the broker would send it again after every
                # restart, and no other message would ever be stored.
                if individually:
                    raise
                log.exception(
                    "a batch cannot be stored; storing its messages one by one: a fault of ours"
                )
                individually = True
                finish = partial(store_individually, self._store, validated)
                continue
            else:
                self._set_status(IngestStatus(self.state.broker_trouble, None))
                return done
            delay_s = reconnect_delay_s(
                failures,
                min(_STORE_RETRY_MAX_S, self._idle_wait_s),
                random.random(),  # noqa: S311 - jitter, no secret
            )
            if self._stopping.wait(delay_s):
                return None
            systemd_notify.watchdog()
            if individually:
                finish = partial(store_individually, self._store, validated)
            else:
                finish = partial(self._store.store_batch, validated, datetime.now(UTC))

    def _publish_due_receipts(self) -> None:
        if time.monotonic() >= self._receipts_at_s and not self._is_spare:
            self._prepare_receipts()
        self._publish_receipts()

    def _prepare_receipts(self) -> None:
        """Queue the receipts that need the store: all after (re)connecting, and answers."""
        try:
            if self._receipt_numbers.generation is None:
                generation = self._store.open_generation(datetime.now(UTC))
                self._receipt_numbers.generation = generation
                self._set_status(IngestStatus(self.state.broker_trouble, None))
            if self._all_receipts_due:
                self._queue_all_receipts()
            self._answer_requests()
        except StoreError as error:
            self._expect_another_store()
            self._receipts_at_s = time.monotonic() + min(_STORE_RETRY_MAX_S, self._idle_wait_s)
            self._set_status(IngestStatus(self.state.broker_trouble, str(error)))

    def _expect_another_store(self) -> None:
        """After a failure: what answers next may lag behind (a standby) or be a backup."""
        self._receipt_numbers.generation = None
        self._all_receipts_due = True

    def _queue_all_receipts(self) -> None:
        """Queue a receipt for every probe, after (re)connecting.

        The broker may have lost the retained receipts, and a store restored from a backup may have
        less than the last receipt said.
        """
        ledgers, every = self._store.ledgers(), self._store.named_epochs()
        self._all_receipts_due = False
        self._set_status(IngestStatus(self.state.broker_trouble, None))
        for stored in every:
            named = self._named.get((stored.tenant, stored.probe), stored)
            self._receipt_numbers.learn(named)
            if self._leases.holds(named.tenant):
                self._epoch_requests.add(named)
        for key, ledger in ledgers.items():
            self._receipt_pacer.queue(key, ledger)

    def _answer_requests(self) -> None:
        """Queue a receipt of each epoch that probes have named, those unknown here too."""
        requests = self._epoch_requests.due(time.monotonic())
        if not requests:
            return
        ledgers = self._store.ledgers_of([key for named in requests for key in named.keys])
        self._set_status(IngestStatus(self.state.broker_trouble, None))
        for named in requests:
            for key in named.keys:
                self._receipt_pacer.queue(key, ledgers[key])
            if not named.reads_numbers:
                self._offer_numbers(named.keys[-1], ledgers[named.keys[-1]])
            ranges = sum(len(ledgers[key].ranges) for key in named.keys)
            self._epoch_requests.answered(named, ranges, time.monotonic())

    def _offer_numbers(self, key: EpochKey, ledger: Ledger) -> None:
        """Show a probe by one receipt that this centre numbers them; an older probe ignores it."""
        receipt = self._receipt_numbers.numbered(key, ledger.receipt(key.epoch, datetime.now(UTC)))
        self._send_receipt(key, receipt, retain=False)

    def _publish_receipts(self, *, all_of_them: bool = False) -> None:
        if self._receipt_numbers.generation is None:
            return  # all are queued once the store can be written
        now = datetime.now(UTC)
        for key, ledger in self._receipt_pacer.take_due(time.monotonic(), all_of_them=all_of_them):
            receipt = ledger.receipt(key.epoch, now)
            if self._receipt_numbers.reads_numbers(key):
                receipt = self._receipt_numbers.numbered(key, receipt)
            self._send_receipt(key, receipt, retain=True)

    def _send_receipt(self, key: EpochKey, receipt: Receipt, *, retain: bool) -> None:
        if not self._leases.holds(key.tenant):
            return
        topic = topics.of_probe(key.tenant, key.probe, "receipt")
        # Without a connection it is dropped; all are published after the next Connected.
        self._session.publish(
            Message(
                topic,
                messages.encode(receipt),
                retain=retain,
                user_properties=self._announced,
            )
        )

    def _set_status(self, state: IngestStatus) -> None:
        """Set the status; log each trouble once when it begins and when it ends."""
        before, self.state = self.state, state
        if state == before:
            return
        if state.broker_trouble and state.broker_trouble != before.broker_trouble:
            log.warning("no connection to the broker: %s", state.broker_trouble)
        if state.store_trouble and state.store_trouble != before.store_trouble:
            log.error("cannot store, trying again: %s", state.store_trouble)
        if before.store_trouble and not state.store_trouble:
            log.info("the store works again")
        trouble = state.store_trouble or state.broker_trouble or self.client_id_trouble()
        systemd_notify.status(trouble or "storing what the probes send")


def authority_pem(config: Config) -> bytes:
    """The certificates of the authorities whose probes' signatures count."""
    path = config.intake.authority_file or config.broker.ca_file
    if path is None:
        return b""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        log.warning("no signature can be checked: %s cannot be read: %s", path, error.strerror)
        return b""


def _log_rejections(refusals: Sequence[RejectedMessage]) -> None:
    """Log the first rejections of a batch, and every rate-limit rejection (one a minute)."""
    floods = [one for one in refusals if one.reason is Rejection.TOO_MANY]
    others = [one for one in refusals if one.reason is not Rejection.TOO_MANY]
    for one in (*floods, *others[:_MAX_REJECTIONS_LOGGED]):
        log.warning("rejected (%s) %s: %s", one.reason, one.topic, one.detail)
    if len(others) > _MAX_REJECTIONS_LOGGED:
        log.warning("and %d more were rejected", len(others) - _MAX_REJECTIONS_LOGGED)


def contacts(messages: Sequence[ValidatedMessage]) -> dict[tuple[str, str], bool]:
    """The probes that sent something and have not left since; whether each has just connected."""
    found: dict[tuple[str, str], bool] = {}
    for one in messages:
        if isinstance(one, RejectedMessage) or one.retained:
            continue
        key, is_new = (one.tenant, one.probe), False
        if isinstance(one, StatusMessage) and isinstance(one.message, State):
            if one.message.presence is Presence.OFFLINE:
                # Its own farewell: what is sent to it now reaches nobody, and is sent once more
                # when it connects.
                found.pop(key, None)
            if one.message.presence is not Presence.ONLINE:
                continue
            is_new = True
        found[key] = is_new or found.get(key, False)
    return found


def _rejections_of(validated: ValidatedMessage) -> Sequence[RejectedMessage]:
    """The rejections in a message: the message itself, or single records of it."""
    if isinstance(validated, RejectedMessage):
        return (validated,)
    return validated.rejected_records if isinstance(validated, ResultsMessage) else ()


def _sender(topic: str) -> str:
    """The sender that a message is counted for; unknown topics share one."""
    address = topics.parse(topic)
    return "" if address is None else f"{address.tenant}/{address.probe}"
