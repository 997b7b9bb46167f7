"""The simulation of the servers: without leases tests meet, with them none does."""

from __future__ import annotations

import pytest

from bench import server_leases
from bench.report import Row

OFFICES, SERVERS, DAYS = 120, 1, 1
BY_NAME = {scenario.name: scenario for scenario in server_leases.SCENARIOS}


CONFIGS = [server_leases.office_config(SERVERS, office) for office in range(OFFICES)]


@pytest.fixture(scope="module")
def slots() -> list[int]:
    return server_leases.planned(CONFIGS, DAYS)


@pytest.fixture(scope="module")
def rows(slots: list[int]) -> dict[str, Row]:
    return {
        name: server_leases.played(scenario, CONFIGS, slots, SERVERS, DAYS)
        for name, scenario in BY_NAME.items()
    }


def test_the_plan_s_slots_are_played(slots: list[int], rows: dict[str, Row]) -> None:
    assert len(slots) > OFFICES * 2 * 8
    assert {row["tests"] for row in rows.values()} == {len(slots)}


def test_without_leases_tests_meet_at_nginx_and_at_the_card(rows: dict[str, Row]) -> None:
    row = rows["without leases"]
    assert float(row["shared_a_port"] or 0) > 0
    assert float(row["on_overloaded_card"] or 0) > 0


def test_with_leases_none_meets_another(rows: dict[str, Row]) -> None:
    row = rows["leases"]
    assert (row["shared_a_port"], row["on_overloaded_card"], row["most_http"]) == (0, 0, 1)
    assert float(row["not_made_ratio"] or 0) < 0.01


def test_what_meets_after_a_restart_is_flagged(rows: dict[str, Row]) -> None:
    (row,) = (rows[name] for name, scenario in BY_NAME.items() if scenario.restarts)
    assert row["met_not_flagged"] == 0


def test_the_same_seed_plays_the_same_month(slots: list[int]) -> None:
    scenario = BY_NAME["leases"]
    one, other = (
        server_leases.played(scenario, CONFIGS, slots[:300], SERVERS, DAYS) for _ in range(2)
    )
    assert one == other
