"""A result that nobody foresaw could not be stored costs no other, and is kept by its name.

Real Mosquitto, the real intake; the store is SQLite's, with a fault of the kind that ours might
have: one number of a probe makes it raise what is no trouble of the database.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

import msgspec
import pytest

from collector.config import Config, ReceiptConfig
from collector.ingest.pipeline import IngestPipeline
from collector.store.messages import ResultsMessage, ValidatedMessage
from collector.store.records import BatchResult
from collector.store.sqlite import SqliteStore
from collector.store.store import StoreError
from tests import samples
from tests.broker import Broker, why_not
from tests.client import Client, eventually
from wire import topics
from wire.messages import Receipt, Rejection

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))

POISON = 2


class FaultyStore(SqliteStore):
    """Raises for one number; at once, or when its batch is waited for."""

    at_once = True
    # How often the store is away once the fault was met, that is, while messages are tried singly.
    unavailable = 0
    met = False

    def begin_batch(
        self, messages: Sequence[ValidatedMessage], stored_at: datetime
    ) -> Callable[[], BatchResult]:
        if self.met and self.unavailable:
            self.unavailable -= 1
            raise StoreError("the disk is full")
        for message in messages:
            if isinstance(message, ResultsMessage) and message.records[0].seq == POISON:
                if self.at_once:
                    self.met = True
                    raise OverflowError("a number that nobody foresaw")
                return self._fall
        return super().begin_batch(messages, stored_at)

    def _fall(self) -> BatchResult:
        self.met = True
        raise OverflowError("a number that nobody foresaw")


@pytest.mark.parametrize(("at_once", "unavailable"), [(True, 0), (False, 0), (True, 2), (False, 2)])
def test_one_message_that_cannot_be_stored_costs_no_other(
    tmp_path: Path, at_once: bool, unavailable: int
) -> None:
    """Also where the store is away while they are tried one by one."""
    topic = topics.measurement(samples.TENANT, samples.PROBE, "latency")
    store = FaultyStore(tmp_path / "results.sqlite")
    store.at_once = at_once
    with Broker(tmp_path / "broker") as broker:
        settings = Config(
            broker=broker.config(), tenant=samples.TENANT, receipts=ReceiptConfig(min_gap_s=0.0)
        )
        ingest = IngestPipeline(settings, store, lambda: None)
        thread = threading.Thread(target=ingest.run)
        thread.start()
        receipts = [topics.of_probe(samples.TENANT, samples.PROBE, "receipt")]
        try:
            with Client(broker.config(), "probe", subscriptions=receipts) as probe:
                first = samples.envelope([(1, samples.latency())])

                def the_first_is_stored() -> bool:
                    # Until the collector has subscribed, the broker keeps nothing for it.
                    probe.publish(topic, first)
                    return store.totals().results == 1

                eventually(the_first_is_stored, "the first is stored")
                store.unavailable = unavailable
                for seq in (POISON, 3):
                    probe.publish(topic, samples.envelope([(seq, samples.latency())]))
                eventually(lambda: store.totals().results == 2, "the two others are stored")
                probe.wait_for(
                    lambda message: (
                        msgspec.json.decode(message.payload, type=Receipt).stored_through == 3
                    )
                )
            assert thread.is_alive()
            assert store.unavailable == 0
        finally:
            ingest.stop()
            thread.join(20.0)
    (kept,) = store.rejected_after(0, 10)
    store.close()
    assert (kept.topic, kept.reason) == (topic, Rejection.UNSTORABLE)
    assert b"rtt_mean_ms" in kept.payload_head
    assert "nobody foresaw" in kept.detail
