"""What `check` and `status` print, in both languages."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from probe.measure.measurement import Progress
from probe.show import texts
from probe.show.status import (
    Activity,
    LatestResult,
    LineStatus,
    Pattern,
    Status,
    StatusSnapshot,
)
from runtime.language import Language
from tests import samples
from tests.unit.test_plan import PARSED
from wire.messages import LineState
from wire.result import Outcome, Reason, Validity

PROBE = Path(__file__).parents[2] / "probe"


def first_arguments(of: str) -> Iterator[str]:
    """The first arguments, where they are texts, of each call of a name in the probe's source."""
    for path in sorted(PROBE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        constants = {
            name.id: value.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign)
            for names, values in [(node.targets[0], node.value)]
            if isinstance(names, ast.Tuple) and isinstance(values, ast.Tuple)
            for name, value in zip(names.elts, values.elts, strict=True)
            if isinstance(name, ast.Name) and isinstance(value, ast.Constant)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == of:
                first = node.args[0] if node.args else None
                if isinstance(first, ast.Constant):
                    yield str(first.value)
                elif isinstance(first, ast.Name) and first.id in constants:
                    yield str(constants[first.id])


STEPS = sorted({*first_arguments("Progress"), "download", "upload"})
PARTS = sorted(set(first_arguments("Fault")))
AT = datetime(2026, 11, 24, 5, tzinfo=UTC)
GOOD = LatestResult("latency", "stamp:hn-1", Outcome.OK, None, None, AT, {"rtt_p50_ms": 9.5})
LATE = LatestResult("dns", None, Outcome.FAILED, Reason.TIMEOUT, None, AT, {})
STATUS = Status(
    tenant="bach-thong",
    probe="phu-thong-01",
    lines={
        "vnpt": LineStatus("vnpt", "VNPT", LineState.GOOD, None, {"latency": GOOD}),
        "viettel": LineStatus(
            "viettel",
            "Viettel",
            LineState.DOWN,
            Activity("throughput", Progress(step="download", done_ratio=0.5)),
            {"dns": LATE},
        ),
    },
    cause="no answer (timed out): see",
    cause_vi="không trả lời (timed out): xem",
    pending=7,
    faults={"leds": "pin 24 is held", "of later": "as an earlier daemon states it"},
    faults_vi={"leds": "chân 24 đang bị chiếm"},
)
BOARD = StatusSnapshot(
    pid=42,
    version="1",
    written_at=AT,
    status=STATUS,
    leds={"power": Pattern.SLOW_BLINK, "vnpt.green": Pattern.STEADY},
    leds_driver="gpio",
)


def test_the_status_in_vietnamese() -> None:
    assert texts.snapshot(BOARD, Language.VI).splitlines() == [
        "trạm phu-thong-01 thuộc bach-thong (tiến trình 42, phiên bản 1)",
        "trung tâm: không kết nối được: không trả lời (timed out): xem; 7 kết quả chờ xác nhận",
        "lỗi: đèn báo: chân 24 đang bị chiếm",
        "lỗi: of later: as an earlier daemon states it",
        "đường truyền vnpt (VNPT): tốt",
        "  latency stamp:hn-1  rtt_p50_ms 9,50 ms",
        "đường truyền viettel (Viettel): mất kết nối",
        "  đang đo throughput: tải xuống    [############............]  50%",
        "  dns   không đo được: quá thời gian chờ (timeout)",
        "đèn: power nháy chậm, vnpt.green sáng đều",
    ]


def test_the_status_in_english() -> None:
    assert texts.snapshot(BOARD, Language.EN).splitlines() == [
        "probe phu-thong-01 of bach-thong (pid 42, version 1)",
        "centre: not connected: no answer (timed out): see; 7 results wait for its receipt",
        "fault: leds: pin 24 is held",
        "fault: of later: as an earlier daemon states it",
        "line vnpt (VNPT): good",
        "  latency stamp:hn-1  rtt_p50_ms 9.50 ms",
        "line viettel (Viettel): down",
        "  measuring throughput: download     [############............]  50%",
        "  dns   failed: timeout",
        "LEDs: power slow_blink, vnpt.green steady",
    ]


def test_the_configuration_in_a_few_lines() -> None:
    vietnamese = texts.summary(PARSED, "probe.toml", Language.VI).splitlines()
    english = texts.summary(PARSED, "probe.toml", Language.EN).splitlines()
    assert vietnamese[0] == "probe.toml: hợp lệ"
    assert english[0] == "probe.toml: sound"
    assert len(vietnamese) == len(english) == 5 + len(PARSED.lines) + len(PARSED.servers)
    assert vietnamese[-1] == "mỗi đường truyền cần 300 lượt đo tốc độ mỗi tháng"


def test_progress_has_its_rate_as_each_language_writes_it() -> None:
    step = Progress(step="download", done_ratio=0.5, rate_bps=94_260_000.0)
    assert texts.progress(step, Language.VI).endswith(" 50%  94,3 Mbit/s")
    assert texts.progress(step, Language.EN).endswith(" 50%  94.3 Mbit/s")


def test_a_failed_result_has_its_reason_and_flags_in_each_language() -> None:
    failed = msgspec.structs.replace(
        samples.throughput(),
        outcome=Outcome.FAILED,
        reason=Reason.CONNECTION_REFUSED,
        detail="Nothing listens.",
        values=None,
        validity=[Validity.CLOCK_UNSYNCED, Validity.SHORT],
    )
    vietnamese = texts.result(failed, Language.VI).splitlines()
    assert vietnamese[0].endswith("không đo được: máy chủ đo từ chối kết nối (connection_refused)")
    assert vietnamese[1:] == [
        "  chi tiết (nguyên văn): “Nothing listens.”",
        "  điều cần lưu ý: đồng hồ chưa đồng bộ, đo ngắn hơn quy định",
    ]
    english = texts.result(failed, Language.EN).splitlines()
    assert english[0].endswith("failed: connection_refused")
    assert english[1:] == ["  Nothing listens.", "  validity: clock_unsynced, short"]


@pytest.mark.parametrize("step", STEPS)
def test_each_step_of_a_measurement_has_a_vietnamese_name(step: str) -> None:
    shown = texts.progress(Progress(step=step, done_ratio=0.0), Language.VI)
    assert not shown.startswith(step)


@pytest.mark.parametrize("part", PARTS)
def test_each_part_that_reports_a_fault_has_a_vietnamese_name(part: str) -> None:
    assert texts.part_name(part).vi != part
