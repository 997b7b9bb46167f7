"""A box's way from release to release, decided without a box."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from deploy.fleet import update
from deploy.fleet.channel import Ring
from deploy.fleet.update import BoxState, GoBack, Stay, Try
from tests.unit.test_fleet_channel import NOW, said

FUTURE = datetime(2027, 1, 1, tzinfo=UTC)


def test_a_new_box_takes_the_release_before_any_ring() -> None:
    waiting = said(rings=[Ring(1.0, FUTURE)])
    assert update.next_step(BoxState(), waiting, "p", NOW) == Try("0.2.0")
    assert isinstance(update.next_step(BoxState(good="0.1.0"), waiting, "p", NOW), Stay)


def test_an_interrupted_trial_comes_first() -> None:
    state = BoxState(good="0.1.0", trying="0.2.0")
    assert update.next_step(state, said(), "p", NOW) == GoBack("0.2.0", "0.1.0")


def test_a_release_that_failed_here_is_not_tried_again_and_the_next_one_is() -> None:
    all_now = said(rings=[Ring(1.0, NOW)])
    state = update.gave_up(update.trying(BoxState(good="0.1.0"), "0.2.0"))
    assert state == BoxState(good="0.1.0", failed=["0.2.0"])
    step = update.next_step(state, all_now, "p", NOW)
    assert isinstance(step, Stay)
    assert "did not publish here" in step.because
    newer = said(release="0.2.1", rings=[Ring(1.0, NOW)])
    assert update.next_step(state, newer, "p", NOW) == Try("0.2.1")


def test_a_release_that_went_well_is_where_the_box_stays() -> None:
    state = update.went_well(update.trying(BoxState(good="0.1.0"), "0.2.0"))
    assert state == BoxState(good="0.2.0")
    assert isinstance(update.next_step(state, said(), "p", NOW), Stay)


def test_the_number_seen_never_falls() -> None:
    assert update.seen(BoxState(channel_number=9), said()).channel_number == 9
    assert update.seen(BoxState(channel_number=3), said()).channel_number == 7


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
    assert update.publishes(status(), "0.2.0") is None


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
    fault = update.publishes(reading, "0.2.0")
    assert fault is not None
    assert why in fault
