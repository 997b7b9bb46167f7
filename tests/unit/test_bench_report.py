"""What every benchmark prints: the contract of its JSON, its table, its exit codes."""

from __future__ import annotations

import json
import sys

import pytest

from bench.report import (
    CannotMeasureError,
    IntegerOption,
    Options,
    Outcome,
    Row,
    as_json,
    as_text,
    at_least,
    at_most,
    machine,
    note,
    run,
)

FOUND = Outcome(
    rows=[
        {"line": "steady", "rate_mbps": 95.634567, "transfers": 4, "note": None},
        {"line": "mất gói", "rate_mbps": 8.0, "transfers": 12, "note": None},
    ],
    targets=[at_least("saved", 0.8, 0.75), at_most("error", None, 0.1), at_most("p95", 0.1, 0.1)],
)


HERE: Row = {"model": "a Pi", "cores": 4}


def test_json_is_the_one_object_of_the_contract() -> None:
    found = json.loads(as_json("data_saving", FOUND, HERE))
    assert list(found) == ["bench", "machine", "rows", "targets"]
    assert found["bench"] == "data_saving"
    assert found["rows"] == [dict(row) for row in FOUND.rows]
    assert found["targets"][0] == {"name": "saved", "value": 0.8, "limit": 0.75, "met": True}
    assert found["machine"] == HERE


def test_when_where_how_and_beside_whom_is_stated() -> None:
    here = machine("python -m bench.x --quick", ["no-such-package"])
    assert {"model", "cores", "kernel", "python", "load_1min"} <= set(here)
    assert here["command"] == "python -m bench.x --quick"
    assert here["peers"] == "no-such-package"
    assert str(here["at"]).endswith("Z")


def test_a_target_without_a_value_is_not_met() -> None:
    assert [target.met for target in FOUND.targets] == [True, False, True]
    assert not at_least("saved", None, 0.0).met


def test_the_table_lines_up_and_numbers_stand_right() -> None:
    lines = as_text("data_saving", FOUND, HERE).splitlines()
    table = lines[2:5]
    assert table == [
        "line     rate_mbps  transfers  note",
        "steady       95.63          4     –",
        "mất gói          8         12     –",
    ]
    assert lines[-3:] == [
        "met     saved: 0.8 (limit 0.75)",
        "NOT met error: – (limit 0.1)",
        "met     p95: 0.1 (limit 0.1)",
    ]


def ran(name: str, number: IntegerOption | None = None) -> list[Options]:
    """Run a benchmark that finds FOUND by the command line; what it was asked for."""
    asked: list[Options] = []

    def measured(options: Options) -> Outcome:
        asked.append(options)
        note("halfway")
        return FOUND

    assert run(name, measured, number=number) == 0, "whatever the figures"
    return asked


@pytest.mark.parametrize(
    ("arguments", "quick"), [(["--json"], False), (["--quick", "--json"], True)]
)
def test_with_json_standard_output_holds_nothing_else(
    arguments: list[str],
    quick: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["bench", *arguments])
    asked = ran("data_saving")
    printed = capsys.readouterr()
    told = json.loads(printed.out)
    assert told["bench"] == "data_saving"
    command = "python -m bench.data_saving --quick" if quick else "python -m bench.data_saving"
    assert told["machine"]["command"] == command
    assert "load_1min_after" in told["machine"]
    assert printed.err == "halfway\n"
    assert asked == [Options(quick=quick)]


@pytest.mark.parametrize(
    ("arguments", "told", "command"),
    [
        ([], 1, "python -m bench.provision"),
        (["--hosts", "10"], 10, "python -m bench.provision --hosts 10"),
    ],
)
def test_a_benchmark_may_have_a_number_of_its_own(
    arguments: list[str],
    told: int,
    command: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["bench", "--json", *arguments])
    asked = ran("provision", IntegerOption("hosts", 1, "how many"))
    assert asked == [Options(quick=False, number=told)]
    assert json.loads(capsys.readouterr().out)["machine"]["command"] == command


def test_what_cannot_be_measured_says_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def measured(_: Options) -> Outcome:
        raise CannotMeasureError("network namespaces need root")

    monkeypatch.setattr(sys, "argv", ["bench", "--json"])
    assert run("data_saving", measured) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == "bench.data_saving cannot measure here: network namespaces need root\n"
