"""What `check` and `status` print, in both languages."""

from __future__ import annotations

from datetime import UTC, datetime

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
from tests.unit.test_plan import PARSED
from wire.messages import LineState
from wire.result import Outcome, Reason

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
    cause="timed out",
    pending=7,
    faults={"leds": "pin 24 is held"},
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
        "trung tâm: không kết nối được: timed out; 7 kết quả chờ xác nhận",
        "lỗi: leds: pin 24 is held",
        "đường truyền vnpt (VNPT): tốt",
        "  latency stamp:hn-1  rtt_p50_ms 9,50 ms",
        "đường truyền viettel (Viettel): mất kết nối",
        "  đang đo throughput: download     [############............]  50%",
        "  dns   không đo được: timeout",
        "đèn: power nháy chậm, vnpt.green sáng đều",
    ]


def test_the_status_in_english() -> None:
    assert texts.snapshot(BOARD, Language.EN).splitlines() == [
        "probe phu-thong-01 of bach-thong (pid 42, version 1)",
        "centre: not connected: timed out; 7 results wait for its receipt",
        "fault: leds: pin 24 is held",
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
