"""What was announced of planned maintenance, what of it counts, and what it does to alerts."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec import structs

from collector.alerts.alert import AlertKind, Begin, Key, RuleResult, RuleState, Subject
from collector.alerts.alert_store import AlertLocation, AlertStore
from collector.alerts.notification import Transition
from collector.alerts.silence import held_by
from collector.registry.communes import official
from collector.registry.file_format import parse_toml
from collector.registry.planned_maintenance import (
    LineOutage,
    MaintenanceAction,
    MaintenanceEntry,
    MaintenanceProblem,
    MaintenanceScope,
    MaintenanceStatus,
    PlannedMaintenance,
    Window,
    in_force,
    minutes_within,
    problem,
)
from collector.registry.registry import LineKey
from tests import seeded_centre

TEN = datetime(2026, 7, 25, 3, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
NOON, TWO = TEN + 2 * HOUR, TEN + 4 * HOUR
REGISTRY = parse_toml(seeded_centre.REGISTRY.encode(), "seeded.toml", official())
VNPT = LineKey("bach-thong", "tram-01969-1", "vnpt")
VIETTEL = VNPT._replace(line="viettel")
OF_VNPT = MaintenanceScope(isp="vnpt", place="01969")


def entry(
    recorded_at: datetime,
    starts_at: datetime = TEN,
    ends_at: datetime = NOON,
    action: MaintenanceAction = MaintenanceAction.ANNOUNCED,
    scope: MaintenanceScope = OF_VNPT,
) -> MaintenanceEntry:
    note = "" if action is MaintenanceAction.ANNOUNCED else "đổi lịch"
    return MaintenanceEntry(
        number=1,
        recorded_at=recorded_at,
        author="lan",
        action=action,
        scope=scope,
        starts_at=starts_at,
        ends_at=ends_at,
        reason="VNPT nâng cấp cáp, công văn số 12/VNPT",
        note=note,
    )


def corrected(recorded_at: datetime, starts_at: datetime, ends_at: datetime) -> MaintenanceEntry:
    return entry(recorded_at, starts_at, ends_at, MaintenanceAction.CORRECTED)


def announced(*entries: MaintenanceEntry) -> PlannedMaintenance:
    return PlannedMaintenance(number=1, entries=entries)


IN_ADVANCE = entry(TEN - HOUR)


@pytest.mark.parametrize(
    ("entries", "status", "planned"),
    [
        ([IN_ADVANCE], MaintenanceStatus.PLANNED, Window(TEN, NOON)),
        ([entry(TEN + MINUTE)], MaintenanceStatus.LATE, None),
        # Longer than announced, once it had begun: only what was announced counts.
        (
            [IN_ADVANCE, corrected(TEN + HOUR, TEN, TWO)],
            MaintenanceStatus.PARTLY,
            Window(TEN, NOON),
        ),
        # Shorter: that may be said at any time.
        (
            [IN_ADVANCE, corrected(TWO, TEN, TEN + HOUR)],
            MaintenanceStatus.PLANNED,
            Window(TEN, TEN + HOUR),
        ),
        # Put off in time.
        ([IN_ADVANCE, corrected(TEN - MINUTE, NOON, TWO)], MaintenanceStatus.PLANNED, (NOON, TWO)),
        # Put off, and moved back when that suited better.
        (
            [IN_ADVANCE, corrected(TEN - MINUTE, NOON, TWO), corrected(TWO, TEN, TWO)],
            MaintenanceStatus.PARTLY,
            Window(NOON, TWO),
        ),
        (
            [IN_ADVANCE, entry(TWO, action=MaintenanceAction.WITHDRAWN)],
            MaintenanceStatus.WITHDRAWN,
            None,
        ),
    ],
)
def test_what_counts_was_announced_before_it_began(
    entries: list[MaintenanceEntry], status: MaintenanceStatus, planned: Window | None
) -> None:
    one = announced(*entries)
    assert (one.status, one.planned) == (status, planned)


def test_a_scope_is_of_the_lines_that_fit_all_of_it() -> None:
    assert OF_VNPT.covers(VNPT, REGISTRY)
    assert not OF_VNPT.covers(VIETTEL, REGISTRY)
    province = REGISTRY.communes["01969"].province_code
    assert MaintenanceScope(place=province).covers(VIETTEL, REGISTRY)
    assert not MaintenanceScope(place="99").covers(VIETTEL, REGISTRY)
    assert MaintenanceScope(line="/".join(VIETTEL)).covers(VIETTEL, REGISTRY)
    assert not MaintenanceScope().covers(VNPT, REGISTRY), "nobody announces everything"
    assert not OF_VNPT.covers(VNPT._replace(probe="tram-unknown"), REGISTRY)


def test_more_lines_than_announced_do_not_count() -> None:
    wider = structs.replace(
        entry(NOON, action=MaintenanceAction.CORRECTED), scope=MaintenanceScope(place="01969")
    )
    one = announced(IN_ADVANCE, wider)
    assert one.status is MaintenanceStatus.PARTLY
    assert one.is_planned_for(VNPT, REGISTRY)
    assert one.concerns(VIETTEL, REGISTRY)
    assert not one.is_planned_for(VIETTEL, REGISTRY)


def outage(begin: datetime, minutes: int, down: int | None = None) -> LineOutage:
    return LineOutage(begin, begin + minutes * MINUTE, minutes if down is None else down)


@pytest.mark.parametrize(
    ("announcements", "outages", "minutes"),
    [
        ([announced(IN_ADVANCE)], [outage(TEN + MINUTE, 30)], 30),
        # Begun before the work, and lasting beyond it.
        ([announced(IN_ADVANCE)], [outage(TEN - 10 * MINUTE, 600)], 120),
        # Part of the outage was unknown, or the office's own.
        ([announced(IN_ADVANCE)], [outage(TEN, 60, down=40)], 40),
        # It had begun when the announcement was written: that explains it, and announces nothing.
        ([announced(entry(TEN - MINUTE))], [outage(TEN - 5 * MINUTE, 60)], 0),
        # Two announcements of one night count once.
        (
            [announced(IN_ADVANCE), announced(entry(TEN - HOUR, TEN + HOUR, TWO))],
            [outage(TEN, 240)],
            240,
        ),
        ([announced(entry(NOON))], [outage(TEN, 60)], 0),
        # Of the period that is asked for only.
        ([announced(entry(TEN - HOUR, TEN, TWO + 20 * HOUR))], [outage(TWO, 600)], 180),
    ],
)
def test_minutes_of_outages_in_planned_maintenance(
    announcements: list[PlannedMaintenance], outages: list[LineOutage], minutes: int
) -> None:
    assert minutes_within(announcements, outages, TEN - 6 * HOUR, TWO + 3 * HOUR) == minutes


def test_what_is_refused() -> None:
    assert problem(IN_ADVANCE) is None
    refused = {
        MaintenanceProblem.NO_SCOPE: structs.replace(IN_ADVANCE, scope=MaintenanceScope()),
        MaintenanceProblem.NO_REASON: structs.replace(IN_ADVANCE, reason=""),
        MaintenanceProblem.TOO_LONG: structs.replace(IN_ADVANCE, ends_at=TEN),
        MaintenanceProblem.TOO_FAR: structs.replace(IN_ADVANCE, recorded_at=TEN - 400 * 24 * HOUR),
        MaintenanceProblem.NO_NOTE: structs.replace(corrected(TEN, TEN, NOON), note=""),
    }
    assert {why: problem(one) for why, one in refused.items()} == {why: why for why in refused}


DOWN = Key(AlertKind.LINE_DOWN, Subject(*VNPT))
SILENT = Key(AlertKind.PROBE_SILENT, Subject(*VNPT[:2]))
NAMES = Key(AlertKind.NAME_SHARED, Subject(*VNPT[:2]))


def test_alerts_of_the_lines_concerned_are_held_back() -> None:
    one, late = announced(IN_ADVANCE), announced(entry(TEN + MINUTE))
    assert in_force([one], NOON) == []
    assert held_by(in_force([one], TEN), DOWN, REGISTRY) == one
    assert held_by(in_force([late], TEN + HOUR), DOWN, REGISTRY) == late, "as a silence would"
    assert held_by([one], Key(AlertKind.LINE_DOWN, Subject(*VIETTEL)), REGISTRY) is None
    # The probe's other line goes on: that the probe is silent has another cause.
    assert held_by([one], SILENT, REGISTRY) is None
    whole = announced(structs.replace(IN_ADVANCE, scope=MaintenanceScope(place="01969")))
    assert held_by([whole], SILENT, REGISTRY) == whole
    assert held_by([whole], NAMES, REGISTRY) is None, "work on a line is no reason for it"
    withdrawn = announced(IN_ADVANCE, entry(TEN, action=MaintenanceAction.WITHDRAWN))
    assert in_force([withdrawn], TEN + MINUTE) == []


def test_what_is_still_open_when_the_maintenance_ends_is_notified_then(tmp_path: Path) -> None:
    with closing(AlertStore(tmp_path / "alerts.sqlite")) as store:
        begin = Begin(RuleResult(key=DOWN, state=RuleState.HOLDS), TEN)
        store.write([begin], ["mail"], lambda _: AlertLocation("01969", None), lambda _: True)
        opened = list(store.open_alerts().values())
        store.release(opened, ["mail"], NOON, lambda _: True)
        assert store.pending("mail") == []
        store.release(opened, ["mail"], NOON, lambda _: False)
        assert [one.transition for one in store.pending("mail")] == [Transition.BEGIN]
