"""What a probe's newest `info` says counts, stored or not: the form of its receipts hangs on it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from msgspec import structs

from collector.config import Config
from collector.ingest.pipeline import IngestPipeline
from collector.store.messages import EpochKey, StatusMessage
from collector.store.settings import StoreConfig
from collector.store.sqlite import SqliteStore
from runtime.broker import BrokerConfig
from runtime.mqtt import Connected, Received
from tests import samples
from wire import messages, topics

TOPIC = topics.of_probe(samples.TENANT, samples.PROBE, "info")
KEY = EpochKey(samples.TENANT, samples.PROBE, samples.EPOCH)


def test_an_info_that_came_while_all_receipts_are_due_is_not_undone_by_the_one_before(
    tmp_path: Path,
) -> None:
    """The first one of a probe names no epochs: it has seen no receipt with a number."""
    path = tmp_path / "results.sqlite"
    first = samples.info()
    newest = structs.replace(first, epochs=[samples.EPOCH], receipt_generation=3)
    config = Config(broker=BrokerConfig(host="127.0.0.1"), store=StoreConfig(path=str(path)))
    with closing(SqliteStore(path)) as store:
        stored = StatusMessage(samples.TENANT, samples.PROBE, samples.NOON, True, first)
        store.store_batch([stored], samples.NOON)
        # Connected to the broker, which sends what waits there: both before this thread looks.
        pipeline = IngestPipeline(config, store, lambda: None)
        pipeline._inbox.put(Connected(1))
        pipeline._inbox.put(Received(1, TOPIC, messages.encode(newest), 1, 1, retained=True))
        pipeline._run_once()
        assert pipeline._receipt_numbers.reads_numbers(KEY)
