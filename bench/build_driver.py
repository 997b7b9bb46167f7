"""Floor 3. One step of `bench.ingest` inside of the build that is measured, this one or an older.

    python -P bench/build_driver.py ingest STORE MESSAGES
    python -P bench/build_driver.py maintain STORE DAYS
    python -P bench/build_driver.py multiply STORE TIMES RESULTS
    python -P bench/build_driver.py deliver FOLDER BODIES RESULTS_AN_ENVELOPE 0|1
    python -P bench/build_driver.py outbox FOLDER BODIES RESULTS_A_TRANSACTION

It is run by its path, with the modules of the build on the path, and prints one JSON object. It
knows under which names builds have the same thing and imports nothing of `bench`, which an older
build has in an older form. STORE is a file of SQLite or a connection string of PostgreSQL.
"""

from __future__ import annotations

import importlib
import json
import resource
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import psutil

_VALIDATE = ("collector.ingest.validation:validate", "collector.intake:judge")
_TUNE = ("collector.ingest.pipeline:tune_interpreter", "collector.ingest:tune_interpreter")
_PUBLISHER = ("probe.deliver.publisher:Publisher", "probe.deliver.courier:Courier")
# As the centre's default: `intake.batch_messages`.
_MESSAGES_A_BATCH = 200
_WITHIN_S = 1_200.0
_IDLE_WITHIN_S, _IDLE_CPU_S = 30, 0.02
# Tables of single results, of any build, and their columns that no two results share.
_OF_RESULTS = (
    *("results", "latency_results"),
    *("result_blocks", "packed_blocks", "result_packs", "latency_facts"),
)
_NUMBERS = frozenset({"number", "seq", "first_seq"})


def named(*places: str) -> Any:  # noqa: ANN401 - whatever the build has
    """The first of `module:name` that this build has. ImportError: none."""
    for place in places:
        module, _, name = place.partition(":")
        try:
            return getattr(importlib.import_module(module), name)
        except (ModuleNotFoundError, AttributeError):
            continue
    raise ImportError(f"this build has none of {', '.join(places)}")


def ingest(store: str, messages: str) -> dict[str, Any]:
    """Store and roll up a file of messages, as the centre's ingest does, in one process."""
    validate = named(*_VALIDATE)
    named(*_TUNE)()
    received = msgspec.msgpack.decode(Path(messages).read_bytes(), type=list[tuple[str, bytes]])
    opened = _open(store)
    now = datetime.now(UTC)
    began_s, began_cpu_s = time.monotonic(), time.process_time()
    stored = _store_all(opened, validate, received, now)
    while opened.roll_up(now):
        pass
    found = {
        "stored": stored,
        "wall_s": time.monotonic() - began_s,
        "cpu_s": time.process_time() - began_cpu_s,
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1_024,
    }
    opened.close()
    return found


def _store_all(
    opened: Any,  # noqa: ANN401 - the build's store
    validate: Callable[..., Any],
    received: Sequence[tuple[str, bytes]],
    now: datetime,
) -> int:
    """A batch is validated while the one before it is written."""
    finish: Callable[[], Any] | None = None
    stored = 0
    for begin in range(0, len(received), _MESSAGES_A_BATCH):
        batch = received[begin : begin + _MESSAGES_A_BATCH]
        validated = [validate(topic, payload, now) for topic, payload in batch]
        stored += finish().stored if finish is not None else 0
        finish = opened.begin_batch(validated, now)
    return stored + (finish().stored if finish is not None else 0)


def maintain(store: str, days: str) -> dict[str, Any]:
    """Do what the centre does by night, as if so many days had passed; nothing is deleted."""
    opened = _open(store)
    began_s = time.monotonic()
    once = opened.maintain if hasattr(opened, "maintain") else opened.keep_up
    at = datetime.now(UTC) + timedelta(days=int(days))
    while any(once(at, None)):
        pass
    while hasattr(opened, "repack") and opened.repack(at):
        pass
    opened.close()
    return {"wall_s": time.monotonic() - began_s}


def multiply(store: str, times: str, results: str) -> dict[str, Any]:
    """Have every result so many times, each time under other numbers; all else stays as it is.

    As large a store in some minutes as ingest would fill in an hour.
    """
    began_s = time.monotonic()
    with closing(_connected(store)) as connection:
        for table, columns in _result_tables(connection, store):
            for time_ in range(1, int(times)):
                shift = time_ * int(results)
                chosen = [f"{c} + {shift}" if c in _NUMBERS else c for c in columns]
                connection.execute(
                    f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(chosen)} "
                    f"FROM {table} WHERE number <= {results}"
                )
        connection.commit()
    return {"wall_s": time.monotonic() - began_s}


def _connected(store: str) -> Any:  # noqa: ANN401 - of either driver
    if "=" in store:
        return importlib.import_module("psycopg").connect(store)
    return sqlite3.connect(store)


def _result_tables(connection: Any, store: str) -> list[tuple[str, list[str]]]:  # noqa: ANN401
    """The tables that have rows of results in this build, and their columns."""
    listed = (
        "SELECT c.table_name, c.column_name FROM information_schema.columns AS c "
        "JOIN information_schema.tables USING (table_schema, table_name) "
        "WHERE table_type = 'BASE TABLE' AND table_schema = 'public' ORDER BY ordinal_position"
        if "=" in store
        else "SELECT t.name, c.name FROM sqlite_schema AS t, pragma_table_info(t.name) AS c "
        "WHERE t.type = 'table' ORDER BY c.cid"
    )
    columns: dict[str, list[str]] = {}
    for table, column in connection.execute(listed).fetchall():
        columns.setdefault(table, []).append(column)
    return [(table, columns[table]) for table in _OF_RESULTS if table in columns]


def _open(store: str) -> Any:  # noqa: ANN401 - the build's store
    if "=" in store:
        return named("collector.store.postgresql:PostgresqlStore")(store)
    return named("collector.store.sqlite:SqliteStore")(Path(store))


def deliver(folder: str, bodies: str, per_envelope: str, count_bytes: str) -> dict[str, Any]:
    """Hand results to the probe's delivery; until the receipt that covers the last has come.

    Compressed on the wire where the build's centre can announce that it reads it so.
    """
    directory = Path(folder)
    decode = named("wire.result:decode_result")
    encoded = msgspec.msgpack.decode(Path(bodies).read_bytes(), type=list[bytes])
    results = [decode(body) for body in encoded]
    example = Path("collector/collector.example.toml").read_text(encoding="utf-8")
    tables = {"intake": {"compression": True}} if "compression" in example else {}
    with (
        named("tests.broker:Broker")(directory / "broker") as broker,
        named("tests.collector_process:CollectorProcess")(
            directory / "collector", broker.config(), tables=tables
        ) as collector,
    ):
        counter = _PayloadCounter(broker) if count_bytes == "1" else None
        publisher = _publisher(broker, directory, int(per_envelope))
        publisher.start()
        _hand_over(publisher, results[:1])
        _await_idle(collector.process.pid)
        before_bytes = counter.payload_bytes if counter else 0
        centre_cpu_s = _cpu_s(collector.process.pid)
        cpu_s, began_s = time.process_time(), time.monotonic()
        _hand_over(publisher, results[1:])
        found = {
            "results": len(results) - 1,
            "wall_s": time.monotonic() - began_s,
            "probe_cpu_s": time.process_time() - cpu_s,
            "centre_cpu_s": _cpu_s(collector.process.pid) - centre_cpu_s,
            "centre_peak_bytes": _peak_bytes(collector.process.pid),
            "payload_bytes": counter.stop() - before_bytes if counter else None,
            "compression": bool(tables),
        }
        publisher.stop()
    return found


def outbox(folder: str, bodies: str, per_transaction: str) -> dict[str, Any]:
    """Store results in the probe's outbox, so many in a transaction."""
    encoded = msgspec.msgpack.decode(Path(bodies).read_bytes(), type=list[bytes])
    path = Path(folder) / "outbox.sqlite"
    opened = named("probe.deliver.outbox:Outbox")(path)
    count = int(per_transaction)
    cpu_s, before = time.process_time(), _written_bytes()
    for begin in range(0, len(encoded), count):
        opened.put([("latency", body) for body in encoded[begin : begin + count]], 0.0)
    found = {
        "results": len(encoded),
        "cpu_s": time.process_time() - cpu_s,
        "written_bytes": _written_bytes() - before,
    }
    opened.close()
    with closing(sqlite3.connect(path)) as database:
        pages, free, page_bytes = (
            int(database.execute(f"PRAGMA {name}").fetchone()[0])
            for name in ("page_count", "freelist_count", "page_size")
        )
    return found | {"used_bytes": (pages - free) * page_bytes}


def _written_bytes() -> int:
    """What this process has had written to a disk (write_bytes, proc(5))."""
    return int(psutil.Process().io_counters().write_bytes)


def _hand_over(publisher: Any, results: Sequence[Any]) -> None:  # noqa: ANN401 - the build's
    for result in results:
        publisher.submit(result)
    if not publisher.wait_delivered(_WITHIN_S, threading.Event()):
        raise TimeoutError("the centre did not confirm all in time")


def _cpu_s(pid: int) -> float:
    """Processor seconds of a process so far."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def _await_idle(pid: int) -> None:
    """Wait until a program has done what it does after its start, at most for half a minute."""
    for _ in range(_IDLE_WITHIN_S):
        before_s = _cpu_s(pid)
        time.sleep(1)
        if _cpu_s(pid) - before_s <= _IDLE_CPU_S:
            return


def _peak_bytes(pid: int) -> int:
    """The most that a process has had resident (VmHWM, proc(5))."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    (line,) = (one for one in status.splitlines() if one.startswith("VmHWM:"))
    return int(line.split()[1]) * 1_024


class _PayloadCounter:
    """A subscriber that adds up the payloads of results on the broker."""

    def __init__(self, broker: Any) -> None:  # noqa: ANN401 - the build's
        client_of = importlib.import_module("paho.mqtt.client")
        api = importlib.import_module("paho.mqtt.enums").CallbackAPIVersion.VERSION2
        self.payload_bytes = 0
        subscribed = threading.Event()
        self._client = client_of.Client(api)
        self._client.on_message = self._add
        self._client.on_subscribe = lambda *_: subscribed.set()
        self._client.connect(broker.host, broker.port)
        self._client.subscribe("tramdo/v1/+/+/m/+", 0)
        self._client.loop_start()
        if not subscribed.wait(60):
            raise TimeoutError("the broker does not answer a subscriber")

    def _add(self, _client: object, _data: object, message: Any) -> None:  # noqa: ANN401 - paho's
        self.payload_bytes += len(message.payload)

    def stop(self) -> int:
        """The sum, once nothing more has come for a second."""
        before = -1
        while before != self.payload_bytes:
            before = self.payload_bytes
            time.sleep(1)
        self._client.loop_stop()
        return self.payload_bytes


def _publisher(broker: Any, directory: Path, per_envelope: int) -> Any:  # noqa: ANN401 - the build's
    config = importlib.import_module("probe.config")
    samples = importlib.import_module("tests.samples")
    settings = config.Config(
        tenant=samples.TENANT,
        probe=samples.PROBE,
        site=samples.SITE,
        lines=[config.LineConfig(id="vnpt", isp="VNPT", interface="eth0")],
        servers=[config.ServerConfig(name="hn-1", host="203.0.113.10")],
        broker=broker.config(),
        # This machine may just have booted, and its clock be nobody's.
        delivery=config.DeliveryConfig(batch=per_envelope, clock_wait_s=0.0),
    )
    return named(*_PUBLISHER)(
        settings,
        directory / "outbox.sqlite",
        lambda _event: None,
        lambda epoch: samples.info(epoch=epoch),
        lambda pending, _bytes: samples.health(pending=pending),
    )


_VERBS: dict[str, Callable[..., dict[str, Any]]] = {
    "ingest": ingest,
    "maintain": maintain,
    "multiply": multiply,
    "deliver": deliver,
    "outbox": outbox,
}


def main(arguments: Sequence[str]) -> int:
    """Run one step; what it found as JSON on standard output."""
    verb, *rest = arguments
    print(json.dumps(_VERBS[verb](*rest)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
