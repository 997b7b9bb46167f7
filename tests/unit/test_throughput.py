"""Kind `throughput`: what is asked of iperf3, and what its real reports come to."""

from __future__ import annotations

import json
import random
import re
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from probe.config import LineConfig, ServerConfig, ThroughputConfig
from probe.measure.measurement import Direction
from probe.measure.throughput import iperf3_report
from probe.measure.throughput.iperf3_report import Transcript, reason_of
from probe.measure.throughput.method import (
    DirectionResult,
    Iperf3Result,
    Iperf3Spec,
    busy_backoff_s,
    could_not_connect,
    raw_result,
    spec_for,
    upload_ports,
)
from wire.result import Family, Outcome, Reason, ThroughputValues, Transfer, Validity

GOLDEN = Path(__file__).parents[1] / "golden" / "iperf3"
THREE_SECONDS = ("four-streams", "server-killed", "stop-requested")
# What the shaped lines of the golden reports carry: 20 Mbit/s * 1448/1514.
THEORY_BPS = 20e6 * 1448 / 1514

LINE = LineConfig(id="vnpt", isp="VNPT", interface="eth0", source_address="192.0.2.10")
SERVER = ServerConfig(name="may-chu-1", host="203.0.113.1", iperf3_ports=[5201, 5202])


def spec(name: str = "3.12-download-ok") -> Iperf3Spec:
    """The spec that a golden report was made with."""
    return Iperf3Spec(
        host="203.0.113.1",
        port=5201,
        reverse="-download-" in name,
        streams=4 if "four-streams" in name else 2,
        warm_up_s=1,
        total_s=3 if any(case in name for case in THREE_SECONDS) else 2,
        interval_s=0.5,
        connect_timeout_s=2.0,
        deadline_s=8.0,
        bind_address=None,
        bind_device=None,
        congestion_control="cubic",
    )


def read(name: str, interface_bytes: int | None = None) -> Iperf3Result:
    """What a golden report comes to."""
    report, printed = GOLDEN / f"{name}.report", GOLDEN / f"{name}.printed"
    transcript = Transcript(
        report=report.read_bytes() if report.exists() else b"",
        printed=printed.read_text(encoding="utf-8") if printed.exists() else "",
        interface_bytes=interface_bytes,
    )
    return iperf3_report.read(transcript, spec(name))


def transfer(name: str) -> Transfer:
    found = read(name).transfer
    assert found is not None
    return found


def test_a_download_is_what_the_kernel_received() -> None:
    reading = read("3.12-download-ok", interface_bytes=4_700_000)
    found = reading.transfer
    assert found is not None
    assert (reading.reason, reading.detail, reading.version) == (None, None, "3.12")
    # The samples say 2 345 760 bytes at 1.000535 s and 4 483 008 at 1.900758 s.
    assert found.steady_bps == pytest.approx(2_137_248 * 8 / 0.900223)
    assert found.steady_s == pytest.approx(0.900223)
    # 10 136 bytes had come when the clock started, at 0.000172 s.
    assert found.whole_bps == pytest.approx((4_483_008 - 10_136) * 8 / (1.900758 - 0.000172))
    assert (found.whole_s, found.transferred_bytes) == (1.900586, 4_483_008)
    assert (found.interface_bytes, found.retransmits, found.streams) == (4_700_000, 21, 2)
    assert found.congestion_control_sender == found.congestion_control_receiver == "cubic"
    assert found.cpu_local_ratio == pytest.approx(0.0255, abs=1e-4)
    assert found.cpu_remote_ratio == pytest.approx(0.0031, abs=0.003)
    assert (found.receiver_report_bytes, found.receiver_report_s) == (4_577_128, 2.000144)
    assert (found.complete, found.error) == (True, None)


def test_an_upload_is_what_the_receiver_acknowledged_not_what_was_put_into_buffers() -> None:
    found = transfer("3.12-upload-ok")
    sent_json = json.loads(_libiperf_json("3.12-upload-ok"))
    put_into_buffers = sum(
        interval["sum"]["bytes"] for interval in sent_json["intervals"] if interval["sum"]["sender"]
    )
    assert found.transferred_bytes == 4_552_520
    assert put_into_buffers > 1.1 * found.transferred_bytes
    assert found.whole_bps == pytest.approx(THEORY_BPS, rel=0.005)
    assert found.retransmits == 8


def test_the_warm_up_is_left_out_of_the_steady_figure_and_kept_in_the_whole_one() -> None:
    found = transfer("3.12-upload-four-streams")
    assert [interval.omitted for interval in found.intervals] == [True] * 2 + [False] * 4
    kept = [interval for interval in found.intervals if not interval.omitted]
    steady_bytes = sum(interval.transferred_bytes for interval in kept)
    assert found.steady_s == pytest.approx(sum(interval.duration_s for interval in kept))
    assert found.steady_bps == pytest.approx(steady_bytes * 8 / found.steady_s)
    whole_bytes = sum(interval.transferred_bytes for interval in found.intervals)
    assert found.whole_bps == pytest.approx(whole_bytes * 8 / found.whole_s)
    assert found.whole_s == pytest.approx(2.9, abs=0.01)


@pytest.mark.parametrize("version", ["3.9", "3.12", "3.18", "3.22"])
@pytest.mark.parametrize("direction", ["download", "upload"])
def test_every_version_gives_complete_transfers(version: str, direction: str) -> None:
    reading = read(f"{version}-{direction}-ok")
    assert (reading.reason, reading.detail, reading.version) == (None, None, version)
    found = reading.transfer
    assert found is not None
    assert found.complete
    # The line's truth, so also a check of the counting: one second of a 50 ms queue.
    assert found.whole_bps == pytest.approx(THEORY_BPS, rel=0.04)
    assert sum(i.transferred_bytes for i in found.intervals) <= found.transferred_bytes
    for before, after in pairwise(found.intervals):
        assert after.start_s == pytest.approx(before.start_s + before.duration_s, abs=2e-6)
    sums = json.loads(_libiperf_json(f"{version}-{direction}-ok"))["end"]["sum_received"]
    assert found.receiver_report_bytes == sums["bytes"]
    # From 3.17 on the receiver counts whole blocks of 128 KiB only.
    if version in ("3.18", "3.22") and direction == "download":
        assert sums["bytes"] % (128 * 1024) == 0


def test_retransmits_of_each_interval_are_known_where_we_send() -> None:
    assert all(i.retransmits is None for i in transfer("3.12-download-ok").intervals)
    upload = transfer("3.12-upload-ok")
    assert sum(i.retransmits or 0 for i in upload.intervals) == upload.retransmits


@pytest.mark.parametrize(
    ("name", "reason", "said"),
    [
        ("3.12-upload-busy", Reason.SERVER_BUSY, "the server is busy running a test"),
        ("3.18-upload-busy", Reason.SERVER_BUSY, "the server is busy running a test"),
        ("3.22-upload-busy", Reason.SERVER_BUSY, "the server is busy running a test"),
        ("3.12-upload-refused", Reason.CONNECTION_REFUSED, "Connection refused"),
        ("3.18-upload-refused", Reason.CONNECTION_REFUSED, "Connection refused"),
        ("3.22-upload-refused", Reason.CONNECTION_REFUSED, "Connection refused"),
        ("3.9-upload-refused", Reason.CONNECTION_LOST, "unable to send control message"),
        ("3.9-upload-busy", Reason.CONNECTION_LOST, "Connection reset by peer"),
        ("3.12-upload-unreachable", Reason.UNREACHABLE, "Network is unreachable"),
        ("3.12-upload-no-route", Reason.UNREACHABLE, "No route to host"),
        ("3.12-upload-prohibited", Reason.PERMISSION_DENIED, "Permission denied"),
        ("3.12-upload-timed-out", Reason.TIMEOUT, "Connection timed out"),
        ("3.12-upload-no-such-device", Reason.LINE_DOWN, "No such device"),
        ("3.12-upload-not-our-address", Reason.LINE_DOWN, "Cannot assign requested address"),
        ("3.12-upload-name-unknown", Reason.NAME_RESOLUTION, "no-such.invalid"),
        ("3.12-upload-not-authorised", Reason.PERMISSION_DENIED, "test authorization failed"),
        ("3.12-upload-not-iperf3", Reason.PROTOCOL_ERROR, "received an unknown control message"),
        ("3.12-upload-closed-at-once", Reason.CONNECTION_LOST, "control socket has closed"),
        ("3.12-upload-reset-at-once", Reason.CONNECTION_LOST, "Connection reset by peer"),
        ("3.22-upload-reset-at-once", Reason.CONNECTION_LOST, "unable to receive control message"),
        ("3.12-upload-mute-server", Reason.TIMEOUT, "had not ended after 8 s"),
        ("3.12-upload-no-such-congestion-control", Reason.TOOL_FAILED, "TCP_CONGESTION"),
        ("3.9-upload-no-setter", Reason.TOOL_MISSING, "iperf_set_test_bind_dev"),
    ],
)
def test_an_error_has_its_reason_and_no_transfer(name: str, reason: Reason, said: str) -> None:
    reading = read(name)
    assert (reading.reason, reading.transfer) == (reason, None)
    assert reading.detail is not None
    assert said in reading.detail


@pytest.mark.parametrize(
    ("name", "reason", "intervals"),
    [
        ("3.12-upload-server-killed", Reason.CONNECTION_LOST, 3),
        ("3.12-download-server-killed", Reason.CONNECTION_LOST, 3),
        ("3.9-download-server-killed", Reason.CONNECTION_LOST, 3),
        ("3.18-download-server-killed", Reason.CONNECTION_LOST, 3),
        ("3.22-download-server-killed", Reason.CONNECTION_LOST, 3),
        ("3.12-upload-server-terminated", Reason.CONNECTION_LOST, 2),
        ("3.12-upload-server-stopped", Reason.TIMEOUT, 4),
        ("3.12-download-line-cut", Reason.TIMEOUT, 4),
        ("3.12-upload-stop-requested", Reason.SHUTTING_DOWN, 2),
    ],
)
def test_a_broken_off_transfer_keeps_its_intervals(
    name: str, reason: Reason, intervals: int
) -> None:
    reading = read(name)
    assert reading.reason is reason
    found = reading.transfer
    assert found is not None
    assert (found.complete, found.error, len(found.intervals)) == (False, reading.detail, intervals)
    assert found.transferred_bytes > 1_000_000


def test_every_reason_text_is_held_by_a_real_report() -> None:
    real = [path.read_text(encoding="utf-8") for path in GOLDEN.glob("3.*.*")]
    # These two come from runs without the package and without the library (test_iperf3_engine).
    elsewhere = ("No module named 'iperf3'", "Couldn't find shared library")
    for text, _ in iperf3_report.REASONS:
        assert text in elsewhere or any(text in report for report in real), text


def test_a_report_cut_within_its_first_interval_is_no_transfer() -> None:
    reading = read("3.12-download-truncated-in-a-sample")
    assert (reading.transfer, reading.reason) == (None, Reason.TOOL_FAILED)


def test_a_child_that_was_killed_is_a_time_out_with_what_it_had_sampled() -> None:
    report = (GOLDEN / "3.12-download-ok.report").read_bytes()
    samples = report[: report.index(b'{"line": "ended"')]
    reading = iperf3_report.read(Transcript(report=samples, killed=True), spec())
    assert reading.reason is Reason.TIMEOUT
    assert reading.transfer is not None
    assert reading.transfer.transferred_bytes == 4_483_008


def test_a_child_that_left_by_itself_says_what_it_printed() -> None:
    printed = "iperf3: parameter error\nsomething went wrong\n"
    reading = iperf3_report.read(Transcript(report=b"", printed=printed), spec())
    assert reading.reason is Reason.TOOL_FAILED
    assert reading.detail == "iperf3 ended without a result: something went wrong"


def test_two_counts_of_one_transfer_that_disagree_are_no_figure() -> None:
    report = (GOLDEN / "3.12-download-ok.report").read_bytes()
    halved = report.replace(b"4577128", b"2288564")
    reading = iperf3_report.read(Transcript(report=halved), spec())
    assert reading.reason is Reason.PROTOCOL_ERROR
    assert reading.detail is not None
    assert "2288564" in reading.detail
    assert reading.transfer is not None
    assert not reading.transfer.complete


def test_a_receiver_that_hears_of_the_end_late_does_not_disagree() -> None:
    """Its time goes on and its bytes do not, as on a machine that is busy."""
    report = (GOLDEN / "3.12-download-ok.report").read_bytes()
    seconds = re.search(rb'"sum_received":.*?"seconds":\s*([\d.]+)', report, re.DOTALL)
    assert seconds is not None
    late = report[: seconds.start(1)] + b"3.5" + report[seconds.end(1) :]
    reading = iperf3_report.read(Transcript(report=late), spec())
    assert (reading.reason, reading.detail) == (None, None)
    assert reading.transfer is not None
    assert reading.transfer.receiver_report_s == 3.5


def test_what_comes_after_the_last_sample_does_not_disagree() -> None:
    """The last sample is 0.1 s before the sender stops, and a burst may follow it."""
    report = (GOLDEN / "3.12-download-ok.report").read_bytes()
    burst = report.replace(b"4483008", b"3600000")
    reading = iperf3_report.read(Transcript(report=burst), spec())
    assert (reading.reason, reading.detail) == (None, None)
    assert reading.transfer is not None
    assert reading.transfer.transferred_bytes == 3_600_000


# What libiperf stated beside the figure, what it is changed to, and the fields that are then None.
SIDE_VALUES: dict[str, tuple[bytes, bytes, set[str]]] = {
    "negative remote CPU": (b"0.17597166856136162", b"-12.5", {"cpu_remote_ratio"}),
    "nan CPU": (b"0.17597166856136162", b"nan", {"cpu_remote_ratio"}),
    "-nan CPU": (b"0.17597166856136162", b"-nan", {"cpu_remote_ratio"}),
    "NaN CPU": (b"0.17597166856136162", b"NaN", {"cpu_remote_ratio"}),
    "a CPU that no float holds": (b"0.17597166856136162", b"1e999", {"cpu_remote_ratio"}),
    "CPU of a million cores": (b"0.17597166856136162", b"1e8", {"cpu_remote_ratio"}),
    "CPU as text": (b"0.17597166856136162", b'"0.2"', {"cpu_remote_ratio"}),
    "negative local CPU": (b"2.5536677027422976", b"-1", {"cpu_local_ratio"}),
    "negative retransmits": (b'"retransmits":\t21', b'"retransmits": -2', {"retransmits"}),
    "retransmits of 32 bits": (
        b'"retransmits":\t21',
        b'"retransmits": 4294967294',
        {"retransmits"},
    ),
    "more retransmits than segments": (
        b'"retransmits":\t21',
        b'"retransmits": 3297',
        {"retransmits"},
    ),
    "retransmits that are true": (b'"retransmits":\t21', b'"retransmits": true', {"retransmits"}),
    "null retransmits": (b'"retransmits":\t21', b'"retransmits": null', {"retransmits"}),
    "a negative count": (b"4577128", b"-1", {"receiver_report_bytes"}),
    "a count of 64 bits": (b"4577128", b"18446744073709551615", {"receiver_report_bytes"}),
    "no time": (
        b'"end":\t2.000144,\n\t\t\t"seconds":\t2.000144',
        b'"end": 0, "seconds": 0',
        {"receiver_report_s"},
    ),
    "a name that is none": (
        b'"sender_tcp_congestion":\t"cubic"',
        b'"sender_tcp_congestion": "\\ud800"',
        {"congestion_control_sender"},
    ),
    "a name that is too long": (
        b'"receiver_tcp_congestion":\t"cubic"',
        b'"receiver_tcp_congestion": "' + b"x" * 600 + b'"',
        {"congestion_control_receiver"},
    ),
    "an error that is none": (b'"end":\t{\n\t\t"streams"', b'"error": 5, "end": {"streams"', set()),
    "a warning before the JSON": (b"\n{\n", b"\niperf3: warning: no {cork}\n{\n", set()),
    "a warning of a brace": (b"\n{\n", b"\n{warning}\n{\n", set()),
}
ALL_STATED = {
    "cpu_local_ratio",
    "cpu_remote_ratio",
    "retransmits",
    "congestion_control_sender",
    "congestion_control_receiver",
    "receiver_report_bytes",
    "receiver_report_s",
}


def _holds_but_for(changed: bytes, absent: set[str]) -> None:
    """A changed golden report gives the figure of the original and all but some other values."""
    whole, reading = (
        transfer("3.12-download-ok"),
        iperf3_report.read(Transcript(report=changed), spec()),
    )
    assert (reading.reason, reading.detail) == (None, None)
    assert reading.transfer == msgspec.structs.replace(whole, **dict.fromkeys(absent))
    # By the contract it is a transfer.
    assert (
        msgspec.json.decode(msgspec.json.encode(reading.transfer), type=Transfer)
        == reading.transfer
    )


@pytest.mark.parametrize("case", SIDE_VALUES)
def test_a_value_beside_the_figure_that_cannot_be_is_none_and_fails_nothing(case: str) -> None:
    was, changed_to, absent = SIDE_VALUES[case]
    report = (GOLDEN / "3.12-download-ok.report").read_bytes()
    at = report.rindex(was)
    _holds_but_for(report[:at] + changed_to + report[at + len(was) :], absent)


@pytest.mark.parametrize(
    "json_text", [b"", b"{}", b"[]", b"{", b'{"end": null}', b"\xff", b"[" * 99_999]
)
def test_a_figure_needs_nothing_of_libiperfs_json(json_text: bytes) -> None:
    report = (GOLDEN / "3.12-download-ok.report").read_bytes()
    _holds_but_for(report[: report.index(b"\n{\n") + 1] + json_text, ALL_STATED)


def test_a_report_that_was_cut_after_its_last_sample_has_its_figure() -> None:
    reading = read("3.12-download-truncated")
    assert reading.reason is None
    assert reading.transfer is not None
    assert reading.transfer.whole_bps == transfer("3.12-download-ok").whole_bps


@pytest.mark.parametrize(("stated", "believed"), [(3_296, 3_296), (3_297, None)])
def test_as_many_retransmits_as_segments_are_believed_and_200_for_stalls(
    stated: int, believed: int | None
) -> None:
    """4,483,008 bytes in two streams: 3,096 segments of 1,448 bytes, and 100 for each stream."""
    report = (GOLDEN / "3.12-download-ok.report").read_bytes()
    at = report.rindex(b'"retransmits":\t21')
    changed = report[:at] + b'"retransmits": %d' % stated + report[at + 17 :]
    found = iperf3_report.read(Transcript(report=changed), spec()).transfer
    assert found is not None
    assert found.retransmits == believed


def test_retransmits_that_are_not_believed_hide_no_cross_traffic() -> None:
    report = (GOLDEN / "3.12-download-ok.report").read_bytes()
    lied = report.replace(b'"retransmits":\t21', b'"retransmits":\t4294967294')
    twice = round(4_483_008 * 1514 / 1448) * 2
    reading = iperf3_report.read(Transcript(report=lied, interface_bytes=twice), spec())
    found = raw_result(SERVER, ThroughputConfig(), DirectionResult(spec(), reading), None)
    assert (found.outcome, found.validity) == (Outcome.OK, [Validity.CROSS_TRAFFIC])


def test_what_the_figure_is_made_of_may_fail_it() -> None:
    report = (GOLDEN / "3.12-download-ok.report").read_bytes()
    reading = iperf3_report.read(
        Transcript(report=report.replace(b"4483008", b"9000000000000000")), spec()
    )
    assert reading.reason is Reason.TOOL_FAILED
    assert (reading.detail or "").startswith("the report makes no sense")


def test_samples_that_run_backwards_are_a_defect() -> None:
    lines = b"".join(
        b'{"line": "sample", "at_s": %d, "transferred_bytes": %d, "retransmits": 0}\n' % pair
        for pair in ((0, 0), (1, 500), (2, 400))
    )
    reading = iperf3_report.read(Transcript(report=lines), spec())
    assert (reading.reason, reading.detail) == (
        Reason.TOOL_FAILED,
        "the report cannot be read: line 3: runs backwards",
    )


def test_why_omit_is_not_used() -> None:
    """With libiperf's own warm-up the second half second of it is in no interval."""
    output = json.loads((GOLDEN / "3.12-omit-loses-an-interval.json").read_bytes())
    assert output["start"]["test_start"]["omit"] == 1
    sums = [interval["sum"] for interval in output["intervals"]]
    assert sum(one["seconds"] for one in sums if one["omitted"]) == pytest.approx(0.5, abs=0.01)
    after = next(one for one in sums if not one["omitted"])
    assert (after["start"], after["end"]) == pytest.approx((0.5, 0.5), abs=0.01)
    assert after["seconds"] == pytest.approx(1.0, abs=0.01)


def test_unknown_words_are_a_failure_of_the_tool() -> None:
    assert reason_of("flux capacitor empty") is Reason.TOOL_FAILED


def test_the_spec_binds_to_the_line_and_adds_the_warm_up() -> None:
    settings = ThroughputConfig(streams=4, warm_up_s=3, duration_s=10, connect_timeout_s=5)
    made = spec_for(Direction.DOWNLOAD, LINE, SERVER, 5202, settings)
    assert (made.host, made.port, made.reverse) == ("203.0.113.1", 5202, True)
    assert (made.bind_address, made.bind_device) == ("192.0.2.10", "eth0")
    assert (made.total_s, made.warm_up_s, made.deadline_s) == (13, 3, 23)


@pytest.mark.parametrize(
    ("plan_bps", "settings", "direction", "streams"),
    [
        (300e6, ThroughputConfig(), Direction.DOWNLOAD, 4),
        (950e6, ThroughputConfig(), Direction.DOWNLOAD, 4),
        (1e9, ThroughputConfig(), Direction.DOWNLOAD, 8),
        (1e9, ThroughputConfig(streams=16), Direction.DOWNLOAD, 16),
        (1e9, ThroughputConfig(), Direction.UPLOAD, 8),
        (1e9, ThroughputConfig(upload_streams=1), Direction.UPLOAD, 1),
        (None, ThroughputConfig(), Direction.UPLOAD, 4),
    ],
)
def test_streams(
    plan_bps: float | None, settings: ThroughputConfig, direction: Direction, streams: int
) -> None:
    line = LineConfig(
        id="x", isp="X", interface="eth0", plan_download_bps=plan_bps, plan_upload_bps=plan_bps
    )
    assert spec_for(direction, line, SERVER, 5201, settings).streams == streams


def test_waits_for_a_busy_server_grow_and_stay_within_the_limit() -> None:
    settings = ThroughputConfig(busy_first_wait_s=4, busy_limit_s=40)
    assert list(busy_backoff_s(settings, lambda: 0.5)) == [4, 8, 16, 0.875 * 12]
    assert list(busy_backoff_s(settings, lambda: 0.0)) == [2, 4, 8, 16, 0.75 * 10]
    assert list(busy_backoff_s(ThroughputConfig(busy_limit_s=0), lambda: 0.5)) == []
    # Nor beyond the slot's part of the day.
    assert list(busy_backoff_s(settings, lambda: 0.5, 13)) == [4, 8, 0.875]
    assert list(busy_backoff_s(settings, lambda: 0.5, 0)) == []
    assert list(busy_backoff_s(settings, lambda: 0.5, 1e6)) == [4, 8, 16, 0.875 * 12]


@pytest.mark.parametrize("seed", range(200))
def test_a_probe_outwaits_a_server_that_lost_its_client(seed: int) -> None:
    """Which is busy for the 13 s of the test and 40 s more."""
    settings = ThroughputConfig()
    waits = list(busy_backoff_s(settings, random.Random(seed).random))
    assert settings.warm_up_s + settings.duration_s + 40 == 53
    assert 60 <= sum(waits) <= 80


def test_both_directions_make_one_finding() -> None:
    download = DirectionResult(spec(), read("3.12-download-ok"))
    upload = DirectionResult(spec("-upload-ok"), read("3.12-upload-ok"))
    found = raw_result(SERVER, ThroughputConfig(), download, upload)
    assert (found.outcome, found.reason, found.target) == (Outcome.OK, None, "iperf3:may-chu-1")
    assert isinstance(found.values, ThroughputValues)
    assert found.values.download_bps == transfer("3.12-download-ok").steady_bps
    assert found.values.upload_whole_bps == transfer("3.12-upload-ok").whole_bps
    assert found.method is not None
    assert (found.method.tool, found.method.version) == ("libiperf", "3.12")
    assert found.method.settings["download_streams"] == 2
    assert found.validity == []
    body = msgspec.json.encode(found.values)
    assert msgspec.json.decode(body, type=ThroughputValues) == found.values


def test_a_failed_upload_keeps_the_download_and_its_own_intervals_without_figures() -> None:
    download = DirectionResult(spec(), read("3.12-download-ok"))
    upload = DirectionResult(spec("-upload-server-killed"), read("3.12-upload-server-killed"))
    found = raw_result(SERVER, ThroughputConfig(), download, upload)
    assert (found.outcome, found.reason) == (Outcome.FAILED, Reason.CONNECTION_LOST)
    assert found.detail == "upload: control socket has closed unexpectedly"
    assert isinstance(found.values, ThroughputValues)
    assert found.values.download_bps is not None
    assert (found.values.upload_bps, found.values.upload_whole_bps) == (None, None)
    assert found.values.upload is not None
    assert len(found.values.upload.intervals) == 3
    assert found.validity == [Validity.SHORT]


def test_a_failed_download_keeps_its_intervals_and_the_upload_its_figure() -> None:
    download = DirectionResult(spec("-download-server-killed"), read("3.12-download-server-killed"))
    upload = DirectionResult(spec("3.12-upload-ok"), read("3.12-upload-ok"))
    found = raw_result(SERVER, ThroughputConfig(), download, upload)
    assert (found.outcome, found.reason) == (Outcome.FAILED, Reason.CONNECTION_LOST)
    assert found.detail == "download: control socket has closed unexpectedly"
    assert isinstance(found.values, ThroughputValues)
    assert (found.values.download_bps, found.values.download_whole_bps) == (None, None)
    assert found.values.download is not None
    assert found.values.upload_bps == transfer("3.12-upload-ok").steady_bps


def test_two_failed_directions_are_named_both_and_the_first_gives_the_reason() -> None:
    download = DirectionResult(spec("-download-"), read("3.12-upload-refused"))
    upload = DirectionResult(spec("-upload-"), read("3.12-upload-busy"))
    found = raw_result(SERVER, ThroughputConfig(), download, upload)
    assert (found.outcome, found.reason) == (Outcome.FAILED, Reason.CONNECTION_REFUSED)
    assert found.detail is not None
    assert found.detail.startswith("download: ")
    assert "; upload: the server is busy running a test" in found.detail


@pytest.mark.parametrize(
    ("name", "another"),
    [
        ("3.12-upload-refused", True),
        ("3.9-upload-refused", True),
        ("3.18-upload-refused", True),
        ("3.22-upload-refused", True),
        ("3.12-upload-timed-out", True),
        ("3.12-upload-unreachable", True),
        ("3.12-upload-no-route", True),
        ("3.12-upload-mute-server", False),
        ("3.12-upload-busy", False),
        ("3.12-upload-not-our-address", False),
        ("3.12-upload-server-killed", False),
        ("3.12-upload-ok", False),
    ],
)
def test_another_address_is_tried_where_the_first_could_not_be_connected_to(
    name: str, another: bool
) -> None:
    assert could_not_connect(read(name)) is another


def test_the_address_and_its_family_are_stated_of_a_failed_test_too() -> None:
    for address, family in (("203.0.113.1", Family.IPV4), ("2001:db8::1", Family.IPV6)):
        tested = msgspec.structs.replace(spec(), address=address)
        for name in ("3.12-download-ok", "3.12-upload-refused"):
            found = raw_result(
                SERVER, ThroughputConfig(), DirectionResult(tested, read(name)), None
            )
            assert isinstance(found.values, ThroughputValues)
            assert (found.family, found.values.address) == (family, address)
    busy = raw_result(
        SERVER, ThroughputConfig(), DirectionResult(tested, read("3.12-upload-busy")), None
    )
    assert (busy.values, busy.family) == (None, Family.IPV6)


def test_the_upload_takes_the_port_that_served_and_last_the_one_that_broke_off() -> None:
    tried = msgspec.structs.replace(spec(), port=5202)
    served = DirectionResult(tried, read("3.12-download-ok"))
    broken = DirectionResult(tried, read("3.12-download-server-killed"))
    assert upload_ports([5201, 5202, 5203], served) == [5202, 5201, 5203]
    assert upload_ports([5201, 5202, 5203], broken) == [5201, 5203, 5202]


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("3.12-upload-busy", Outcome.SKIPPED),
        ("3.12-upload-stop-requested", Outcome.SKIPPED),
        ("3.12-upload-refused", Outcome.FAILED),
    ],
)
def test_what_was_not_tried_is_skipped_and_not_failed(name: str, outcome: Outcome) -> None:
    found = raw_result(SERVER, ThroughputConfig(), DirectionResult(spec(name), read(name)), None)
    assert found.outcome is outcome
    assert (found.values is None) == (name != "3.12-upload-stop-requested")


def test_bytes_of_others_on_the_interface_are_flagged() -> None:
    own = round(4_483_008 * 1514 / 1448)
    for interface_bytes, flags in ((own, []), (own * 2, [Validity.CROSS_TRAFFIC])):
        reading = read("3.12-download-ok", interface_bytes)
        found = raw_result(SERVER, ThroughputConfig(), DirectionResult(spec(), reading), None)
        assert found.validity == flags


def test_a_test_that_passed_by_another_interface_is_flagged() -> None:
    """What the line's own card carried is less than what was received: it came another way."""
    for interface_bytes, flags in (
        (0, [Validity.INTERFACE_MISMATCH]),
        (3_500_000, [Validity.INTERFACE_MISMATCH]),
        (4_483_008, []),
        (None, []),
    ):
        reading = read("3.12-download-ok", interface_bytes)
        found = raw_result(SERVER, ThroughputConfig(), DirectionResult(spec(), reading), None)
        assert found.validity == flags, interface_bytes


def test_one_upload_stream_where_several_would_starve_each_other() -> None:
    line = LineConfig(id="x", isp="X", interface="eth0")
    for settings, streams in ((ThroughputConfig(), 1), (ThroughputConfig(upload_streams=3), 3)):
        upload = spec_for(Direction.UPLOAD, line, SERVER, 5201, settings, queues_starve=True)
        download = spec_for(Direction.DOWNLOAD, line, SERVER, 5201, settings, queues_starve=True)
        assert (upload.streams, download.streams) == (streams, 4)
    trial = DirectionResult(spec(), read("3.12-download-ok"))
    found = raw_result(SERVER, ThroughputConfig(), trial, None, queues_starve=True)
    assert found.method is not None
    assert found.method.settings["transmit_queues_starve"] is True


@pytest.mark.parametrize(
    ("version", "flags"),
    [
        ("3.9", [Validity.PROBE_LIMITED]),
        ("3.15", [Validity.PROBE_LIMITED]),
        ("3.16", []),
        ("3.22", []),
        ("3.x", []),
        (None, []),
    ],
)
def test_a_core_full_of_libiperf_is_flagged_where_it_has_but_one(
    version: str | None, flags: list[Validity]
) -> None:
    reading = read("3.12-download-ok")
    assert reading.transfer is not None
    busy = msgspec.structs.replace(reading.transfer, cpu_local_ratio=0.97)
    changed = msgspec.structs.replace(reading, transfer=busy, version=version)
    assert (
        raw_result(SERVER, ThroughputConfig(), DirectionResult(spec(), changed), None).validity
        == flags
    )


def _libiperf_json(name: str) -> bytes:
    report = (GOLDEN / f"{name}.report").read_bytes()
    return report[report.index(b"\n{\n") + 1 :]
