"""Status and LEDs: what a person sees after each event."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise

import pytest
from gpiozero import Device
from msgspec import structs

from probe import config, events
from probe.config import LedConfig
from probe.measure.measurement import Progress
from probe.show import lamp_test, texts
from probe.show.leds import FAST_BLINK_S, SLOW_BLINK_S, Leds, LedsUnavailableError
from probe.show.status import Pattern, Status, StatusSnapshot, fold, frame, initial
from runtime.language import Language, Phrase
from tests import samples
from tests.unit.test_config import GOOD
from wire.messages import LineState
from wire.result import Family, Outcome, Reason

CONFIG = config.parse(GOOD.encode(), "probe.toml")


def after(*happened: events.Event) -> Status:
    status = initial(CONFIG)
    for event in happened:
        status = fold(status, event)
    return status


def good_latency() -> events.Event:
    return events.ResultProduced(samples.latency())


def lost_latency() -> events.Event:
    return events.ResultProduced(
        samples.latency(outcome=Outcome.FAILED, reason=Reason.NO_REPLY, detail="no answer")
    )


def test_at_first_only_power_is_lit() -> None:
    shown = frame(initial(CONFIG), 0.0)
    assert shown.pop("power") is Pattern.STEADY
    assert set(shown.values()) == {Pattern.OFF}
    assert set(shown) == {"centre", "vnpt.green", "vnpt.red", "viettel.green", "viettel.red"}


@pytest.mark.parametrize(
    ("happened", "state", "green", "red"),
    [
        ([good_latency()], LineState.GOOD, Pattern.STEADY, Pattern.OFF),
        ([lost_latency()], LineState.DOWN, Pattern.OFF, Pattern.FAST_BLINK),
        ([lost_latency(), good_latency()], LineState.GOOD, Pattern.STEADY, Pattern.OFF),
    ],
)
def test_a_line_shows_its_state(
    happened: list[events.Event], state: LineState, green: Pattern, red: Pattern
) -> None:
    status = after(*happened)
    assert status.lines["vnpt"].state is state
    assert status.lines["viettel"].state is LineState.UNKNOWN
    shown = frame(status, 0.0)
    assert (shown["vnpt.green"], shown["vnpt.red"]) == (green, red)


def answering(*targets: str) -> list[events.Event]:
    return [events.ResultProduced(samples.latency(target=target)) for target in targets]


def silent(*targets: str) -> list[events.Event]:
    return [
        events.ResultProduced(
            samples.latency(
                target=target, outcome=Outcome.FAILED, reason=Reason.NO_REPLY, detail="no answer"
            )
        )
        for target in targets
    ]


@pytest.mark.parametrize(
    ("happened", "state"),
    [
        # The ISP is down: the office's own router answers as ever.
        (
            [*answering("icmp:gateway"), *silent("stamp:may-chu-1", "icmp:192.0.2.1", "icmp:a.vn")],
            LineState.DOWN,
        ),
        # One host of ours alone may be down itself.
        (
            [*answering("icmp:gateway"), *silent("stamp:may-chu-1", "icmp:192.0.2.1")],
            LineState.DEGRADED,
        ),
        (
            [*answering("icmp:gateway", "icmp:a.vn"), *silent("stamp:may-chu-1", "icmp:192.0.2.1")],
            LineState.DEGRADED,
        ),
        ([*silent("icmp:gateway", "stamp:may-chu-1", "icmp:192.0.2.1")], LineState.DOWN),
    ],
)
def test_a_line_behind_a_gateway_that_answers_can_be_down(
    happened: list[events.Event], state: LineState
) -> None:
    assert after(*happened).lines["vnpt"].state is state


def test_a_host_of_the_office_that_answers_does_not_keep_its_line_up() -> None:
    """An intranet host among the targets, while nothing on the Internet answers."""
    beyond = silent("stamp:may-chu-1", "icmp:192.0.2.1", "icmp:a.vn")
    inside = events.ResultProduced(samples.latency(target="icmp:10.0.0.5"), within_office=True)
    happened = [*answering("icmp:gateway"), *beyond, inside]
    assert after(*happened).lines["vnpt"].state is LineState.DOWN


def over(family: Family, *happened: events.Event) -> list[events.Event]:
    return [
        structs.replace(one, result=structs.replace(one.result, family=family))
        for one in happened
        if isinstance(one, events.ResultProduced)
    ]


TARGETS = ("stamp:may-chu-1", "icmp:a.vn", "icmp:b.vn")


def test_a_family_that_is_silent_is_named_and_its_line_is_not_down() -> None:
    works = over(Family.IPV4, *answering(*TARGETS))
    line = after(*works, *over(Family.IPV6, *silent(*TARGETS))).lines["vnpt"]
    assert (line.state, line.silent_families) == (LineState.DEGRADED, [Family.IPV6])
    snapshot = StatusSnapshot(
        written_at=samples.NOON, pid=1, version="1", leds_driver="none",
        status=after(*works, *over(Family.IPV6, *silent(*TARGETS))), leds={},
    )  # fmt: skip
    assert "IPv6 does not answer" in texts.snapshot(snapshot, Language.EN)
    assert "IPv6 không có trả lời" in texts.snapshot(snapshot, Language.VI)
    whole = after(*works, *over(Family.IPV6, *answering(*TARGETS))).lines["vnpt"]
    assert (whole.state, whole.silent_families) == (LineState.GOOD, [])
    both = over(Family.IPV4, *silent(*TARGETS)) + over(Family.IPV6, *silent(*TARGETS))
    down = after(*both).lines["vnpt"]
    assert (down.state, down.silent_families) == (LineState.DOWN, [])


def test_a_family_that_a_line_has_lost_is_forgotten() -> None:
    works, lost = over(Family.IPV4, *answering(*TARGETS)), over(Family.IPV6, *silent(*TARGETS))
    later = [
        structs.replace(one, result=structs.replace(one.result, started_at=at))
        for one in works
        if isinstance(one, events.ResultProduced)
        for at in [one.result.started_at + timedelta(hours=1)]
    ]
    line = after(*works, *lost, *later).lines["vnpt"]
    assert (line.state, line.silent_families) == (LineState.GOOD, [])


def test_a_failed_throughput_test_degrades_a_line_that_answers() -> None:
    failure = samples.throughput(
        outcome=Outcome.FAILED, reason=Reason.CONNECTION_REFUSED, detail="refused"
    )
    assert (
        after(good_latency(), events.ResultProduced(failure)).lines["vnpt"].state
        is LineState.DEGRADED
    )


def test_a_skipped_test_says_nothing_about_the_line() -> None:
    skipped = samples.throughput(
        outcome=Outcome.SKIPPED, reason=Reason.SERVER_BUSY, detail="the server is busy"
    )
    assert (
        after(good_latency(), events.ResultProduced(skipped)).lines["vnpt"].state is LineState.GOOD
    )


def test_measuring_breathes() -> None:
    progress = Progress("download", 0.5, 1e6)
    status = after(
        good_latency(),
        events.MeasurementStarted("vnpt", "throughput"),
        events.MeasurementProgressed("vnpt", "throughput", progress),
    )
    assert frame(status, 0.0)["vnpt.green"] is Pattern.BREATHING
    ended = fold(status, events.MeasurementEnded("vnpt", "throughput"))
    assert frame(ended, 0.0)["vnpt.green"] is Pattern.STEADY
    # A look at the path is light: nobody says when it has ended, so it must not begin to breathe.
    light = fold(ended, events.MeasurementProgressed("vnpt", "path", progress))
    assert frame(light, 0.0)["vnpt.green"] is Pattern.STEADY


@pytest.mark.parametrize(
    ("delivery", "pattern"),
    [
        (events.DeliveryStatus(connected=False, pending=0), Pattern.OFF),
        (events.DeliveryStatus(connected=True, pending=3), Pattern.SLOW_BLINK),
        (events.DeliveryStatus(connected=True, pending=0), Pattern.STEADY),
    ],
)
def test_the_centre_led(delivery: events.Event, pattern: Pattern) -> None:
    assert frame(after(delivery), 0.0)["centre"] is pattern


def test_a_fault_makes_power_blink_until_it_is_gone() -> None:
    status = after(events.Fault("outbox", Phrase("đĩa đầy", "disk full")))
    assert frame(status, 0.0)["power"] is Pattern.SLOW_BLINK
    assert list(status.fault_reports()) == [("outbox", Phrase("đĩa đầy", "disk full"))]
    cleared = fold(status, events.Fault("outbox", None))
    assert frame(cleared, 0.0)["power"] is Pattern.STEADY
    assert (cleared.faults, cleared.faults_vi) == ({}, {})


def test_why_there_is_no_connection_is_known_in_both_languages_until_there_is_one() -> None:
    why = Phrase("không có trả lời", "no answer")
    status = after(events.DeliveryStatus(connected=False, pending=0, cause=why))
    assert status.why_unconnected() == why
    connected = fold(status, events.DeliveryStatus(connected=True, pending=0))
    assert connected.why_unconnected() is None
    assert (connected.cause, connected.cause_vi) == (None, None)


def test_identify_flashes_everything_and_ends() -> None:
    status = after(good_latency(), events.IdentifyRequested(until_s=10.0))
    assert set(frame(status, 9.9).values()) == {Pattern.FAST_BLINK}
    assert frame(status, 10.0)["vnpt.green"] is Pattern.STEADY


def test_events_of_a_line_that_is_not_ours_change_nothing() -> None:
    status = initial(CONFIG)
    assert fold(status, events.MeasurementStarted("fpt", "throughput")) == status


@pytest.fixture
def leds() -> Iterator[Leds]:
    opened = Leds(LedConfig(driver="simulated"), CONFIG.lines)
    yield opened
    opened.close()


def pin_states(leds: Leds, name: str) -> list[float]:
    """Every value that the pin has had, in order, as gpiozero's own mock pin recorded it."""
    pin = leds._leds[name].pin
    assert pin is not None
    return [float(state.state) for state in pin.states]


def until_states(leds: Leds, name: str, count: int) -> list[float]:
    deadline = time.monotonic() + 5
    while len(states := pin_states(leds, name)) < count:
        assert time.monotonic() < deadline, f"{name} moved only {states}"
        time.sleep(0.01)
    return states


def test_pins_do_what_the_frame_says(leds: Leds) -> None:
    leds.show({"power": Pattern.STEADY, "vnpt.green": Pattern.OFF})
    assert pin_states(leds, "power")[-1] == 1.0
    leds.show({"power": Pattern.OFF, "vnpt.green": Pattern.STEADY})
    assert pin_states(leds, "power")[-1] == 0.0
    assert pin_states(leds, "vnpt.green")[-1] == 1.0
    assert pin_states(leds, "vnpt.red") == [0.0], "a pin that was not named did not move"


def test_brightness_and_active_low_reach_the_pin() -> None:
    config = LedConfig(driver="simulated", brightness=0.25, active_high=False)
    opened = Leds(config, CONFIG.lines)
    try:
        opened.show({"power": Pattern.STEADY, "centre": Pattern.FAST_BLINK})
        assert pin_states(opened, "power")[-1] == 0.75
        assert set(until_states(opened, "centre", 5)[1:5]) == {0.75, 1.0}
    finally:
        opened.close()


@pytest.mark.parametrize(
    ("pattern", "half_s"), [(Pattern.SLOW_BLINK, SLOW_BLINK_S), (Pattern.FAST_BLINK, FAST_BLINK_S)]
)
def test_each_change_of_a_blinking_pin_comes_at_its_time(
    leds: Leds, pattern: Pattern, half_s: float
) -> None:
    leds.show({"vnpt.green": pattern})
    until_states(leds, "vnpt.green", 4)
    pin = leds._leds["vnpt.green"].pin
    assert pin is not None
    # `timestamp` is the time since the state before. Never early; late only as a thread can be.
    waits = [state.timestamp for state in list(pin.states)[2:4]]
    assert len(waits) == 2
    assert all(half_s - 0.02 <= wait < half_s + 0.5 for wait in waits), waits


def test_blinking_moves_the_pin_by_itself(leds: Leds) -> None:
    leds.show({"vnpt.red": Pattern.FAST_BLINK})
    assert until_states(leds, "vnpt.red", 5)[1:5] == [1.0, 0.0, 1.0, 0.0]


def test_breathing_goes_through_the_grey_values(leds: Leds) -> None:
    leds.show({"centre": Pattern.BREATHING})
    states = until_states(leds, "centre", 10)
    assert all(earlier < later for earlier, later in pairwise(states[:10]))


def test_an_unchanged_frame_leaves_a_blinking_pin_alone(leds: Leds) -> None:
    leds.show({"power": Pattern.STEADY})
    before = len(pin_states(leds, "power"))
    leds.show({"power": Pattern.STEADY})
    assert len(pin_states(leds, "power")) == before


def test_no_gpio_is_a_sentence_and_not_a_traceback() -> None:
    with pytest.raises(LedsUnavailableError, match=r"cannot be driven.*leds\.driver"):
        Leds(LedConfig(driver="gpio"), CONFIG.lines)
    assert Device.pin_factory is None, "gpiozero must not go looking for pins by itself"


def test_a_pin_that_cannot_be_had_is_named_and_the_others_are_let_go() -> None:
    twice = LedConfig(driver="simulated", line_pins=[(22, 23), (24, 17)])
    with pytest.raises(LedsUnavailableError, match=r"pin 17 \(.*\.red\): .*in use"):
        Leds(twice, CONFIG.lines)


def test_the_rehearsal_names_every_led_with_its_pin_and_ends_when_told() -> None:
    said: list[str] = []
    lamp_test.run(lamp_test.simulated(CONFIG), 0.0, threading.Event(), said.append, draw=None)
    for name, pin in CONFIG.leds.pins([line.id for line in CONFIG.lines]).items():
        assert f"chỉ đèn {name}, chân GPIO {pin} / {name} alone, GPIO {pin}" in said
    told = threading.Event()
    told.set()
    said.clear()
    lamp_test.run(lamp_test.simulated(CONFIG), 30.0, told, said.append, draw=None)
    assert len(said) == 1
