"""Floor 3. What it costs to lose nothing: delivery with outbox, store and receipts, beside peers.

Peers, interleaved with ours on the same kind of broker, the same results:
- the limit: the same envelopes, ready made, by bare MQTT to a subscriber that only acknowledges,
  with as many of them unanswered as ours has (16);
- paho, QoS 1, no outbox and no store, to the same subscriber, with 1,000 unanswered: what people
  write first. It loses results (docs/delivery.md); here it is only fast or slow. Where it is
  faster than the limit, ours is compared with it.

Ours and the limit twice: with one result an envelope, as results travel that are measured while
connected, and with as many as a backlog puts into one. What an envelope costs the broker and the
two MQTT clients is shared by what is in it, and the limit does nothing else; so the ratio falls
with the size while the rate rises. What ours does for each result beside that (encode, number,
store, check, store again, sum up) is in the two columns of processor time.

Then a backlog of 30 days is drained while results are measured, and the time from handing a result
over until it can be read in the centre's store is taken, idle and during the drain.
"""

from __future__ import annotations

import math
import queue
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import msgspec

from bench.process_cost import cost_of
from bench.report import (
    CannotMeasureError,
    Options,
    Outcome,
    Row,
    Target,
    at_least,
    at_most,
    note,
    run,
)
from probe import config as probe_config
from probe.config import Config, DeliveryConfig, LineConfig, ServerConfig
from probe.deliver.batch import NumberedResult, batches
from probe.deliver.epochs import Epochs
from probe.deliver.outbox import Outbox
from probe.deliver.publisher import Publisher
from runtime import mqtt
from tests import samples
from tests.broker import Broker, why_not
from tests.collector_process import ROOT, CollectorProcess
from wire import topics
from wire.envelope import encode_envelope
from wire.messages import Health, Info
from wire.result import encode_result

OURS, LIMIT, NAIVE = "ours: outbox, store, receipts", "limit: only acknowledged", "paho QoS 1, bare"
ROUNDS = 3
# By results an envelope: as they are measured, and as a backlog is sent (the default).
RESULTS = {1: 5_000, 50: 40_000}
QUICK_RESULTS = {1: 1_500, 50: 10_000}
DIFFERENT = 500
# Two lines: a latency window a minute on each (their tests are few beside them).
RESULTS_A_DAY = 2 * 1_440
LIVE_PER_S = 100.0
# p99 wants 299 samples at least (docs/method.md#statistics, S2).
LIVE_RESULTS = 400
_WINDOW = 16
_NAIVE_WINDOW = 1_000
_WITHIN_S = 600.0
_LOOK_EVERY_S = 0.005


class Size(NamedTuple):
    """How much is done: rounds, results a round by results an envelope, days of backlog."""

    rounds: int
    results: Mapping[int, int]
    backlog_days: int


class Rate(NamedTuple):
    """Results a second from end to end; processor seconds of both ends where they are ours."""

    per_s: float
    probe_cpu_s: float | None = None
    centre_cpu_s: float | None = None


class Drained(NamedTuple):
    """A drain: results, how long, and the live results' delays meanwhile."""

    results: int
    took_s: float
    live_s: list[float]


def measured(options: Options) -> Outcome:
    if (reason := why_not()) is not None:
        raise CannotMeasureError(reason)
    size = Size(1, QUICK_RESULTS, 10) if options.quick else Size(ROUNDS, RESULTS, 30)
    rates: dict[tuple[str, int], list[Rate]] = defaultdict(list)
    for number in range(size.rounds):
        for per_envelope, count in size.results.items():
            for name, once in _WAYS.items():
                with tempfile.TemporaryDirectory(prefix="tramdo-bench-") as directory:
                    rate = once(Path(directory), count, per_envelope)
                rates[name, per_envelope].append(rate)
                what = f"{name}, {per_envelope} an envelope"
                note(f"round {number + 1}: {what}: {rate.per_s:,.0f} results/s")
    with tempfile.TemporaryDirectory(prefix="tramdo-bench-") as directory:
        idle = _drain(Path(directory), 0)
    with tempfile.TemporaryDirectory(prefix="tramdo-bench-") as directory:
        drained = _drain(Path(directory), size.backlog_days * RESULTS_A_DAY)
    return _outcome(rates, idle, drained, size)


def _outcome(
    rates: Mapping[tuple[str, int], Sequence[Rate]], idle: Drained, drained: Drained, size: Size
) -> Outcome:
    # By rate; the processor times are those of the same round.
    middle = {of: sorted(found)[len(found) // 2] for of, found in rates.items()}
    limit_per_s = {
        per_envelope: max(middle[name, per_envelope].per_s for name in (LIMIT, NAIVE))
        for per_envelope in size.results
    }
    rows: list[Row] = [
        {
            "what": name,
            "results_an_envelope": per_envelope,
            "results_per_s": round(rate.per_s),
            "of_limit_ratio": round(rate.per_s / limit_per_s[per_envelope], 3),
            "probe_cpu_us_per_result": _micro(rate.probe_cpu_s, size.results[per_envelope]),
            "centre_cpu_us_per_result": _micro(rate.centre_cpu_s, size.results[per_envelope]),
            "results": size.results[per_envelope],
            "took_s": None,
            "live_p50_s": None,
            "live_p99_s": None,
        }
        for (name, per_envelope), rate in middle.items()
    ]
    for what, one in (
        ("live, nothing else to send", idle),
        (f"live, during the drain of {size.backlog_days} days", drained),
    ):
        rows.append(
            {
                "what": what,
                "results_an_envelope": None,
                "results_per_s": round(one.results / one.took_s) if one.results else None,
                "of_limit_ratio": None,
                "probe_cpu_us_per_result": None,
                "centre_cpu_us_per_result": None,
                "results": one.results or len(one.live_s),
                "took_s": round(one.took_s, 2),
                "live_p50_s": _percentile(one.live_s, 500, 1),
                "live_p99_s": _percentile(one.live_s, 990, 299),
            }
        )
    targets: list[Target] = [
        at_least(
            f"results/s end to end, of the limit, {per_envelope} an envelope (ratio)",
            middle[OURS, per_envelope].per_s / limit_per_s[per_envelope],
            0.6,
        )
        for per_envelope in size.results
    ]
    targets.append(
        at_most("live p99 during a drain (s)", _percentile(drained.live_s, 990, 299), 1.0)
    )
    return Outcome(rows, targets)


def _micro(cpu_s: float | None, results: int) -> float | None:
    return None if cpu_s is None else round(cpu_s / results * 1e6, 1)


def _ours(directory: Path, count: int, per_envelope: int) -> Rate:
    """From the first hand-over to the receipt that covers the last."""
    different = [samples.latency(target=str(number)) for number in range(DIFFERENT)]
    with _centre(directory) as (broker, collector):
        assert collector.process is not None
        publisher = _publisher(broker, directory, per_envelope)
        publisher.start()
        # Handed over before, so that connecting is no part of it.
        publisher.submit(different[0])
        if not publisher.wait_delivered(_WITHIN_S, threading.Event()):
            raise CannotMeasureError("the centre did not confirm the first result in time")
        centre_cpu_s, probe_cpu_s = cost_of(collector.process.pid).cpu_s, time.process_time()
        begun_s = time.monotonic()
        for number in range(count):
            publisher.submit(different[number % DIFFERENT])
        if not publisher.wait_delivered(_WITHIN_S, threading.Event()):
            raise CannotMeasureError("the centre did not confirm all in time")
        took_s = time.monotonic() - begun_s
        probe_cpu_s = time.process_time() - probe_cpu_s
        centre_cpu_s = cost_of(collector.process.pid).cpu_s - centre_cpu_s
        publisher.stop()
    return Rate(count / took_s, probe_cpu_s, centre_cpu_s)


def _without_us(directory: Path, count: int, per_envelope: int, *, window: int) -> Rate:
    return Rate(count / _bare(directory, _envelopes(count, per_envelope), window))


_WAYS: dict[str, Callable[[Path, int, int], Rate]] = {
    LIMIT: partial(_without_us, window=_WINDOW),
    OURS: _ours,
    NAIVE: partial(_without_us, window=_NAIVE_WINDOW),
}


def _envelopes(count: int, per_envelope: int) -> list[bytes]:
    body = encode_result(samples.latency(target="1"))
    numbered = (NumberedResult(row, "latency", body) for row in range(1, count + 1))
    epochs = Epochs([(1, samples.EPOCH)])
    return [_envelope(batch.numbered_bodies) for batch in batches(numbered, per_envelope, epochs)]


def _bare(directory: Path, payloads: Sequence[bytes], window: int) -> float:
    """Seconds until a subscriber that only acknowledges has all of it."""
    topic = topics.measurement(samples.TENANT, samples.PROBE, "latency")
    with Broker(directory / "broker") as broker:
        subscriber = subprocess.Popen(
            [
                *(sys.executable, "-m", "bench.acknowledger"),
                *(broker.host, str(broker.port), str(len(payloads))),
            ],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        with subscriber:
            assert subscriber.stdout is not None
            subscriber.stdout.readline()
            begun_s = time.monotonic()
            _publish(broker, topic, payloads, window)
            subscriber.stdout.readline()
            return time.monotonic() - begun_s


def _publish(broker: Broker, topic: str, payloads: Sequence[bytes], window: int) -> None:
    inbox: queue.SimpleQueue[mqtt.Event] = queue.SimpleQueue()
    session = mqtt.MqttSession(broker.config(), "publisher", inbox.put)
    session.start()
    while not isinstance(inbox.get(timeout=10), mqtt.Connected):
        pass
    in_flight = 0
    for payload in payloads:
        while in_flight >= window:
            in_flight -= isinstance(inbox.get(timeout=60), mqtt.Published)
        session.publish(mqtt.Message(topic, payload))
        in_flight += 1
    while in_flight:
        in_flight -= isinstance(inbox.get(timeout=60), mqtt.Published)
    session.stop()


def _drain(directory: Path, backlog: int) -> Drained:
    """Start with a backlog in the outbox, hand over live results at a steady rate meanwhile."""
    with _centre(directory) as (broker, collector):
        epoch = _fill(directory, backlog)
        publisher = _publisher(broker, directory)
        begun_s = time.monotonic()
        publisher.start()
        watch = Watch(collector.store_path, epoch, backlog)
        handed: list[float] = []
        drained_s = None
        while True:
            due_s = begun_s + 0.5 + len(handed) / LIVE_PER_S
            drained_s = watch.follow(handed, due_s) or drained_s
            enough = drained_s is not None if backlog else len(handed) >= LIVE_RESULTS
            if enough:
                break
            # The number that it will bear: nothing else is handed over.
            handed.append(time.monotonic())
            publisher.submit(samples.latency(target="live"))
            if handed[-1] - begun_s > _WITHIN_S:
                raise CannotMeasureError(f"the drain took longer than {_WITHIN_S} s")
        last_s = time.monotonic()
        watch.finish(handed)
        publisher.stop()
    return Drained(backlog, (drained_s or last_s) - begun_s, watch.delays_s)


class Watch:
    """Looks at the centre's store by key until each live result is there, in order."""

    def __init__(self, store_path: Path, epoch: UUID, backlog: int) -> None:
        self._db = sqlite3.connect(f"file:{store_path}?mode=ro", uri=True, timeout=5.0)
        self._epoch = str(epoch)
        self._backlog = backlog
        self.delays_s: list[float] = []
        self._drained_s: float | None = None

    def follow(self, handed: Sequence[float], until_s: float) -> float | None:
        """Note what has arrived, until a time. When the backlog was drained, None before."""
        while True:
            self._look(handed)
            if self._backlog and self._drained_s is None and self._is_drained():
                self._drained_s = time.monotonic()
            left_s = until_s - time.monotonic()
            if left_s <= 0:
                return self._drained_s
            time.sleep(min(left_s, _LOOK_EVERY_S))

    def finish(self, handed: Sequence[float]) -> None:
        """Wait for the rest."""
        deadline_s = time.monotonic() + _WITHIN_S
        while len(self.delays_s) < len(handed) and time.monotonic() < deadline_s:
            self._look(handed)
            time.sleep(_LOOK_EVERY_S)
        self._db.close()
        if len(self.delays_s) < len(handed):
            raise CannotMeasureError("a live result did not arrive")

    def _look(self, handed: Sequence[float]) -> None:
        while len(self.delays_s) < len(handed) and self._has(
            self._backlog + len(self.delays_s) + 1
        ):
            self.delays_s.append(time.monotonic() - handed[len(self.delays_s)])

    def _is_drained(self) -> bool:
        # The ledger, not a count of the rows: one row to read.
        row = self._db.execute(
            "SELECT json_extract(ranges, '$[0][1]') FROM ledgers WHERE epoch = ? "
            "AND json_extract(ranges, '$[0][0]') = 1",
            (self._epoch,),
        ).fetchone()
        return row is not None and int(row[0]) >= self._backlog

    def _has(self, seq: int) -> bool:
        found = self._db.execute(
            # Not the view, which has no index by number: this is asked many times a second.
            "SELECT 1 FROM result_blocks JOIN epochs USING (epoch_id) WHERE tenant = ? "
            "AND probe = ? AND epoch = ? AND first_seq <= ? AND first_seq + results > ?",
            (samples.TENANT, samples.PROBE, self._epoch, seq, seq),
        ).fetchone()
        return found is not None


def _fill(directory: Path, count: int) -> UUID:
    body = encode_result(samples.latency(target="backlog"))
    outbox = Outbox(directory / "outbox.sqlite")
    with closing(outbox):
        outbox.put((("latency", body) for _ in range(count)), time.time())
        return outbox.epoch


def _publisher(broker: Broker, directory: Path, per_envelope: int = max(RESULTS)) -> Publisher:
    return Publisher(
        _config(broker, per_envelope),
        directory / "outbox.sqlite",
        lambda _event: None,
        _info,
        _health,
    )


def _config(broker: Broker, per_envelope: int) -> Config:
    return probe_config.Config(
        tenant=samples.TENANT,
        probe=samples.PROBE,
        site=samples.SITE,
        lines=[LineConfig(id="vnpt", isp="VNPT", interface="eth0")],
        servers=[ServerConfig(name="hn-1", host="203.0.113.10")],
        broker=broker.config(),
        # This machine may just have booted, and its clock be nobody's.
        delivery=DeliveryConfig(batch=per_envelope, clock_wait_s=0.0),
    )


@contextmanager
def _centre(directory: Path) -> Iterator[tuple[Broker, CollectorProcess]]:
    with (
        Broker(directory / "broker") as broker,
        CollectorProcess(directory / "collector", broker.config()) as collector,
    ):
        yield broker, collector


def _envelope(numbered_bodies: Sequence[tuple[int, bytes]]) -> bytes:
    return encode_envelope(
        samples.TENANT, samples.PROBE, samples.EPOCH, samples.SITE, samples.NOON, numbered_bodies
    )


def _info(epoch: UUID) -> Info:
    return samples.info(epoch=epoch)


def _health(pending: int, outbox_bytes: int) -> Health:
    return msgspec.structs.replace(samples.health(), pending=pending, outbox_bytes=outbox_bytes)


def _percentile(values: Sequence[float], per_mille: int, least: int) -> float | None:
    """The smallest x with F(x) >= p; None with fewer samples than it wants."""
    if len(values) < least:
        return None
    return round(sorted(values)[math.ceil(len(values) * per_mille / 1000) - 1], 4)


if __name__ == "__main__":
    sys.exit(run("delivery", measured, peers=("mosquitto",)))
