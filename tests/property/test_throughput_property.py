"""No report, however broken, makes the reader raise or give a value that the contract refuses."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from probe.measure.throughput import iperf3_report
from probe.measure.throughput.iperf3_report import Iperf3End, Iperf3Sample, Transcript
from probe.measure.throughput.method import Iperf3Result, Iperf3Spec
from wire.result import Reason, Transfer

GOLDEN = Path(__file__).parents[1] / "golden" / "iperf3"
REPORTS = {path.stem: path.read_bytes() for path in sorted(GOLDEN.glob("*.report"))}

SPEC = Iperf3Spec(
    host="203.0.113.1",
    port=5201,
    reverse=False,
    streams=2,
    warm_up_s=1,
    total_s=2,
    interval_s=0.5,
    connect_timeout_s=2.0,
    deadline_s=8.0,
    bind_address=None,
    bind_device=None,
    congestion_control=None,
)
NUMBERS = st.one_of(
    st.integers(-(2**70), 2**70), st.floats(allow_nan=False), st.none(), st.text(max_size=3)
)
JSON = st.recursive(
    NUMBERS | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


def _read(report: bytes) -> Iperf3Result:
    reading = iperf3_report.read(Transcript(report=report), SPEC)
    assert reading.transfer is not None or reading.reason is not None
    assert (reading.reason is None) == (reading.detail is None)
    if reading.transfer is not None:
        body = msgspec.json.encode(reading.transfer)
        assert msgspec.json.decode(body, type=Transfer) == reading.transfer
        assert reading.transfer.complete == (reading.reason is None)
    return reading


@given(st.binary(max_size=400))
def test_any_bytes(report: bytes) -> None:
    assert _read(report).reason is not None


def test_more_than_any_line_carries_is_no_figure() -> None:
    lines = [Iperf3Sample(0.5, 625_000_000_001, 0), Iperf3End(None, None, "3.12")]
    reading = _read(b"\n".join(msgspec.json.encode(line) for line in lines))
    assert reading.reason is Reason.TOOL_FAILED
    assert "whole_bps" in str(reading.detail)


def test_json_that_is_nested_without_end() -> None:
    for deep in (b'{"x":' + b"[" * 100_000, b"[" * 100_000 + b"]" * 100_000):
        _read(b'{"line": "ended", "by": null, "error": null, "version": "3.12"}\n' + deep)
        _read(deep)


@given(st.sampled_from(sorted(REPORTS)), st.data())
def test_a_real_report_with_bytes_changed_or_cut(name: str, draw: st.DataObject) -> None:
    report = REPORTS[name]
    at = draw.draw(st.integers(0, len(report)))
    junk = draw.draw(st.binary(max_size=20))
    skipped = draw.draw(st.integers(0, 50))
    _read(report[:at] + junk + report[at + skipped :])


@given(JSON, JSON, JSON)
def test_any_json_in_libiperfs_place(sent: object, received: object, cpu: object) -> None:
    samples = b"".join(_sample(0.5 * n, 100_000 * n) for n in range(4))
    ended = b'{"line": "ended", "by": null, "error": null, "version": "3.12"}\n'
    end = {"sum_sent": sent, "sum_received": received, "cpu_utilization_percent": cpu}
    reading = _read(samples + ended + json.dumps({"end": end}).encode())
    # The receiver's own count may contradict the figure; nothing else may fail it.
    assert reading.reason in (None, Reason.PROTOCOL_ERROR)
    assert reading.transfer is not None
    assert reading.transfer.whole_bps == 300_000 * 8 / 1.5


@given(
    st.lists(st.tuples(st.floats(0, 1e4), st.integers(0, 2**50), st.integers(0, 2**31)), max_size=9)
)
def test_any_samples(drawn: list[tuple[float, int, int]]) -> None:
    times = sorted(at_s for at_s, _, _ in drawn)
    counts = sorted(count for _, count, _ in drawn)
    samples = b"".join(map(_sample, times, counts, (retransmits for _, _, retransmits in drawn)))
    found = _read(samples).transfer
    if found is not None:
        carried = sum(interval.transferred_bytes for interval in found.intervals)
        assert carried == counts[-1] - counts[0]
        begun_s = times[0] if times[0] < SPEC.interval_s / 2 else 0.0
        assert found.whole_s == round(times[-1] - begun_s, 6)


def _sample(at_s: float, transferred_bytes: int, retransmits: int = 0) -> bytes:
    record = {"line": "sample", "at_s": at_s, "transferred_bytes": transferred_bytes}
    return json.dumps({**record, "retransmits": retransmits}).encode() + b"\n"
