"""Floor 3. What signatures cost: the box that makes them, the wire, the centre that checks them.

Each step is a process of its own, without and with signatures in turn, in processor seconds, and
the figures are medians.

- `probe`: the real publisher with a certificate, over TLS to Mosquitto and a real ingest, envelope
  by envelope; private memory afterwards, and processor time for a result from its submission to its
  receipt.
- `centre`: validation, check, store (SQLite) and roll-up of envelopes of many probes, which come by
  turns, so that no block of a batch covers another; and what the store has grown by.
- `wire`: bytes that signatures add to a result.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from msgspec import structs

from bench.report import CannotMeasureError, Options, Outcome, Row, at_most, note, run
from collector.ingest.pipeline import tune_interpreter
from collector.ingest.signature_check import SignatureCheck
from collector.ingest.validation import validate
from collector.store.messages import ResultsMessage, ValidatedMessage
from collector.store.sqlite import SqliteStore
from probe import config
from probe.deliver.publisher import Publisher
from runtime.broker import BrokerConfig
from tests import samples
from tests.secured_broker import scene, why_not
from tests.signing import SigningProbe
from tests.system.test_signed_results import centre
from tests.unit.test_config import GOOD
from wire import messages
from wire.compression import compress
from wire.result import encode_result

ENVELOPES = (1, 2, 10, 50)
MESSAGES_A_BATCH = 200
AT = samples.NOON + timedelta(minutes=10)
WITHIN_S = 120.0
WIRE = "wire, bytes a result"


class Size(NamedTuple):
    """How much is measured, and how often."""

    rounds: int
    delivered: int
    probes: int
    envelopes_a_probe: int


FULL, QUICK = Size(5, 2_000, 100, 40), Size(2, 300, 20, 20)


class Cost(NamedTuple):
    """Microseconds of a processor a result, and bytes: of the process, or of the store a result."""

    cpu_us: float
    size_bytes: float


def measured(options: Options) -> Outcome:
    """Measure probe, centre and wire."""
    if (reason := why_not()) is not None:
        raise CannotMeasureError(reason)
    size = QUICK if options.quick else FULL
    probe = _probe(size)
    tens, fifties = (_centre(size, count) for count in (10, 50))
    rows = [
        _row("probe, processor, us a result", 10, *(cost.cpu_us for cost in probe)),
        _row("probe, private memory, MB", 10, *(cost.size_bytes / 1e6 for cost in probe)),
        _row("centre, processor, us a result", 10, *(cost.cpu_us for cost in tens)),
        _row("centre, store, bytes a result", 10, *(cost.size_bytes for cost in tens)),
        _row("centre, processor, us a result", 50, *(cost.cpu_us for cost in fifties)),
        *_wire(),
    ]
    wire = next(row for row in rows if row["what"] == WIRE and row["results"] == 10)
    return Outcome(
        rows,
        [
            at_most("memory of the probe, ratio", _ratio(rows[1]), 1.03),
            at_most("processor of the centre, envelopes of 10, ratio", _ratio(rows[2]), 1.1),
            at_most("bytes on the wire more, envelopes of 10", _more(wire), 60),
        ],
    )


def _row(what: str, results: int, unsigned: float, signed: float) -> Row:
    return {"what": what, "results": results, "unsigned": unsigned, "signed": signed}


def _ratio(row: Row) -> float:
    return float(row["signed"] or 0) / float(row["unsigned"] or 1)


def _more(row: Row) -> float:
    return float(row["signed"] or 0) - float(row["unsigned"] or 0)


def _wire() -> list[Row]:
    rows = []
    for count in ENVELOPES:
        with tempfile.TemporaryDirectory() as folder:
            probe = SigningProbe(Path(folder) / "authority")
            signed, unsigned = (_envelopes([probe], count, 1, sign=sign)[0][1] for sign in (1, 0))
        sizes = (len(unsigned) / count, len(signed) / count)
        rows.append(_row(WIRE, count, *sizes))
        compressed = (len(compress(unsigned)) / count, len(compress(signed)) / count)
        rows.append(_row(f"{WIRE}, compressed", count, *compressed))
    return rows


def _envelopes(
    probes: Sequence[SigningProbe], count: int, each: int, *, sign: bool | int
) -> list[tuple[str, bytes]]:
    """Messages of some probes, by turns, with so many results each."""
    made = []
    for turn in range(each):
        first = turn * count + 1
        for probe in probes:
            bodies = [
                encode_result(
                    structs.replace(
                        samples.latency(rtt_ms=10.0 + place % 50 / 10),
                        started_at=samples.NOON + timedelta(seconds=place),
                    )
                )
                for place in range(count)
            ]
            blocks = [probe.block(first, bodies)] if sign else []
            payload = probe.payload(list(enumerate(bodies, first)), blocks)
            made.append((f"tramdo/v1/{samples.TENANT}/{probe.name}/m/latency", payload))
    return made


def _centre(size: Size, count: int) -> tuple[Cost, Cost]:
    """The costs without and with signatures."""
    note(f"centre, {count} results an envelope")
    return _in_turn(size.rounds, partial(_ingest, size.probes, count, size.envelopes_a_probe))


def _in_turn(rounds: int, step: Callable[[bool], Cost]) -> tuple[Cost, Cost]:
    """The medians of a step without and with signatures, each time in a process of its own."""
    found: dict[bool, list[Cost]] = {False: [], True: []}
    for _ in range(rounds):
        for sign, costs in found.items():
            with ProcessPoolExecutor(1, get_context("spawn")) as pool:
                costs.append(pool.submit(step, sign).result())
    unsigned, signed = (
        Cost(
            statistics.median(cost.cpu_us for cost in costs),
            statistics.median(cost.size_bytes for cost in costs),
        )
        for costs in found.values()
    )
    return unsigned, signed


def _ingest(probes: int, count: int, each: int, sign: bool) -> Cost:
    tune_interpreter()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        boxes = [SigningProbe(path / "authority", f"tram-{number}") for number in range(probes)]
        payloads = _envelopes(boxes, count, each, sign=sign)
        store = SqliteStore(path / "results.sqlite")
        check = SignatureCheck(boxes[0].authority_pem, store.certificates)
        store.store_batch(check.checked([_info(box) for box in boxes]), AT)
        began_s = time.process_time()
        for at in range(0, len(payloads), MESSAGES_A_BATCH):
            batch = payloads[at : at + MESSAGES_A_BATCH]
            validated = check.checked([validate(topic, one, AT) for topic, one in batch])
            assert all(isinstance(one, ResultsMessage) for one in validated)
            store.store_batch(validated, AT)
        while store.roll_up(AT):
            pass
        spent_s = time.process_time() - began_s
        store.close()
        results = len(payloads) * count
        stored = (path / "results.sqlite").stat().st_size
    return Cost(spent_s / results * 1e6, stored / results)


def _info(box: SigningProbe) -> ValidatedMessage:
    told = structs.replace(samples.info(), certificate=box.key.certificate)
    topic = f"tramdo/v1/{samples.TENANT}/{box.name}/info"
    return validate(topic, messages.encode(told), AT)


def _probe(size: Size) -> tuple[Cost, Cost]:
    note("probe")
    with (
        tempfile.TemporaryDirectory() as folder,
        scene(Path(folder) / "scene") as stage,
        centre(stage, Path(folder) / "results.sqlite"),
    ):
        broker = stage.broker.by_certificate(stage.probe)
        return _in_turn(size.rounds, partial(_deliver, broker, size.delivered))


def _deliver(broker: BrokerConfig, count: int, sign: bool) -> Cost:
    delivery = config.DeliveryConfig(clock_wait_s=0.0, sign=sign)
    office = structs.replace(
        config.parse(GOOD.encode(), "probe.toml"), broker=broker, delivery=delivery
    )
    with tempfile.TemporaryDirectory() as folder:
        outbox = Path(folder) / "outbox.sqlite"
        publisher = Publisher(office, outbox, lambda _: None, samples.info_of, samples.health_of)
        publisher.start()
        _deliver_ten(publisher)
        began_s = time.process_time()
        for _ in range(0, count, 10):
            _deliver_ten(publisher)
        spent_s = time.process_time() - began_s
        cost = Cost(spent_s / count * 1e6, _private_bytes())
        publisher.stop()
    return cost


def _deliver_ten(publisher: Publisher) -> None:
    for at in range(10):
        publisher.submit(samples.latency(rtt_ms=10.0 + at))
    if not publisher.wait_delivered(WITHIN_S, threading.Event()):
        raise CannotMeasureError("results were not confirmed in time")


def _private_bytes() -> float:
    lines = Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines()
    sizes = {line.split()[0]: int(line.split()[1]) for line in lines[1:]}
    return (sizes["Private_Dirty:"] + sizes["Private_Clean:"]) * 1_024.0


if __name__ == "__main__":
    sys.exit(run("signatures", measured))
