"""Times of a probe whose clock was not known: what waits, what is repaired, where and how well."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from msgspec import structs

from collector.ingest.validation import ANCIENT, FUTURE, validate
from collector.store.messages import NumberedResult, ResultsMessage
from probe.deliver.clock_hold import ClockHold
from tests import samples
from wire import topics
from wire.clock_repair import MAX_KNOWN_BOOTS, ClockNote, KnownBoot, began_at, repaired
from wire.envelope import encode_envelope
from wire.record import Clock
from wire.result import LatencyResult, Validity, decode_result, encode_result

NOW = datetime(2026, 11, 24, 5, 0, tzinfo=UTC)
# What a Pi without a battery believes after a power cut.
WRONG = datetime(2026, 1, 1, tzinfo=UTC)
BOOT, OTHER_BOOT = "b90a1a81-1c5d-4e04-b4b8-16caf4aa0107", "0b6f3f44-51c7-4d33-8a55-54f1a6c0b9ee"
TOPIC = topics.measurement(samples.TENANT, samples.PROBE, "latency")


def reading(boottime_s: float, synchronised: bool | None = False, boot_id: str = BOOT) -> Clock:
    return Clock(synchronised=synchronised, boot_id=boot_id, boottime_s=boottime_s)


def taken(boottime_s: float, started_at: datetime = WRONG, boot_id: str = BOOT) -> LatencyResult:
    """A result that began so long after the boot, under a clock that was not known."""
    return structs.replace(
        samples.latency(started_at=started_at, validity=[Validity.CLOCK_UNSYNCED]),
        clock=reading(boottime_s, boot_id=boot_id),
        slot_at=started_at - timedelta(seconds=2),
    )


def received(
    result: LatencyResult,
    note: ClockNote | None,
    *,
    sent_at: datetime = NOW,
    live: bool = False,
    retained: bool = False,
    clock_known: bool = True,
) -> NumberedResult:
    """What the centre makes of it, NOW."""
    payload = encode_envelope(
        samples.TENANT,
        samples.PROBE,
        samples.EPOCH,
        samples.SITE,
        sent_at,
        [(1, encode_result(result))],
        note,
    )
    judged = validate(TOPIC, payload, NOW, live=live, retained=retained, clock_known=clock_known)
    assert isinstance(judged, ResultsMessage), judged
    return judged.records[0]


# The probe waits


def test_after_a_boot_results_wait_for_the_clock_and_then_never_again() -> None:
    hold = ClockHold(300.0)
    assert hold.is_holding(reading(20.0))
    assert hold.is_holding(reading(299.0))
    assert not hold.is_holding(reading(299.5, synchronised=True))
    assert not hold.is_holding(reading(299.9)), "a clock that is lost again holds nothing back"


@pytest.mark.parametrize(
    "first", [reading(300.0), reading(5.0, synchronised=True), reading(5.0, synchronised=None)]
)
def test_nothing_waits_for_a_clock_that_will_not_come_or_is_there(first: Clock) -> None:
    assert not ClockHold(300.0).is_holding(first)


def test_a_boot_is_learnt_once_and_old_ones_are_forgotten() -> None:
    hold = ClockHold(300.0)
    assert not hold.learn(reading(20.0), WRONG)
    assert hold.learn(reading(30.0, synchronised=True), NOW)
    assert not hold.learn(reading(60.0, synchronised=True), NOW + timedelta(seconds=30))
    assert hold.known == (KnownBoot(BOOT, 30.0, NOW),)
    for number in range(MAX_KNOWN_BOOTS):
        assert hold.learn(reading(1.0, True, f"boot-{number}"), NOW)
    assert len(hold.known) == MAX_KNOWN_BOOTS
    assert all(one.boot_id != BOOT for one in hold.known)


def test_only_an_envelope_with_an_unknown_clock_carries_a_note() -> None:
    hold = ClockHold(300.0, [KnownBoot(BOOT, 30.0, NOW)])
    now = reading(40.0, synchronised=True)
    good = encode_result(samples.latency())
    assert hold.clock_note([good, good], lambda: now) is None
    assert hold.clock_note([good, encode_result(taken(10.0))], lambda: now) == ClockNote(
        sending=now, known=[KnownBoot(BOOT, 30.0, NOW)]
    )


# The centre repairs


def test_a_known_boot_repairs_a_time_to_the_millisecond() -> None:
    """Measured 10 s after the boot; at 30 s it was known to be NOW."""
    note = ClockNote(sending=reading(90.0, True), known=[KnownBoot(BOOT, 30.0, NOW)])
    record = received(taken(10.25), note)
    began = NOW - timedelta(seconds=19.75)
    assert record.result.started_at == began
    assert record.result.slot_at == began - timedelta(seconds=2)
    assert record.result.validity == [Validity.CLOCK_REPAIRED]
    assert record.result.clock.stated_at == WRONG
    assert decode_result(record.body) == record.result, "pages read the JSON"


def test_a_result_of_an_earlier_boot_is_repaired_by_what_was_kept_of_it() -> None:
    known = [KnownBoot(OTHER_BOOT, 50.0, NOW - timedelta(days=1)), KnownBoot(BOOT, 5.0, NOW)]
    record = received(
        taken(40.0, boot_id=OTHER_BOOT), ClockNote(sending=reading(9.0, True), known=known)
    )
    assert record.result.started_at == NOW - timedelta(days=1, seconds=10)


@pytest.mark.parametrize("sent_at", [WRONG, NOW + timedelta(days=4_000)])
def test_where_the_clock_never_comes_the_centres_own_must_do(sent_at: datetime) -> None:
    note = ClockNote(sending=reading(1_000.0))
    record = received(taken(940.0, started_at=sent_at), note, sent_at=sent_at, live=True)
    assert record.result.started_at == NOW - timedelta(seconds=60)
    assert Validity.CLOCK_REPAIRED in record.result.validity


def test_what_may_have_waited_at_the_broker_is_not_put_down_to_the_clock() -> None:
    note, sent_at = ClockNote(sending=reading(1_000.0)), NOW - timedelta(hours=3)
    result = taken(940.0, started_at=sent_at)
    for case in ({"live": False}, {"live": True, "retained": True}):
        record = received(result, note, sent_at=sent_at, **case)
        assert record.result == result
        assert record.body == encode_result(result)


def test_a_clock_that_is_right_within_a_minute_is_left_alone() -> None:
    note, sent_at = ClockNote(sending=reading(1_000.0)), NOW - timedelta(seconds=20)
    result = taken(940.0, started_at=sent_at)
    assert received(result, note, sent_at=sent_at, live=True).result == result


def test_nothing_is_known_of_a_boot_that_ended_without_a_clock() -> None:
    note = ClockNote(sending=reading(9.0, True), known=[KnownBoot(BOOT, 5.0, NOW)])
    result = taken(40.0, boot_id=OTHER_BOOT)
    assert received(result, note, live=True).result == result
    assert began_at(reading(4.0, boot_id=OTHER_BOOT), note.known) is None


def test_a_known_clock_is_never_repaired() -> None:
    note = ClockNote(sending=reading(90.0, True), known=[KnownBoot(BOOT, 30.0, NOW)])
    result = structs.replace(samples.latency(started_at=NOW), clock=reading(10.0, True))
    assert received(result, note, live=True).result == result


def test_boottimes_beyond_the_calendar_do_no_harm() -> None:
    result = taken(1e10, started_at=NOW)
    far = datetime(9_900, 1, 1, tzinfo=UTC)
    note = ClockNote(sending=reading(0.0), known=[KnownBoot(BOOT, 0.0, far)])
    assert received(result, note, sent_at=WRONG).result == result
    end = datetime(9_999, 12, 30, tzinfo=UTC)
    late = structs.replace(samples.latency(started_at=WRONG), slot_at=end)
    assert repaired(late, NOW).slot_at is None


# The centre flags


@pytest.mark.parametrize(
    ("started_at", "flag"),
    [
        (NOW + FUTURE, None),
        (NOW + FUTURE + timedelta(seconds=1), Validity.TIME_IN_FUTURE),
        (NOW + timedelta(days=3_000), Validity.TIME_IN_FUTURE),
        (NOW - ANCIENT, None),
        (NOW - ANCIENT - timedelta(seconds=1), Validity.TIME_ANCIENT),
        (datetime(1970, 1, 2, tzinfo=UTC), Validity.TIME_ANCIENT),
    ],
)
def test_future_and_ancient_times_are_flagged_and_kept(
    started_at: datetime, flag: Validity | None
) -> None:
    result = samples.latency(started_at=started_at)
    record = received(result, None)
    assert record.result.started_at == started_at
    assert record.result.validity == ([] if flag is None else [flag])
    assert decode_result(record.body) == record.result
    if flag is None:
        assert record.body == encode_result(result), "byte for byte as it was sent"


def test_a_centre_without_a_clock_holds_its_own_against_nobody() -> None:
    note = ClockNote(sending=reading(1_000.0))
    result = taken(940.0)
    record = received(result, note, sent_at=WRONG, live=True, clock_known=False)
    assert record.result == result
    ahead = samples.latency(started_at=NOW + timedelta(days=900))
    assert received(ahead, None, clock_known=False).result == ahead
    known = ClockNote(sending=reading(90.0, True), known=[KnownBoot(BOOT, 30.0, NOW)])
    repaired_result = received(taken(10.0), known, clock_known=False).result
    assert repaired_result.validity == [Validity.CLOCK_REPAIRED], "the probe's own word stands"


def test_a_repaired_time_is_judged_after_its_repair() -> None:
    note = ClockNote(sending=reading(90.0, True), known=[KnownBoot(BOOT, 30.0, NOW)])
    record = received(taken(10.0, started_at=datetime(1970, 1, 2, tzinfo=UTC)), note)
    assert record.result.validity == [Validity.CLOCK_REPAIRED]
