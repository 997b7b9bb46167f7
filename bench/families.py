"""Floor 3. Each address family of a dual-stack line, beside iperf3, ping and Chromium over it.

Throughput: a line is shaped to a rate of Ethernet frames, of which TCP carries 1448/1514 over IPv4
and 1428/1514 over IPv6; `tramdo-probe measure throughput --family` and `iperf3 -4`, `-6` in turn.
Round-trip time: an emulated link of a known delay; the truth of each packet is what the kernel saw
at the interfaces of office and centre (see accuracy_latency), and a tool's error is its median
less that of its own packets. Web: the time from the first look-up to the first byte of a page
whose name has both families, on a line whose IPv6 is whole, blackholed or refused; Chromium with
nothing remembered. Tools run one after the other, round by round; figures are medians.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from bench import iperf3_command, peer_output
from bench.capture import capture
from bench.packet_truth import Key, between_interfaces, icmp_key, path_times_ms, stamp_key
from bench.probe_command import IPERF3_PORT, STAMP_PORT, measured, write_config
from bench.report import CannotMeasureError, Options, Outcome, Row, Target, at_most, note, run
from probe.measure.latency.statistics import percentile
from tests import chromium as chromium_program
from tests import services
from tests.lab import chromium, namespace
from tests.lab.impairment import Impairment, LineImpairment
from tests.lab.network import (
    PAYLOAD_BYTES,
    PAYLOAD_BYTES_IPV6,
    SERVER_ADDRESSES,
    SERVER_ADDRESSES_IPV6,
    Ipv6Fault,
    LineShape,
    OfficeNetwork,
    Stack,
    theoretical_goodput_bps,
)
from tests.lab.truth import PacketTruth
from tests.lab.yardstick import iperf3_server
from tests.reflector_process import ReflectorProcess
from tests.services import Names, Pages
from wire.figures import MEGABIT
from wire.result import (
    AnyResult,
    Family,
    LatencyResult,
    LatencyValues,
    ThroughputResult,
    ThroughputValues,
    WebResult,
    WebValues,
    kind_of,
)

SHAPED, DELAYED = "vnpt", "viettel"
SERVER, SITE = "may-chu-1.demo.vn", "dichvucong.gov.vn"
ADDRESS = {Family.IPV4: SERVER_ADDRESSES[0], Family.IPV6: SERVER_ADDRESSES_IPV6[0]}
PAYLOAD = {Family.IPV4: PAYLOAD_BYTES, Family.IPV6: PAYLOAD_BYTES_IPV6}
BOTH = [*ADDRESS.values()]
DNS_PORT, PAGES_PORT = 53, 443
PAGE = f"https://{SITE}/p/home/trang-chu.html"
OURS, STAMP, ICMP, CHROMIUM = "ours", "ours (STAMP)", "ours (ICMP)", "Chromium"
RATES_BPS, QUICK_RATES_BPS = (20 * MEGABIT, 100 * MEGABIT, 500 * MEGABIT), (50 * MEGABIT,)
RTTS_MS, QUICK_RTTS_MS = (5.0, 30.0, 150.0), (30.0,)
FAULTS: tuple[Ipv6Fault | None, ...] = (None, Ipv6Fault.BLACKHOLED, Ipv6Fault.REFUSED)
ROUNDS, WEB_ROUNDS, QUICK_ROUNDS = 3, 9, 3
STREAMS, WARM_UP_S, DURATION_S, QUICK_DURATION_S = 4, 2, 4, 2
GAP_MS, WINDOW_S, PACKETS, TIMEOUT_S = 10, 3.0, 300, 0.4
DIRECTIONS = ("download", "upload")
# How our packets are known in the truth.
_OURS = {STAMP: ("stamp", stamp_key(STAMP_PORT)), ICMP: ("icmp", icmp_key)}
APART_LIMIT_RATIO, WEB_LIMIT_MS = 0.003, 50.0


class Trial(NamedTuple):
    """One figure of one tool; `true` is None where only tools can be compared."""

    what: str
    unit: str
    family: Family | None
    tool: str
    true: float | None
    said: float

    @property
    def error_ratio(self) -> float | None:
        """How far from the truth: 0.01 is 1 % above."""
        return None if self.true is None else self.said / self.true - 1


class Lab(NamedTuple):
    """The office, and the probe's configuration in it."""

    network: OfficeNetwork
    config: Path
    quick: bool


def both_families(options: Options) -> Outcome:
    """Measure all of it."""
    for reason in (
        iperf3_command.why_not(),
        namespace.why_not(tun=True),
        services.why_not(),
        chromium_program.why_not(),
    ):
        if reason is not None:
            raise CannotMeasureError(reason)
    with tempfile.TemporaryDirectory(prefix="tramdo-") as directory, ExitStack() as stack:
        lab = _built(stack, Path(directory), quick=options.quick)
        trials = [*_throughput(lab), *_round_trips(lab), *_web(lab)]
    return outcome(trials)


def _built(stack: ExitStack, folder: Path, *, quick: bool) -> Lab:
    link = LineImpairment()
    shapes = [
        LineShape(SHAPED, MEGABIT, MEGABIT, stack=Stack.DUAL),
        LineShape(DELAYED, stack=Stack.DUAL, impairment=link),
    ]
    network = stack.enter_context(OfficeNetwork(shapes))
    network.office.name_hosts({SERVER: BOTH})
    network.office.use_resolvers(BOTH[:1])
    inside = ["ip", "netns", "exec", network.centre.name]
    pages = Pages(
        folder / "pages", host=BOTH[0], port=PAGES_PORT, sites=[SITE], also=BOTH[1:], prefix=inside
    )
    for server in (
        iperf3_server(network.centre, IPERF3_PORT),
        ReflectorProcess(BOTH, port=STAMP_PORT, options=["--rate-limit-pps", "0"], prefix=inside),
        pages,
        Names(folder / "names", hosts=BOTH, port=DNS_PORT, addresses={SITE: BOTH}, prefix=inside),
    ):
        stack.enter_context(server)
    return Lab(network, _config(folder, network, str(pages.ca_file), quick=quick), quick)


def _config(folder: Path, network: OfficeNetwork, ca_file: str, *, quick: bool) -> Path:
    lines = [
        {"id": line.shape.name, "isp": "x", "interface": line.interface, "resolvers": BOTH[:1]}
        for line in network.lines
    ]
    server = {
        "name": "may-chu-1", "host": SERVER, "iperf3_ports": [IPERF3_PORT],
        "stamp_port": STAMP_PORT,
    }  # fmt: skip
    throughput = {
        "streams": STREAMS, "warm_up_s": WARM_UP_S, "congestion_control": "cubic",
        "duration_s": QUICK_DURATION_S if quick else DURATION_S,
    }  # fmt: skip
    return write_config(
        folder / "probe.toml",
        network.lines,
        lines=lines,
        servers=[server],
        throughput=throughput,
        latency={"mean_gap_s": GAP_MS / 1000, "timeout_s": TIMEOUT_S, "window_s": WINDOW_S},
        dns={"names": [SITE], "public_resolver": BOTH[0], "port": DNS_PORT},
        web={"pages": [PAGE], "ca_file": ca_file},
    )


def _rounds(lab: Lab) -> range:
    return range(1 if lab.quick else ROUNDS)


def _throughput(lab: Lab) -> Iterator[Trial]:
    for number in _rounds(lab):
        for rate_bps in QUICK_RATES_BPS if lab.quick else RATES_BPS:
            lab.network.reshape(SHAPED, download_bps=rate_bps, upload_bps=rate_bps)
            for family in Family:
                note(f"round {number + 1}: {rate_bps // MEGABIT} Mbit/s, {family}")
                yield from _our_throughput(lab, rate_bps, family)
                yield from _iperf3(lab, rate_bps, family)


def _our_throughput(lab: Lab, rate_bps: int, family: Family) -> Iterator[Trial]:
    kind = kind_of(ThroughputResult)
    (result,) = measured(lab.network, lab.config, kind, SHAPED, "--family", family)
    values = result.values
    if not isinstance(values, ThroughputValues) or values.address != ADDRESS[family]:
        raise CannotMeasureError(f"throughput over {family}: {values}: {result.detail}")
    for direction, said in zip(DIRECTIONS, (values.download_bps, values.upload_bps), strict=True):
        if said is None:
            raise CannotMeasureError(f"no {direction} over {family}: {result.detail}")
        yield _rate_trial(rate_bps, family, direction, OURS, said)


def _iperf3(lab: Lab, rate_bps: int, family: Family) -> Iterator[Trial]:
    duration_s = QUICK_DURATION_S if lab.quick else DURATION_S
    for direction in DIRECTIONS:
        argv = ["iperf3", "-J", f"-{family[-1]}", "-c", SERVER, "-p", str(IPERF3_PORT)]
        argv += ["-P", str(STREAMS), "-C", "cubic", "-O", str(WARM_UP_S), "-t", str(duration_s)]
        argv += ["-R"] if direction == "download" else []
        said = iperf3_command.received_bps(lab.network.office, argv)
        yield _rate_trial(rate_bps, family, direction, "iperf3", said)


def _rate_trial(rate_bps: int, family: Family, direction: str, tool: str, said: float) -> Trial:
    true_bps = theoretical_goodput_bps(rate_bps, payload_bytes=PAYLOAD[family])
    return Trial(
        f"{direction} at {rate_bps // MEGABIT} Mbit/s", "bps", family, tool, true_bps, said
    )


def _round_trips(lab: Lab) -> Iterator[Trial]:
    line = lab.network.line(DELAYED)
    assert line.link is not None
    for number in _rounds(lab):
        for rtt_ms in QUICK_RTTS_MS if lab.quick else RTTS_MS:
            note(f"round {number + 1}: {rtt_ms:g} ms")
            one_way = Impairment(delay_ms=rtt_ms / 2)
            line.link.change(upload=one_way, download=one_way)
            yield from _captured(lab, f"RTT of {rtt_ms:g} ms")


def _captured(lab: Lab, what: str) -> Iterator[Trial]:
    """Every tool once, the truth of its packets beside what it says."""
    office, centre = lab.network.office, lab.network.centre
    with capture(office, DELAYED) as near, capture(centre, DELAYED) as far:

        def truths(family: Family) -> list[PacketTruth]:
            packets = between_interfaces(near.seen(), far.seen())
            return [one for one in packets if ADDRESS[family] in _ends(one)]

        for family in Family:
            for tap in (near, far):
                tap.begin()
            said = _ping(lab, family)
            yield _rtt_trial(what, family, "ping", said, truths(family), icmp_key, far_end=True)
        for family in Family:
            for tap in (near, far):
                tap.begin()
            results = measured(
                lab.network, lab.config, kind_of(LatencyResult), DELAYED, "--family", family
            )
            passed = truths(family)
            for tool, (protocol, key) in _OURS.items():
                said = _our_rtt_ms(results, family, protocol)
                far_end = tool == ICMP
                yield _rtt_trial(what, family, tool, said, passed, key, far_end=far_end)


def _our_rtt_ms(results: Sequence[AnyResult], family: Family, protocol: str) -> float:
    found = [
        one.values.rtt_p50_ms
        for one in results
        if isinstance(one.values, LatencyValues)
        and (one.values.address, one.values.protocol) == (ADDRESS[family], protocol)
    ]
    if len(found) != 1 or found[0] is None:
        raise CannotMeasureError(f"{protocol} over {family}: {found}")
    return found[0]


def _ends(packet: PacketTruth) -> tuple[str, str]:
    return packet.identity.source, packet.identity.destination


def _ping(lab: Lab, family: Family) -> float:
    argv = ["ping", f"-{family[-1]}", "-I", DELAYED, "-c", str(PACKETS)]
    argv += ["-i", str(GAP_MS / 1000), "-W", str(TIMEOUT_S), ADDRESS[family]]
    printed = lab.network.office.run(argv, timeout_s=120, check=False).stdout
    median_ms = percentile(peer_output.read_ping(printed).rtts_ms, 0, 500)
    if median_ms is None:
        raise CannotMeasureError(f"ping over {family}: {printed[-300:]}")
    return median_ms


def _rtt_trial(
    what: str,
    family: Family,
    tool: str,
    said_ms: float,
    packets: Sequence[PacketTruth],
    key: Key,
    *,
    far_end: bool,
) -> Trial:
    true_ms = percentile(path_times_ms(packets, key, with_far_end=far_end), 0, 500)
    if true_ms is None:
        raise CannotMeasureError(f"no packets of {tool} over {family} were seen")
    return Trial(what, "ms", family, tool, true_ms, said_ms)


def _web(lab: Lab) -> Iterator[Trial]:
    with chromium.chromium(lab.network.office) as first_byte_ms:
        first_byte_ms(PAGE)  # what a browser does once after its start is in no figure
        for fault in FAULTS:
            what = f"first byte, IPv6 {fault.value if fault else 'whole'}"
            note(what)
            if fault is not None:
                lab.network.break_ipv6(SHAPED, fault)
            lab.network.reshape(SHAPED, download_bps=100 * MEGABIT, upload_bps=100 * MEGABIT)
            for _ in range(QUICK_ROUNDS if lab.quick else WEB_ROUNDS):
                yield Trial(what, "ms", None, OURS, None, _our_first_byte_ms(lab))
                yield Trial(what, "ms", None, CHROMIUM, None, first_byte_ms(PAGE))
            lab.network.mend_ipv6(SHAPED)


def _our_first_byte_ms(lab: Lab) -> float:
    (result,) = measured(lab.network, lab.config, kind_of(WebResult), SHAPED)
    values = result.values
    if not isinstance(values, WebValues) or values.total_ms is None or values.body_ms is None:
        raise CannotMeasureError(f"no page: {result.detail}")
    return values.total_ms - values.body_ms


def outcome(trials: Sequence[Trial]) -> Outcome:
    """Medians of the rounds; how far the families are apart, and we from Chromium."""
    cells = dict.fromkeys((one.what, one.family, one.tool) for one in trials)
    rows = [_row(_of(trials, *cell)) for cell in cells]
    measures = {"throughput": "bps", "RTT": "ms"}
    apart = [
        at_most(
            f"{name}: worst error of one family above the other's (ratio)",
            _apart(trials, unit),
            APART_LIMIT_RATIO,
        )
        for name, unit in measures.items()
    ]
    return Outcome(rows, [*apart, *_web_targets(trials)])


def _of(trials: Sequence[Trial], what: str, family: Family | None, tool: str) -> list[Trial]:
    return [one for one in trials if (one.what, one.family, one.tool) == (what, family, tool)]


def _row(mine: Sequence[Trial]) -> Row:
    first = mine[0]
    truths = [one.true for one in mine if one.true is not None]
    return {
        "what": first.what,
        "family": first.family or "both",
        "tool": first.tool,
        "rounds": len(mine),
        "unit": first.unit,
        "true": round(statistics.median(truths), 4) if truths else None,
        "said": round(statistics.median(one.said for one in mine), 4),
        "error_ratio": _error_ratio(mine),
    }


def _error_ratio(mine: Sequence[Trial]) -> float | None:
    errors = [one.error_ratio for one in mine if one.error_ratio is not None]
    return round(statistics.median(errors), 6) if errors else None


def _apart(trials: Sequence[Trial], unit: str) -> float | None:
    """How much worse the worse family's worst error is; of our own tools."""
    worst: dict[Family, float] = {}
    for what, family, tool in dict.fromkeys((one.what, one.family, one.tool) for one in trials):
        mine = _of(trials, what, family, tool)
        error = _error_ratio(mine)
        if family is not None and tool.startswith(OURS) and mine[0].unit == unit and error:
            worst[family] = max(worst.get(family, 0.0), abs(error))
    return abs(worst[Family.IPV4] - worst[Family.IPV6]) if len(worst) == 2 else None


def _web_targets(trials: Sequence[Trial]) -> Iterator[Target]:
    for what in dict.fromkeys(one.what for one in trials if one.tool == CHROMIUM):
        ours, theirs = (
            statistics.median(one.said for one in _of(trials, what, None, tool))
            for tool in (OURS, CHROMIUM)
        )
        yield at_most(f"{what}: apart from Chromium (ms)", abs(ours - theirs), WEB_LIMIT_MS)


if __name__ == "__main__":
    peers = ("iperf3", "iputils-ping", "chromium")
    sys.exit(run("families", both_families, peers=peers))
