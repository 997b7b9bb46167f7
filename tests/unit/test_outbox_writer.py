"""The outbox's writer: what does not fit into memory is counted, and the count is reported."""

from __future__ import annotations

from pathlib import Path

from probe.config import DeliveryConfig
from probe.deliver import writer
from probe.deliver.signature_chain import SignatureChain
from probe.deliver.writer import OutboxWriter
from tests import samples
from wire.result import DropCause, ResultsDroppedResult, decode_result

SURPLUS = 7


def test_results_beyond_the_memory_limit_are_named_once_the_disk_can_be_written(
    tmp_path: Path,
) -> None:
    """As where the disk was full for too long: the oldest are given up, by their number."""
    outbox_writer = OutboxWriter(
        tmp_path / "outbox.sqlite", DeliveryConfig(), SignatureChain("tenant", "probe", 50)
    )
    one = samples.latency()
    for _ in range(writer._MAX_UNSAVED + SURPLUS):
        outbox_writer.expect()
    outbox_writer.add([one] * (writer._MAX_UNSAVED + SURPLUS))
    outbox_writer.limit_memory()
    outbox = outbox_writer.open()
    outbox_writer.write(outbox, ending=True)
    assert outbox.pending_count() == 1 + writer._MAX_UNSAVED
    (first,) = outbox.pending(0, 1, 1)
    report = decode_result(first.body)
    assert isinstance(report, ResultsDroppedResult)
    assert report.values is not None
    assert report.values.cause is DropCause.OUTBOX_UNWRITABLE
    assert report.values.count == SURPLUS
    outbox_writer.write(outbox, ending=True)
    assert outbox.pending_count() == 1 + writer._MAX_UNSAVED, "it is reported once"
    outbox.close()
