"""The heat map of an area: levels, legend, too few lines; and figures that take their time."""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from collector.domain.background_cache import RUNNING_MOST, BackgroundCache
from collector.domain.lines import known_lines
from collector.rollup.queries import HourProfile
from collector.store.sqlite import SqliteStore
from collector.store.store import StoreError
from collector.web import hours_view as view
from collector.web.hours_view import FIGURES, LEAST_LINES, LEVELS
from collector.web.presentation import Locale
from runtime.language import Language
from tests.seeded_centre import TENANT
from tests.unit.test_registry_page import NOW, Browser, registry

EN = Locale(Language.EN, ZoneInfo("Asia/Ho_Chi_Minh"))
PROFILES = {
    (0, 8): HourProfile(10, 0.5),
    (0, 9): HourProfile(10, 0.95),
    (6, 23): HourProfile(LEAST_LINES, 1.0),
    (6, 22): HourProfile(LEAST_LINES - 1, 0.1),
}


def test_levels_go_from_the_worst_to_the_best_of_the_hours_with_enough_lines() -> None:
    heat = view.heat_map(PROFILES, FIGURES["plan"], EN)
    monday, sunday = dict(heat.days)["Monday"], dict(heat.days)["Sunday"]
    assert [(cell.level, cell.text) for cell in monday[8:10]] == [(1, "50.0"), (5, "95.0")]
    assert (sunday[23].level, sunday[23].words) == (5, "100 %, 3 lines")
    assert (sunday[22].level, sunday[22].text, sunday[22].words) == (
        0,
        "·",
        "too few lines: 2 lines",
    )
    assert (monday[0].level, monday[0].text) == (0, "")
    assert (heat.few, heat.empty) == (1, 7 * 24 - 4)
    assert [row.text for row in heat.legend] == [
        "50.0–60.0 %", "60.0–70.0 %", "70.0–80.0 %", "80.0–90.0 %", "90.0–100 %",
    ]  # fmt: skip


def test_of_latency_and_loss_the_lowest_is_the_best() -> None:
    heat = view.heat_map(PROFILES, FIGURES["loss"], EN)
    monday, sunday = dict(heat.days)["Monday"], dict(heat.days)["Sunday"]
    assert (monday[8].level, sunday[23].level) == (5, 1)
    assert [row.level for row in heat.legend] == [1, 2, 3, 4, 5]
    assert heat.legend[0].text == "90.0–100 %"


def test_hours_that_are_all_the_same_are_one_class() -> None:
    heat = view.heat_map({(0, 8): HourProfile(5, 1.0)}, FIGURES["availability"], EN)
    assert [(row.level, row.text) for row in heat.legend] == [(LEVELS, "100 %")]
    assert not view.heat_map({}, FIGURES["plan"], EN).legend


def test_against_the_plan_only_lines_with_one_count() -> None:
    lines = known_lines(registry(), [])
    factors = view.factors(lines, FIGURES["plan"])
    assert factors
    assert set(factors) == {line.key for line in lines if line.plan_down_bps}
    assert all(
        0.99 < factors[x.key] * (x.plan_down_bps or 0) < 1.01 for x in lines if x.key in factors
    )
    assert set(view.factors(lines, FIGURES["latency"])) == {line.key for line in lines}


def test_a_file_has_every_hour_with_its_number_of_lines() -> None:
    table = view.hours_table(PROFILES, FIGURES["plan"], EN)
    rows = [dict(zip(table.names, row, strict=True)) for row in table.rows]
    assert [(row["weekday"], row["hour"], row["mean"], row["lines"]) for row in rows] == [
        ("Monday", 8, 50.0, 10),
        ("Monday", 9, 95.0, 10),
        ("Sunday", 22, 10.0, 2),
        ("Sunday", 23, 100.0, 3),
    ]


def test_who_asks_for_what_takes_long_waits_a_moment_and_gets_it_later() -> None:
    cache: BackgroundCache[int] = BackgroundCache(4, 900.0)
    go, calls = threading.Event(), []

    def compute() -> int:
        calls.append(1)
        assert go.wait(60)
        return 7

    assert cache.get("a", compute, 0.01) is None
    assert cache.get("a", compute, 0.01) is None
    go.set()
    assert cache.get("a", compute, 60.0) == 7
    assert cache.get("a", compute, 0.0) == 7
    assert len(calls) == 1, "it was computed once for all"


def test_only_so_many_computations_wait_and_a_later_one_begins_when_asked_again() -> None:
    cache: BackgroundCache[str] = BackgroundCache(64, 900.0)
    go, begun = threading.Event(), []

    def compute(key: str) -> str:
        begun.append(key)
        assert go.wait(60)
        return key

    keys = [str(n) for n in range(RUNNING_MOST + 1)]
    for key in keys:
        assert cache.get(key, partial(compute, key), 0.0) is None
    go.set()
    for key in keys[:-1]:
        assert cache.get(key, partial(compute, key), 60.0) == key
    last = keys[-1]
    assert last not in begun
    assert cache.get(last, partial(compute, last), 60.0) == last


def test_a_failure_is_raised_and_the_next_one_who_asks_tries_again() -> None:
    cache: BackgroundCache[int] = BackgroundCache(4, 900.0)

    def fail() -> int:
        raise StoreError("the disk is gone")

    with pytest.raises(StoreError):
        cache.get("a", fail, 60.0)
    assert cache.get("a", lambda: 1, 60.0) == 1


def test_a_fault_of_the_computation_is_raised_and_is_no_value_that_is_still_computed() -> None:
    cache: BackgroundCache[float] = BackgroundCache(4, 900.0)
    with pytest.raises(ZeroDivisionError):
        cache.get("a", lambda: 1 / 0, 60.0)
    assert cache.get("a", lambda: 1.0, 60.0) == 1.0


def test_the_page_keeps_its_choices_in_its_links(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "results.sqlite")
    store.registry.apply(registry(), "centre", "registry.toml", NOW)
    browser = Browser(store, tmp_path)
    page = browser.get("/hours")
    assert page.status == 200
    assert "No hour has figures" in page.text
    assert "figure=plan" in page.text
    assert browser.get("/hours.csv").text.startswith("weekday,hour,figure,unit,mean,lines")
    assert TENANT not in browser.get("/hours.csv").text
    store.close()
