"""Floor 1. Stored results as LMAP reports (RFC 8193, RFC 8194), in JSON (RFC 7951).

There is one report per probe: the input of the RPC `report` of module ietf-lmap-report. A probe is
LMAP's measurement agent; its `agent-id` is a version 5 UUID of tenant and name, and so outlives an
SD card. A kind is a task, a line is a tag, the method's settings are options, and
the scalar values of a result are one row of one table, with names that include units as columns.
Lists (intervals, single queries) are not exported: the JSON of the result has them.

The metric URIs are ours and not in the registry of RFC 8911. Tests compare the output with the tree
of RFC 8194, and have libyang validate it by the module.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from uuid import NAMESPACE_URL, uuid5

import msgspec

from collector.registry.registry import Registry
from collector.store.records import StoredResult
from wire.result import Outcome, Result, decode_result

# RFC 8194: `status` is the code that the action returned.
_STATUS = {Outcome.OK: 0, Outcome.FAILED: 1, Outcome.SKIPPED: 2}


def reports(
    results: Iterable[StoredResult], registry: Registry, sent_at: datetime
) -> Iterator[dict[str, object]]:
    """An LMAP report for each probe, in the order of their first results."""
    by_probe: dict[tuple[str, str], list[StoredResult]] = {}
    for result in results:
        by_probe.setdefault((result.tenant, result.probe), []).append(result)
    for (tenant, probe), mine in by_probe.items():
        yield {"ietf-lmap-report:input": _report(tenant, probe, mine, registry, sent_at)}


def as_json(report: dict[str, object]) -> bytes:
    """A report on one line."""
    return msgspec.json.encode(report)


def _report(
    tenant: str, probe: str, results: list[StoredResult], registry: Registry, sent_at: datetime
) -> dict[str, object]:
    report: dict[str, object] = {
        "date": _time(sent_at),
        "agent-id": str(uuid5(NAMESPACE_URL, f"tramdo:{tenant}/{probe}")),
        "group-id": tenant,
    }
    if (known := registry.probe(tenant, probe)) is not None:
        report["measurement-point"] = known.commune
    report["result"] = [row for stored in results if (row := _row_or_none(stored)) is not None]
    return report


def _row_or_none(stored: StoredResult) -> dict[str, object] | None:
    """A result as an LMAP row; None for another contract version or an impossible time.

    Such a result is skipped, so that it does not block the export of those after it.
    """
    try:
        return _row(stored, decode_result(stored.body))
    except (msgspec.DecodeError, OverflowError):
        return None


def _row(stored: StoredResult, result: Result) -> dict[str, object]:
    row: dict[str, object] = {
        "schedule": f"{stored.kind}-{stored.line}",
        "action": stored.target or stored.kind,
        "task": stored.kind,
        "option": _options(result),
        "tag": [
            f"probe:{stored.probe}",
            f"line:{stored.line}",
            f"epoch:{stored.epoch}",
            f"seq:{stored.seq}",
            *(f"validity:{flag}" for flag in result.validity),
            *([f"reason:{result.reason}"] if result.reason is not None else []),
            *([f"family:{result.family}"] if result.family is not None else []),
        ],
        "start": _time(result.started_at),
        "end": _time(result.started_at + timedelta(seconds=result.duration_s)),
        "status": _STATUS[result.outcome],
    }
    if result.slot_at is not None:
        row["event"] = _time(result.slot_at)
    if result.values is not None:
        figures = dict(_figures(msgspec.to_builtins(result.values)))
        row["table"] = [
            {
                "function": [{"uri": f"urn:x-tramdo:metric:{stored.kind}"}],
                "column": list(figures),
                "row": [{"value": list(figures.values())}],
            }
        ]
    return row


def _options(result: Result) -> list[dict[str, str]]:
    if result.method is None:
        return []
    named = {"tool": result.method.tool, "version": result.method.version}
    named |= {name: _text(value) for name, value in sorted(result.method.settings.items())}
    return [
        {"id": name, "name": name, "value": value}
        for name, value in named.items()
        if value is not None
    ]


def _figures(values: dict[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    """The scalar values by name, nested ones flattened; unknown ones as empty text."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _figures(value, f"{prefix}{name}_")
        elif not isinstance(value, list):
            yield f"{prefix}{name}", _text(value) or ""


def _text(value: object) -> str | None:
    """A YANG leaf of type string: `true`/`false`, and numbers with every digit."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _time(at: datetime) -> str:
    """yang:date-and-time (RFC 6991), UTC."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
