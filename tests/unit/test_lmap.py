"""LMAP reports against the tree of RFC 8194, module ietf-lmap-report."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import jsonschema
import msgspec
import pytest

from collector.export import lmap
from collector.store.records import StoredResult
from tests import report_samples, samples
from wire.result import Outcome, Reason, Result, Validity, encode_result

NOW = datetime(2026, 7, 25, 6, 0, tzinfo=UTC)
TIME = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$"}
TEXT = {"type": "string"}


def leaves(required: list[str], **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def list_of(item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": item}


# The tree of the RPC's input, as its section 3.3 draws it.
TREE = leaves(
    ["date"],
    **{
        "date": TIME,
        "agent-id": {"type": "string", "format": "uuid"},
        "group-id": TEXT,
        "measurement-point": TEXT,
        "result": list_of(
            leaves(
                ["start"],
                **{
                    "schedule": TEXT,
                    "action": TEXT,
                    "task": TEXT,
                    "parameters": {"type": "object"},
                    "option": list_of(leaves(["id"], id=TEXT, name=TEXT, value=TEXT)),
                    "tag": {"type": "array", "items": TEXT, "uniqueItems": True},
                    "event": TIME,
                    "start": TIME,
                    "end": TIME,
                    "cycle-number": {"type": "string", "pattern": r"^\d{8}\.\d{6}$"},
                    "status": {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1},
                    "conflict": list_of({"type": "object"}),
                    "table": list_of(
                        leaves(
                            [],
                            function=list_of(leaves(["uri"], uri=TEXT, role=list_of(TEXT))),
                            column=list_of(TEXT),
                            row=list_of(leaves([], value=list_of(TEXT))),
                        )
                    ),
                },
            )
        ),
    },
)


def stored(result: Result, number: int = 1, probe: str = samples.PROBE) -> StoredResult:
    return StoredResult(
        number=number,
        tenant=samples.TENANT,
        probe=probe,
        epoch=samples.EPOCH,
        seq=number,
        kind=result.kind,
        line=result.line.id,
        target=result.target,
        received_at=NOW,
        stored_at=NOW,
        body=encode_result(result),
    )


EVERY = [
    samples.throughput(validity=[Validity.CROSS_TRAFFIC]),
    samples.throughput(outcome=Outcome.FAILED, reason=Reason.TIMEOUT),
    samples.throughput(outcome=Outcome.SKIPPED, reason=Reason.SERVER_BUSY),
    samples.latency(),
    samples.dns(),
    samples.web(),
    samples.availability(),
    samples.outage(),
]


@pytest.mark.parametrize("result", EVERY, ids=lambda r: f"{r.kind}-{r.outcome}")
def test_every_kind_fits_the_tree(result: Result) -> None:
    (report,) = lmap.reports([stored(result)], report_samples.registry(), NOW)
    told = json.loads(lmap.as_json(report))
    assert list(told) == ["ietf-lmap-report:input"]
    jsonschema.validate(told["ietf-lmap-report:input"], TREE)
    (one,) = told["ietf-lmap-report:input"]["result"]
    assert one["status"] == {"ok": 0, "failed": 1, "skipped": 2}[result.outcome]
    for table in one.get("table", []):
        assert all(len(row["value"]) == len(table["column"]) for row in table["row"])
    assert ("table" in one) == (result.values is not None)


def test_figures_settings_and_flags_are_all_there() -> None:
    result = samples.throughput(download_bps=238_810_000.0, validity=[Validity.CROSS_TRAFFIC])
    (report,) = lmap.reports([stored(result, 7)], report_samples.registry(), NOW)
    told: Any = report["ietf-lmap-report:input"]
    assert told["measurement-point"] == "01969"
    one = told["result"][0]
    figures = dict(zip(one["table"][0]["column"], one["table"][0]["row"][0]["value"], strict=True))
    assert figures["download_bps"] == "238810000.0"
    assert figures["download_retransmits"] != ""
    assert {"id": "omit_s", "name": "omit_s", "value": "3"} in one["option"]
    assert {"line:vnpt", "seq:7", "validity:cross_traffic"} <= set(one["tag"])
    assert one["start"] == "2026-07-25T05:00:00Z"
    assert one["end"] == "2026-07-25T05:00:26.400000Z"


def test_a_report_is_of_one_probe_and_its_id_outlives_a_card() -> None:
    results = [
        stored(samples.latency(), 1),
        stored(samples.latency(), 2, "tram-01981-1"),
        stored(samples.latency(started_at=NOW + timedelta(minutes=1)), 3),
    ]
    told: list[Any] = [
        report["ietf-lmap-report:input"]
        for report in lmap.reports(results, report_samples.registry(), NOW)
    ]
    assert [len(report["result"]) for report in told] == [2, 1]
    ids = [UUID(report["agent-id"]) for report in told]
    assert ids[0] != ids[1]
    assert {one.version for one in ids} == {5}


def test_a_result_that_cannot_be_told_costs_its_neighbours_nothing() -> None:
    endless = msgspec.structs.replace(
        samples.latency(started_at=datetime(9_999, 12, 30, tzinfo=UTC)), duration_s=1e10
    )
    unreadable = msgspec.structs.replace(stored(samples.dns(), 2), body=b"{}")
    given = [stored(endless, 1), unreadable, stored(samples.web(), 3)]
    (report,) = lmap.reports(given, report_samples.registry(), NOW)
    told: Any = report
    assert len(told["ietf-lmap-report:input"]["result"]) == 1
