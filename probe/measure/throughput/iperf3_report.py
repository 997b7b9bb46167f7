"""Floor 1. Reads the report of the iperf3 child process: bytes to an Iperf3Result.

The meaning of the numbers, found by comparing libiperf 3.9, 3.12, 3.18 and 3.22:
- `intervals` are the local end's. A sender's are what it put into its socket buffers: up to 25 %
  above the line's rate at first. From 3.17 on whole blocks of 128 KiB alone are counted, so short
  intervals jump by a block's worth and the last block is lost.
- `end.sum_received` is the receiver's own total over the receiver's own time. It goes on until the
  receiver hears of the end, through a full queue, so its time is longer than the sender's.
- `end.sum_sent.retransmits` is the sender's, also when that is the server.
So both figures come from the samples of TCP_INFO beside them (bytes received in order, bytes
acknowledged: RFC 4898), and `sum_received` checks them. What else libiperf states cannot fail a
test (`iperf3_output`). Knows nothing of processes and time.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from probe.measure.throughput.iperf3_output import Iperf3Output, output_in
from probe.measure.throughput.method import Iperf3Result, Iperf3Spec
from wire.decoding import converted, decode_json
from wire.result import Interval, Reason, Transfer

# Two counts of one transfer may differ by this and by a block for each stream (ours).
_AGREEMENT_RATIO = 0.1
_BLOCK_BYTES = 128 * 1024  # libiperf's default for TCP
# What comes after the last sample may come in a burst, so many times as fast as before (ours).
_BURST_RATIO = 10.0
# A sender that states more retransmitted segments than the payload has, and this many for each
# stream that stood still, is not believed: more than half would have been lost (ours).
_SEGMENT_BYTES = 1448
_STALLED_SEGMENTS = 100
_ON_GRID_S = 0.001
_DETAIL_CHARACTERS = 400

_Seconds = Annotated[float, Meta(ge=0, le=1e6)]
_Bytes = Annotated[int, Meta(ge=0, le=2**60)]

# Reasons by error text. libiperf appends errno's text to its own, and its own differs between
# versions, so the first match counts and the most specific text is first.
REASONS: tuple[tuple[str, Reason], ...] = (
    ("name resolution:", Reason.NAME_RESOLUTION),
    ("No module named 'iperf3'", Reason.TOOL_MISSING),
    ("Couldn't find shared library", Reason.TOOL_MISSING),
    ("has no iperf_set_test_", Reason.TOOL_MISSING),
    ("the server is busy", Reason.SERVER_BUSY),
    ("the server has terminated", Reason.CONNECTION_LOST),
    ("control socket has closed unexpectedly", Reason.CONNECTION_LOST),
    ("authorization failed", Reason.PERMISSION_DENIED),
    ("unknown control message", Reason.PROTOCOL_ERROR),
    ("No such device", Reason.LINE_DOWN),
    ("Cannot assign requested address", Reason.LINE_DOWN),
    ("Network is unreachable", Reason.UNREACHABLE),
    ("No route to host", Reason.UNREACHABLE),
    ("Connection refused", Reason.CONNECTION_REFUSED),
    ("Connection timed out", Reason.TIMEOUT),
    ("Permission denied", Reason.PERMISSION_DENIED),
    ("Connection reset by peer", Reason.CONNECTION_LOST),
    ("Broken pipe", Reason.CONNECTION_LOST),
    ("control message", Reason.CONNECTION_LOST),
)


class Transcript(Struct, frozen=True, kw_only=True):
    """The output of a child process.

    `report` is its report, `printed` the end of what it or libiperf printed, `killed` whether it
    was killed, `interface_bytes` the interface's bytes from first to last sample.
    """

    report: bytes
    printed: str = ""
    killed: bool = False
    interface_bytes: int | None = None


class Iperf3Sample(Struct, frozen=True, tag_field="line", tag="sample"):
    """The payload arrived at the receiver, `at_s` seconds after its first byte."""

    at_s: _Seconds
    transferred_bytes: _Bytes
    retransmits: _Bytes


class Iperf3End(Struct, frozen=True, tag_field="line", tag="ended"):
    """How the test ended: by itself (None), at its deadline or on request."""

    by: Literal["deadline", "request"] | None
    error: str | None
    version: str


class _Parts(Struct, frozen=True):
    samples: list[Iperf3Sample]
    ended: Iperf3End | None
    output: Iperf3Output
    defect: str | None


# The control connection's small packets passed (RFC 2923, 2.1).
_NOTHING_ARRIVED = (
    "not one byte of the test arrived, though its server answers: packets of full size are lost on "
    "the way"
)


def sample_in(line: bytes) -> Iperf3Sample | None:
    """The sample in a line of the report; None when the line is something else."""
    try:
        sample: Iperf3Sample = decode_json(line, Iperf3Sample)
    except msgspec.DecodeError:
        return None
    return sample


def read(transcript: Transcript, spec: Iperf3Spec) -> Iperf3Result:
    """The result of a test. Never raises: an invalid report is a failure, too."""
    parts = _parts(transcript.report)
    reason, error = _error(transcript, parts, spec)
    version = None if parts.ended is None else parts.ended.version
    transfer = _transfer(transcript, parts, spec)
    if transfer is not None and (impossible := _impossible(transfer)) is not None:
        transfer, reason, error = None, Reason.TOOL_FAILED, impossible
    if transfer is not None and error is None:
        error = _disagreement(transfer, spec.total_s)
        reason = None if error is None else Reason.PROTOCOL_ERROR
    if transfer is not None and error is not None:
        transfer = msgspec.structs.replace(transfer, complete=False, error=error)
    if transfer is None and error is None and not parts.samples:
        reason, error = Reason.TIMEOUT, _NOTHING_ARRIVED
    if transfer is None and error is None:
        reason, error = Reason.TOOL_FAILED, "the test ended before any of it could be sampled"
    return Iperf3Result(transfer=transfer, reason=reason, detail=error, version=version)


def reason_of(error: str) -> Reason:
    """The reason for an error text of libiperf, of the child or of Python."""
    return next((reason for text, reason in REASONS if text in error), Reason.TOOL_FAILED)


def _parts(report: bytes) -> _Parts:
    """Samples, the line that ends them, then libiperf's JSON."""
    samples: list[Iperf3Sample] = []
    rest = report
    while rest:
        line, _, rest = rest.partition(b"\n")
        try:
            record: Iperf3Sample | Iperf3End = decode_json(line, Iperf3Sample | Iperf3End)
        except msgspec.DecodeError as error:
            return _Parts(samples, None, Iperf3Output(), f"line {len(samples) + 1}: {error}")
        if isinstance(record, Iperf3End):
            return _Parts(samples, record, output_in(rest), None)
        last = samples[-1] if samples else Iperf3Sample(0.0, 0, 0)
        if record.at_s < last.at_s or record.transferred_bytes < last.transferred_bytes:
            return _Parts(samples, None, Iperf3Output(), f"line {len(samples) + 1}: runs backwards")
        samples.append(record)
    return _Parts(samples, None, Iperf3Output(), None)


def _error(
    transcript: Transcript, parts: _Parts, spec: Iperf3Spec
) -> tuple[Reason | None, str | None]:
    """Why the test failed, the strongest evidence first; (None, None) when it did not."""
    ended = parts.ended
    if ended is not None and ended.by == "request":
        return Reason.SHUTTING_DOWN, "the test was stopped on request"
    if transcript.killed or (ended is not None and ended.by == "deadline"):
        return Reason.TIMEOUT, f"the test had not ended after {spec.deadline_s:g} s"
    said = parts.output.error or (ended and ended.error)
    if said:
        return reason_of(said), said[:_DETAIL_CHARACTERS]
    if parts.defect is not None:
        return Reason.TOOL_FAILED, f"the report cannot be read: {parts.defect}"[:_DETAIL_CHARACTERS]
    if ended is None:
        printed = _telling_line(transcript.printed)
        return reason_of(printed), f"iperf3 ended without a result: {printed[:_DETAIL_CHARACTERS]}"
    return None, None


def _telling_line(printed: str) -> str:
    """The printed line that has a known reason, else the last line."""
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    specific = [line for line in lines if reason_of(line) is not Reason.TOOL_FAILED]
    return (specific or lines or ["it printed nothing"])[-1]


def _transfer(transcript: Transcript, parts: _Parts, spec: Iperf3Spec) -> Transfer | None:
    samples, output = parts.samples, parts.output
    if not samples or samples[-1].at_s < spec.interval_s / 2:  # too little to be a rate
        return None
    # A host that is busy looks late for the first payload: bytes that came before the clock started
    # are no part of a rate.
    begun, last = _begun(samples, spec), samples[-1]
    steady = [sample for sample in samples if sample.at_s >= spec.warm_up_s - _ON_GRID_S]
    first = steady[0] if steady else last
    stated = _credible_retransmits(output.retransmits, last.transferred_bytes, spec.streams)
    return Transfer(
        steady_bps=_rate_bps(first, last),
        whole_bps=_rate_bps(begun, last),
        steady_s=round(last.at_s - first.at_s, 6),
        whole_s=round(last.at_s - begun.at_s, 6),
        transferred_bytes=last.transferred_bytes,
        interface_bytes=transcript.interface_bytes,
        retransmits=stated if spec.reverse else last.retransmits,
        congestion_control_sender=output.congestion_control_sender,
        congestion_control_receiver=output.congestion_control_receiver,
        cpu_local_ratio=output.cpu_local_ratio,
        cpu_remote_ratio=output.cpu_remote_ratio,
        streams=spec.streams,
        complete=True,
        intervals=_intervals(samples, first.at_s, reverse=spec.reverse),
        receiver_report_bytes=output.received_bytes,
        receiver_report_s=output.received_s,
    )


def _begun(samples: list[Iperf3Sample], spec: Iperf3Spec) -> Iperf3Sample:
    """The sample at the start; the start itself where that sample is missing."""
    first = samples[0]
    return first if first.at_s < spec.interval_s / 2 else Iperf3Sample(0.0, 0, 0)


def _intervals(
    samples: list[Iperf3Sample], steady_from_s: float, *, reverse: bool
) -> list[Interval]:
    return [
        Interval(
            start_s=before.at_s,
            duration_s=round(after.at_s - before.at_s, 6),
            transferred_bytes=after.transferred_bytes - before.transferred_bytes,
            omitted=after.at_s <= steady_from_s,
            retransmits=None if reverse else max(0, after.retransmits - before.retransmits),
        )
        for before, after in pairwise(samples)
    ]


def _rate_bps(start: Iperf3Sample, stop: Iperf3Sample) -> float | None:
    elapsed_s = stop.at_s - start.at_s
    if elapsed_s <= 0:
        return None
    return (stop.transferred_bytes - start.transferred_bytes) * 8 / elapsed_s


def _credible_retransmits(stated: int | None, transferred_bytes: int, streams: int) -> int | None:
    """The server's count of retransmitted segments; None where it cannot be true."""
    most = transferred_bytes / _SEGMENT_BYTES + streams * _STALLED_SEGMENTS
    return stated if stated is not None and stated <= most else None


def _impossible(transfer: Transfer) -> str | None:
    """What makes the transfer invalid by the contract, None where it is valid."""
    try:
        converted(msgspec.to_builtins(transfer), Transfer)
    except msgspec.ValidationError as error:
        return f"the report makes no sense: {error}"[:_DETAIL_CHARACTERS]
    return None


def _disagreement(transfer: Transfer, total_s: float) -> str | None:
    """A disagreement of the receiver's count and the kernel's count; None where they agree.

    A receiver that hears of the end late counts no more bytes in that time, so its count is held
    between the kernel's as it is and the kernel's brought to the receiver's time. It may exceed
    both by what was sent between the last sample and `total_s`, when the sender stops.
    """
    reported, report_s = transfer.receiver_report_bytes, transfer.receiver_report_s
    if reported is None or report_s is None or transfer.whole_bps is None:
        return None
    rate = transfer.whole_bps / 8
    expected = rate * report_s
    allowed = expected * _AGREEMENT_RATIO + transfer.streams * _BLOCK_BYTES
    least, most = sorted((expected, float(transfer.transferred_bytes)))
    unsampled_s = max(0.0, min(report_s, total_s) - transfer.whole_s)
    most += (_BURST_RATIO - 1) * rate * unsampled_s
    if least - allowed <= reported <= most + allowed:
        return None
    return (
        f"two counts disagree: the receiver's {reported} bytes in {report_s:.3f} s,"
        f" the kernel's {transfer.transferred_bytes} in {transfer.whole_s:.3f} s"
    )
