"""The plan in an ordinary office; its promises for any configuration are in tests/property."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import msgspec
import pytest

from probe import config
from probe.config import Config, PlanConfig
from probe.plan import tables
from probe.plan.budget import bulk_kinds, month_budget, published_plan
from probe.plan.hours import in_office_hours
from probe.plan.light import light_kinds
from probe.plan.slots import Slot, day_plan, light_slots, month_plan
from probe.plan.usage import KindUsage, Usage, in_month, with_bulk_result
from runtime.language import Language
from tests import samples
from tests.unit.test_config import GOOD
from wire.result import Family, Outcome, Reason

DAY = date(2026, 11, 24)
MONTH = [date(2026, 11, n) for n in range(1, 31)]
HANOI = ZoneInfo("Asia/Ho_Chi_Minh")
GIGABYTE = 10**9
PARSED = config.parse(GOOD.encode(), "probe.toml")


def office(plan: PlanConfig = PlanConfig(), probe: str = "phu-thong-01") -> Config:  # noqa: B008 - frozen
    return msgspec.structs.replace(PARSED, probe=probe, plan=plan)


def with_http(parsed: Config) -> Config:
    servers = [msgspec.structs.replace(one, http_port=8080) for one in parsed.servers]
    return msgspec.structs.replace(parsed, servers=servers)


def test_every_line_gets_its_tests_within_the_local_day() -> None:
    slots = day_plan(office(), DAY).slots
    assert Counter(slot.line_id for slot in slots) == {"vnpt": 10, "viettel": 10}
    assert {slot.at.astimezone(HANOI).date() for slot in slots} == {DAY}
    assert all(slot.at.tzinfo is UTC for slot in slots)


def test_a_month_holds_exactly_the_samples_wanted() -> None:
    slots = [slot for day in MONTH for slot in day_plan(office(), day).slots]
    assert Counter(slot.line_id for slot in slots) == {"vnpt": 300, "viettel": 300}


def test_the_same_day_has_the_same_plan_and_another_day_another() -> None:
    assert day_plan(office(), DAY) == day_plan(office(), DAY)
    assert [s.at.time() for s in day_plan(office(), DAY).slots] != [
        s.at.time() for s in day_plan(office(), DAY + timedelta(days=1)).slots
    ]


@pytest.mark.parametrize("a_month", [30, 300, 9000])
def test_bulk_tests_never_overlap(a_month: int) -> None:
    plan = PlanConfig(samples_per_month=a_month, monthly_budget_bytes=10**15)
    slots = day_plan(office(plan), DAY).slots
    gaps = [second.at - first.at for first, second in pairwise(slots)]
    assert min(gaps) >= timedelta(seconds=slots[0].longest_s)


def test_a_day_that_is_too_short_keeps_what_fits_and_says_what_does_not() -> None:
    long = config.ThroughputConfig(warm_up_s=30, duration_s=120)
    plan = PlanConfig(samples_per_month=9000, monthly_budget_bytes=10**15)
    parsed = msgspec.structs.replace(office(plan), throughput=long)
    planned = day_plan(parsed, DAY)
    assert len(planned.slots) + planned.left_out == 600
    assert len(planned.slots) > 0.98 * 86_400 / bulk_kinds(parsed)[0].longest_s
    assert any("find no room" in note for note in tables.document(parsed, DAY, Usage()).notes)


def test_no_tests_are_planned_when_none_are_wanted() -> None:
    assert day_plan(office(PlanConfig(throughput_share=0)), DAY).slots == []
    assert day_plan(office(PlanConfig(samples_per_month=0, weekly_minimum=0)), DAY).slots == []


def test_a_fleet_does_not_pile_up_at_the_top_of_the_hour() -> None:
    """400 probes: no minute of the hour holds more than chance allows, :00 least of all."""
    slots = [slot for n in range(400) for slot in day_plan(office(probe=f"tram-{n}"), DAY).slots]
    minutes = Counter(slot.at.minute for slot in slots)
    expected = len(slots) / 60  # 133; 4 standard deviations are 46
    assert set(minutes) == set(range(60))
    assert max(minutes.values()) < expected + 46
    assert min(minutes.values()) > expected - 46


def test_a_fleet_spreads_over_the_day_and_the_month() -> None:
    """Ten tests a month on a line: no minute of a day has a crowd, and no day of the month."""
    few = PlanConfig(samples_per_month=10)
    fleet = [office(few, f"tram-{n}") for n in range(300)]
    days = {day: [s for one in fleet for s in day_plan(one, day).slots] for day in MONTH[:10]}
    expected = 300 * 2 * 10 / 30
    for slots in days.values():
        assert abs(len(slots) - expected) < 5 * expected**0.5
        assert Counter(slot.at.replace(second=0) for slot in slots).most_common(1)[0][1] <= 6


@pytest.mark.parametrize("parsed", [office(), with_http(office())], ids=["one kind", "two"])
def test_servers_are_rotated(parsed: Config) -> None:
    slots = [slot for day in MONTH for slot in day_plan(parsed, day).slots]
    counts = Counter((slot.line_id, slot.kind, slot.server_name) for slot in slots)
    assert max(counts.values()) - min(counts.values()) <= 1
    peak = Counter(slot.server_name for slot in slots if slot.peak)
    assert min(peak.values()) > 0.3 * peak.total(), "nor is one server for peak hours alone"


def test_kinds_share_the_samples_in_peak_hours_as_well() -> None:
    slots = [slot for day in MONTH for slot in day_plan(with_http(office()), day).slots]
    mine = [slot for slot in slots if slot.line_id == "vnpt"]
    assert Counter(slot.kind for slot in mine) == {"throughput": 150, "http": 150}
    assert Counter(slot.kind for slot in mine if slot.peak) == {"throughput": 25, "http": 25}


def test_http_goes_to_the_servers_that_offer_it() -> None:
    first, second = PARSED.servers
    servers = [first, msgspec.structs.replace(second, http_port=80)]
    parsed = msgspec.structs.replace(office(), servers=servers)
    slots = day_plan(parsed, DAY).slots
    assert {slot.server_name for slot in slots if slot.kind == "http"} == {second.name}


def test_a_budget_that_is_short_gives_fewer_tests_and_says_so() -> None:
    parsed = office(PlanConfig(monthly_budget_bytes=50 * GIGABYTE))
    shown = tables.document(parsed, DAY, Usage())
    vnpt = shown.lines[0]
    assert vnpt.samples == 48, "a test of 13 s both ways at 300 Mbit/s is 975 MB"
    assert vnpt.expected_bytes + vnpt.light_bytes <= 50 * GIGABYTE
    assert vnpt.light_bytes > 0.9 * GIGABYTE, "four packets there and back each 1.5 s"
    assert shown.notes[0] == "line vnpt: the budget of 50.0 GB a month holds 48 of 300 tests"


def test_the_centre_is_told_each_lines_own_mean_a_day() -> None:
    lines = [msgspec.structs.replace(PARSED.lines[0], monthly_budget_bytes=20 * GIGABYTE)]
    parsed = with_http(msgspec.structs.replace(office(), lines=[*lines, PARSED.lines[1]]))
    told = {
        (one.line, one.kind): one.per_line_and_day for one in published_plan(parsed, DAY, Usage())
    }
    tests = {line.line: line.samples for line in tables.document(parsed, DAY, Usage()).lines}
    assert sum(told[line, kind] for line, kind in told if line == "vnpt") * 30 == pytest.approx(
        tests["vnpt"], abs=0.01
    )
    assert told["viettel", "throughput"] == told["viettel", "http"] == 5
    assert tests["vnpt"] < tests["viettel"] == 300
    # A test that moved a tenth of what was assumed: there are more, and so it is told.
    seen = Usage(month="2026-11", test_bytes={"vnpt": dict.fromkeys(("throughput", "http"), 1e8)})
    more = {one.kind: one.per_line_and_day for one in published_plan(parsed, DAY, seen)
            if one.line == "vnpt"}  # fmt: skip
    (row,) = (row for row in tables.document(parsed, DAY, seen).lines if row.line == "vnpt")
    assert sum(more.values()) * 30 == pytest.approx(row.samples, abs=0.01)
    assert row.samples > 2 * tests["vnpt"]


def test_the_weekly_minimum_is_kept_whatever_the_budget() -> None:
    parsed = office(PlanConfig(monthly_budget_bytes=0))
    shown = tables.document(parsed, DAY, Usage())
    assert shown.lines[0].samples == 9
    assert shown.notes[0] == (
        "line vnpt: the minimum of 2 tests a week is expected to move 8.8 GB a month, "
        "more than the budget of 0.0 GB has for them"
    )


def test_a_line_may_have_a_budget_of_its_own() -> None:
    lines = [msgspec.structs.replace(PARSED.lines[0], monthly_budget_bytes=20 * GIGABYTE)]
    parsed = msgspec.structs.replace(office(), lines=[*lines, PARSED.lines[1]])
    samples_ = [line.samples for line in tables.document(parsed, DAY, Usage()).lines]
    assert samples_ == [18, 300]


def test_what_a_test_has_moved_is_believed_before_the_plan() -> None:
    usage = Usage(month="2026-11", test_bytes={"vnpt": {"throughput": 2.0 * GIGABYTE}})
    assert month_budget(office(), PARSED.lines[0], DAY, usage).tests == 148
    assert any("viettel: no `plan_" in note for note in tables.document(office(), DAY, usage).notes)
    assert not any(
        "vnpt: no `plan_" in note for note in tables.document(office(), DAY, usage).notes
    )


def test_a_budget_that_is_used_up_leaves_the_weekly_minimum() -> None:
    usage = Usage(month="2026-11", used_bytes={"vnpt": 300 * GIGABYTE})
    counts = Counter(
        slot.line_id for day in MONTH[:7] for slot in day_plan(office(), day, usage).slots
    )
    assert counts["vnpt"] in (2, 3)
    assert counts["viettel"] == 70
    assert any("is used up" in note for note in tables.document(office(), DAY, usage).notes)
    december = day_plan(office(), date(2026, 12, 1), usage).slots
    assert sum(slot.line_id == "vnpt" for slot in december) in (9, 10)


def test_office_hours_can_be_avoided() -> None:
    parsed = office(PlanConfig(office_hours="avoid"))
    slots = [slot for day in MONTH for slot in day_plan(parsed, day).slots]
    assert not any(in_office_hours(parsed, slot.at) for slot in slots)
    assert len(slots) == 600, "the others take what was theirs"


def test_light_kinds_come_regularly_and_spread() -> None:
    slots = light_slots(office(), ["dns", "web"], DAY)
    assert Counter((slot.line_id, slot.kind) for slot in slots).most_common()[-1][1] == 48
    dns = [slot.at for slot in slots if slot.kind == "dns" and slot.line_id == "vnpt"]
    assert {second - first for first, second in pairwise(dns)} == {timedelta(minutes=30)}
    assert len({slot.at for slot in slots}) == len(slots)


def test_the_table_shows_the_day_or_the_month() -> None:
    shown = tables.document(office(), DAY, Usage())
    day = tables.text(shown, Language.EN, whole_month=False).splitlines()
    assert day[0] == "slots on 2026-11-24"
    assert len([line for line in day if line[2:3] == ":"]) == 20
    month = tables.text(shown, Language.EN, whole_month=True).splitlines()
    assert "Tue 24  10    10       19.50 GB" in month
    assert any(line.startswith("vnpt     300") for line in month)
    day = tables.text(shown, Language.VI, whole_month=False).splitlines()
    assert day[0] == "các lượt đo ngày 24/11/2026"
    assert day[1].split("  ")[0] == "giờ"
    month = tables.text(shown, Language.VI, whole_month=True).splitlines()
    assert "T3 24  10    10       19,50 GB" in month


def test_usage_counts_both_ways_and_only_complete_tests_tell_the_next_months_estimate() -> None:
    good = samples.throughput()
    assert good.values is not None
    payload = sum(
        one.transferred_bytes for one in (good.values.download, good.values.upload) if one
    )
    failed = samples.throughput(outcome=Outcome.FAILED, reason=Reason.TIMEOUT)
    usage = in_month(Usage(), "2026-11")
    for result in (good, good, failed):
        usage = with_bulk_result(usage, result)
    assert usage.used_bytes["vnpt"] == pytest.approx(2 * payload * 1.0456, rel=1e-3)
    assert usage.moved["vnpt"]["throughput"].tests == 2
    december = in_month(usage, "2026-12")
    assert december.used_bytes == {}
    assert december.test_bytes["vnpt"]["throughput"] == usage.used_bytes["vnpt"] / 2
    assert in_month(december, "2027-01").test_bytes == december.test_bytes, "nothing newer"


def test_a_clock_that_was_wrong_does_not_take_the_month_back() -> None:
    usage = Usage(month="2026-11", moved={"vnpt": {"throughput": KindUsage(1, 5)}})
    assert in_month(usage, "1970-01") is usage


def test_the_day_when_clocks_change_is_planned_as_any_other() -> None:
    parsed = msgspec.structs.replace(office(), timezone="America/New_York")
    for day in (date(2026, 3, 8), date(2026, 11, 1)):
        slots = day_plan(parsed, day).slots
        assert {slot.at.astimezone(ZoneInfo(parsed.timezone)).date() for slot in slots} == {day}
        assert datetime(2026, 1, 1, tzinfo=UTC) < slots[0].at


def test_one_server_alone_is_told() -> None:
    alone = msgspec.structs.replace(office(), servers=PARSED.servers[:1])
    for language, words in ((Language.VI, "chỉ có một máy chủ đo"), (Language.EN, "server alone")):
        assert any(words in note for note in tables.document(alone, DAY, Usage(), language).notes)
    assert not any("alone" in note.en for note in tables.notes(office(), DAY, Usage()))


def test_what_runs_beside_bulk_tests_is_told_and_can_be_switched_off() -> None:
    by_kind = {one.kind: one for one in light_kinds(PARSED, PARSED.lines[0])}
    latency = by_kind["latency"]
    # STAMP of 86 bytes; echoes of 98 to the gateway and both servers; there and back.
    assert latency.per_day == 1440
    assert latency.day_bytes == pytest.approx(86_400 / 1.5 * 2 * (86 + 3 * 98))
    assert {"dns", "web", "path"} <= set(by_kind)
    text = tables.text(tables.document(office(), DAY, Usage()), Language.EN, whole_month=False)
    assert "beside them in 2026-11" in text
    less = msgspec.structs.replace(
        PARSED,
        latency=config.LatencyConfig(enabled=False),
        dns=config.DnsConfig(names=[]),
        web=config.WebConfig(pages=[]),
    )
    assert [one.kind for one in light_kinds(less, PARSED.lines[0])] == ["path"]


def test_latency_and_path_count_for_each_family_that_line_and_host_may_have() -> None:
    named = [msgspec.structs.replace(one, host=f"{one.name}.example.vn") for one in PARSED.servers]
    for line, servers, latency_packets, paths in (
        (PARSED.lines[0], PARSED.servers, (1, 3), 1),
        (PARSED.lines[0], named, (2, 5), 2),
        (msgspec.structs.replace(PARSED.lines[0], families=[Family.IPV4]), named, (1, 3), 1),
        (msgspec.structs.replace(PARSED.lines[0], families=[Family.IPV6]), named, (1, 2), 1),
    ):
        changed = msgspec.structs.replace(PARSED, servers=servers)
        by_kind = {one.kind: one.day_bytes for one in light_kinds(changed, line)}
        stamp, echo = latency_packets
        assert by_kind["latency"] == pytest.approx(57_600 * 2 * (stamp * 86 + echo * 98))
        assert by_kind["path"] == pytest.approx(48 * paths * 8 * 3 * 2 * 98)


def both_families(samples_per_month: int, probe: str = "phu-thong-01") -> list[Slot]:
    parsed = with_http(office(PlanConfig(samples_per_month=samples_per_month), probe))
    slots = [slot for day in MONTH for slot in day_plan(parsed, day).slots]
    return [slot for slot in slots if slot.line_id == "vnpt"]


def share(slots: Iterable[Slot]) -> float:
    """The share of IPv6."""
    families = [slot.family for slot in slots]
    assert set(families) <= set(Family)
    return families.count(Family.IPV6) / len(families)


@pytest.mark.parametrize("probe", ["phu-thong-01", "phu-thong-02", "cho-moi-01"])
@pytest.mark.parametrize("a_month", [60, 300])
def test_bulk_slots_alternate_between_families_in_all_that_could_bias_them(
    probe: str, a_month: int
) -> None:
    slots = both_families(a_month, probe)
    assert len(slots) == a_month

    def hours_of(slot: Slot) -> int:
        return slot.at.astimezone(HANOI).hour // 4

    def server_of(slot: Slot) -> tuple[str, str]:
        return slot.kind, slot.server_name

    def half_of_month(slot: Slot) -> int:
        return slot.at.astimezone(HANOI).day // 16

    assert share(slots) == pytest.approx(0.5, abs=0.02)
    features: list[tuple[Callable[[Slot], Hashable], float]] = [
        (lambda slot: slot.peak, 0.1),
        (server_of, 0.15),
        (half_of_month, 0.1),
        # Of 60 tests, ten at most are in the same four hours.
        (hours_of, 0.25 if a_month > 100 else 0.45),
    ]
    for feature, most in features:
        for value in {feature(slot) for slot in slots}:
            of_value = [slot for slot in slots if feature(slot) == value]
            assert share(of_value) == pytest.approx(0.5, abs=most), (feature, value)


def test_the_same_slot_always_has_the_same_family() -> None:
    assert both_families(300) == both_families(300)


@pytest.mark.parametrize("family", Family)
def test_a_line_of_one_family_has_no_slots_of_the_other(family: Family) -> None:
    source = "192.0.2.7" if family is Family.IPV4 else "2001:db8::7"
    for changes in ({"families": [family]}, {"source_address": source}):
        line = msgspec.structs.replace(PARSED.lines[0], **changes)
        slots = day_plan(msgspec.structs.replace(PARSED, lines=[line]), DAY).slots
        assert {slot.family for slot in slots} == {family}


@pytest.mark.parametrize("budget_bytes", [5 * GIGABYTE, 100 * GIGABYTE])
def test_both_families_move_the_bytes_of_one(budget_bytes: int) -> None:
    plan = PlanConfig(monthly_budget_bytes=budget_bytes)
    months = []
    for families in ([Family.IPV4], list(Family)):
        # Its gateway's echoes would count for each family (above).
        lines = [
            msgspec.structs.replace(line, families=families, gateway="192.168.1.1")
            for line in PARSED.lines
        ]
        parsed = msgspec.structs.replace(with_http(office(plan)), lines=lines)
        slots = [slot for day in MONTH for slot in day_plan(parsed, day).slots]
        months.append([msgspec.structs.replace(slot, family=None) for slot in slots])
    one, two = months
    assert one == two
    assert sum(slot.expected_bytes for slot in two) == sum(slot.expected_bytes for slot in one)


def test_an_ipv6_test_counts_its_longer_headers() -> None:
    over = {
        family: with_bulk_result(
            Usage(), msgspec.structs.replace(samples.throughput(), family=family)
        ).used_bytes["vnpt"]
        for family in (None, *Family)
    }
    assert over[None] == over[Family.IPV4]
    assert over[Family.IPV6] / over[Family.IPV4] == pytest.approx(1448 / 1428, rel=1e-4)


def test_a_fleet_does_not_start_together_at_the_end_of_a_part_of_the_day() -> None:
    """What fell into the last minutes before 23 h used to be moved back to one second."""
    fleet = [office(probe=f"tram-{n}") for n in range(400)]
    starts = Counter(slot.at for one in fleet for slot in day_plan(one, DAY).slots)
    assert max(starts.values()) <= 6, starts.most_common(3)


def test_a_month_s_plan_is_that_of_its_days() -> None:
    parsed = with_http(office())
    assert month_plan(parsed, DAY) == {day: day_plan(parsed, day) for day in MONTH}
