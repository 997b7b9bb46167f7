"""A box's way from release to release, decided without a box."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from deploy.fleet import update
from deploy.fleet.channel import Ring
from deploy.fleet.update import BoxState, FailedTrial, RollBack, Stay, Try
from tests.unit.test_fleet_channel import NOW, said
from wire.decoding import decode_json

FUTURE = datetime(2027, 1, 1, tzinfo=UTC)


def test_a_new_box_takes_the_release_before_any_ring() -> None:
    waiting = said(rings=[Ring(1.0, FUTURE)])
    assert update.next_step(BoxState(), waiting, "p", NOW) == Try("0.2.0")
    assert isinstance(update.next_step(BoxState(good="0.1.0"), waiting, "p", NOW), Stay)


def test_an_interrupted_trial_comes_first() -> None:
    state = BoxState(good="0.1.0", trying="0.2.0")
    assert update.next_step(state, said(), "p", NOW) == RollBack("0.2.0", "0.1.0")


def tried(state: BoxState, at: datetime, *, to_blame: bool = True) -> BoxState:
    """A trial of what the channel says that ended without success."""
    return update.rolled_back(update.trying(state, "0.2.0"), at, to_blame=to_blame)


def stays(state: BoxState, at: datetime, *, number: int = 7) -> str:
    """Why the box does not try 0.2.0 then; empty where it does."""
    step = update.next_step(state, said(number=number, rings=[Ring(1.0, NOW)]), "p", at)
    return step.because if isinstance(step, Stay) else ""


def test_a_release_that_failed_here_is_tried_on_three_days_and_the_next_one_at_once() -> None:
    state = update.with_channel(BoxState(good="0.1.0"), said())
    for day in range(3):
        at = NOW + timedelta(days=day)
        assert stays(state, at) == ""
        state = tried(state, at + timedelta(minutes=30))
        assert "is tried again a day later" in stays(state, at + timedelta(hours=15)) or day == 2
        assert state.given_up == {"0.2.0": FailedTrial(day + 1, 7, at + timedelta(minutes=30))}
    later = NOW + timedelta(days=60)
    assert "is tried again when the centre publishes anew" in stays(state, later)
    newer = said(release="0.2.1", rings=[Ring(1.0, NOW)])
    assert update.next_step(state, newer, "p", NOW) == Try("0.2.1")


def test_what_the_centre_publishes_anew_is_tried_anew() -> None:
    state = update.with_channel(BoxState(good="0.1.0"), said())
    for day in range(3):
        state = tried(state, NOW + timedelta(days=day))
    later = NOW + timedelta(days=3)
    assert stays(state, later, number=7)
    assert stays(state, later, number=8) == ""
    state = tried(update.with_channel(state, said(number=8)), later)
    # Once for each publishing at once, and two more days of it.
    assert "a day later" in stays(state, later, number=8)
    assert state.given_up["0.2.0"].times == 1


def test_a_trial_is_not_counted_where_the_release_before_it_does_not_publish_either() -> None:
    state = BoxState(good="0.1.0", channel_number=7)
    for day in range(9):
        at = NOW + timedelta(days=day)
        assert stays(state, at) == ""
        state = tried(state, at, to_blame=False)
        # Nor is it tried at each pull: every trial takes the probe away for a while.
        assert "a day later" in stays(state, at + timedelta(hours=1))
    assert state.given_up["0.2.0"].times == 0


def test_a_release_that_publishes_after_all_is_no_longer_given_up() -> None:
    state = tried(BoxState(good="0.1.0"), NOW)
    assert update.succeeded(update.trying(state, "0.2.0")) == BoxState(good="0.2.0")


def test_what_another_release_has_remembered_is_passed_over() -> None:
    written = b'{"good": "0.1.0", "failed": ["0.0.9"], "channel_number": 3, "later": {}}'
    assert decode_json(written, BoxState) == BoxState(good="0.1.0", channel_number=3)


def test_a_release_that_went_well_is_where_the_box_stays() -> None:
    state = update.succeeded(update.trying(BoxState(good="0.1.0"), "0.2.0"))
    assert state == BoxState(good="0.2.0")
    assert isinstance(update.next_step(state, said(), "p", NOW), Stay)


def test_the_number_seen_never_falls() -> None:
    assert update.with_channel(BoxState(channel_number=9), said()).channel_number == 9
    assert update.with_channel(BoxState(channel_number=3), said()).channel_number == 7


def status(**changes: object) -> bytes:
    board = {
        "version": "0.2.0",
        "status": {"connected": True, "pending": 0, "lines": {"vnpt": {"last": {"latency": {}}}}},
    }
    flat = {**board["status"], **{k: v for k, v in changes.items() if k != "version"}}  # type: ignore[dict-item]
    return json.dumps(
        {"version": changes.get("version", "0.2.0"), "status": flat, "pid": 1}
    ).encode()


def test_it_publishes_when_measured_sent_and_confirmed() -> None:
    assert update.why_not_publishing(status(), "0.2.0") is None
    assert update.why_not_publishing(status(version="0.1.0"), None) is None


@pytest.mark.parametrize(
    ("reading", "why"),
    [
        (status(version="0.1.0"), "0.1.0 is running"),
        (status(connected=False), "not connected"),
        (status(pending=3), "3 results are not confirmed"),
        (status(lines={"vnpt": {"last": {}}}), "nothing measured"),
        (status(lines={}), "nothing measured"),
        (b"no daemon is running", "cannot be read"),
    ],
)
def test_it_does_not_publish_while_any_part_of_the_way_is_missing(reading: bytes, why: str) -> None:
    fault = update.why_not_publishing(reading, "0.2.0")
    assert fault is not None
    assert why in fault
