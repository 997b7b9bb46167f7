"""Floor 3. Whether the nation's bulk tests meet at the measurement servers: a month, simulated.

The product's own plan for 3,321 offices of two lines each, its own admission and back-off, and the
lease service's own table, on simulated time; what meets is counted beside them by an auditor that
knows neither. Lines, durations of tests, the share of looks at which people use a line, and the
fault of one row are assumed and stated below. The same month is played without leases, as probes
measured before, and with them.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import NamedTuple

from msgspec import structs

from bench.report import IntegerOption, Options, Outcome, Row, at_most, note, run
from probe.config import Config, HttpConfig, LedConfig, LineConfig, ServerConfig
from probe.measure.throughput.method import busy_backoff_s
from probe.plan import spread
from probe.plan.budget import HTTP, THROUGHPUT
from probe.plan.hours import idle_check_s, in_office_hours
from probe.plan.lease_terms import lease_request
from probe.plan.slots import Slot, month_plan
from probe.schedule import admission
from probe.schedule.admission import QueuedMeasurement
from runtime.broker import BrokerConfig
from server.leases import LeaseLimits, LeaseTable, Seen
from wire.lease import Refused
from wire.record import Reason
from wire.site import Site

OFFICES = 3321
# Offices, servers and days.
QUICK = 300, 2, 3
SERVERS = 12
IPERF3_PORTS, HTTP_PORT = [5201, 5202, 5203, 5204], 8080
# Of a 1 Gbit/s card.
CAPACITY_BPS = LeaseLimits().capacity_bps
MONTH = date(2026, 11, 1)
# Assumed: plans by share (mean 287 Mbit/s; the nation's mean was 272 in September 2025).
PLANS_BPS = {100e6: 0.20, 150e6: 0.25, 300e6: 0.35, 500e6: 0.15, 1000e6: 0.05}
# Assumed: both directions of 13 s with connecting and results; an early stop at 18 % of the bytes
# (docs/figures.md, data_saving), with pings; the calibration share runs full length.
THROUGHPUT_S, HTTP_S, HTTP_WHOLE_S = 28.0, 7.0, 29.0
SENT_S, EARLY_RATIO = 26.0, 0.18
CALIBRATION_RATIO = HttpConfig().calibration_ratio
# Assumed: how often a look at a line finds people using it.
IN_USE_RATIO, IN_USE_OFFICE_RATIO = 0.1, 0.3
# A bill's usual mean (95th percentile of these).
_BILLED_S = 300.0
_DAY_S = 86_400.0
_START = datetime(2026, 10, 31, 17, tzinfo=UTC)  # the month's first midnight in Hanoi

# A packed slot: start, office, line, kind, server, latest start, peak. Two million fit into memory.
_BITS = (22, 12, 1, 1, 7, 22, 1)


class Scenario(NamedTuple):
    """How the month is played.

    `restarts`: each lease service forgets everything once a day, while tests run. `dead_server`:
    nothing of the first server answers on the last day but one. `without_ratio`: the share of
    offices whose probes know no leases.
    """

    name: str
    leases: bool = True
    restarts: bool = False
    dead_server: bool = False
    without_ratio: float = 0.0


SCENARIOS = (
    Scenario("without leases", leases=False),
    Scenario("leases"),
    Scenario(
        "leases; services restart daily, a server dead a day", restarts=True, dead_server=True
    ),
    Scenario("leases; 2 % of offices know none", without_ratio=0.02),
)


class Planned(NamedTuple):
    """A slot of the plan, in seconds of the month."""

    at_s: int
    office: int
    line: int
    kind: str
    server: int
    until_s: int
    peak: bool


class Running(NamedTuple):
    """A test that runs at a server's port."""

    kind: str
    port: int
    rate_bps: float
    lease_id: int | None
    address: str


class Server:
    """One measurement server: its lease service, and the auditor that counts who meets whom.

    Attributes:
        running: the tests that run, by number.
        shared, overloaded: the numbers of tests that shared a port, and that ran while the card's
            capacity was exceeded.
        flagged: the numbers of tests that the service called contended.
        most_http: the most tests at a time at the HTTP port.
        busiest_bps: the highest sum of rates.
    """

    def __init__(self) -> None:
        self.running: dict[int, Running] = {}
        self.shared: set[int] = set()
        self.overloaded: set[int] = set()
        self.flagged: set[int] = set()
        self.most_http = 0
        self.busiest_bps = 0.0
        self.billed_bytes: Counter[int] = Counter()
        self.table = new_table()

    def start(self, number: int, test: Running, moved_bytes: float, now_s: float) -> None:
        """Note a test that starts, and whom it meets."""
        self.running[number] = test
        same = [n for n, one in self.running.items() if one.port == test.port]
        if test.kind == HTTP:
            self.most_http = max(self.most_http, len(same))
        if len(same) > 1:
            self.shared.update(same)
        rate_bps = sum(one.rate_bps for one in self.running.values())
        self.busiest_bps = max(self.busiest_bps, rate_bps)
        if rate_bps > CAPACITY_BPS and len(self.running) > 1:
            self.overloaded.update(self.running)
        self.billed_bytes[int(now_s // _BILLED_S)] += round(moved_bytes)

    def observe(self, now_s: float) -> None:
        """Have the lease service look at the connections that the kernel has."""
        self.table.observe({Seen(one.port, one.address) for one in self.running.values()}, now_s)

    def billed_bps(self, length_s: float) -> float:
        """The 95th percentile of the means of 5 min in the busier direction, half of the bytes."""
        means = sorted(self.billed_bytes.values(), reverse=True)
        rank = int(0.05 * length_s / _BILLED_S)
        return means[rank] / 2 * 8 / _BILLED_S if rank < len(means) else 0.0


def new_table() -> LeaseTable:
    """A lease service that has just started."""
    tokens = map(str, itertools.count())
    limits = LeaseLimits(iperf3_ports=tuple(IPERF3_PORTS), http_port=HTTP_PORT)
    return LeaseTable(limits, lambda: next(tokens))


def office_config(servers: int, office: int) -> Config:
    """The configuration of an office: two lines of plans that are drawn by a hash."""
    lines = [
        LineConfig(
            id=isp,
            isp=isp,
            interface=f"eth{index}",
            plan_download_bps=_plan_bps(office, isp),
            plan_upload_bps=_plan_bps(office, isp),
        )
        for index, isp in enumerate(("vnpt", "viettel"))
    ]
    named = [
        ServerConfig(
            name=f"may-{index}",
            host=f"192.0.2.{index + 1}",
            iperf3_ports=IPERF3_PORTS,
            http_port=HTTP_PORT,
            lease_port=8620,
        )
        for index in range(servers)
    ]
    return Config(
        tenant="vn",
        probe=f"xa-{office}",
        site=Site(f"{office:05}", f"UBND xã {office}"),
        lines=lines,
        servers=named,
        broker=BrokerConfig(host="127.0.0.1", port=1883, tls=False),
        leds=LedConfig(driver="none"),
    )


def _plan_bps(office: int, isp: str) -> float:
    drawn = spread.fraction(f"plan/{office}/{isp}")
    for rate_bps, share in PLANS_BPS.items():
        drawn -= share
        if drawn < 0:
            return rate_bps
    return max(PLANS_BPS)


def planned(configs: Sequence[Config], days: int) -> list[int]:
    """The slots of all offices' plans, packed to whole numbers, in order of time."""
    slots: list[int] = []
    for office, config in enumerate(configs):
        for day, plan in month_plan(config, MONTH).items():
            if day.day <= days:
                slots += (_packed(slot, office) for slot in plan.slots)
    return sorted(slots)


def _packed(slot: Slot, office: int) -> int:
    assert slot.until is not None
    fields = (
        _second(slot.at),
        office,
        int(slot.line_id == "viettel"),
        int(slot.kind == HTTP),
        int(slot.server_name.removeprefix("may-")),
        _second(slot.until),
        int(slot.peak),
    )
    packed = 0
    for value, bits in zip(fields, _BITS, strict=True):
        packed = packed << bits | value
    return packed


def _unpacked(packed: int) -> Planned:
    fields: list[int] = []
    for bits in reversed(_BITS):
        fields.append(packed & (1 << bits) - 1)
        packed >>= bits
    peak, until_s, server, is_http, line, office, at_s = fields
    kind = HTTP if is_http else THROUGHPUT
    return Planned(at_s, office, line, kind, server, until_s, bool(peak))


def _second(at: datetime) -> int:
    return round((at - _START).total_seconds())


class Simulation:
    """A month of the fleet, played by events.

    Args:
        scenario: how.
        configs: of the offices.
        servers: how many there are.
        days: how many of the month are played.

    Attributes:
        missed: tests not made, by reason and whether they were of peak hours.
        made: tests made, by whether they were of peak hours.
        retries: how often a server turned a test away.
    """

    def __init__(
        self, scenario: Scenario, configs: Sequence[Config], servers: int, days: int
    ) -> None:
        self._scenario = scenario
        self._configs = configs
        self._days = days
        self._random = random.Random(13)
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._busy_offices: set[int] = set()
        self._due: dict[int, list[QueuedMeasurement]] = {}
        self._asked: dict[int, tuple[int, QueuedMeasurement, Server, float]] = {}
        self.servers = [Server() for _ in range(servers)]
        self.now_s = 0.0
        self.missed: Counter[tuple[Reason, bool]] = Counter()
        self.made: Counter[bool] = Counter()
        self.retries = 0
        self.waits_s: list[float] = []
        self.moved_bytes = 0.0

    def run(self, slots: Sequence[int]) -> None:
        """Play the slots, which are in order of time, to the last test's end."""
        if self._scenario.restarts:
            for index, server in enumerate(self.servers):
                self._at(3600.0 * (index % 24), partial(self._restart, server))
        for packed in slots:
            slot = _unpacked(packed)
            self._advance(slot.at_s)
            self._fire(slot)
        self._advance(math.inf)

    def _advance(self, until_s: float) -> None:
        while self._events and self._events[0][0] <= until_s:
            self.now_s, _, act = heapq.heappop(self._events)
            act()
        if until_s < math.inf:
            self.now_s = until_s

    def _at(self, at_s: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._events, (at_s, next(self._numbers), act))

    def _restart(self, server: Server) -> None:
        """End the service and all its leases; what runs goes on, what waits comes again."""
        for number, test in server.running.items():
            server.running[number] = test._replace(lease_id=None)
        for lease_id in [one for one, asked in self._asked.items() if asked[2] is server]:
            office, wanted, _, _ = self._asked.pop(lease_id)
            self._defer(office, wanted, Reason.SERVER_BUSY)
        server.table = new_table()
        server.observe(self.now_s)
        if self.now_s < self._days * _DAY_S:
            self._at(self.now_s + _DAY_S, partial(self._restart, server))

    def _fire(self, slot: Planned) -> None:
        config = self._configs[slot.office]
        wanted = QueuedMeasurement(
            kind=slot.kind,
            line=config.lines[slot.line],
            server=config.servers[slot.server],
            slot_at=_START + timedelta(seconds=slot.at_s),
            until=_START + timedelta(seconds=slot.until_s),
            kept=slot.peak,  # carries the part of the day: no budget is played
        )
        self._enqueue(slot.office, wanted)

    def _enqueue(self, office: int, wanted: QueuedMeasurement) -> None:
        self._due.setdefault(office, []).append(wanted)
        self._next(office)

    def _next(self, office: int) -> None:
        if office in self._busy_offices or not self._due.get(office):
            return
        wanted = self._due[office].pop(0)
        self._busy_offices.add(office)
        look_s = idle_check_s(self._configs[office], self._clock())
        self._at(self.now_s + look_s, partial(self._checked, office, wanted))

    def _checked(self, office: int, wanted: QueuedMeasurement) -> None:
        config, at = self._configs[office], self._clock()
        used_ratio = IN_USE_OFFICE_RATIO if in_office_hours(config, at) else IN_USE_RATIO
        left_s = admission.remaining_start_s(config, wanted, at)
        server = self.servers[_index(wanted)]
        if self._random.random() < used_ratio:
            self._defer(office, wanted, Reason.CROSS_TRAFFIC)
        elif left_s is not None and left_s < 0:
            self._miss(office, wanted, Reason.SLOT_MISSED)
        elif self._is_dead(wanted):
            # A failed result, which is a result: not the plan's to make good.
            self._miss(office, wanted, Reason.UNREACHABLE)
        elif self._scenario.leases and not self._is_without(office):
            self._request(office, wanted, server)
        else:
            self._unleased(office, wanted, server, left_s)

    def _request(self, office: int, wanted: QueuedMeasurement, server: Server) -> None:
        lease_id = next(self._numbers)
        request = lease_request(self._configs[office], wanted.line, wanted.kind)
        answer = server.table.request(lease_id, _address(office, wanted), request, self.now_s)
        if isinstance(answer, Refused):
            self._defer(office, wanted, Reason.SERVER_BUSY)
            return
        self._asked[lease_id] = office, wanted, server, self.now_s
        self._at(self.now_s + request.wait_s, partial(self._serve, server))
        self._serve(server)

    def _serve(self, server: Server) -> None:
        """What the service does at each event: observe, end what is overdue, grant."""
        server.observe(self.now_s)
        for lease_id, refused in server.table.overdue(self.now_s):
            if refused is not None and lease_id in self._asked:
                office, wanted, _, _ = self._asked.pop(lease_id)
                self._defer(office, wanted, Reason.SERVER_BUSY)
        for lease_id, granted in server.table.grants(self.now_s):
            office, wanted, _, asked_s = self._asked.pop(lease_id)
            self.waits_s.append(self.now_s - asked_s)
            self._start(office, wanted, server, granted.port, lease_id)

    def _unleased(
        self, office: int, wanted: QueuedMeasurement, server: Server, left_s: float | None
    ) -> None:
        """As probes measure without leases: iperf3 refuses at a busy port, a bare nginx at none."""
        address = _address(office, wanted)
        if wanted.kind != HTTP:
            config = self._configs[office].throughput
            waits = busy_backoff_s(config, self._random.random, left_s)
            self._try_ports(office, wanted, server, waits, self.now_s)
        elif self._scenario.leases and not server.table.authorize(None, address, self.now_s):
            self._defer(office, wanted, Reason.SERVER_BUSY)
        else:
            self._start(office, wanted, server, HTTP_PORT, None)

    def _try_ports(
        self,
        office: int,
        wanted: QueuedMeasurement,
        server: Server,
        waits: Iterator[float],
        asked_s: float,
    ) -> None:
        taken = {one.port for one in server.running.values()}
        free = [port for port in IPERF3_PORTS if port not in taken]
        if free:
            self.waits_s.append(self.now_s - asked_s)
            self._start(office, wanted, server, free[0], None)
        elif (wait_s := next(waits, None)) is None:
            self._defer(office, wanted, Reason.SERVER_BUSY)
        else:
            again = partial(self._try_ports, office, wanted, server, waits, asked_s)
            self._at(self.now_s + wait_s, again)

    def _start(
        self,
        office: int,
        wanted: QueuedMeasurement,
        server: Server,
        port: int,
        lease_id: int | None,
    ) -> None:
        number = next(self._numbers)
        rate_bps = max(rate or 0.0 for rate in wanted.line.plan_bps)
        length_s, sent_s = THROUGHPUT_S, SENT_S
        if wanted.kind == HTTP:
            whole = self._random.random() < CALIBRATION_RATIO
            length_s, sent_s = (HTTP_WHOLE_S, SENT_S) if whole else (HTTP_S, SENT_S * EARLY_RATIO)
        moved_bytes = rate_bps * sent_s / 8
        self.moved_bytes += moved_bytes
        test = Running(wanted.kind, port, rate_bps, lease_id, _address(office, wanted))
        server.start(number, test, moved_bytes, self.now_s)
        self._at(self.now_s + length_s, partial(self._end, office, wanted, server, number))
        if lease_id is None and self._scenario.leases:
            # The service looks each second; a test without a lease counts once it has settled.
            self._at(self.now_s + 2.5, lambda: server.observe(self.now_s))

    def _end(self, office: int, wanted: QueuedMeasurement, server: Server, number: int) -> None:
        self.made[wanted.kept] += 1
        if self._scenario.leases:
            self._learn(server, number)
        del server.running[number]
        self._free(office)
        if self._scenario.leases:
            self._serve(server)

    def _learn(self, server: Server, number: int) -> None:
        """What the probe asks at the test's end: whether it met another."""
        test = server.running[number]
        server.observe(self.now_s)
        answer = None
        if test.lease_id is not None:
            answer = server.table.release(test.lease_id, self.now_s)
        if answer is None:
            answer = server.table.overlap(test.address, HTTP_WHOLE_S, self.now_s)
        if answer.contended:
            server.flagged.add(number)

    def _defer(self, office: int, wanted: QueuedMeasurement, reason: Reason) -> None:
        if reason is Reason.SERVER_BUSY:
            self.retries += 1
            server = admission.next_server(self._configs[office], wanted)
            wanted = structs.replace(wanted, server=server)
        wanted = admission.with_deferral(wanted, reason)
        again = admission.rescheduled(wanted, self._clock(), self.now_s, self._random.random)
        if again is None:
            self._miss(office, wanted, reason)
            return
        self._at(again.due_s, partial(self._enqueue, office, again))
        self._free(office)

    def _miss(self, office: int, wanted: QueuedMeasurement, reason: Reason) -> None:
        self.missed[reason, wanted.kept] += 1
        self._free(office)

    def _free(self, office: int) -> None:
        self._busy_offices.discard(office)
        self._at(self.now_s, partial(self._next, office))

    def _clock(self) -> datetime:
        return _START + timedelta(seconds=self.now_s)

    def _is_dead(self, wanted: QueuedMeasurement) -> bool:
        day = int(self.now_s // _DAY_S)
        return self._scenario.dead_server and day == self._days - 2 and _index(wanted) == 0

    def _is_without(self, office: int) -> bool:
        return spread.fraction(f"without/{office}") < self._scenario.without_ratio


def _index(wanted: QueuedMeasurement) -> int:
    return int(wanted.server.name.removeprefix("may-"))


def _address(office: int, wanted: QueuedMeasurement) -> str:
    return f"10.{wanted.line.id == 'viettel':d}.{office >> 8}.{office & 255}"


def row_of(simulation: Simulation, scenario: Scenario, wanted: int, days: int) -> Row:
    """The row of a month that was played."""
    servers, missed = simulation.servers, simulation.missed
    of_peak = simulation.made[True] + sum(n for (_, peak), n in missed.items() if peak)
    for_servers = sum(n for (why, _), n in missed.items() if why is Reason.SERVER_BUSY)
    met = [one.shared | one.overloaded for one in servers]
    unseen = sum(len(here - one.flagged) for here, one in zip(met, servers, strict=True))
    waits_s = sorted(simulation.waits_s)
    return {
        "scenario": scenario.name,
        "tests": wanted,
        "not_made_for_servers": for_servers,
        "not_made_ratio": for_servers / wanted,
        "not_made_peak_ratio": missed[Reason.SERVER_BUSY, True] / max(1, of_peak),
        "not_made_other_ratio": (missed.total() - for_servers) / wanted,
        "retries_ratio": simulation.retries / wanted,
        "shared_a_port": sum(len(one.shared) for one in servers),
        "on_overloaded_card": sum(len(one.overloaded) for one in servers),
        "met_not_flagged": unseen if scenario.leases else None,
        "most_http": max(one.most_http for one in servers),
        "busiest_card_bps": max(one.busiest_bps for one in servers),
        "wait_p99_s": waits_s[int(0.99 * len(waits_s))],
        "wait_max_s": waits_s[-1],
        "moved_bytes": round(simulation.moved_bytes),
        "billed_bps": max(one.billed_bps(days * _DAY_S) for one in servers),
    }


def played(
    scenario: Scenario, configs: Sequence[Config], slots: Sequence[int], servers: int, days: int
) -> Row:
    """One row: a scenario's month."""
    simulation = Simulation(scenario, configs, servers, days)
    simulation.run(slots)
    counted = simulation.made.total() + simulation.missed.total()
    assert counted == len(slots), f"{counted} of {len(slots)} tests are accounted for"
    note(f"{scenario.name}: played")
    return row_of(simulation, scenario, len(slots), days)


def measured(options: Options) -> Outcome:
    """Play every scenario; with `quick` fewer offices, servers and days."""
    offices, servers, days = OFFICES, options.number, 30
    if options.quick:
        offices, servers, days = QUICK
    configs = [office_config(servers, office) for office in range(offices)]
    slots = planned(configs, days)
    note(f"{len(slots)} slots of {offices} offices are planned")
    rows = [played(scenario, configs, slots, servers, days) for scenario in SCENARIOS]
    shared, overloaded, ratio = (
        float(rows[1][name] or 0)
        for name in ("shared_a_port", "on_overloaded_card", "not_made_ratio")
    )
    return Outcome(
        rows,
        [
            at_most("leases: tests that share a port", shared, 0),
            at_most("leases: tests on an overloaded card", overloaded, 0),
            at_most("leases: ratio of tests not made for servers", ratio, 0.0002),
        ],
    )


if __name__ == "__main__":
    servers = IntegerOption("servers", SERVERS, "measurement servers")
    sys.exit(run("server_leases", measured, number=servers))
