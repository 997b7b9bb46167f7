"""The line page's outages: where each was, also of one whose end was not reported yet."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import pytest
from msgspec import structs

from collector.rollup.periods import Step
from collector.rollup.queries import Bucket
from collector.rollup.summary import Summary
from collector.store.records import LastResult, StoredOutage, StoredResult
from collector.web.outages_view import (
    OutageRow,
    PathObservation,
    fault_now,
    last_path_observation,
    ongoing_fault,
    outages,
)
from collector.web.presentation import Locale
from runtime.language import Language
from tests import samples
from wire.result import FaultLocation, PathResult

NOON = datetime(2026, 11, 20, 5, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
VI = Locale(Language.VI, ZoneInfo("Asia/Ho_Chi_Minh"))
EN = Locale(Language.EN, ZoneInfo("Asia/Ho_Chi_Minh"))
ACCESS, LAN = FaultLocation.ISP_ACCESS, FaultLocation.OWN_LAN
OPEN = "The Internet provider's access line (end not reported yet)"


def hours(*down: int | None) -> list[Bucket]:
    """The hours from noon, by their minutes down; of None the minutes are not reported yet."""
    return [
        Bucket(NOON + n * HOUR, 1, NOON, Summary(sums={} if one is None else _sums(one)))
        for n, one in enumerate(down)
    ]


def _sums(down: int) -> dict[str, float]:
    return {"availability_down_minutes": down, "availability_up_minutes": 60 - down}


def told(after_min: float, lasted_min: float, fault: FaultLocation = ACCESS) -> StoredOutage:
    began_at = NOON + after_min * MINUTE
    return StoredOutage(began_at, began_at + lasted_min * MINUTE, fault)


def look(after_min: float, fault: FaultLocation = ACCESS) -> PathObservation:
    return PathObservation(NOON + after_min * MINUTE, fault)


def shown_with(
    buckets: list[Bucket],
    known: list[StoredOutage],
    seen: PathObservation | None,
    step: Step = Step.HOUR,
    locale: Locale = EN,
) -> list[OutageRow]:
    """As the page makes it."""
    return outages(
        buckets, known, ongoing_fault(buckets, known, seen, step, down=False), step, locale
    )


def test_an_outage_that_was_told_says_where_it_was() -> None:
    known = [told(30, 1), told(15, 1), told(174, 12, LAN)]
    shown = shown_with(hours(7, 0, 3, 2), known, None, locale=VI)
    assert [one.down for one in shown] == ["2", "3", "7"]
    assert [one.faults for one in shown] == [
        ["Mạng nội bộ của trụ sở"],
        ["Mạng nội bộ của trụ sở"],
        ["Đường truy nhập của nhà mạng (2)"],
    ]
    (lasting, *_) = shown_with(hours(7, 0, 3, 2), [], None)
    assert lasting.faults == [], "nobody has looked"


def test_one_that_goes_on_says_where_the_path_was_last_seen_to_break() -> None:
    shown = shown_with(hours(5, 0, 40, 60, None), [told(10, 5)], look(250))
    assert [one.faults for one in shown] == [
        [OPEN], [OPEN], ["The Internet provider's access line"],
    ]  # fmt: skip
    (day,) = shown_with(hours(60), [], look(65), Step.DAY, VI)
    assert day.faults == ["Đường truy nhập của nhà mạng (chưa ghi nhận kết thúc)"]


def test_an_hour_may_hold_one_that_ended_and_one_that_goes_on() -> None:
    (shown,) = shown_with(hours(25), [told(5, 10)], look(50))
    assert shown.faults == ["The Internet provider's access line", OPEN]
    (shown,) = shown_with(hours(15), [told(0, 30, LAN)], look(50))
    assert shown.faults == ["The office's own network", OPEN], "its minutes are unknown, not down"


@pytest.mark.parametrize(
    ("down", "known", "seen"),
    [
        # The line is up again.
        ((60, 0), [], look(30)),
        ((60, 0), [], look(100)),
        # All minutes down were told of: the look came from a bad minute later on.
        ((10, None), [told(20, 10)], look(75)),
        # The look was into an outage that was told; nobody has looked into the one that goes on.
        ((25,), [told(5, 10)], look(16)),
        # It was before all of them.
        ((0, 20), [], look(59)),
    ],
)
def test_what_is_not_known_to_go_on_is_not_given_a_place(
    down: tuple[int | None, ...], known: list[StoredOutage], seen: PathObservation
) -> None:
    assert ongoing_fault(hours(*down), known, seen, Step.HOUR, down=False) is None
    shown = shown_with(hours(*down), known, seen)
    assert not any("not reported yet" in fault for one in shown for fault in one.faults)


def test_a_line_that_is_down_now_needs_no_hour_to_be_told_of() -> None:
    """The probe tells its minutes by the hour; what its LEDs show comes each minute."""
    seen = ongoing_fault(hours(0, None), [], look(70), Step.HOUR, down=True)
    assert seen == look(70)
    now = fault_now(seen, VI)
    assert now is not None
    assert now.place == "Đường truy nhập của nhà mạng"
    assert now.at.text == "13:10:00 20/11/2026"
    (hour,) = outages(hours(0, 20), [], look(50), Step.HOUR, EN)
    assert hour.faults == [], "that was seen before this hour"
    of_the_last = ongoing_fault(hours(10, None), [told(20, 10)], look(25), Step.HOUR, down=True)
    assert of_the_last is None, "nobody has looked into this one yet"
    assert fault_now(of_the_last, VI) is None


# The look itself


def last(result: PathResult, line: str = "vnpt", body: bytes | None = None) -> LastResult:
    stored = StoredResult(
        number=1, tenant="bach-thong", probe="phu-thong-01", epoch=UUID(int=1), seq=1, kind="path",
        line=line, target=result.target, received_at=NOON, stored_at=NOON,
        body=msgspec.json.encode(result) if body is None else body,
    )  # fmt: skip
    return LastResult(stored, stored)


def path(fault: FaultLocation, after_min: float) -> PathResult:
    return structs.replace(
        samples.path(fault=fault, reached=fault is FaultLocation.NONE),
        started_at=NOON + after_min * MINUTE,
    )


def test_the_last_look_at_a_line_counts_whatever_its_target() -> None:
    old, new = path(FaultLocation.BEYOND, 1), path(ACCESS, 2)
    elsewhere = last(path(FaultLocation.BEYOND, 9), line="viettel")
    assert last_path_observation([last(new), last(old), elsewhere], "vnpt") == look(2)
    assert last_path_observation([elsewhere], "vnpt") is None


def test_a_last_look_that_found_no_fault_is_none() -> None:
    assert (
        last_path_observation([last(path(ACCESS, 1)), last(path(FaultLocation.NONE, 2))], "vnpt")
        is None
    )


def test_what_another_version_wrote_is_passed_over() -> None:
    assert last_path_observation([last(path(ACCESS, 1), body=b'{"kind": "path"}')], "vnpt") is None
