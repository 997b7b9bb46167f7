"""Rules of docs/method.md that no other test holds, each by its id."""

from __future__ import annotations

import math
import queue
import re
import threading
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest
from msgspec import Struct, structs

from collector.reports import builder
from collector.reports.report import Level, ReportKind
from collector.rollup.distribution import distribution
from collector.rollup.metrics import invalidating
from collector.rollup.summary import KindCounts, Summary
from collector.web import line_view
from collector.web.presentation import Locale
from probe.clock import Clocks
from probe.config import LatencyConfig, ThroughputConfig
from probe.measure.latency.probe import target_specs
from probe.measure.lookup import Address
from probe.measure.measurement import MeasurementRequest
from probe.measure.path import hops
from probe.measure.runner import STEP_S, Runner
from probe.measure.throughput import iperf3_child
from probe.schedule.queue import MeasurementQueue
from probe.state.usage import UsageFile
from runtime import kernel_time
from runtime.language import Language
from server import cli as server_cli
from tests import report_samples
from tests.method_document import ENGLISH, document
from tests.unit.test_plan import PARSED
from tests.unit.test_schedule_queue import loopback, wanted
from wire.result import KINDS, HopAnswer, Outcome, Result, Validity

ROOT = Path(__file__).parents[2]
EN = Locale(Language.EN, ZoneInfo("Asia/Ho_Chi_Minh"))
# What a number may be of, at the end of its name.
UNITS = ("_bps", "_ms", "_s", "_ratio", "_per_core_ratio", "_upper95")


def _numbers(values: type[Struct], seen: frozenset[type[Struct]] = frozenset()) -> set[str]:
    """The names of all fields of a values type that are not whole numbers, nested ones too."""
    found: set[str] = set()
    for field in msgspec.inspect.type_info(values).fields:  # type: ignore[attr-defined]
        found |= _names_of(field.name, field.type, seen | {values})
    return found


def _names_of(name: str, kind: msgspec.inspect.Type, seen: frozenset[type[Struct]]) -> set[str]:
    match kind:
        case msgspec.inspect.UnionType(types=types):
            return {one for part in types for one in _names_of(name, part, seen)}
        case msgspec.inspect.ListType(item_type=item):
            return _names_of(name, item, seen)
        case msgspec.inspect.StructType(cls=cls) if cls not in seen:
            return _numbers(cls, seen)
        case msgspec.inspect.FloatType():
            return {name}
    return set()


@pytest.mark.parametrize("kind", KINDS)
def test_a_number_s_unit_is_in_its_name(kind: str) -> None:
    """C1."""
    (values,) = (f.type for f in structs.fields(KINDS[kind]) if f.name == "values")
    values_type = next(part for part in values.__args__ if part is not type(None))
    assert [name for name in sorted(_numbers(values_type)) if not name.endswith(UNITS)] == []


def test_the_kinds_are_those_of_this_page() -> None:
    """N2: no kind without a section that says how; `results_dropped` measures nothing."""
    headings = " ".join(re.findall(r"^## (.*)$", ENGLISH.read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"`(\w+)`", headings)) == set(KINDS) - {"results_dropped"}


def test_http_figures_are_never_assessed() -> None:
    """H9: a month of nothing but HTTP tests, all above the plan, gives no verdict."""
    given = report_samples.sources()
    line = report_samples.key("tram-01969-1", "vnpt")
    http = Summary(
        kinds={"http": KindCounts(ok=2000, valid=2000)},
        metrics={
            "http_download_whole_bps": distribution([299e6, 301e6] * 1000),
            "http_upload_whole_bps": distribution([299e6, 301e6] * 1000),
        },
    )
    summaries = report_samples.FakeSummaries()
    for day in report_samples.JULY.each_day():
        summaries.put(line, day, http)
    given = structs.replace(given, summaries=summaries)
    area = builder.resolve_area(given.registry, report_samples.GROUP)
    report = builder.build_report(
        ReportKind.MONTHLY, area, report_samples.JULY, given, now=report_samples.NOW
    )
    (row,) = (
        one for one in report.at(Level.LINE) if (one.probe, one.line) == ("tram-01969-1", "vnpt")
    )
    assert row.tests == 31 * 2000
    for direction in (row.download, row.upload):
        assert (direction.samples, direction.mean_bps, direction.verdict) == (0, None, "none")


@pytest.mark.parametrize(("packets", "shown"), [(58, False), (59, True)])
def test_pages_and_reports_show_no_p95_of_a_small_sample(packets: int, shown: bool) -> None:
    """M10."""
    metrics = {"latency_rtt_ms": distribution([12.0] * packets)}
    ((_, p50, p95, _),) = line_view.percentiles(Summary(metrics=metrics), EN)
    assert "12" in p50
    assert ("12" in p95) == shown
    given = report_samples.sources()
    line = report_samples.key("tram-01969-1", "vnpt")
    summaries = report_samples.FakeSummaries()
    for day in report_samples.JULY.each_day():
        summaries.put(line, day, Summary())
    summaries.put(
        line,
        report_samples.JULY.first,
        Summary(metrics=metrics | {"throughput_download_whole_bps": distribution([3e8] * packets)}),
    )
    area = builder.resolve_area(given.registry, report_samples.GROUP)
    report = builder.build_report(
        ReportKind.MONTHLY,
        area,
        report_samples.JULY,
        structs.replace(given, summaries=summaries),
        now=report_samples.NOW,
    )
    (row,) = (
        one for one in report.at(Level.LINE) if (one.probe, one.line) == ("tram-01969-1", "vnpt")
    )
    assert (row.rtt_p95_ms is not None) == shown
    assert (row.download.p05_bps is not None) == shown


def test_the_flags_that_keep_a_figure_out_are_those_of_the_table() -> None:
    """V7: the table of flags, read."""
    kept_out: dict[Validity, set[str]] = {}
    for cells in document(ENGLISH).table("validity", "| Flag |"):
        names = set(re.findall(r"`(\w+)`", cells[2]))
        kinds = set(KINDS) - names if cells[2].startswith("all kinds") else names
        for flag in re.findall(r"`(\w+)`", cells[0]):
            kept_out[Validity(flag)] = kinds
    assert kept_out == {
        flag: {kind for kind in KINDS if flag in invalidating(kind)} for flag in Validity
    }


def test_the_ping_targets_are_gateway_servers_and_what_is_named() -> None:
    """L1, L2: and no hop of the ISP's."""
    line = structs.replace(PARSED.lines[0], gateway="192.0.2.1")
    first, second = (
        structs.replace(PARSED.servers[0], name=name, host=host, stamp_port=862)
        for name, host in (("hn-1", "203.0.113.10"), ("hcm-1", "203.0.113.20"))
    )
    config = structs.replace(
        PARSED,
        lines=[line],
        servers=[first, second],
        latency=LatencyConfig(icmp_targets=["198.51.100.1"]),
    )
    request = MeasurementRequest(
        line=line, server=first, config=config, stop=threading.Event(), progress=lambda _: None
    )
    assert [spec.name for spec in target_specs(request)] == [
        "stamp:hn-1",
        "icmp:gateway",
        "icmp:198.51.100.1",
        "icmp:203.0.113.10",
        "icmp:203.0.113.20",
    ]


def test_a_loaded_session_nearly_always_has_a_p95() -> None:
    """LL1: the chance of fewer than 59 packets in a full-length steady part (Poisson)."""
    mean = ThroughputConfig().duration_s / LatencyConfig().loaded_mean_gap_s
    fewer = math.fsum(
        math.exp(-mean + packets * math.log(mean) - math.lgamma(packets + 1))
        for packets in range(59)
    )
    assert 3e-6 < fewer < 4.5e-6


def test_latency_pauses_while_a_bulk_test_has_the_line(tmp_path: Path) -> None:
    """L14: from the look at the line until the result is there, and on this line alone."""
    config = loopback(tmp_path, cross_traffic_download_bps=1e12, cross_traffic_upload_bps=1e12)
    other = structs.replace(config.lines[0], id="other")
    config = structs.replace(config, lines=[*config.lines, other])
    pause = {line.id: threading.Event() for line in config.lines}
    seen: list[dict[str, bool]] = []
    results: queue.SimpleQueue[Result] = queue.SimpleQueue()

    def take(result: Result) -> None:
        seen.append({line: event.is_set() for line, event in pause.items()})
        results.put(result)

    runner, usage = Runner(config, lambda _: None), UsageFile(config.state_dir, UTC)
    measurements = MeasurementQueue(config, runner, usage, take, pause)
    stopping = threading.Event()
    thread = threading.Thread(target=measurements.run, args=(stopping, lambda: None))
    measurements.enqueue(wanted(config, 60))
    thread.start()
    line = config.lines[0].id
    try:
        assert pause[line].wait(5)
        assert results.empty()  # it is looking at the line
        assert results.get(timeout=20).outcome is Outcome.FAILED
        stopping_at = datetime.now(UTC).timestamp() + 5
        while pause[line].is_set() and datetime.now(UTC).timestamp() < stopping_at:
            stopping.wait(0.01)
        assert not pause[line].is_set()
    finally:
        stopping.set()
        thread.join(10)
    assert seen == [{line: True, "other": False}]


@pytest.mark.parametrize(("step_s", "flagged"), [(0.4, False), (0.6, True), (-0.6, True)])
def test_a_step_of_half_a_second_is_flagged(tmp_path: Path, step_s: float, flagged: bool) -> None:
    """K3: by wall less monotonic time, before and after."""
    assert STEP_S == 0.5
    config = loopback(tmp_path)
    wall_s = count(1_000_000.0, step_s)
    clocks = Clocks(
        monotonic_s=lambda: 1_000.0, utc_now=lambda: datetime.fromtimestamp(next(wall_s), UTC)
    )
    runner = Runner(config, lambda _: None, clocks=clocks)
    line, server = config.lines[0], config.servers[0]
    (result,) = runner.run("throughput", line, server, threading.Event())
    assert (Validity.CLOCK_STEPPED in result.validity) == flagged


def test_a_clock_that_the_kernel_calls_unsynchronised_is_flagged(tmp_path: Path) -> None:
    """K2: the flag, the result's own reading and the kernel's word of the same moment agree."""
    config = loopback(tmp_path)
    runner = Runner(config, lambda _: None)
    before = kernel_time.synchronised()
    (result,) = runner.run("throughput", config.lines[0], config.servers[0], threading.Event())
    assert result.clock.synchronised is before
    assert (Validity.CLOCK_UNSYNCED in result.validity) == (before is False)


def test_the_wall_clock_makes_no_duration() -> None:
    """K1: at the probe and its server two files read the wall clock, and say so."""
    reads = re.compile(r"\btime\.time(_ns)?\(|\bdatetime\.(now|utcnow|today)\(")
    found = {
        path.relative_to(ROOT).as_posix()
        for room in ("wire", "runtime", "probe", "server")
        for path in (ROOT / room).rglob("*.py")
        if reads.search(path.read_text(encoding="utf-8"))
    }
    assert found == {"probe/clock.py", "runtime/kernel_time.py"}


def test_samples_are_taken_every_half_second_and_last_before_the_end() -> None:
    """T5: of the default geometry, 13 s."""
    settings = ThroughputConfig()
    at_s = iperf3_child.grid_s(settings.warm_up_s + settings.duration_s, settings.interval_s)
    assert at_s == [n * 0.5 for n in range(26)] + [12.9]


def test_a_hop_s_time_is_the_least_of_its_answers() -> None:
    """P2."""
    answers = [
        hops.HopReply("100.64.0.1", HopAnswer.TIME_EXCEEDED, rtt_ms) for rtt_ms in (9.0, 4.0, 7.0)
    ]
    aim = hops.HopProbe(Address("203.0.113.10", 0), 2)
    found = hops.hop_of(aim, hops.HopOutcome(3, answers, []))
    assert (found.hop, found.address, found.rtt_ms) == (2, "100.64.0.1", 4.0)
    assert (found.sent, found.answered) == (3, 3)


def test_the_reflector_answers_a_thousand_packets_a_second_of_one_source() -> None:
    """L16: by default."""
    assert server_cli._parser().parse_args([]).rate_limit_pps == 1000


def test_no_program_of_ours_knows_i_speed_s_address() -> None:
    """N4: it is named to people and asked by nobody."""
    address = re.compile(r"(i-?speed|speedtest)[\w.-]*\.(vn|com|net)\b", re.IGNORECASE)
    assert address.search("https://i-speed.vn/")
    rooms = ("wire", "runtime", "probe", "server", "collector", "deploy", "ansible", "systemd")
    assert [
        str(path)
        for room in rooms
        for path in (ROOT / room).rglob("*")
        if path.suffix in {".py", ".toml", ".yml", ".j2", ".html", ".js", ".service"}
        and address.search(path.read_text(encoding="utf-8"))
    ] == []
