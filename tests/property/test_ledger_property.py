"""The month's budget under clocks that jump: hand-made time, restarts, power cuts, NTP.

The host of these tests knows the true time, by which the promise is checked; the ledger sees only
what a probe can see.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from probe import config
from probe.plan.budget import month_budget
from probe.plan.ledger import ClockReading, advanced, month_usage, with_contradiction, with_test
from probe.plan.light import light_bytes
from probe.plan.usage import Usage, month_of, wire_bytes
from tests import samples
from tests.unit.test_config import GOOD

DAY_S = 86_400.0
ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
START = datetime(2026, 11, 10, 3, tzinfo=UTC)
_PARSED = config.parse(GOOD.encode(), "probe.toml")
TEST = samples.throughput()
TEST_BYTES = wire_bytes(TEST)
# A budget of 11 tests and a half beside the light kinds: 12 pass it by less than one test.
CAP_TESTS = 12
_LIGHT = {
    "latency": config.LatencyConfig(enabled=False),
    "dns": config.DnsConfig(names=[]),
    "web": config.WebConfig(pages=[]),
}
_ALONE = msgspec.structs.replace(
    _PARSED, lines=[next(line for line in _PARSED.lines if line.id == TEST.line.id)], **_LIGHT
)
LINE = msgspec.structs.replace(
    _ALONE.lines[0],
    monthly_budget_bytes=round(
        (CAP_TESTS - 0.5) * TEST_BYTES + light_bytes(_ALONE, _ALONE.lines[0], 31)
    ),
)
CONFIG = msgspec.structs.replace(_ALONE, lines=[LINE])


class Host:
    """A probe with its file, in a world whose true time is known."""

    def __init__(self, *, synchronised: bool = False, off_s: float = 0.0) -> None:
        self.true = START
        self.off_s = off_s
        self.synchronised = synchronised
        self.boot, self.boottime_s = 1, 60.0
        self.usage = Usage()
        self.moved: Counter[str] = Counter()
        # In which true months a clock that is wrong came to the end of a month of its own.
        self.false_ends: Counter[str] = Counter()

    def passes(self, seconds: float) -> None:
        true, shown = self._true_month(), month_of(self._today())
        self.true += timedelta(seconds=seconds)
        self.boottime_s += seconds
        if self._true_month() == true and month_of(self._today()) != shown:
            self.false_ends[true] += 1

    def jumps(self, off_s: float, *, synchronised: bool = False) -> None:
        self.off_s, self.synchronised = off_s, synchronised

    def is_set_by_ntp(self) -> None:
        self.jumps(0.0, synchronised=True)

    def restarts(self, without_power_s: float, off_s: float) -> None:
        self.true += timedelta(seconds=without_power_s)
        self.boot, self.boottime_s = self.boot + 1, 20.0
        self.jumps(off_s)

    def used(self) -> Usage:
        evidence = advanced(self.usage.clock, self._reading())
        return month_usage(self.usage, self._today(), evidence, ZONE)

    def is_exhausted(self) -> bool:
        return month_budget(CONFIG, LINE, self._today(), self.used()).is_exhausted

    def tests(self, count: int) -> None:
        """So many slots, an hour apart, each measured only within the budget."""
        for _ in range(count):
            self.passes(3600)
            evidence = advanced(self.usage.clock, self._reading())
            self.usage = with_contradiction(self.usage, evidence) or self.usage
            if not self.is_exhausted():
                evidence = advanced(self.usage.clock, self._reading())
                usage = with_test(self.usage, TEST, self._today(), evidence, ZONE)
                # As a restart would find it.
                self.usage = msgspec.json.decode(msgspec.json.encode(usage), type=Usage)
                self.moved[self._true_month()] += 1

    def _reading(self) -> ClockReading:
        wall_s = (self.true + timedelta(seconds=self.off_s)).timestamp()
        return ClockReading(f"boot-{self.boot}", self.boottime_s, wall_s, self.synchronised)

    def _true_month(self) -> str:
        return month_of(self.true.astimezone(ZONE).date())

    def _today(self) -> date:
        return (self.true + timedelta(seconds=self.off_s)).astimezone(ZONE).date()


offsets = st.floats(-400 * DAY_S, 400 * DAY_S) | st.sampled_from(
    [30 * DAY_S, 180 * DAY_S, -56 * 365 * DAY_S]
)
events = st.one_of(
    st.tuples(st.just("tests"), st.integers(1, 20)),
    st.tuples(st.just("passes"), st.floats(0, 25 * DAY_S)),
    st.tuples(st.just("jumps"), offsets),
    st.tuples(st.just("is_set_by_ntp")),
    st.tuples(st.just("restarts"), st.floats(0, 40 * DAY_S), offsets),
)


def lived(host: Host, happened: list[tuple[object, ...]]) -> Host:
    for name, *arguments in happened:
        getattr(host, str(name))(*arguments)
    return host


@settings(max_examples=80, deadline=None)
@given(st.lists(events, max_size=16), st.booleans())
def test_no_true_month_moves_more_than_its_cap_and_one_test(
    happened: list[tuple[object, ...]], synchronised: bool
) -> None:
    host = lived(Host(synchronised=synchronised), happened)
    assert max(host.moved.values(), default=0) <= CAP_TESTS


@settings(max_examples=60, deadline=None)
@given(st.lists(events, max_size=12), st.booleans())
@example(
    [("tests", 20), ("passes", 30 * 3600.0), *[("restarts", 40 * DAY_S, 0.0)] * 2],
    True,
)
def test_measuring_resumes_whatever_the_clock_did(
    happened: list[tuple[object, ...]], has_ntp: bool
) -> None:
    host = lived(Host(), happened)
    if has_ntp:
        # As the next month begins, and at once where nothing was moved by a wrong clock. What was
        # moved within two minutes of that may have been moved in it.
        host.passes(600)
        host.is_set_by_ntp()
        local = host.true.astimezone(ZONE)
        following = (local.replace(day=1) + timedelta(days=32)).replace(day=1, hour=0, minute=10)
        host.passes((following - local).total_seconds())
    else:
        host.passes(31 * DAY_S + 3601)
    assert not host.is_exhausted()
    before = host.moved.total()
    host.tests(CAP_TESTS)
    assert host.moved.total() == before + CAP_TESTS


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 30), st.floats(0, 20 * DAY_S), offsets), max_size=12),
)
def test_a_kernel_that_calls_every_clock_synchronised_opens_no_second_budget(
    happened: list[tuple[int, float, float]],
) -> None:
    """Readings that contradict each other are not believed for a month.

    A clock that was wrong from the first and never jumps is believed where its month ends, too.
    """
    host = Host(synchronised=True)
    for count, passes_s, off_s in happened:
        host.tests(count)
        host.passes(passes_s)
        # A clock that stays wrong for a month without a jump is the clock that there is.
        far = abs(off_s - host.off_s) > 3600
        host.jumps(off_s if far else host.off_s + 86_400, synchronised=True)
    assert all(
        count <= CAP_TESTS * (1 + host.false_ends[month]) for month, count in host.moved.items()
    )


def test_a_clock_that_jumps_while_the_budget_is_used_up_opens_no_second_one() -> None:
    """It was a month ahead for a fortnight, and a month later is so again."""
    host = Host(synchronised=True)
    for count, passes_d, off_d in (
        (12, 41, 30), (30, 14, 0.3), (30, 7, 0.9), (30, 14, 30), (30, 0, 0),
    ):  # fmt: skip
        host.tests(count)
        host.passes(passes_d * DAY_S)
        host.jumps(off_d * DAY_S, synchronised=True)
    assert max(host.moved.values()) <= CAP_TESTS


def test_a_month_ahead_for_one_test_leaves_the_cap_on_and_takes_nothing_of_that_month() -> None:
    host = Host(synchronised=True)
    host.tests(CAP_TESTS - 2)
    host.jumps(180 * DAY_S)
    host.tests(1)
    host.is_set_by_ntp()
    host.tests(10)
    assert host.moved == {"2026-11": CAP_TESTS}
    host.passes(21 * DAY_S)
    host.tests(20)
    assert host.moved == {"2026-11": CAP_TESTS, "2026-12": CAP_TESTS}
    # The month in which the clock had been, half a year later.
    host.passes(150 * DAY_S)
    host.tests(20)
    assert host.moved["2027-05"] == CAP_TESTS


def test_a_pi_without_a_clock_battery_goes_on_in_its_month() -> None:
    """It boots with the time of its last shutdown, and is set by NTP a minute later."""
    host = Host(synchronised=True)
    host.tests(5)
    host.restarts(3 * DAY_S, -3 * DAY_S)
    host.tests(2)
    host.is_set_by_ntp()
    host.tests(20)
    assert host.moved == {"2026-11": CAP_TESTS}
    # Off over the end of the month: the new one is open at once, but for the two of an unset
    # clock, which may be of any month since.
    host.restarts(20 * DAY_S, -20 * DAY_S)
    host.is_set_by_ntp()
    host.tests(20)
    assert host.moved["2026-12"] == CAP_TESTS - 2


def test_a_file_of_an_older_version_with_a_month_to_come_is_reckoned_by_its_age() -> None:
    host = Host(synchronised=True)
    host.usage = Usage(month="2027-05", used_bytes={LINE.id: 2 * CAP_TESTS * TEST_BYTES})
    host.tests(3)
    assert host.moved == {}
    host.passes(31 * DAY_S)
    host.tests(3)
    assert host.moved == {"2026-12": 3}


def test_tests_are_reckoned_by_the_last_month_that_ended() -> None:
    host = Host(synchronised=True)
    host.tests(3)
    assert host.used().test_bytes == {}
    host.jumps(180 * DAY_S)
    host.tests(1)
    assert host.used().test_bytes == {}, "by a clock that is not believed no month ends"
    host.is_set_by_ntp()
    host.passes(22 * DAY_S)
    assert host.used().test_bytes == {LINE.id: {TEST.kind: TEST_BYTES}}
