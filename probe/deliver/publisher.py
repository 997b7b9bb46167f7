"""Floor 3. The publisher: the thread that owns the outbox and publishes results from it.

Results and MQTT events reach it through one inbox. It first stores all waiting results in one
transaction (`writer`) and then sends what is due (`sender_state`).
"""

from __future__ import annotations

import logging
import queue
import threading
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from uuid import UUID

import msgspec
from msgspec import UNSET

from probe import clock, events
from probe.config import Config
from probe.deliver.batch import ResultBatch, batches, without_cut_block
from probe.deliver.clock_hold import ClockHold
from probe.deliver.encoding import NegotiatedEncoding
from probe.deliver.envelope_signatures import signature_blocks
from probe.deliver.linger import Linger
from probe.deliver.outbox import Outbox
from probe.deliver.outbox_file import OutboxDamagedError, OutboxError
from probe.deliver.receipt_tracker import ReceiptTracker
from probe.deliver.replay import ReplayJob
from probe.deliver.sender_state import Coverage, Lane, SenderState, coverage_of
from probe.deliver.signature_chain import SignatureChain, Signer
from probe.deliver.signing_key import SigningKey, SigningKeyError
from probe.deliver.writer import OutboxWriter
from probe.state.json_file import JsonFile
from runtime import mqtt
from runtime.connection_failure import ConnectionFailure, FailureCause
from runtime.language import Phrase
from wire import messages, topics
from wire.clock_repair import KnownBoot
from wire.commands import Answer, Refusal, Replay, Reply
from wire.compression import ACCEPT_ENCODING, end_stream
from wire.envelope import encode_envelope, encode_envelope_end
from wire.messages import Health, Info, Presence, Receipt, State
from wire.record import Clock, Result
from wire.signature import SignatureBlock

log = logging.getLogger(__name__)

_IDLE_S = 0.5
# Whoever waits for delivery (`--once`) waits for nothing else.
_LOOK_EVERY_S = 0.02
# At most in one transaction: the first results of a burst are sent while the rest is stored. Fewer
# than may be in flight (16 envelopes of 50), so that sending keeps up with storing.
_MAX_TAKEN = 500
_MAX_REPLIES = 100
_MAX_RECEIPTS = 100
# A fault stays until the connection has held for so long.
_NAME_FAULT, _NAME_FAULT_S = "name", 600.0
# How long signed results wait for the centre's first receipt: it answers an `info` at once.
_ANSWER_WITHIN_S = 5.0
# A fleet that lost its broker comes back over this long; results wait in the outbox meanwhile.
_RETURN_SPREAD_S = 30.0


class Publisher:
    """Stores results at once and delivers them while there is a connection.

    Args:
        config: the probe's configuration.
        outbox_path: the outbox's file, opened by this thread.
        emit: takes `DeliveryStatus` and `Fault` events.
        info: makes the `info` message from the outbox's epoch; published on each connection.
        health: makes the `health` message from (pending, outbox bytes), each `health_every_s`.
        on_command: called with each message on the command topics, on this thread.
        read_clock: whether the wall clock is synchronised, with boot id and boot time.
        new_session: makes the MQTT session; a program with many probes has a loop for all of them.
    """

    def __init__(
        self,
        config: Config,
        outbox_path: Path,
        emit: Callable[[events.Event], None],
        info: Callable[[UUID], Info],
        health: Callable[[int, int], Health],
        on_command: Callable[[mqtt.Received], None] | None = None,
        read_clock: Callable[[], Clock] = clock.reading,
        new_session: Callable[..., mqtt.MqttSession] = mqtt.MqttSession,
    ) -> None:
        self._config = config
        self._chain = SignatureChain(config.tenant, config.probe, config.delivery.batch)
        self._chain.signer = self._signing_key()
        self._writer = OutboxWriter(outbox_path, config.delivery, self._chain)
        # By epoch: those that came while the outbox could not be opened, and whether retained.
        self._receipts: dict[UUID, tuple[Receipt, bool]] = {}
        self._receipt_tracker = ReceiptTracker(config.delivery.resend_after_s)
        self._emit = emit
        self._info = info
        self._health = health
        self._on_command = on_command
        self._read_clock = read_clock
        self._boots = JsonFile(outbox_path.parent / "boots.json", list[KnownBoot])
        self._clock_hold = ClockHold(config.delivery.clock_wait_s, self._boots.load([]))
        self._replay_job: ReplayJob | None = None
        # Without a connection only the newest replies are kept.
        self._replies: deque[Reply] = deque(maxlen=_MAX_REPLIES)
        # Results wait by themselves: behind a burst of them the broker's answers would come late,
        # and nothing would be sent until all of it is stored. None in the inbox: there are some.
        self._inbox: queue.SimpleQueue[mqtt.Event | Reply | None] = queue.SimpleQueue()
        self._submitted: deque[Result] = deque()
        self._announced = threading.Event()
        self._sender = self._new_sender(Coverage())
        self._encoding = NegotiatedEncoding()
        self._linger = Linger(config.delivery.linger_s, config.delivery.batch)
        self._urgent = threading.Event()
        self._stopping = threading.Event()
        self._info_due = threading.Event()
        self._health_due_s = 0.0
        # Until then results wait for the first receipt ever, if they are signed.
        self._answer_by_s = 0.0
        self._shown: events.DeliveryStatus | None = None
        self._fault: Phrase | None = None
        self._cause: Phrase | None = Phrase("chưa kết nối lần nào", "not connected yet")
        self._name_taken_at_s: float | None = None
        self._refused: Phrase | None = None
        self.alive_at_s = clock.monotonic_s()
        self._session = new_session(
            config.broker,
            config.probe,
            self._inbox.put,
            subscriptions=topics.probe_filters(config.tenant, config.probe),
            will=self._message("state", State(Presence.LOST), retain=True),
            # Receipts and commands are sent again when we connect: the broker queues nothing, and
            # a cluster of brokers replicates nothing for us (decision 109).
            kept=False,
            spread_s=_RETURN_SPREAD_S,
        )
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)

    def start(self) -> None:
        """Start the MQTT session and this thread."""
        self._session.start()
        self._thread.start()

    def submit(self, result: Result) -> None:
        """Queue a result, from any thread; it is stored within half a second."""
        self._writer.expect()
        self._submitted.append(result)
        if not self._announced.is_set():
            self._announced.set()
            self._inbox.put(None)

    def reply(self, reply: Reply) -> None:
        """Queue a reply to a command, from any thread; sent while there is a connection."""
        self._inbox.put(reply)

    def republish_info(self) -> None:
        """Publish `info` again soon, from any thread."""
        self._info_due.set()

    def replay(self, command: Replay) -> None:
        """Start a replay, one at a time; called on this thread only."""
        refusal = self._replay_refusal(command)
        if refusal is not None:
            self._queue_reply(command, Answer.REFUSED, refusal[1], refusal[0])
        elif self._writer.outbox is not None:
            outbox = self._writer.outbox
            ranges = outbox.epochs.rows_of(command.epoch, command.ranges, outbox.last_row)
            self._replay_job = ReplayJob(command, ranges)
            self._queue_reply(
                command, Answer.ACCEPTED, f"{self._replay_job.requested} numbers asked for"
            )

    def wait_delivered(self, timeout_s: float, stop: threading.Event) -> bool:
        """Wait until the centre has all that is kept; False on timeout or `stop`.

        That is: a receipt covers every submitted result, and the centre has answered for every
        epoch that it was asked about.
        """
        deadline_s = clock.monotonic_s() + timeout_s
        self._urgent.set()
        while not self._writer.idle or self._receipt_tracker.is_waiting:
            if clock.monotonic_s() >= deadline_s or stop.wait(_LOOK_EVERY_S):
                return False
        return True

    def stop(self, timeout_s: float = 10.0) -> None:
        """Store submitted results, publish `offline`, disconnect and close the outbox."""
        self._stopping.set()
        self._thread.join(timeout_s)
        self._session.stop(
            self._message("state", State(Presence.OFFLINE, clock.utc_now()), retain=True)
        )

    def run_once(self, patience_s: float = _IDLE_S) -> bool:
        """Take what waits, store it and send what is due; False once this was the last time.

        Args:
            patience_s: how long to wait where there is nothing.
        """
        ending = self._stopping.is_set()
        try:
            # A receipt is counted in the file, which may be as unreadable then as later.
            results = self._drain_inbox(patience_s)
            self._linger.on_stored((one.kind for one in results), clock.monotonic_s())
            self._writer.add(results)
            self._deliver(self._writer.outbox or self._open())
            self._report_fault(None)
        except OutboxDamagedError as error:
            self._replace_outbox(error)
        except OutboxError as error:
            # Results stay in memory and are retried: a full disk may be emptied.
            self._report_fault(_waiting(error))
            self._writer.limit_memory()
            self._stopping.wait(_IDLE_S)
        self.alive_at_s = clock.monotonic_s()
        if ending and self._inbox.empty() and not self._submitted:
            self._close()
            return False
        return True

    def _run(self) -> None:
        while self.run_once():
            pass

    def _open(self) -> Outbox:
        outbox = self._writer.open()
        self._receipt_tracker.merge(outbox.newest_receipt)
        outbox.newest_receipt = self._receipt_tracker.newest
        connected = self._sender.connected
        self._sender = self._new_sender(outbox.coverage)
        if connected:
            self._sender.on_connected(outbox.last_row, clock.monotonic_s())
            self._publish_info(outbox)
        receipts, self._receipts = self._receipts, {}
        for receipt, retained in receipts.values():
            self._apply_receipt(outbox, receipt, retained=retained)
        return outbox

    def _new_sender(self, coverage: Coverage) -> SenderState:
        settings = self._config.delivery
        return SenderState(
            settings.resend_after_s,
            coverage,
            confirm_by_broker=settings.confirm == "broker",
            batch=settings.batch,
        )

    def _close(self) -> None:
        if self._writer.outbox is not None:
            try:
                self._writer.outbox.close()
            except OutboxError as error:
                log.warning("%s", error)

    def _replace_outbox(self, error: OutboxDamagedError) -> None:
        self._replay_job = None
        try:
            self._writer.start_new_epoch(error)
        except OutboxError as stuck:
            self._report_fault(stuck.sentence)
            self._stopping.wait(_IDLE_S)

    def _drain_inbox(self, patience_s: float) -> list[Result]:
        """The submitted results; handles replies and events, and waits where there is nothing."""
        self._handle_events(0.0 if self._submitted else self._writer.patience_s(patience_s))
        # Before results are taken: one that is submitted from now on announces itself again.
        self._announced.clear()
        return [self._submitted.popleft() for _ in range(min(len(self._submitted), _MAX_TAKEN))]

    def _handle_events(self, timeout_s: float) -> None:
        """Handle the replies and events that wait; wait so long for the first of them."""
        for _ in range(_MAX_TAKEN):
            try:
                item = self._inbox.get(timeout=timeout_s)
            except queue.Empty:
                break
            if isinstance(item, Reply):
                self._replies.append(item)
            elif item is not None:
                self._on_mqtt(item)
            timeout_s = 0.0

    def _deliver(self, outbox: Outbox) -> None:
        self._writer.write(outbox, ending=self._stopping.is_set())
        # The broker's answers that came meanwhile make room for what was stored: in a burst it is
        # sent from memory then, and not read back.
        self._handle_events(0.0)
        reading = self._read_clock()
        if self._clock_hold.learn(reading, clock.utc_now()):
            self._boots.save(list(self._clock_hold.known))
        now_s = clock.monotonic_s()
        # Before results: with the first receipt's answer comes the certificate that checks them.
        asking = self._info_due.is_set() or self._receipt_tracker.is_due(now_s)
        if asking and self._sender.connected:
            self._info_due.clear()
            self._publish_info(outbox)
        if not self._clock_hold.is_holding(reading) and not self._awaits_answer():
            self._send_pending(outbox)
            self._send_replay(outbox)
        self._send_replies()
        self._writer.enforce_limits(outbox)
        now_s = clock.monotonic_s()
        if self._sender.connected and now_s >= self._health_due_s:
            self._health_due_s = now_s + self._config.delivery.health_every_s
            health = self._health(outbox.pending_count(), outbox.size_bytes())
            self._session.publish(self._message("health", health))
        self._clear_name_taken(now_s)
        self._emit_status(outbox)

    def _on_mqtt(self, event: mqtt.Event) -> None:
        now_s = clock.monotonic_s()
        match event:
            case mqtt.Connected():
                self._cause = None
                self._report_refused(None)
                self._chain.signer = self._signing_key()
                self._answer_by_s = now_s + _ANSWER_WITHIN_S
                last_seq = self._writer.outbox.last_row if self._writer.outbox else 0
                self._sender.on_connected(last_seq, now_s)
                self._receipt_tracker.on_connected(now_s)
                self._session.publish(
                    self._message("state", State(Presence.ONLINE, clock.utc_now()), retain=True)
                )
                if self._writer.outbox is not None:
                    self._publish_info(self._writer.outbox)
                log.info("connected to the broker")
            case mqtt.Disconnected(failure=failure):
                self._cause = failure.report()
                self._note_name_taken(failure)
                self._sender.on_disconnected()
                self._on_replayed(None)
                log.warning("no connection to the broker: %s", failure)
            case mqtt.Published(mid=mid, failure=refused) as published:
                coverage = self._sender.on_published(mid, published.refusal, now_s)
                if coverage is not None and self._writer.outbox is not None:
                    self._writer.outbox.apply_coverage(coverage)
                self._on_replayed(mid)
                if refused is not None:
                    self._report_refused(refused.report())
                    log.error("the broker refused a message: %s; nothing was deleted", refused)
            case mqtt.Subscribed(failure=failure):
                self._on_subscribed(failure, now_s)
            case mqtt.Received():
                self._on_received(event)

    def _on_subscribed(self, refused: ConnectionFailure | None, now_s: float) -> None:
        """Receipts do not come to a refused subscription; once it is granted, ask for them."""
        self._report_refused(None if refused is None else refused.report())
        if refused is not None:
            log.warning("%s", refused)
            return
        log.info("the broker has granted the subscriptions")
        self._receipt_tracker.on_connected(now_s)
        self._info_due.set()

    def _signing_key(self) -> Signer | None:
        """The key that signs, as its files are now; None where nothing is signed."""
        broker, signer = self._config.broker, self._chain.signer
        if not self._config.delivery.sign or not (broker.certificate_file and broker.key_file):
            return None
        try:
            key = SigningKey(Path(broker.certificate_file), Path(broker.key_file))
        except SigningKeyError as error:
            log.warning("results are not signed: %s", error)
            return None
        return signer if signer is not None and signer.key == key.key else key

    def _awaits_answer(self) -> bool:
        """Whether signed results wait for the centre's first receipt.

        Only a centre that numbers its receipts is sent signatures, and what is sent before it has
        answered for the first time stays unsigned.
        """
        return (
            self._chain.signer is not None
            and self._receipt_tracker.newest is None
            and self._config.delivery.confirm == "centre"
            and clock.monotonic_s() < self._answer_by_s
            and not self._stopping.is_set()
        )

    def _signatures(self, batch: ResultBatch) -> Sequence[SignatureBlock]:
        """The signatures that an envelope has: none for a centre that may not know the field."""
        outbox = self._writer.outbox
        if outbox is None or self._chain.signer is None or self._receipt_tracker.newest is None:
            return ()
        return signature_blocks(batch, outbox)

    def _report_refused(self, text: Phrase | None) -> None:
        """Report that the broker refuses messages: the connection stands, and nothing is sent."""
        if text != self._refused:
            self._refused = text
            self._emit(events.Fault("broker", text))

    def _note_name_taken(self, failure: ConnectionFailure) -> None:
        """Report a second box of our name: it shows between two connections alone."""
        if failure.cause is FailureCause.NAME_TAKEN:
            self._name_taken_at_s = clock.monotonic_s()
            self._emit(events.Fault(_NAME_FAULT, failure.report()))

    def _clear_name_taken(self, now_s: float) -> None:
        since_s = self._name_taken_at_s
        if since_s is not None and now_s - since_s >= _NAME_FAULT_S and self._sender.connected:
            self._name_taken_at_s = None
            self._emit(events.Fault(_NAME_FAULT, None))

    def _on_received(self, received: mqtt.Received) -> None:
        if received.topic == self._topic("receipt"):
            self._on_receipt(received)
        elif self._on_command is not None:
            self._on_command(received)

    def _on_replayed(self, mid: int | None) -> None:
        """Pass the broker's answer to a running replay; None: the connection was lost."""
        if self._replay_job is not None and mid is not None:
            self._replay_job.on_published(mid)
        elif self._replay_job is not None:
            self._replay_job.on_disconnected()

    def _on_receipt(self, received: mqtt.Received) -> None:
        try:
            receipt = messages.decode(received.payload, Receipt)
        except msgspec.MsgspecError as error:
            log.warning("ignored a message on %s: %s", received.topic, error)
            return
        self._encoding.on_receipt(
            received.user_property(ACCEPT_ENCODING), retained=received.retained
        )
        if self._writer.outbox is not None:
            self._apply_receipt(self._writer.outbox, receipt, retained=received.retained)
        elif len(self._receipts) < _MAX_RECEIPTS:
            self._receipts[receipt.epoch] = receipt, received.retained

    def _apply_receipt(self, outbox: Outbox, receipt: Receipt, *, retained: bool) -> None:
        now_s = clock.monotonic_s()
        # A receipt of a foreign epoch (another SD card) is retained at the broker until ours comes.
        if not outbox.is_own(receipt.epoch):
            return
        if not self._receipt_tracker.accepts(receipt, now_s, retained=retained):
            return
        outbox.newest_receipt = self._receipt_tracker.newest
        coverage = outbox.receive(receipt.epoch, coverage_of(receipt))
        if coverage is not None:
            self._sender.on_coverage(coverage, outbox.last_row, now_s)

    def _send_pending(self, outbox: Outbox) -> None:
        most = self._config.delivery.batch
        if not self._sender.connected:
            outbox.release(outbox.last_row)
        now_s = clock.monotonic_s()
        urgent = self._urgent.is_set() or self._stopping.is_set()
        newest = self._linger.sendable(outbox.last_row, now_s, all_of_them=urgent)
        while (due := self._sender.next_due(newest, clock.monotonic_s())) is not None:
            if self._sender.is_overdue:
                self._encoding.on_overdue()
            # As much as the window takes in one look at the file.
            limit = most * self._sender.room(due.lane)
            pending = outbox.pending(due.after, due.through, limit)
            through = due.through
            if len(pending) == limit:
                pending = without_cut_block(pending)
                through = pending[-1].row
            for batch in batches(pending, most, outbox.epochs):
                mid = self._session.publish(self._envelope(batch))
                if mid is None:
                    return  # the connection went away; all of it goes out on the next one
                self._sender.on_sent(mid, due.lane, batch.rows, clock.monotonic_s())
            self._sender.on_lane_sent(due.lane, through)
            if due.lane is Lane.LIVE:
                outbox.release(through)

    def _replay_refusal(self, command: Replay) -> tuple[Refusal, str] | None:
        if self._replay_job is not None:
            return Refusal.BUSY, "another replay is under way"
        if self._writer.outbox is None:
            return Refusal.BUSY, "the outbox cannot be read now"
        known = set(self._writer.outbox.epochs) | {self._writer.outbox.epoch}
        if command.epoch not in known:
            return Refusal.UNKNOWN_EPOCH, f"the outbox here is {self._writer.outbox.epoch}"
        return None

    def _send_replay(self, outbox: Outbox) -> None:
        """Send the next batch of a running replay."""
        job = self._replay_job
        if job is None or not self._sender.connected:
            return
        if (seqs := job.next_range()) is not None:
            limit = self._config.delivery.batch
            kept = outbox.kept(*seqs, limit)
            job.on_read([one.row for one in kept], limit)
            envelopes = [self._envelope(one) for one in batches(kept, limit, outbox.epochs)]
            mids = [self._session.publish(one) for one in envelopes]
            if None in mids:
                job.on_disconnected()
                return
            job.on_sent(mid for mid in mids if mid is not None)
        if job.done:
            self._replay_job = None
            detail = f"{job.sent} results were sent again, {job.requested} asked for"
            self._queue_reply(job.command, Answer.DONE, detail)

    def _queue_reply(
        self, command: Replay, answer: Answer, detail: str, reason: Refusal | None = None
    ) -> None:
        now = clock.utc_now()
        name = command.name
        self._replies.append(
            Reply(id=command.id, command=name, answer=answer, reason=reason, detail=detail, at=now)
        )

    def _send_replies(self) -> None:
        while self._replies:
            if self._session.publish(self._message("reply", self._replies[0])) is None:
                return
            self._replies.popleft()

    def _envelope(self, batch: ResultBatch) -> mqtt.Message:
        names = self._config.tenant, self._config.probe, batch.epoch, self._config.site
        bodies = [body for _, body in batch.numbered_bodies]
        note = self._clock_hold.clock_note(bodies, self._read_clock)
        signatures = self._signatures(batch)
        now, block = clock.utc_now(), batch.block
        if self._encoding.is_compressed and block is not None and block.begun is not None:
            # As it was packed for the outbox, before it was known when it is sent.
            end = encode_envelope_end(*names, now, note, signatures)
            payload = end_stream(block.begun, block.checksum, end)
        else:
            payload = self._encoding.encode(
                encode_envelope(*names, now, batch.numbered_bodies, note, signatures)
            )
        topic = topics.measurement(self._config.tenant, self._config.probe, batch.kind)
        return mqtt.Message(topic, payload)

    def _publish_info(self, outbox: Outbox) -> None:
        info, tracker = self._info(outbox.epoch), self._receipt_tracker
        # A centre that gives its receipts no number may refuse an `info` with these fields.
        if tracker.newest is not None:
            info = msgspec.structs.replace(
                info,
                epochs=tracker.name(outbox.kept_epochs(), clock.monotonic_s()),
                receipt_generation=tracker.newest.generation,
                certificate=UNSET if self._chain.signer is None else self._chain.signer.certificate,
            )
        self._session.publish(self._message("info", info, retain=True))

    def _message(
        self, channel: str, message: messages.Payload, *, retain: bool = False
    ) -> mqtt.Message:
        return mqtt.Message(self._topic(channel), messages.encode(message), retain=retain)

    def _topic(self, channel: str) -> str:
        return topics.of_probe(self._config.tenant, self._config.probe, channel)

    def _emit_status(self, outbox: Outbox) -> None:
        cause = self._cause or self._refused
        self._writer.pending = outbox.pending_count()
        # What lingers is no sign of trouble.
        pending = max(self._writer.pending - self._linger.waiting(outbox.last_row), 0)
        shown = events.DeliveryStatus(self._sender.connected, pending, cause)
        if shown != self._shown:
            self._shown = shown
            self._emit(shown)

    def _report_fault(self, text: Phrase | None) -> None:
        if text != self._fault:
            self._fault = text
            self._emit(events.Fault("outbox", text))
            if text is not None:
                log.error("%s", text.en)


def _waiting(error: OutboxError) -> Phrase:
    said = error.sentence
    return Phrase(f"{said.vi}; kết quả đang chờ trong bộ nhớ", f"{said.en}; results wait in memory")
