"""Availability for any history: no minute lost, none counted twice, none down without evidence."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from probe.availability.minutes import MinuteState, ReachabilitySample, minute_state, minutes_of
from probe.availability.tracker import (
    AvailabilityPeriod,
    AvailabilityTracker,
    Instant,
    LocatedOutage,
)
from wire.result import FaultLocation

M0 = 29_000_000
HOSTS = st.sampled_from([None, "a", "b", "c"])

evidences = st.builds(
    lambda start, length, host, answered, down: ReachabilitySample(
        M0 * 60 + start, M0 * 60 + start + length, host, answered, down
    ),
    st.floats(-300, 7200),
    st.floats(0, 200),
    HOSTS,
    st.booleans(),
    st.booleans(),
)


steps = st.lists(
    st.one_of(
        st.tuples(st.just("note"), evidences),
        st.tuples(st.just("look"), st.sampled_from(list(FaultLocation))),
        st.tuples(st.just("pass"), st.floats(0, 900)),
        st.tuples(st.just("restart"), st.tuples(st.floats(0, 9000), st.sampled_from("ab"))),
        st.tuples(st.just("kill"), st.tuples(st.floats(0, 9000), st.sampled_from("ab"))),
        st.tuples(st.just("set forward"), st.floats(31, 9000)),
    ),
    max_size=40,
)


class History:
    """A line's book through a history, and all that it told."""

    def __init__(self, period_min: int) -> None:
        self.unix_s, self.monotonic_s, self.boot_id = M0 * 60.0, 500.0, "a"
        self.period_min = period_min
        self.told: list[AvailabilityPeriod | LocatedOutage] = []
        self.book = AvailabilityTracker(self.now(), 70, period_min)

    def now(self) -> Instant:
        return Instant(self.unix_s, self.monotonic_s, self.boot_id)

    def step(self, what: str, value: object) -> None:
        if what == "note" and isinstance(value, ReachabilitySample):
            self.book.note(value)
        elif what == "look" and isinstance(value, FaultLocation):
            self.book.note_path(self.unix_s, value)
        elif what == "pass" and isinstance(value, float):
            self.unix_s += value
            self.monotonic_s += value
        elif what == "set forward" and isinstance(value, float):
            self.unix_s += value
        elif isinstance(value, tuple):
            away_s, boot_id = value
            if what == "restart":
                self.told += self.book.close(self.now())
            before = self.book.state()
            self.unix_s += away_s
            self.monotonic_s = 500.0 if boot_id != self.boot_id else self.monotonic_s + away_s
            self.boot_id = boot_id
            self.book = AvailabilityTracker(self.now(), 70, self.period_min, before)
        self.told += self.book.advance(self.now())

    def end(self) -> None:
        self.unix_s += 600
        self.monotonic_s += 600
        self.told += self.book.close(self.now())


def after(history: list[tuple[str, object]], period_min: int) -> History:
    run = History(period_min)
    for what, value in history:
        run.step(what, value)
    run.end()
    return run


@given(steps, st.sampled_from([1, 5, 60, 1440]))
@settings(max_examples=150)
def test_every_minute_is_counted_once(history: list[tuple[str, object]], period_min: int) -> None:
    run = after(history, period_min)
    periods = [told for told in run.told if isinstance(told, AvailabilityPeriod)]
    expected = M0
    for period in periods:
        assert period.first == expected, "no gap and no overlap"
        assert sum(period.counts.values()) == period.end - period.first
        expected = period.end
    assert expected >= int(run.unix_s // 60)


@given(steps, st.sampled_from([1, 5, 60]))
@settings(max_examples=150)
def test_outages_hold_the_minutes_that_were_bad(
    history: list[tuple[str, object]], period_min: int
) -> None:
    run = after(history, period_min)
    bad = dict.fromkeys((MinuteState.DOWN, MinuteState.OWN_LAN), 0)
    for told in run.told:
        if isinstance(told, AvailabilityPeriod):
            for side in bad:
                bad[side] += told.counts.get(side, 0)
    ended = [told for told in run.told if isinstance(told, LocatedOutage)]
    running = run.book.state().running
    if running is not None:
        bad[running.side] -= running.bad_minutes
    for told in ended:
        bad[told.outage.side] -= told.outage.bad_minutes
    assert set(bad.values()) == {0}
    for earlier, later in pairwise(ended):
        assert earlier.outage.end <= later.outage.first
    for told in ended:
        outage = told.outage
        assert 1 <= outage.bad_minutes <= outage.end - outage.first
        assert (outage.side is MinuteState.OWN_LAN) == (told.fault is FaultLocation.OWN_LAN) or (
            outage.side is MinuteState.DOWN
        )


@given(st.lists(evidences, max_size=12))
def test_a_minute_is_down_only_on_full_evidence(found: list[ReachabilitySample]) -> None:
    state = minute_state(found)
    far = [one for one in found if one.host is not None]
    if state is MinuteState.DOWN:
        assert any(one.host is None and one.answered for one in found)
        assert len({one.host for one in far}) >= 2
        assert not any(one.answered for one in far)
    assert (state is MinuteState.UP) == any(one.answered for one in far)


@given(st.lists(evidences, max_size=12), evidences)
def test_an_answer_from_afar_always_makes_a_minute_up(
    found: list[ReachabilitySample], more: ReachabilitySample
) -> None:
    answer = ReachabilitySample(more.from_s, more.to_s, "z", True)
    assert minute_state([*found, answer]) is MinuteState.UP


@given(st.floats(0, 59.9), st.floats(1, 600), st.integers(2, 30))
def test_windows_without_a_gap_leave_no_minute_without_one(
    offset_s: float, length_s: float, count: int
) -> None:
    covered: set[int] = set()
    for number in range(count):
        begun_s = M0 * 60 + offset_s + number * length_s
        covered |= set(minutes_of(ReachabilitySample(begun_s, begun_s + length_s, "a", True)))
    assert covered == set(range(min(covered), max(covered) + 1))
